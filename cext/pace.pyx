# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""From targets to orders: down at once, up on proof, otherwise calm.

What a cap asks for goes out now (cext.shed). Everything else that should be lower waits for
the calm pace; everything that should be higher waits for slack (cext.rise).
"""

from libc.stdint cimport int32_t, int64_t

from cext.contactors cimport give_up_closing, lower_parted
from cext.draw cimport obeys
from cext.escalate cimport escalate
from cext.latch cimport hold_latched, name_latched, stays_down
from cext.orders cimport order, worth_a_write
from cext.probe cimport probe
from cext.reclose cimport reclose
from cext.rise cimport rise
from cext.shed cimport fall_back, fall_to_targets, lower_silent, shed_excess
from cext.targets cimport to_step
from cext.types cimport RULE_CALM, RULE_IDLE, RULE_NO_VEHICLE, Charger, World


cdef void decide(World* world) noexcept nogil:
    """Sets every order for this tick; the ledgers and targets stand."""
    fall_back(world)
    hold_latched(world)
    lower_silent(world)
    lower_parted(world)
    shed_excess(world)
    fall_to_targets(world)
    escalate(world)
    lower_calmly(world)
    if world.latched:
        name_latched(world)
    if stays_down(world):
        give_up_closing(world)
    elif not world.lapsed:  # what expired does not rise at once
        reclose(world)
        probe(world)
        rise(world)


cdef int32_t calm_target(const World* world, const Charger* charger) noexcept nogil:
    """What it may be lowered to calmly: what a swing charger took and can use it keeps while nobody
    waits for it."""
    if not charger.swing or charger.target == 0:
        return charger.target
    if world.waiting:
        return charger.aim
    return max(charger.aim, to_step(charger, charger.demand))


cdef void lower_calmly(World* world) noexcept nogil:
    """A target that stayed lower for the calm time is followed, to the highest it had."""
    cdef int32_t i, target
    cdef int64_t calm
    cdef Charger* charger
    cdef bint worth
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not obeys(charger):
            continue
        target = calm_target(world, charger)
        calm = charger.calm if world.swings and not charger.swing else charger.swing_calm
        if target >= charger.order:
            charger.calm_since = world.now
            charger.calm_most = 0
            continue
        charger.calm_most = max(charger.calm_most, target)
        charger.why = charger.bound
        worth = (
            charger.calm_most == 0 or charger.order - charger.calm_most >= worth_a_write(charger)
        )
        if charger.bound.rule in (RULE_NO_VEHICLE, RULE_IDLE):
            order(world, charger, charger.target)
        elif worth and world.now - charger.calm_since >= calm:
            if charger.bound.circuit >= 0 and not charger.swing:  # for a cap, if calmly
                charger.shed_at = world.now
            order(world, charger, charger.calm_most)
        elif worth:
            charger.why.rule = RULE_CALM
        elif world.now - charger.calm_since >= calm:  # what it had before is history
            charger.calm_since = world.now
            charger.calm_most = target
