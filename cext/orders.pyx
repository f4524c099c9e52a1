# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Orders: how one begins, changes, and is remembered until it must have shown."""

from libc.stdint cimport int32_t, int64_t

from cext.pause cimport least_order
from cext.ring cimport ring_push
from cext.targets cimport blame, to_step
from cext.types cimport GRID_PHASES, RULE_FALLBACK, Charger, World, in_date


cdef void order(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """A new order; its reason stands in `charger.why`."""
    if setpoint == charger.order and charger.started:
        return
    charger.cause = charger.why
    if charger.order < charger.minimum <= setpoint:
        charger.arrived_at = world.now
    if charger.started:
        note_order(charger, world.now)
    charger.order = setpoint
    charger.order_tick = world.tick
    charger.changed_at = world.now
    charger.confirmed = 0
    charger.calm_since = world.now
    charger.calm_most = 0
    charger.climbs = 0
    charger.in_force_hi = max(charger.in_force_hi, setpoint)
    world.changed = 1


cdef void note_order(Charger* charger, int64_t now) noexcept nogil:
    """Keeps the order that ends now: until it must have shown, its current may still flow."""
    cdef int32_t ended[GRID_PHASES]
    ended[0] = ended[1] = ended[2] = charger.order
    ring_push(&charger.orders, now, ended)


cdef void start(World* world) noexcept nogil:
    """A charger that tells its setpoint in force goes on at that or its fail-safe setpoint."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.began_at == 0:
            charger.began_at = world.now
        if charger.started or charger.in_force < 0:
            continue
        if not in_date(charger.report_at, charger.max_age, world.now):
            continue
        charger.order = charger.ceiling  # its vehicle may follow what was in force before
        note_order(charger, world.now)
        charger.order = charger.in_force
        blame(world, &charger.why, RULE_FALLBACK, -1, -1)
        order(world, charger, to_step(charger, min(charger.in_force, charger.failsafe)))
        charger.started = 1
        charger.arrived_at = world.now
        charger.doubted_at = world.now


cdef void shed_to(
    World* world, Charger* charger, int64_t setpoint, int32_t rule, int32_t circuit, int32_t row
) noexcept nogil:
    """A reduction for a cap: goes out now, and nothing rises here for the dwell time."""
    setpoint = to_step(charger, max(setpoint, <int64_t>least_order(charger)))
    if setpoint >= charger.order or not charger.started:
        return
    blame(world, &charger.why, rule, circuit, row)
    order(world, charger, <int32_t>setpoint)
    charger.shed_at = world.now
