# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""From targets to orders: down at once, up on proof, otherwise calm.

What a cap asks for goes out now (cext.shed). Everything else that should be lower waits for
the calm pace; everything that should be higher waits for slack (cext.rise).
"""

from libc.stdint cimport int32_t, int64_t

from cext.balance cimport note_out
from cext.contactors cimport give_up_closing, lower_parted
from cext.draw cimport obeys
from cext.escalate cimport escalate
from cext.latch cimport hold_latched, name_latched, stays_down
from cext.orders cimport order, worth_a_write
from cext.probe cimport probe
from cext.reclose cimport reclose
from cext.rise cimport rise
from cext.shed cimport fall_back, fall_to_targets, lower_silent, shed_excess
from cext.targets cimport blame, to_step
from cext.types cimport (
    RULE_ADVICE,
    RULE_CALM,
    RULE_DEMAND,
    RULE_IDLE,
    RULE_IMBALANCE,
    RULE_MAXIMUM,
    RULE_NO_VEHICLE,
    Charger,
    World,
)


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


cdef int32_t may_keep(const World* world, const Charger* charger) noexcept nogil:
    """What a swing charger need not come down from: what it took and can use, while nobody waits
    for it."""
    if not charger.swing or world.waiting:
        return 0
    return to_step(charger, charger.demand)


cdef void name_kept(World* world, Charger* charger) noexcept nogil:
    """Above its share, a swing charger has all that it can use, or what the others leave."""
    charger.why = charger.bound
    if charger.order < to_step(charger, charger.demand):
        return
    if charger.held.rule >= 0:
        charger.why = charger.held
    elif charger.demand >= charger.maximum:
        blame(world, &charger.why, RULE_MAXIMUM, -1, -1)
    else:
        blame(world, &charger.why, RULE_ADVICE if charger.capped else RULE_DEMAND, -1, -1)


cdef void lower_calmly(World* world) noexcept nogil:
    """A target that stayed lower for the calm time is followed, to the highest it had. Of a swing
    charger the time counts whether anybody waits or not: that says only if it comes down then."""
    cdef int32_t i, target, least
    cdef Charger* charger
    cdef bint due
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not obeys(charger):
            continue
        target = charger.aim if charger.swing else charger.target
        if target >= charger.order:
            charger.calm_since = world.now
            charger.calm_most = 0
            if charger.order > charger.target:
                name_kept(world, charger)
            continue
        due = world.now - charger.calm_since >= (
            charger.calm if world.swings and not charger.swing else charger.swing_calm
        )
        charger.calm_most = max(charger.calm_most, target)
        least = max(charger.calm_most, may_keep(world, charger))
        charger.why = charger.bound
        if charger.bound.rule in (RULE_NO_VEHICLE, RULE_IDLE):
            order(world, charger, charger.target)
        elif charger.calm_most > 0 and charger.order - charger.calm_most < worth_a_write(charger):
            if due:  # what it had before is history
                charger.calm_since = world.now
                charger.calm_most = target
        elif least > 0 and charger.order - least < worth_a_write(charger):
            name_kept(world, charger)
        elif not due:
            charger.why.rule = RULE_CALM
        else:
            if charger.bound.circuit >= 0 and not charger.swing:  # for a cap, if calmly
                charger.shed_at = world.now
            if least == 0 and charger.bound.rule == RULE_IMBALANCE:
                note_out(world, charger)
            order(world, charger, least)
