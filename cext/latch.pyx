# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The latch: fail-safe until somebody ends it. Nothing rises and no contactor closes meanwhile.

What closed it is for others to know. Going down stays as it is: latched, the depot still sheds.
"""

from libc.stdint cimport int32_t

from cext.draw cimport obeys
from cext.orders cimport shed_to
from cext.targets cimport blame
from cext.types cimport LATCH_CLOSED, LATCH_CLOSING, LATCH_OPEN, RULE_LATCHED, Charger, World


cdef void hold_latched(World* world) noexcept nogil:
    """No order is above its fail-safe setpoint, and when the latch closes none above what is in
    force. Only then: a read-back that rounds down would lower it from tick to tick."""
    cdef int32_t i, setpoint
    cdef Charger* charger
    if world.latched == LATCH_OPEN:
        return
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        setpoint = charger.failsafe
        if world.latched == LATCH_CLOSING and charger.in_force >= 0:
            setpoint = min(setpoint, charger.in_force)
        shed_to(world, charger, setpoint, RULE_LATCHED, -1, -1)
    world.latched = LATCH_CLOSED


cdef void name_latched(World* world) noexcept nogil:
    """Whatever else would keep an order from rising: the latch does. What lowers one, now or calmly,
    says so itself, and so does an open contactor."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not charger.started or charger.parted or charger.order_tick == world.tick:
            continue
        if charger.target >= charger.order or not obeys(charger):
            blame(world, &charger.why, RULE_LATCHED, -1, -1)
