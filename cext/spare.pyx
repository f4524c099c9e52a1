# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What a charger with paced writes may rise to: its next reduction is a whole gap away."""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport setpoint_for
from cext.types cimport GRID_PHASES, RULE_PACED, Charger, Circuit, Why, World

cdef int64_t NO_CAP = 0x7FFFFFFF


cdef int64_t spare(const Circuit* circuit, int32_t phase) noexcept nogil:
    """What a step of the base load leaves, once all who take a write at once were told 0."""
    cdef int64_t stepped = circuit.base_hi[phase] + circuit.base_step[phase]
    cdef int64_t base = max(circuit.base_hi[phase], min(stepped, <int64_t>circuit.worst[phase]))
    return circuit.cap[phase] - base - circuit.slow_hi[phase]


cdef int32_t spared(World* world, const Charger* charger, Why* where) noexcept nogil:
    """The setpoint with which every cap on its path holds through a step and a gap; `where`
    leaves the least."""
    cdef int32_t node = charger.circuit, phase
    cdef int64_t room, most = NO_CAP
    where.rule = RULE_PACED
    where.circuit = where.phase = where.slot = -1
    while node >= 0:
        for phase in range(GRID_PHASES):
            if not charger.uses[phase]:
                continue
            room = spare(&world.circuits[node], phase)
            room = charger.draw_hi[phase] + room if room >= 0 else 0
            if room < most:
                most = room
                where.circuit = node
                where.phase = phase
                where.slot = world.circuits[node].cap_slot[phase]
        node = world.circuits[node].parent
    return setpoint_for(charger, most)
