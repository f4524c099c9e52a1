# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""From targets to orders: down at once, up on proof, otherwise calm.

A net excess asks for a lower draw of what is metered, shared out fairly with what is
drawn now as maxima; what is not metered goes to its target. A cap that fell, or a blind
circuit that does not fit, asks all below it to go to their targets. Everything else that
should be lower waits for the calm pace; everything that should be higher waits for slack
that is free after every upper end is counted.
"""

from libc.stdint cimport int32_t, int64_t

from cext.ledger cimport ordered_draw, setpoint_for, worst_draw
from cext.shares cimport fill
from cext.targets cimport blame, to_step
from cext.types cimport (
    GRID_PHASES,
    RULE_BLIND,
    RULE_CALM,
    RULE_CAP,
    RULE_DWELL,
    RULE_FALLBACK,
    RULE_NO_VEHICLE,
    RULE_RAMP,
    RULE_SHED,
    RULE_SILENT,
    RULE_SLACK,
    RULE_STARTING,
    Charger,
    Circuit,
    Wish,
    World,
)

cdef enum:
    WORTH_MA = 500  # a smaller change is not worth a write, unless a cap asks for it

cdef int64_t SECOND = 1_000_000_000
cdef int64_t RAISE_GAP = SECOND  # between two rises of one charger
cdef int64_t RAISE_SPAN = 2 * SECOND  # one rise uses at most this much of the ramp
cdef int64_t NO_CAP = 0x7FFFFFFF


cdef void decide(World* world) noexcept nogil:
    """Sets every order for this tick; the ledgers and targets stand."""
    start(world)
    shed_excess(world)
    fall_to_targets(world)
    lower_calmly(world)
    rise(world)


cdef void order(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """A new order; its reason stands in `charger.why`."""
    if setpoint == charger.order and charger.started:
        return
    charger.cause = charger.why
    if charger.started and setpoint < charger.order:
        charger.reduced_at = world.now
    charger.order = setpoint
    charger.order_tick = world.tick
    charger.changed_at = world.now
    charger.confirmed = 0
    charger.calm_since = world.now
    charger.calm_most = 0
    charger.in_force_hi = max(charger.in_force_hi, setpoint)
    world.changed = 1


cdef void start(World* world) noexcept nogil:
    """A charger that tells its setpoint in force goes on at that or its fail-safe setpoint."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.started or not charger.fresh or charger.in_force < 0:
            continue
        blame(world, &charger.why, RULE_FALLBACK, -1, -1)
        order(world, charger, to_step(charger, min(charger.in_force, charger.failsafe)))
        charger.started = 1


# --- down at once -----------------------------------------------------------------------


cdef void shed_to(
    World* world, Charger* charger, int32_t setpoint, int32_t rule, int32_t circuit, int32_t phase
) noexcept nogil:
    """A reduction for a cap: goes out now, and nothing rises here for the dwell time."""
    if setpoint >= charger.order or not charger.started:
        return
    blame(world, &charger.why, rule, circuit, phase)
    order(world, charger, setpoint)
    charger.shed_at = world.now


cdef bint excess_on_path(World* world, const Charger* charger, int32_t* where, int32_t* phase) noexcept nogil:
    """The first circuit and phase above a charger that carries a net excess."""
    cdef int32_t node = charger.circuit, p
    while node >= 0:
        for p in range(GRID_PHASES):
            if charger.wired[p] and world.circuits[node].excess[p] > 0:
                where[0] = node
                phase[0] = p
                return True
        node = world.circuits[node].parent
    return False


cdef void shed_excess(World* world) noexcept nogil:
    """Lowers what is drawn, fairly, until what is ordered takes every net excess away."""
    cdef int32_t i, phase, where, at_phase, count = 0
    cdef bint over = False
    cdef Charger* charger
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            world.filler.cap[i * GRID_PHASES + phase] = NO_CAP
            if circuit.excess[phase] > 0:
                over = True
                world.filler.cap[i * GRID_PHASES + phase] = (
                    circuit.shed[phase] - circuit.excess[phase]
                )
    if not over:
        return
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if not charger.started:
            continue
        if not charger.current_known or not charger.fresh:
            if charger.fresh and excess_on_path(world, charger, &where, &at_phase):
                shed_to(world, charger, min(charger.order, charger.target),
                        RULE_SHED, where, at_phase)
        elif wish_to_keep(charger, &world.wishes[count]):
            world.wisher[count] = world.turn_order[i]
            count += 1
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        charger = &world.chargers[world.wisher[i]]
        if world.wishes[i].share < world.wishes[i].maximum:
            shed_to(world, charger, to_step(charger, world.wishes[i].share), RULE_SHED,
                    world.wishes[i].bound_circuit, world.wishes[i].bound_phase)


cdef bint wish_to_keep(const Charger* charger, Wish* wish) noexcept nogil:
    """A metered charger's wish to keep what it draws; False when there is nothing to shed."""
    cdef int32_t phase
    cdef int64_t most = 0
    for phase in range(GRID_PHASES):
        wish.wired[phase] = charger.may_shed[phase] > 0
        most = max(most, charger.may_shed[phase])
    if most == 0:
        return False
    wish.circuit = charger.circuit
    wish.weight = charger.weight
    wish.maximum = most
    wish.minimum = min(most, <int64_t>charger.minimum)
    return True


cdef void fall_to_targets(World* world) noexcept nogil:
    """Below a cap that fell, and below a blind circuit that does not fit, all go to target."""
    cdef int32_t i, phase, node
    cdef Circuit* circuit
    cdef Charger* charger
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            world.circuits[i].ordered[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        node = charger.circuit
        while node >= 0:
            for phase in range(GRID_PHASES):
                world.circuits[node].ordered[phase] += ordered_draw(world, charger, phase)
            node = world.circuits[node].parent
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not charger.started or not charger.fresh or charger.target >= charger.order:
            continue
        node = charger.circuit
        while node >= 0:
            circuit = &world.circuits[node]
            for phase in range(GRID_PHASES):
                if charger.wired[phase] and must_fall(circuit, phase):
                    shed_to(world, charger, charger.target,
                            RULE_CAP if circuit.fresh else RULE_BLIND, node, phase)
            node = circuit.parent


cdef bint must_fall(const Circuit* circuit, int32_t phase) noexcept nogil:
    if circuit.cap[phase] < circuit.cap_before[phase]:
        return True
    return (
        not circuit.fresh and circuit.base_hi[phase] + circuit.ordered[phase] > circuit.cap[phase]
    )


# --- calm -------------------------------------------------------------------------------


cdef void lower_calmly(World* world) noexcept nogil:
    """A target that stayed lower for the calm time is followed, to the highest it had."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not charger.started or not charger.fresh:
            continue
        if charger.target >= charger.order:
            charger.calm_since = world.now
            charger.calm_most = 0
            continue
        charger.calm_most = max(charger.calm_most, charger.target)
        charger.why = charger.bound
        if charger.bound.rule == RULE_NO_VEHICLE:
            order(world, charger, charger.target)
        elif (world.now - charger.calm_since >= world.pace.calm
              and (charger.order - charger.calm_most >= WORTH_MA or charger.calm_most == 0)):
            order(world, charger, charger.calm_most)
        else:
            charger.why.rule = RULE_CALM


# --- up on proof ------------------------------------------------------------------------


cdef int64_t room_above(World* world, const Charger* charger, int32_t* where, int32_t* at_phase) noexcept nogil:
    """The draw a charger may rise to: its upper end plus the least slack on its path.

    Negative where nothing may rise, with the circuit and phase that forbids it.
    """
    cdef int32_t node = charger.circuit, phase
    cdef int64_t slack, most = NO_CAP
    cdef Circuit* circuit
    while node >= 0:
        circuit = &world.circuits[node]
        for phase in range(GRID_PHASES):
            if not charger.wired[phase]:
                continue
            slack = circuit.cap[phase] - circuit.base_hi[phase] - circuit.draw_hi[phase]
            if slack < 0 or circuit.excess[phase] > 0 or (circuit.measured and not circuit.heard):
                where[0] = node
                at_phase[0] = phase
                return -1
            if charger.draw_hi[phase] + slack < most:
                most = charger.draw_hi[phase] + slack
                where[0] = node
                at_phase[0] = phase
        node = circuit.parent
    return most


cdef void claim(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """Counts a raised setpoint on the whole path before the next charger is asked."""
    cdef int32_t node, phase
    cdef int64_t more
    for phase in range(GRID_PHASES):
        if not charger.wired[phase]:
            continue
        more = worst_draw(charger, setpoint) - charger.draw_hi[phase]
        if more <= 0:
            continue
        charger.draw_hi[phase] += more
        node = charger.circuit
        while node >= 0:
            world.circuits[node].draw_hi[phase] += more
            node = world.circuits[node].parent


cdef int64_t ramped(World* world, const Charger* charger) noexcept nogil:
    """The highest order the ramp permits now; a start goes to the minimum at once."""
    cdef int64_t elapsed = min(world.now - charger.changed_at, RAISE_SPAN)
    return max(
        <int64_t>charger.minimum,
        charger.order + world.pace.ramp_ma_per_s * elapsed // SECOND,
    )


cdef void rise(World* world) noexcept nogil:
    """Raises, in turn, what proven slack permits, and says of the others why not."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if not charger.started:
            blame(world, &charger.why, RULE_STARTING, -1, -1)
        elif not charger.fresh:
            blame(world, &charger.why, RULE_SILENT, -1, -1)
        elif charger.target > charger.order:
            rise_one(world, charger)
        elif charger.target == charger.order:
            charger.why = charger.bound


cdef void rise_one(World* world, Charger* charger) noexcept nogil:
    cdef int32_t where = -1, phase = -1, setpoint
    cdef int64_t room = room_above(world, charger, &where, &phase)
    if room < 0 or charger.suspect:
        blame(world, &charger.why, RULE_SLACK, where, phase)
        return
    if charger.shed_at and world.now - charger.shed_at < world.pace.dwell:
        charger.why = charger.cause
        charger.why.rule = RULE_DWELL
        return
    if world.now - charger.changed_at < RAISE_GAP:
        blame(world, &charger.why, RULE_RAMP, -1, -1)
        return
    setpoint = to_step(
        charger,
        min(min(<int64_t>charger.target, ramped(world, charger)), setpoint_for(charger, room)),
    )
    if setpoint < charger.order + WORTH_MA and setpoint != charger.maximum:
        blame(world, &charger.why, RULE_SLACK, where, phase)
        return
    if setpoint <= charger.order:
        return
    claim(world, charger, setpoint)
    charger.why = charger.bound
    if setpoint < charger.target:
        blame(world, &charger.why, RULE_RAMP, -1, -1)
    order(world, charger, setpoint)
