# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Tries a report that has stood still for five minutes: the charger is told a little less.

Its share stays its own meanwhile, and it goes back to it when the report has moved, or has shown by
not moving that it is frozen (cext.frozen). Never below its minimum: nobody is paused for it.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport obeys, setpoint_for, shows_within
from cext.frozen cimport must_fall_to, stands_still
from cext.orders cimport order, worth_a_write
from cext.targets cimport blame, to_step
from cext.types cimport RULE_PROBE, Charger, World


cdef void probe(World* world) noexcept nogil:
    """Begins what is due."""
    cdef int32_t i, setpoint
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not stands_still(charger, world.now) or not is_due(charger, world.now):
            continue
        setpoint = probed(charger)
        if charger.minimum <= setpoint < charger.order:
            charger.probing = 1
            blame(world, &charger.why, RULE_PROBE, -1, -1)
            order(world, charger, setpoint)


cdef bint is_due(const Charger* charger, int64_t now) noexcept nogil:
    """It stands where it should, does as told, and shows something that may be over."""
    if charger.probing or charger.frozen or charger.observed or not charger.current_known:
        return False
    if not obeys(charger) or not charger.confirmed or charger.order < charger.minimum:
        return False
    return charger.target >= charger.order and now - charger.changed_at >= shows_within(charger)


cdef int32_t probed(const Charger* charger) noexcept nogil:
    """The highest setpoint that must change what it shows, and is worth the write back if there is
    room for that above its minimum."""
    cdef int64_t worth = max(charger.minimum, charger.order - worth_a_write(charger))
    return to_step(charger, min(<int64_t>setpoint_for(charger, must_fall_to(charger)), worth))
