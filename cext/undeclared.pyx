# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Base load beyond what was declared, as far as readings show it.

What a reading shows beside the most that the chargers below can have drawn then is base load. Two
things follow, one at once and one for good.

At once: where that is clearly more than declared, the declaration bounds nothing, not even by a
magnitude; what was shown counts, at the upper end of its error. Off a reading goes what all may have
drawn; off what readings have shown for so long that reports must tell of it, of those whose reports
are believed only the highest that these told, of others their upper end. What two readings of one
source showed is kept while nothing is read any more, or nothing that is trusted: neither loss nor
doubt gives anybody the room that it denied. A single one may be a dying meter's last word. A charger
on its way down hides as much of it as it still drew when the window began, so the most that was shown
counts for twice the window.

For good: three readings of one source in a row that show more beside *all* upper ends replace the
declared worst case by the least of what they proved. A magnitude proves nothing: it may be export.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from cext.ring cimport ring_push, ring_reaches, ring_span
from cext.targets cimport set_failsafe
from cext.types cimport GRID_PHASES, Circuit, Source, World

cdef enum:
    DISPROOFS = 3  # readings in a row that replace a declared worst case

cdef int64_t MOST = 0x7FFFFFFF
cdef int64_t SECOND = 1_000_000_000


# --- at once ----------------------------------------------------------------------------


cdef void note_undeclared(World* world) noexcept nogil:
    """What each circuit's sources show, or have shown before they were lost."""
    cdef int32_t i
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        memcpy(circuit.undeclared, circuit.inherited, sizeof(circuit.undeclared))
        if circuit.fresh:
            begin_to_read(circuit, world.now)
    for i in range(world.sources_n):
        note_source(&world.circuits[world.sources[i].circuit], &world.sources[i], world.now)


cdef void begin_to_read(Circuit* circuit, int64_t now) noexcept nogil:
    """Upper ends of those whose reports are not believed; and how far back counts what was shown."""
    cdef int32_t phase
    cdef int32_t hi[GRID_PHASES]
    for phase in range(GRID_PHASES):
        hi[phase] = <int32_t>min(circuit.draw_hi[phase] - circuit.vouched_hi[phase], MOST)
        circuit.inherited[phase] = circuit.undeclared[phase] = 0
    ring_push(&circuit.unvouched, now, hi)
    circuit.shown_since = 2 * circuit.window_ns - now - SECOND


cdef void note_source(Circuit* circuit, Source* source, int64_t now) noexcept nogil:
    """At once counts what each reading shows. Of one that is lost, what two did."""
    cdef int32_t phase
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    if circuit.fresh:
        if source.counts:
            look_at_reading(circuit, source)
        for phase in range(GRID_PHASES):  # of one that does not count what it showed passes
            lo[phase] = source.showed[phase] if source.counts else 0
            hi[phase] = shown_twice(circuit, source, phase) if source.counts else 0
        ring_push(&source.shown, now, lo)
        ring_push(&source.twice, now, hi)
    ring_span(&source.shown if circuit.fresh else &source.twice, circuit.shown_since, lo, hi)
    for phase in range(GRID_PHASES):
        circuit.undeclared[phase] = max(circuit.undeclared[phase], hi[phase])


cdef void look_at_reading(const Circuit* circuit, Source* source) noexcept nogil:
    """How much base load its reading shows, where that is more than is declared, and how much it
    may be at the most."""
    cdef int32_t phase
    cdef int64_t beside
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t drawn[GRID_PHASES]
    cdef int32_t others[GRID_PHASES]
    if source.at != source.showed_at:
        source.showed_at = source.at
        memcpy(source.showed_before, source.showed, sizeof(source.showed))
        memcpy(source.showed_most_before, source.showed_most, sizeof(source.showed_most))
    ring_span(&circuit.drawn, circuit.oldest_ns, lo, drawn)
    ring_span(&circuit.unvouched, circuit.window_ns, lo, others)
    for phase in range(GRID_PHASES):
        beside = source.reading[phase] - <int64_t>drawn[phase]
        beside = max(beside, circuit.lasting[phase] - circuit.vouched[phase] - others[phase])
        source.showed[phase] = 0
        if beside - source.error > circuit.worst[phase]:
            source.showed[phase] = <int32_t>min(beside + source.error, MOST)
        beside = source.reading[phase] - circuit.draw_lo[phase] + source.error
        source.showed_most[phase] = <int32_t>min(max(beside, <int64_t>0), MOST)


cdef int32_t shown_twice(const Circuit* circuit, const Source* source, int32_t phase) noexcept nogil:
    """What one of its last two readings shows, as far as the other one allows it: a charger on its
    way down hides in one what the other shows. No more than declared is none."""
    cdef int32_t both = max(
        min(source.showed_before[phase], source.showed_most[phase]),
        min(source.showed[phase], source.showed_most_before[phase]),
    )
    return both if both > circuit.worst[phase] else 0


cdef void note_lasting(World* world) noexcept nogil:
    """The least that a source has shown for as long as a report may be late: what a car began to draw
    since is not in it."""
    cdef int32_t i, phase
    cdef int64_t since
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef Source* source
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            world.circuits[i].lasting[phase] = -MOST
    for i in range(world.sources_n):
        source = &world.sources[i]
        since = source.at - source.charger_lag
        if source.counts and ring_reaches(&source.ring, since):
            ring_span(&source.ring, since, lo, hi)
            for phase in range(GRID_PHASES):
                world.circuits[source.circuit].lasting[phase] = max(
                    world.circuits[source.circuit].lasting[phase], lo[phase]
                )


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


cdef void doubt(Source* source) noexcept nogil:
    """What it had begun to prove, and its last reading, are in doubt with it. What two showed is not
    forgotten: doubt gives nobody the room that it denied."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        source.disproofs[phase] = 0
        source.showed[phase] = source.showed_most[phase] = 0
    source.shown.count = 0


cdef void believe_worst(World* world, Circuit* circuit, const int32_t* worst) noexcept nogil:
    """What was proved before stands; never less than was declared."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        circuit.worst[phase] = max(circuit.worst[phase], worst[phase])
    set_failsafe(world)
