# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Tries a report that has stood still for five minutes: the charger is told a little less.

Its share stays its own meanwhile, and it goes back to it when the report has moved, or has shown by
not moving that it is frozen (cext.frozen). Never below its minimum: nobody is paused for it.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport obeys, setpoint_for, shows_within
from cext.orders cimport order, worth_a_write
from cext.targets cimport blame, to_step
from cext.types cimport GRID_PHASES, RULE_PROBE, Charger, World

cdef int64_t SECOND = 1_000_000_000
cdef int64_t STANDS_STILL = 300 * SECOND


cdef void probe(World* world) noexcept nogil:
    """Begins what is due."""
    cdef int32_t i, setpoint
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.same_since == 0 or world.now - charger.same_since < STANDS_STILL:
            continue
        if not is_due(charger, world.now):
            continue
        setpoint = probed(charger)
        if setpoint >= charger.minimum:
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
    """The highest setpoint that must change what it shows, and is worth the write back."""
    cdef int32_t phase, most = 0
    cdef int64_t setpoint
    for phase in range(GRID_PHASES):
        most = max(most, charger.current[phase])
    setpoint = setpoint_for(charger, most - 3 * charger.resolution - 1)
    return to_step(charger, min(setpoint, <int64_t>charger.order - worth_a_write(charger)))
