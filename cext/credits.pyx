# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What is ordered, certain to follow, and not in the reading yet: it takes off from an excess.

A reading may date from as long ago as its source lags. What a charger drew then and was told to
give up since is credited. Where sources of different lag measure one circuit, each has credits of
its own: what a quick clamp shows already is not taken off what it shows a second time, because a
slow meter has yet to show it.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport highest_order, surely
from cext.ring cimport ring_span
from cext.types cimport GRID_PHASES, Charger, Circuit, Source, World

cdef int64_t NONE = -(1 << 62)


cdef void reset_credits(Circuit* circuit) noexcept nogil:
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        circuit.credit[phase] = 0
        circuit.quick_credit[phase] = 0


cdef inline bint apart(const Circuit* circuit) noexcept nogil:
    """Whether its sources' readings date from different instants."""
    return circuit.fresh and circuit.quick_ns > circuit.oldest_ns


cdef void count_credit(
    const Charger* charger, Circuit* circuit, const int32_t* drew, int64_t now
) noexcept nogil:
    """What an obedient charger, which has told its draw for as long, still has to give up in the sight
    of the slowest source, which may show what it drew of late, and of the others."""
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    add_credit(charger, circuit.credit, drew, max(now - circuit.credit_ns, circuit.oldest_ns))
    if apart(circuit):
        ring_span(&charger.ring, circuit.quick_ns, lo, hi)
        add_credit(
            charger, circuit.quick_credit, hi,
            max(now - circuit.quick_credit_ns, circuit.quick_ns),
        )


cdef void add_credit(
    const Charger* charger, int64_t* credit, const int32_t* drew, int64_t hidden_since
) noexcept nogil:
    """A reading may hide what was followed since `hidden_since`."""
    cdef int32_t phase
    cdef int64_t recent = highest_order(charger, hidden_since - charger.write_gap - charger.settle)
    for phase in range(GRID_PHASES):
        credit[phase] += surely(
            charger, max(<int64_t>0, min(<int64_t>drew[phase], recent) - charger.order)
        )


cdef void count_each_source(World* world) noexcept nogil:
    """Where several sources measure a circuit: what is credited to the highest reading, so that the
    largest excess of any of them is left."""
    cdef int32_t i, phase
    cdef int64_t net
    cdef Circuit* circuit
    cdef Source* source
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        if apart(circuit):
            for phase in range(GRID_PHASES):
                circuit.net[phase] = NONE
    for i in range(world.sources_n):
        source = &world.sources[i]
        circuit = &world.circuits[source.circuit]
        if not source.counts or not apart(circuit):
            continue
        for phase in range(GRID_PHASES):
            net = source.reading[phase]
            if source.at - source.lag > circuit.oldest_ns:
                net -= circuit.quick_credit[phase]
            else:
                net -= circuit.credit[phase]
            circuit.net[phase] = max(circuit.net[phase], net)
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        if apart(circuit):
            for phase in range(GRID_PHASES):
                circuit.credit[phase] = circuit.reading[phase] - circuit.net[phase]
