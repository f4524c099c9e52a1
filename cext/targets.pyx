# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What each charger should have: its fair share of what the upper ends leave.

Shares are handed out in worst draw (setpoint × (1 + tolerance)), so that what is handed
out fits; standby currents and the draw of chargers out of reach are taken off first.
"""

from libc.stdint cimport int32_t, int64_t

from cext.advice cimport count_advice
from cext.bounds cimport carry_up, on_bar
from cext.draw cimport obeys, ordered_draw, proving, setpoint_for, worst_draw
from cext.latch cimport stays_down
from cext.orders cimport worth_a_write
from cext.pause cimport ALWAYS, pause_rank
from cext.shares cimport fill
from cext.spare cimport spared
from cext.steps cimport hand_round
from cext.sums cimport at_fault, for_chargers, worst_of
from cext.turns cimport queue_up
from cext.types cimport (
    AT_BUSBAR,
    BY_BUSBAR,
    GRID_PHASES,
    PAUSE_NEVER,
    ROWS,
    RULE_ADVICE,
    RULE_BLIND,
    RULE_CAP,
    RULE_DEMAND,
    RULE_FALLBACK,
    RULE_LATCHED,
    RULE_MAXIMUM,
    RULE_NO_VEHICLE,
    RULE_OFF_TIME,
    PROOF_MISSING,
    RULE_TURN,
    RULE_UNPROVEN,
    SUM,
    Charger,
    Circuit,
    Why,
    Wish,
    World,
)

cdef int64_t NO_SUM = 1 << 40  # no sum of currents is as high


cdef void blame(World* world, Why* why, int32_t rule, int32_t circuit, int32_t row) noexcept nogil:
    """Writes a reason; circuit and row -1 where none is to blame. The row is a phase, the sum of
    all, or the bus bar of a phase."""
    why.rule = rule
    why.circuit = circuit
    why.phase = row
    why.slot = -1
    if row >= AT_BUSBAR:
        why.phase = row - AT_BUSBAR
        why.slot = BY_BUSBAR
    elif circuit >= 0 and row >= 0:
        why.slot = world.circuits[circuit].cap_slot[row]


cdef int32_t to_step(const Charger* charger, int64_t setpoint) noexcept nogil:
    """Down to the charger's step; what is below its minimum is 0."""
    if setpoint < charger.minimum:
        return 0
    return <int32_t>(setpoint - setpoint % charger.step)


cdef bint at_table(const World* world, const Charger* charger) noexcept nogil:
    """Whether a charger's share is counted instead of its upper end."""
    return obeys(charger) or proving(world, charger)


cdef void taken_off(const World* world, const Charger* charger, int64_t* off) noexcept nogil:
    """What of a charger's draw is not shared out, by phase: of an unproven one all that its order
    does not account for, so that it counts at its worst."""
    cdef int32_t phase
    if not at_table(world, charger):
        ordered_draw(world, charger, off)
        return
    for phase in range(GRID_PHASES):
        off[phase] = 0
        if charger.wired[phase] and not charger.uses[phase]:
            off[phase] = charger.draw_hi[phase]
        elif charger.wired[phase]:
            off[phase] = charger.standby
            if charger.unproven and charger.started:
                off[phase] += charger.draw_hi[phase] - worst_draw(charger, charger.order)


cdef void hand_out(World* world, int32_t count) noexcept nogil:
    """To so many wishes: what the upper ends leave on each circuit and row, less what nobody can lower."""
    cdef int32_t i, phase, row, at
    cdef int64_t off[GRID_PHASES]
    cdef int64_t* sum = world.filler.least  # scratch until the run begins
    cdef Circuit* circuit
    for i in range(world.circuits_n * ROWS):
        sum[i] = 0
    for i in range(world.chargers_n):
        taken_off(world, &world.chargers[i], off)
        at = world.chargers[i].circuit * ROWS
        for phase in range(GRID_PHASES):
            sum[at + phase] += off[phase]
            sum[at + SUM] += off[phase]
    for i in range(world.circuits_n - 1, -1, -1):  # parents stand before their children
        circuit = &world.circuits[i]
        for row in range(ROWS):
            at = i * ROWS + row
            world.filler.cap[at] = for_chargers(circuit, row) - sum[at]
        carry_up(world, i, sum)
        if not circuit.summed:
            world.filler.cap[i * ROWS + SUM] = NO_SUM
    leave_always(world, count)


cdef void leave_always(World* world, int32_t count) noexcept nogil:
    """Whose minimum is drawn whatever we say has it, and nobody else counts on it."""
    cdef int32_t i, row, at
    cdef int64_t* sum = world.filler.least  # scratch until the run begins
    cdef const Wish* wish
    if not world.always:
        return
    for i in range(world.circuits_n * ROWS):
        sum[i] = 0
    for i in range(count):
        wish = &world.wishes[i]
        if world.chargers[world.wisher[i]].may_pause != PAUSE_NEVER:
            continue
        for row in range(ROWS):
            sum[wish.circuit * ROWS + row] += wish.minimum * wish.wired[row]
    for i in range(world.circuits_n - 1, -1, -1):
        for row in range(ROWS):
            at = i * ROWS + row
            world.filler.cap[at] = max(world.filler.cap[at], sum[at])
        carry_up(world, i, sum)


cdef void wish_of(const Charger* charger, Wish* wish, int32_t demand) noexcept nogil:
    cdef int32_t phase
    wish.circuit = charger.circuit
    wish.weight = charger.weight
    wish.floor = wish.stage = wish.early = 0
    wish.minimum = worst_draw(charger, charger.minimum) - charger.standby
    wish.maximum = worst_draw(charger, demand) - charger.standby
    if demand < charger.minimum:
        wish.maximum = 0
    wish.wired[SUM] = 0
    for phase in range(GRID_PHASES):
        wish.wired[phase] = charger.uses[phase]
        if charger.summed:
            wish.wired[SUM] += charger.uses[phase]


cdef void bound_demand(World* world, Charger* charger) noexcept nogil:
    """What it cannot rise to now is no demand: the others may have it meanwhile."""
    cdef int32_t most
    charger.held.rule = -1
    if not charger.started:
        return
    if stays_down(world) and charger.order < charger.demand:
        blame(
            world, &charger.held, RULE_LATCHED if world.latched else RULE_FALLBACK, -1, -1
        )
        charger.demand = charger.order
    elif charger.off_since and charger.demand and world.now - charger.off_since < charger.min_off:
        blame(world, &charger.held, RULE_OFF_TIME, -1, -1)
        charger.demand = charger.order
    elif charger.proof == PROOF_MISSING and charger.order < charger.demand:
        blame(world, &charger.held, RULE_UNPROVEN, -1, -1)
        charger.demand = charger.order
    elif charger.write_gap and charger.order < charger.demand:
        most = max(charger.order, spared(world, charger, &charger.held))
        if most >= charger.demand:
            charger.held.rule = -1
        charger.demand = min(charger.demand, most)


cdef void set_targets(World* world) noexcept nogil:
    """Each charger's target, and what bounds it."""
    cdef int32_t i
    cdef Charger* charger
    count_advice(world)
    queue_up(world)
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.shut_out = 0
        charger.served = at_table(world, charger)
        if charger.served:
            bound_demand(world, charger)
    share_out(world)


cdef void share_out(World* world) noexcept nogil:
    """One fair-share run under every cap, of all that take part; demands stand."""
    cdef int32_t i, demand, count = 0
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        charger.next_step = 0
        if not charger.served or charger.shut_out:
            charger.has_step = 0
            continue
        world.wisher[count] = world.turn_order[i]
        demand = charger.demand if charger.started else charger.failsafe
        if pause_rank(charger) == ALWAYS:
            demand = max(demand, charger.minimum)
        wish_of(charger, &world.wishes[count], demand)
        line_up_wish(charger, &world.wishes[count])
        count += 1
    hand_out(world, count)
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        take_target(world, &world.chargers[world.wisher[i]], &world.wishes[i])
    hand_round(world)


cdef void line_up_wish(const Charger* charger, Wish* wish) noexcept nogil:
    """Its class, and what advice makes of it."""
    wish.stage = charger.class_index
    wish.early = charger.early
    wish.weight = charger.pull
    if charger.advised_floor > 0:
        wish.floor = worst_draw(charger, charger.advised_floor) - charger.standby


cdef bint would_step(const Charger* charger) noexcept nogil:
    """Whether a left-over step is of use to it: it has it already, or would write for it."""
    cdef int32_t more = charger.target + charger.step
    if charger.target < charger.minimum or more > charger.demand:
        return False
    return more <= charger.order or more - charger.order >= worth_a_write(charger)


cdef void take_target(World* world, Charger* charger, const Wish* wish) noexcept nogil:
    cdef int32_t rule = RULE_MAXIMUM, row = wish.bound_phase
    cdef bint held = charger.started and charger.held.rule >= 0
    charger.target = to_step(charger, setpoint_for(charger, wish.share + charger.standby))
    if charger.demand == 0 and not held:
        rule = RULE_ADVICE if charger.capped else RULE_NO_VEHICLE
    elif not wish.admitted and not (held and charger.demand < charger.minimum):
        rule = RULE_TURN
    elif wish.bound_circuit >= 0:
        row = at_fault(&world.circuits[wish.bound_circuit], row)
        rule = RULE_CAP
        if not world.circuits[wish.bound_circuit].fresh and row < AT_BUSBAR:
            rule = RULE_BLIND
        if charger.started and would_step(charger):
            charger.next_step = (
                worst_draw(charger, charger.target + charger.step)
                - worst_draw(charger, charger.target)
            )
    elif held:
        charger.bound = charger.held
        return
    elif charger.demand < charger.maximum:
        rule = RULE_ADVICE if charger.capped else RULE_DEMAND
    blame(world, &charger.bound, rule, wish.bound_circuit, row)


cdef void set_failsafe(World* world) noexcept nogil:
    """Each charger's fail-safe setpoint: its fair share under worst-case base loads and
    fail-safe caps with everybody at the table, and never more than its fallback."""
    cdef int32_t i, phase, node, count = 0
    cdef Charger* charger
    cdef Circuit* circuit
    cdef int64_t* cap = world.filler.cap
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            cap[i * ROWS + phase] = circuit.rating[phase]
        cap[i * ROWS + SUM] = NO_SUM
        if circuit.summed:
            cap[i * ROWS + SUM] = circuit.rating[SUM] - worst_of(circuit, SUM)
    for i in range(world.slots_n):
        node = world.slots[i].circuit
        for phase in range(GRID_PHASES):
            cap[node * ROWS + phase] = min(
                cap[node * ROWS + phase], world.slots[i].failsafe[phase]
            )
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            cap[i * ROWS + phase] = min(
                cap[i * ROWS + phase] - circuit.worst[phase],
                max(<int64_t>0, circuit.busbar[phase] - circuit.worst[phase]),
            )
    for i in range(world.chargers_n):
        count += wish_failsafe(world, world.by_class[i], count, True)
    for i in range(world.chargers_n):
        count += wish_failsafe(world, world.by_class[i], count, False)
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        node = charger.circuit
        while node >= 0:
            for phase in range(GRID_PHASES):
                if charger.wired[phase]:
                    cap[node * ROWS + phase] -= charger.standby
                    cap[node * ROWS + SUM] -= charger.standby
            node = world.circuits[node].parent
    leave_always(world, count)
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        charger = &world.chargers[world.wisher[i]]
        charger.failsafe = to_step(
            charger, setpoint_for(charger, world.wishes[i].share + charger.standby)
        )


cdef bint wish_failsafe(World* world, int32_t i, int32_t place, bint always) noexcept nogil:
    """Lines a charger up with what it may do alone, if it is one of those: those that may never be
    paused stand first."""
    cdef int32_t phase, most
    cdef Charger* charger = &world.chargers[i]
    cdef Wish* wish = &world.wishes[place]
    if (pause_rank(charger) == ALWAYS) != always:
        return False
    most = min(charger.maximum, charger.declared_fallback)
    if always:
        most = max(most, charger.minimum)
    wish_of(charger, wish, most)
    wish.early = always
    for phase in range(GRID_PHASES):
        wish.wired[SUM] += charger.summed * (charger.wired[phase] - wish.wired[phase])
        wish.wired[phase] = charger.wired[phase]
    world.wisher[place] = i
    return True
