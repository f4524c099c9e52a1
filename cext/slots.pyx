# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Limit slots and what holds on each circuit: the lowest of its rating and all live limits."""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport (
    BY_RATING,
    GRID_PHASES,
    ROWS,
    SLOT_ENDED,
    SLOT_LIVE,
    SLOT_LOST,
    SLOT_UNLIMITED,
    Circuit,
    Slot,
    World,
)


cdef void weigh(Slot* slot, int64_t now) noexcept nogil:
    """What a slot asks for now.

    Lost (never heard, or the lease is over): the fail-safe cap, and no more than the last
    limit for the stated hold, unless that limit had ended as planned before the loss.
    """
    cdef int32_t phase
    cdef bint binds = slot.known and not slot.unlimited
    slot.asks = 0
    if slot.known and now < slot.alive_until:
        if slot.unlimited:
            slot.state = SLOT_UNLIMITED
        elif now >= slot.limit_until:
            slot.state = SLOT_ENDED
        else:
            slot.state = SLOT_LIVE
            slot.asks = 1
            for phase in range(GRID_PHASES):
                slot.cap[phase] = slot.limit[phase]
        return
    slot.state = SLOT_LOST
    slot.asks = 1
    binds = binds and slot.limit_until > slot.alive_until and now - slot.alive_until < slot.hold
    for phase in range(GRID_PHASES):
        slot.cap[phase] = slot.failsafe[phase]
        if binds:
            slot.cap[phase] = min(slot.cap[phase], slot.limit[phase])


cdef void count_slots(World* world) noexcept nogil:
    """Caps of every circuit and row at `world.now`; those of the last tick are kept."""
    cdef int32_t i, phase, row
    cdef Circuit* circuit
    cdef Slot* slot
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for row in range(ROWS):
            circuit.cap_before[row] = circuit.cap[row]
            circuit.cap[row] = circuit.rating[row]
            circuit.cap_slot[row] = BY_RATING
    for i in range(world.slots_n):
        slot = &world.slots[i]
        weigh(slot, world.now)
        if not slot.asks:
            continue
        circuit = &world.circuits[slot.circuit]
        for phase in range(GRID_PHASES):
            if slot.cap[phase] < circuit.cap[phase]:
                circuit.cap[phase] = slot.cap[phase]
                circuit.cap_slot[phase] = i
