# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Base load beyond what was declared, as far as readings show it.

What a reading shows beside the most that the chargers below can have drawn then is base load. Two
things follow, one at once and one for good.

At once: where that is clearly more than declared, the declaration bounds nothing, not even by a
magnitude; what was shown counts, at the upper end of its error. Of those whose reports are believed
the highest that these showed is taken off, of others their upper end. It is kept while nothing is
read any more: losing a reading gives nobody the room that the reading denied. A charger on its way
down hides as much of it as it still drew when the window began, so the most that was shown counts
for twice the window.

For good: three readings of one source in a row that show more beside *all* upper ends replace the
declared worst case by the least of what they proved. A magnitude proves nothing: it may be export.
"""

from libc.stdint cimport int32_t, int64_t

from cext.ring cimport ring_push, ring_span
from cext.targets cimport set_failsafe
from cext.types cimport GRID_PHASES, Circuit, Source, World

cdef enum:
    DISPROOFS = 3  # readings in a row that replace a declared worst case

cdef int64_t MOST = 0x7FFFFFFF
cdef int64_t SECOND = 1_000_000_000


# --- at once ----------------------------------------------------------------------------


cdef void note_undeclared(Circuit* circuit, int64_t now) noexcept nogil:
    """What a circuit that is read shows."""
    cdef int32_t phase
    cdef int64_t beside
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t shown[GRID_PHASES]
    for phase in range(GRID_PHASES):
        shown[phase] = <int32_t>min(circuit.draw_hi[phase] - circuit.vouched_hi[phase], MOST)
    ring_push(&circuit.unvouched, now, shown)
    ring_span(&circuit.unvouched, circuit.oldest_ns, lo, shown)
    for phase in range(GRID_PHASES):
        beside = circuit.reading[phase] - circuit.vouched[phase] - shown[phase]
        shown[phase] = 0
        if beside - circuit.error > circuit.worst[phase]:
            shown[phase] = <int32_t>min(beside + circuit.error, MOST)
    ring_push(&circuit.shown, now, shown)
    ring_span(&circuit.shown, 2 * circuit.window_ns - now - SECOND, lo, shown)
    for phase in range(GRID_PHASES):
        circuit.undeclared[phase] = shown[phase]


# --- for good ---------------------------------------------------------------------------


cdef void judge_readings(World* world) noexcept nogil:
    """Holds what is new of each source against its circuit's declared worst case."""
    cdef int32_t i
    cdef bint disproved = False
    cdef Source* source
    for i in range(world.sources_n):
        source = &world.sources[i]
        if source.counts and not source.unsigned and source.at != source.judged_at:
            source.judged_at = source.at
            disproved = judge(&world.circuits[source.circuit], source) or disproved
    if disproved:
        set_failsafe(world)


cdef bint judge(Circuit* circuit, Source* source) noexcept nogil:
    """Three readings in a row that prove more base load: the least replaces it. True where it did."""
    cdef int32_t phase
    cdef int64_t least
    cdef bint disproved = False
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    ring_span(&circuit.drawn, circuit.oldest_ns, lo, hi)
    for phase in range(GRID_PHASES):
        least = <int64_t>source.reading[phase] - source.error - hi[phase]
        if least <= circuit.worst[phase]:
            source.disproofs[phase] = 0
            continue
        if source.disproofs[phase] == 0 or least < source.proved[phase]:
            source.proved[phase] = least
        source.disproofs[phase] += 1
        if source.disproofs[phase] >= DISPROOFS:
            source.disproofs[phase] = 0
            source.proved[phase] = min(source.proved[phase], MOST)
            circuit.worst[phase] = max(circuit.worst[phase], <int32_t>source.proved[phase])
            disproved = True
    return disproved


cdef void doubt_proofs(Source* source) noexcept nogil:
    """What it had begun to prove is in doubt with it."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        source.disproofs[phase] = 0


cdef void believe_worst(World* world, Circuit* circuit, const int32_t* worst) noexcept nogil:
    """What was proved before stands; never less than was declared."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        circuit.worst[phase] = max(circuit.worst[phase], worst[phase])
    set_failsafe(world)
