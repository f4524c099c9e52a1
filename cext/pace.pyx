# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""From targets to orders: down at once, up on proof, otherwise calm.

A net excess asks for a lower draw of what is metered, shared out fairly with what is
drawn now as maxima; what is not metered goes to its target. A cap that fell, or a blind
circuit that does not fit, asks all below it to go to their targets. Everything else that
should be lower waits for the calm pace; everything that should be higher waits for slack
that is free after every upper end is counted.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport obeys, ordered_draw, setpoint_for, worst_draw
from cext.ring cimport ring_push
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
    RULE_SUSPECT,
    Charger,
    Circuit,
    Why,
    Wish,
    World,
    in_date,
)

cdef enum:
    WORTH_MA = 500  # a smaller change is not worth a write, unless a cap asks for it

cdef int64_t SECOND = 1_000_000_000
cdef int64_t RAISE_GAP = SECOND  # between two rises of one charger
cdef int64_t RAISE_SPAN = 2 * SECOND  # one rise uses at most this much of the ramp
cdef int64_t MILLISECOND = 1_000_000
cdef int64_t HOUR_MS = 3_600_000
cdef int64_t LATE = SECOND  # beyond lag and poll, a report may be this late before a rise
cdef int64_t NO_CAP = 0x7FFFFFFF


cdef void decide(World* world) noexcept nogil:
    """Sets every order for this tick; the ledgers and targets stand."""
    lower_silent(world)
    shed_excess(world)
    fall_to_targets(world)
    lower_calmly(world)
    rise(world)


cdef void order(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """A new order; its reason stands in `charger.why`."""
    if setpoint == charger.order and charger.started:
        return
    charger.cause = charger.why
    if charger.started:
        note_order(charger, world.now)
    charger.order = setpoint
    charger.order_tick = world.tick
    charger.changed_at = world.now
    charger.confirmed = 0
    charger.calm_since = world.now
    charger.calm_most = 0
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
        if charger.started or charger.in_force < 0:
            continue
        if not in_date(charger.report_at, charger.max_age, world.now):
            continue
        charger.order = charger.in_force
        note_order(charger, world.now)
        blame(world, &charger.why, RULE_FALLBACK, -1, -1)
        order(world, charger, to_step(charger, min(charger.in_force, charger.failsafe)))
        charger.started = 1
        charger.doubted_at = world.now


# --- down at once -----------------------------------------------------------------------


cdef void shed_to(
    World* world, Charger* charger, int64_t setpoint, int32_t rule, int32_t circuit, int32_t phase
) noexcept nogil:
    """A reduction for a cap: goes out now, and nothing rises here for the dwell time."""
    setpoint = to_step(charger, setpoint)
    if setpoint >= charger.order or not charger.started:
        return
    blame(world, &charger.why, rule, circuit, phase)
    order(world, charger, <int32_t>setpoint)
    charger.shed_at = world.now


cdef void lower_silent(World* world) noexcept nogil:
    """Out of touch, a charger finds its fail-safe setpoint when it comes back, or less."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.started and not charger.fresh:
            shed_to(world, charger, charger.failsafe, RULE_SILENT, -1, -1)


cdef bint excess_above(World* world, const Charger* charger, Why* where) noexcept nogil:
    """Whether a circuit and phase above a charger carries a net excess, and which first."""
    cdef int32_t node = charger.circuit, phase
    while node >= 0:
        for phase in range(GRID_PHASES):
            if charger.wired[phase] and world.circuits[node].excess[phase] > 0:
                blame(world, where, RULE_SHED, node, phase)
                return True
        node = world.circuits[node].parent
    return False


cdef void shed_excess(World* world) noexcept nogil:
    """Lowers what is drawn, fairly, until what is ordered takes every net excess away.

    First what obeys; what is left then asks suspects, each once in the time it takes to show.
    """
    cdef int32_t i, phase
    cdef bint over = False
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            over = over or world.circuits[i].excess[phase] > 0
    if not over:
        return
    shed_unseen(world)
    shed_seen(world, False)
    shed_seen(world, True)


cdef int64_t keeps(const Charger* charger) noexcept nogil:
    """What an order may stay at under a net excess, as far as what is not drawn is concerned.

    Where nobody knows the draw: the share of what the upper ends leave, or 0 where no order
    counts. Where it is known: no less than what is drawn; that is shed by its own rule.
    """
    cdef int32_t phase
    cdef int64_t drawn = 0
    if not charger.fresh or (charger.suspect and not charger.current_known):
        return 0
    if charger.current_known:
        for phase in range(GRID_PHASES):
            drawn = max(drawn, charger.may_shed[phase])
        drawn += WORTH_MA
    return max(drawn, <int64_t>charger.target)


cdef void shed_unseen(World* world) noexcept nogil:
    """What is permitted and not drawn may wake up at any moment: it goes first."""
    cdef int32_t i
    cdef Charger* charger
    cdef Why where
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.started and excess_above(world, charger, &where):
            shed_to(world, charger, keeps(charger), RULE_SHED, where.circuit, where.phase)


cdef int64_t still_allowed(const Circuit* circuit, int32_t phase, bint suspects) noexcept nogil:
    """How much of the draw that may be shed may stay."""
    if circuit.excess[phase] <= 0:
        return NO_CAP
    if not suspects:
        return circuit.may_shed[phase] - circuit.excess[phase]
    if circuit.excess[phase] <= circuit.may_shed[phase]:
        return NO_CAP
    return circuit.suspect_draw[phase] - (circuit.excess[phase] - circuit.may_shed[phase])


cdef void shed_seen(World* world, bint suspects) noexcept nogil:
    """One fair-share run with what is drawn as maxima; what was not granted is taken off."""
    cdef int32_t i, phase, count = 0
    cdef int64_t taken
    cdef Charger* charger
    cdef Wish* wish
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            world.filler.cap[i * GRID_PHASES + phase] = still_allowed(
                &world.circuits[i], phase, suspects
            )
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if (charger.suspect != 0) == suspects and wish_to_keep(charger, &world.wishes[count]):
            world.wisher[count] = world.turn_order[i]
            count += 1
    if count == 0:
        return
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        charger = &world.chargers[world.wisher[i]]
        wish = &world.wishes[i]
        taken = wish.maximum - wish.share
        if taken <= 0 or (suspects and world.now - charger.changed_at < charger.show):
            continue
        shed_to(world, charger, charger.order - taken if suspects else wish.share, RULE_SHED,
                wish.bound_circuit, wish.bound_phase)


cdef bint wish_to_keep(const Charger* charger, Wish* wish) noexcept nogil:
    """A metered charger's wish to keep what it draws; False when there is nothing to shed."""
    cdef int32_t phase
    cdef int64_t most = 0
    if not charger.started or not charger.fresh or not charger.current_known:
        return False
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
        node = charger.circuit
        while charger.started and node >= 0:
            circuit = &world.circuits[node]
            for phase in range(GRID_PHASES):
                if charger.wired[phase] and must_fall(circuit, phase):
                    shed_to(world, charger, charger.target if obeys(charger) else 0,
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
    cdef bint worth
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not obeys(charger):
            continue
        if charger.target >= charger.order:
            charger.calm_since = world.now
            charger.calm_most = 0
            continue
        charger.calm_most = max(charger.calm_most, charger.target)
        charger.why = charger.bound
        worth = charger.calm_most == 0 or charger.order - charger.calm_most >= WORTH_MA
        if charger.bound.rule == RULE_NO_VEHICLE:
            order(world, charger, charger.target)
        elif worth and world.now - charger.calm_since >= charger.calm:
            if charger.bound.circuit >= 0:  # for a cap, if calmly
                charger.shed_at = world.now
            order(world, charger, charger.calm_most)
        elif worth:
            charger.why.rule = RULE_CALM


# --- up on proof ------------------------------------------------------------------------


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
        elif charger.suspect:
            blame(world, &charger.why, RULE_SUSPECT, -1, -1)
        elif charger.target > charger.order:
            rise_one(world, charger)
        elif charger.target == charger.order:
            charger.why = charger.bound


cdef void rise_one(World* world, Charger* charger) noexcept nogil:
    """One rise, or the reason why there is none now."""
    cdef Why where
    cdef int32_t setpoint, wanted = charger.target
    cdef int64_t room = room_above(world, charger, &where)
    cdef int64_t ramp = ramped(world, charger)
    if charger.shed_at and world.now - charger.shed_at < world.pace.dwell:
        charger.why = charger.cause
        charger.why.rule = RULE_DWELL
        return
    if world.now - charger.report_at > charger.lag + charger.poll + LATE:
        blame(world, &charger.why, RULE_SILENT, -1, -1)
        return
    setpoint = to_step(charger, min(<int64_t>wanted, setpoint_for(charger, room)))
    if setpoint < wanted:
        charger.why = where
    else:
        charger.why = charger.bound
    if ramp < setpoint:
        setpoint = to_step(charger, ramp)
        blame(world, &charger.why, RULE_RAMP, -1, -1)
    if world.now - charger.changed_at < RAISE_GAP:
        return
    if setpoint - charger.order >= WORTH_MA or setpoint == charger.maximum > charger.order:
        claim(world, charger, setpoint)
        order(world, charger, setpoint)


cdef bint closed(const Circuit* circuit, int32_t phase) noexcept nogil:
    """Nothing rises below what is over its cap by its reading, credits or not, nor below what
    was never measured yet since the start although it has a meter."""
    if not circuit.fresh:
        return circuit.measured and not circuit.heard
    return circuit.excess[phase] > 0 or circuit.reading[phase] > circuit.cap[phase]


cdef int64_t slack_for(
    World* world, const Charger* charger, const Circuit* circuit, int32_t phase
) noexcept nogil:
    """What is free after every upper end is counted.

    What an unmetered charger draws more will be read as base load. Where the declared worst
    case does not cover that already, it takes twice the room, and waits until the reading
    must show the last such rise.
    """
    cdef int64_t free = circuit.cap[phase] - circuit.draw_hi[phase]
    cdef int64_t slack = free - circuit.base_hi[phase]
    cdef int64_t covered = min(slack, free - circuit.worst[phase])
    if charger.metered or slack <= 0:
        return slack
    if circuit.unseen_at and 0 < world.now - circuit.unseen_at < charger.show:
        return max(0, covered)
    return max(slack // 2, covered)


cdef int64_t room_above(World* world, const Charger* charger, Why* where) noexcept nogil:
    """The draw a charger may rise to: its upper end plus the least slack on its path.

    0 where nothing may rise; `where` says which circuit and phase leaves the least.
    """
    cdef int32_t node = charger.circuit, phase
    cdef int64_t slack, room, most = NO_CAP
    cdef Circuit* circuit
    blame(world, where, RULE_SLACK, -1, -1)
    while node >= 0:
        circuit = &world.circuits[node]
        for phase in range(GRID_PHASES):
            if not charger.wired[phase]:
                continue
            slack = slack_for(world, charger, circuit, phase)
            room = charger.draw_hi[phase] + slack
            if slack < 0 or closed(circuit, phase):
                room = 0
            if room < most:
                most = room
                blame(world, where, RULE_SLACK, node, phase)
        node = circuit.parent
    return most


cdef int64_t ramped(World* world, const Charger* charger) noexcept nogil:
    """The highest order the ramp permits now; a start goes to the minimum at once.

    What a rest allows is bounded, but never to less than one change that is worth a write.
    """
    cdef int64_t rested_ms = min((world.now - charger.changed_at) // MILLISECOND, HOUR_MS)
    cdef int64_t most = max(
        world.pace.ramp_ma_per_s * RAISE_SPAN // SECOND, <int64_t>charger.step + WORTH_MA
    )
    return max(
        <int64_t>charger.minimum,
        charger.order + min(world.pace.ramp_ma_per_s * rested_ms // 1000, most),
    )


cdef void claim(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """Counts a raised setpoint on the whole path before the next charger is asked."""
    cdef int32_t node, phase
    cdef int64_t more
    cdef Circuit* circuit
    for phase in range(GRID_PHASES):
        if not charger.wired[phase]:
            continue
        more = worst_draw(charger, setpoint) - charger.draw_hi[phase]
        if more <= 0:
            continue
        charger.draw_hi[phase] += more
        node = charger.circuit
        while node >= 0:
            circuit = &world.circuits[node]
            circuit.draw_hi[phase] += more
            if circuit.fresh and not charger.metered:
                circuit.unseen_at = world.now
                circuit.base_hi[phase] = max(
                    circuit.base_hi[phase],
                    min(circuit.base_hi[phase] + more, <int64_t>circuit.worst[phase]),
                )
            node = circuit.parent
