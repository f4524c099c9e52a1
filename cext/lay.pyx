# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Lays checked tables down as the structs the kernel works on."""

from cext.rows import NO_PHASE

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport NO_STEP
from cext.breaker cimport Breaker, no_trip
from cext.filler cimport filler_make, filler_order
from cext.journal cimport reserve_journal
from cext.memory cimport Memory, take
from cext.targets cimport blame
from cext.thermal cimport fill_up
from cext.types cimport (
    GRID_PHASES,
    PAUSE_NEVER,
    RING,
    RULE_CLOSED,
    RULE_RECLOSING,
    RULE_STARTING,
    SLOT_LOST,
    SUM,
    Charger,
    Circuit,
    Contactor,
    Slot,
    Source,
    Wish,
    World,
    stubborn_after,
)

cdef enum:
    QUEUE_ROWS = 4 * 101 + 3  # with as many classes as there can be

cdef int64_t RING_SPAN_LEAST = 1_000_000
cdef int64_t SECOND = 1_000_000_000
cdef int64_t SWING_CALM = 30_000_000_000  # a lift has gone and come back by then
cdef int64_t LONG_AGO = -1 << 40
cdef int64_t NO_BUSBAR = 1 << 60
cdef int32_t NO_SUM = 0x7FFFFFFF


cdef int lay_world(World* world, circuits, sources, chargers, slots, tuning, contactors) except -1:
    """Tables that cext.check has passed. Raises MemoryError."""
    reserve(world, len(circuits), len(sources), len(chargers), len(slots))
    reserve_contactors(world, len(contactors), sum([len(row.chargers) for row in contactors]))
    reserve_journal(world)
    if world.memory.lacking:
        raise MemoryError("kernel")
    for i, row in enumerate(circuits):
        lay_circuit(world, i, row)
        lay_breaker(&world.breakers[<int32_t>i], row.curve)
    filler_order(&world.filler)
    for i, row in enumerate(chargers):
        lay_charger(world, &world.chargers[<int32_t>i], row)
    for i, row in enumerate(sources):
        lay_source(world, i, row)
    for i, row in enumerate(slots):
        lay_slot(&world.slots[<int32_t>i], row)
    lay_pace(world, tuning)
    lay_contactors(world, contactors)
    lay_windows(world)
    for i in range(len(chargers)):
        world.chargers[<int32_t>i].own_limit = -1
        world.chargers[<int32_t>i].swung_turn = LONG_AGO
    world.swing_turn = -1
    ranks = sorted(range(len(chargers)), key=lambda i: chargers[i].class_rank)
    for i, charger in enumerate(ranks):
        world.by_class[<int32_t>i] = charger
    classes = {rank: i for i, rank in enumerate(sorted({row.class_rank for row in chargers}))}
    world.classes = len(classes)
    for i, row in enumerate(chargers):
        world.chargers[<int32_t>i].class_index = classes[row.class_rank]
        world.by_place[<int32_t>i] = world.step_order[<int32_t>i] = i
    return 0


cdef void reserve(
    World* world, int32_t circuits, int32_t sources, int32_t chargers, int32_t slots
) noexcept:
    """All the memory a kernel ever uses, but for its contactors."""
    cdef Memory* memory = &world.memory
    world.circuits_n = circuits
    world.sources_n = sources
    world.chargers_n = chargers
    world.slots_n = slots
    world.turn_index = -1
    world.circuits = <Circuit*>take(memory, circuits, sizeof(Circuit))
    world.breakers = <Breaker*>take(memory, circuits, sizeof(Breaker))
    world.sources = <Source*>take(memory, sources, sizeof(Source))
    world.chargers = <Charger*>take(memory, chargers, sizeof(Charger))
    world.slots = <Slot*>take(memory, slots, sizeof(Slot))
    world.wishes = <Wish*>take(memory, chargers, sizeof(Wish))
    world.wisher = <int32_t*>take(memory, chargers, sizeof(int32_t))
    world.by_class = <int32_t*>take(memory, chargers, sizeof(int32_t))
    world.by_place = <int32_t*>take(memory, chargers, sizeof(int32_t))
    world.turn_order = <int32_t*>take(memory, chargers, sizeof(int32_t))
    world.step_order = <int32_t*>take(memory, chargers, sizeof(int32_t))
    world.rows = <int32_t*>take(memory, QUEUE_ROWS, sizeof(int32_t))
    filler_make(&world.filler, memory, circuits, chargers)


cdef void reserve_contactors(World* world, int32_t contactors, int32_t members) noexcept:
    world.contactors_n = contactors
    world.members_n = members
    world.contactors = <Contactor*>take(&world.memory, contactors, sizeof(Contactor))
    world.members = <int32_t*>take(&world.memory, members, sizeof(int32_t))


cdef int lay_circuit(World* world, int32_t i, row) except -1:
    cdef Circuit* circuit = &world.circuits[i]
    circuit.parent = row.parent
    world.filler.parent[i] = row.parent
    circuit.credit_export = row.credit_export
    circuit.clear_within = -1 if row.clear_within_ns is None else row.clear_within_ns
    circuit.barred = row.busbar_ma is not None
    circuit.summed = row.sum_ma is not None
    circuit.rating[SUM] = NO_SUM if row.sum_ma is None else row.sum_ma
    circuit.cap[SUM] = circuit.rating[SUM]
    circuit.imbalance = -1 if row.imbalance_ma is None else row.imbalance_ma
    world.summed = world.summed or circuit.summed
    world.leveled = world.leveled or circuit.imbalance >= 0
    for phase in range(GRID_PHASES):
        circuit.busbar[<int32_t>phase] = row.busbar_ma[phase] if circuit.barred else NO_BUSBAR
        circuit.rating[<int32_t>phase] = row.rating_ma[phase]
        circuit.cap[<int32_t>phase] = row.rating_ma[phase]
        circuit.base_step[<int32_t>phase] = (
            NO_STEP if row.base_step_ma is None else row.base_step_ma[phase]
        )
        circuit.declared[<int32_t>phase] = row.worst_base_ma[phase]
        circuit.worst[<int32_t>phase] = row.worst_base_ma[phase]
    return 0


cdef int lay_breaker(Breaker* breaker, curve) except -1:
    """Nobody knows yet what it has carried."""
    breaker.at = -1
    breaker.trips = no_trip()
    if curve is None:
        return 0
    breaker.known = 1
    breaker.pickup = curve.pickup_ma
    breaker.tau = curve.tau_ns
    breaker.heats = -(-(2**62) // curve.tau_ns)
    breaker.cools = 2**62 // curve.tau_ns
    breaker.steps = len(curve.steps)
    for i, (to_ma, lasts_ns) in enumerate(curve.steps):
        breaker.step_ma[<int32_t>i] = to_ma
        breaker.step_ns[<int32_t>i] = no_trip() if lasts_ns is None else lasts_ns
    fill_up(breaker)
    return 0


cdef int lay_charger(World* world, Charger* charger, row) except -1:
    charger.circuit = row.circuit
    for phase in row.phases:
        if phase != NO_PHASE:
            charger.wired[<int32_t>phase] = 1
            charger.uses[<int32_t>phase] = 1
    charger.summed = world.summed
    charger.minimum = -(-row.min_ma // row.step_ma) * row.step_ma
    highest = row.max_ma if row.ceiling_ma is None else min(row.max_ma, row.ceiling_ma)
    charger.maximum = highest // row.step_ma * row.step_ma
    if charger.minimum > charger.maximum:  # no setpoint that it takes is one it may have
        charger.maximum = 0
    charger.ceiling = row.max_ma
    charger.own = -1
    charger.group_opens = -1
    charger.step = row.step_ma
    charger.fallback = row.fallback_ma
    charger.declared_fallback = row.fallback_ma
    charger.power_on = row.power_on_ma
    charger.tolerance_ppm = row.tolerance_ppm
    charger.standby = row.standby_ma
    charger.settle = row.settle_ns
    charger.write_gap = row.write_gap_ns
    charger.confirm_gap = row.confirm_gap_ns
    world.paced = world.paced or charger.write_gap > 0
    charger.metered = row.metered
    charger.error = row.error_ma
    charger.error_ppm = row.error_ppm
    charger.resolution = row.resolution_ma
    charger.lag = row.lag_ns
    charger.poll = row.poll_ns
    charger.max_age = row.max_age_ns
    charger.weight = row.weight
    charger.class_rank = row.class_rank
    charger.class_wait = -1 if row.class_wait_ns is None else row.class_wait_ns
    charger.min_on = row.min_on_ns
    charger.min_off = row.min_off_ns
    charger.advice_floor = charger.advice_cap = -1
    charger.may_pause = int(row.may_pause)
    world.always = world.always or charger.may_pause == PAUSE_NEVER
    charger.in_force = -1
    charger.in_force_hi = row.max_ma
    blame(world, &charger.bound, RULE_STARTING, -1, -1)
    charger.why = charger.bound
    charger.cause = charger.bound
    blame(world, &charger.held, -1, -1, -1)
    return 0


cdef int lay_source(World* world, int32_t i, row) except -1:
    cdef Source* source = &world.sources[i]
    source.circuit = row.circuit
    source.error = row.error_ma
    source.lag = row.lag_ns
    source.max_age = row.max_age_ns
    source.poll = row.poll_ns
    source.unsigned = row.unsigned
    world.circuits[source.circuit].measured = 1
    world.circuits[source.circuit].most_error = max(
        world.circuits[source.circuit].most_error, source.error
    )
    return 0


cdef int lay_slot(Slot* slot, row) except -1:
    slot.circuit = row.circuit
    slot.kind = int(row.kind)
    slot.hold = row.hold_ns
    slot.clear_within = -1 if row.clear_within_ns is None else row.clear_within_ns
    slot.state = SLOT_LOST
    for phase in range(GRID_PHASES):
        slot.failsafe[<int32_t>phase] = row.failsafe_ma[phase]
    return 0


cdef int lay_contactors(World* world, contactors) except -1:
    """They begin as they are while nobody decides: open, for most. That raises nothing.

    Where nothing is ever written they are somebody else's, and count as closed.
    """
    cdef Contactor* contactor
    cdef int32_t i, charger, member = 0
    world.closing = world.last_closed = -1
    for i, row in enumerate(contactors):
        contactor = &world.contactors[i]
        contactor.first = member
        contactor.count = len(row.chargers)
        contactor.group = row.group
        contactor.feedback = row.feedback
        contactor.opens = row.opens_ns
        contactor.closed = world.pace.observe or not row.opens_alone
        blame(
            world, &contactor.why, RULE_CLOSED if contactor.closed else RULE_RECLOSING, -1, -1
        )
        contactor.cause = contactor.why
        for charger in row.chargers:
            world.members[member] = charger
            member += 1
            if row.group:
                world.chargers[charger].group_opens = max(
                    world.chargers[charger].group_opens, <int64_t>row.opens_ns
                )
            else:
                world.chargers[charger].own = i
    return 0


cdef int lay_pace(World* world, tuning) except -1:
    world.pace.dead_man = tuning.dead_man_ns
    world.pace.dwell = tuning.dwell_ns
    world.pace.ramp_ma_per_s = tuning.ramp_ma_per_s
    world.pace.calm = tuning.calm_ns
    world.pace.turn = tuning.turn_ns
    world.pace.observe = tuning.observe
    return 0


cdef bint is_below(const World* world, int32_t circuit, int32_t top) noexcept nogil:
    while circuit > top:  # parents stand before their children
        circuit = world.circuits[circuit].parent
    return circuit == top


cdef void lay_windows(World* world) noexcept nogil:
    """How far back each ring must reach, and the least that calm may mean.

    A charger's reports matter as long as a reading of a circuit above may lag behind them.
    Nothing is calm that is faster than a change can show, and no turn is shorter than what
    it takes to hand it over.
    """
    cdef int32_t i, k
    cdef int64_t calm = world.pace.calm
    cdef Charger* charger
    for k in range(world.chargers_n):
        charger = &world.chargers[k]
        charger.window = charger.lag + charger.poll
        charger.show = charger.write_gap + charger.settle + charger.lag + charger.poll
    for i in range(world.sources_n):
        lay_source_window(world, &world.sources[i])
    for i in range(world.circuits_n):
        world.circuits[i].drawn.span_ns = world.circuits[i].unvouched.span_ns = RING_SPAN_LEAST
    for i in range(world.sources_n):
        lay_drawn_window(&world.circuits[world.sources[i].circuit], &world.sources[i])
    for i in range(world.sources_n):
        for k in range(world.sources_n):
            if world.sources[i].circuit == world.sources[k].circuit:
                lay_shown_window(&world.sources[i], &world.sources[k])
    for k in range(world.chargers_n):
        charger = &world.chargers[k]
        charger.ring.span_ns = span_of(charger.window)
        charger.orders.span_ns = span_of(max(
            2 * charger.show + charger.confirm_gap, stubborn_after() + charger.write_gap
        ))
        charger.calm = max(
            max(world.pace.calm, charger.window), 2 * (charger.write_gap + charger.confirm_gap)
        )
        charger.swing_calm = min(charger.calm, max(SWING_CALM, charger.window))
        charger.observed = world.pace.observe
        calm = max(calm, charger.calm)
    world.pace.turn = max(world.pace.turn, 2 * calm + world.pace.dwell)


cdef int64_t span_of(int64_t window) noexcept nogil:
    return max(RING_SPAN_LEAST, window // (RING - 4) + 1)


cdef void lay_source_window(World* world, Source* source) noexcept nogil:
    cdef int32_t k
    cdef Charger* charger
    for k in range(world.chargers_n):
        charger = &world.chargers[k]
        if charger.metered and is_below(world, charger.circuit, source.circuit):
            source.charger_lag = max(source.charger_lag, charger.lag + charger.poll)
    for k in range(world.chargers_n):
        charger = &world.chargers[k]
        if not is_below(world, charger.circuit, source.circuit):
            continue
        charger.window = max(
            charger.window, source.max_age + source.lag + source.charger_lag
        )
        charger.show = max(
            charger.show,
            charger.write_gap + charger.settle + charger.lag + charger.poll
            + source.lag + source.poll,
        )
    source.ring.span_ns = span_of(source.max_age + source.lag + source.charger_lag)


cdef void lay_drawn_window(Circuit* circuit, const Source* source) noexcept nogil:
    circuit.drawn.span_ns = max(
        circuit.drawn.span_ns, span_of(source.max_age + source.lag)
    )
    circuit.unvouched.span_ns = max(
        circuit.unvouched.span_ns, span_of(source.max_age + source.lag + source.charger_lag)
    )


cdef void lay_shown_window(Source* source, const Source* other) noexcept nogil:
    """What a source showed counts for twice the longest window of its circuit, and a little."""
    source.shown.span_ns = source.twice.span_ns = max(
        source.shown.span_ns,
        span_of(2 * (other.max_age + other.lag + other.charger_lag) + SECOND),
    )
