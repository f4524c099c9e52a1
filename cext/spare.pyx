# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What a charger with paced writes may rise to: its next reduction is a whole gap away."""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport bounds_of, on_bar
from cext.draw cimport setpoint_for
from cext.sums cimport bears, room_with, stepped
from cext.types cimport AT_BUSBAR, BY_BUSBAR, RULE_PACED, Charger, Circuit, Why, World

cdef int64_t NO_CAP = 0x7FFFFFFF


cdef int64_t spare(const Circuit* circuit, int32_t row) noexcept nogil:
    """What a step of the base load leaves, once all who take a write at once were told 0."""
    if row >= AT_BUSBAR:
        return on_bar(circuit, row - AT_BUSBAR) - circuit.slow_hi[row - AT_BUSBAR]
    return circuit.cap[row] - stepped(circuit, row) - circuit.slow_hi[row]


cdef int32_t spared(World* world, const Charger* charger, Why* where) noexcept nogil:
    """The setpoint with which every cap on its path holds through a step and a gap; `where`
    leaves the least."""
    cdef int32_t node = charger.circuit, row
    cdef int64_t room, most = NO_CAP
    cdef const Circuit* circuit
    where.rule = RULE_PACED
    where.circuit = where.phase = where.slot = -1
    while node >= 0:
        circuit = &world.circuits[node]
        for row in range(bounds_of(circuit)):
            if not bears(circuit, charger, row):
                continue
            room = spare(circuit, row)
            room = room_with(charger, row, room) if room >= 0 else 0
            if room < most:
                most = room
                where.circuit = node
                where.phase = row if row < AT_BUSBAR else row - AT_BUSBAR
                where.slot = circuit.cap_slot[row] if row < AT_BUSBAR else BY_BUSBAR
        node = circuit.parent
    return setpoint_for(charger, most)
