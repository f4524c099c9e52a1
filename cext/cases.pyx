# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Which circuits are over their cap by more than a margin, since when, and how much time is left.

An excess that comes and goes is one: within the margin its clocks run back, four times slower.
"""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport (
    GRID_PHASES,
    RULE_PAUSED,
    WORTH_MA,
    Charger,
    Circuit,
    Slot,
    Why,
    World,
)

cdef enum:
    KIND_GRID = 1  # rows.Kind
    LEAST_MARGIN_MA = 2_000
    MARGIN_PARTS = 50  # 2 %
    FORGIVES = 4  # an excess is remembered for so many times as long as it lasted

cdef int64_t SECOND = 1_000_000_000
cdef int64_t OUR_OWN = SECOND // 2  # ticks, and writing an order
cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFF


cdef void leave_out_reserved(World* world) noexcept nogil:
    """What only is about to get its power back makes nothing be switched off: it can wait."""
    cdef int32_t i, phase, node
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        node = charger.circuit if charger.cut else -1
        while node >= 0:
            for phase in range(GRID_PHASES):
                world.circuits[node].ordered[phase] -= charger.draw_hi[phase]
            node = world.circuits[node].parent


cdef void harden(World* world) noexcept nogil:
    """Caps without the economic ones: the rating and what network operators ask for."""
    cdef int32_t i, phase
    cdef Circuit* circuit
    cdef Slot* slot
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        circuit.hurry = NEVER
        for phase in range(GRID_PHASES):
            circuit.hard_cap[phase] = circuit.rating[phase]
            circuit.hard_slot[phase] = -1
            if load(circuit, phase) > circuit.rating[phase]:
                hurry(circuit, circuit.clear_within)
    for i in range(world.slots_n):
        slot = &world.slots[i]
        if not slot.asks or slot.kind != KIND_GRID:
            continue
        circuit = &world.circuits[slot.circuit]
        for phase in range(GRID_PHASES):
            if load(circuit, phase) > slot.cap[phase]:
                hurry(circuit, slot.clear_within)
            if slot.cap[phase] < circuit.hard_cap[phase]:
                circuit.hard_cap[phase] = slot.cap[phase]
                circuit.hard_slot[phase] = i


cdef void hurry(Circuit* circuit, int64_t within) noexcept nogil:
    if within >= 0:
        circuit.hurry = min(circuit.hurry, within)


cdef int64_t load(const Circuit* circuit, int32_t phase) noexcept nogil:
    """The most that flows by the reading; blind: that may flow once orders hold."""
    if circuit.fresh:
        return <int64_t>circuit.reading[phase] + circuit.error
    return circuit.base_hi[phase] + circuit.ordered[phase]


cdef int64_t margin(int64_t cap) noexcept nogil:
    return max(cap // MARGIN_PARTS, <int64_t>LEAST_MARGIN_MA)


cdef bint examine(World* world, int32_t i, Case* case) noexcept nogil:
    """Whether a circuit is over by more than the margin; keeps since when, and how it goes."""
    cdef Circuit* circuit = &world.circuits[i]
    cdef int32_t phase
    cdef int64_t net, gross, worst_need = 0
    cdef bint over = False
    case.worst = 0
    case.pending = False
    for phase in range(GRID_PHASES):
        case.over[phase] = case.need[phase] = 0
        gross = load(circuit, phase)
        net = gross - circuit.cap[phase] - (circuit.credit[phase] if circuit.fresh else 0)
        over = over or gross - circuit.hard_cap[phase] > margin(circuit.hard_cap[phase])
        if net <= 0 or (net <= margin(circuit.cap[phase]) and not circuit.beyond_control):
            continue
        case.over[phase] = net
        if net > case.worst:
            case.worst = net
            point(&case.soft, i, phase, circuit.cap_slot[phase])
        net -= circuit.hard_cap[phase] - circuit.cap[phase]
        if net > margin(circuit.hard_cap[phase]):
            case.need[phase] = net
            if net > worst_need:
                worst_need = net
                point(&case.hard, i, phase, circuit.hard_slot[phase])
    if over:
        circuit.over_since = circuit.over_since or world.now
    else:
        circuit.over_since = forgiven(circuit, circuit.over_since, world.now)
    if case.worst == 0:
        circuit.beyond_control = 0
        circuit.stood_at = forgiven(circuit, circuit.stood_at, world.now)
    circuit.looked_at = world.now
    if case.worst == 0:
        return False
    if circuit.stood_at == 0 or case.worst < circuit.least_over - WORTH_MA:
        circuit.stood_at = world.now
        circuit.least_over = case.worst
    case.clear_by = NEVER
    if circuit.over_since and circuit.hurry < NEVER - circuit.over_since:
        case.clear_by = circuit.over_since + circuit.hurry
    if world.breakers[i].trips < NEVER - world.now:
        case.clear_by = min(case.clear_by, world.now + world.breakers[i].trips)
    case.shows = OUR_OWN + (circuit.credit_ns if circuit.fresh else 0)
    return True


cdef int64_t forgiven(const Circuit* circuit, int64_t since, int64_t now) noexcept nogil:
    """When a clock began, for an excess that is not there now; 0: it is forgotten.

    What it had counted, but no more than a step needs, runs back slowly: an excess that flaps about
    its margin, and is there for more than a fifth of the time, escalates in the end.
    """
    cdef int64_t passed = now - circuit.looked_at
    if since == 0:
        return 0
    since = max(since + passed, now - circuit.waits) + passed // FORGIVES
    return since if since < now else 0


cdef void point(Why* why, int32_t circuit, int32_t phase, int32_t slot) noexcept nogil:
    why.rule = RULE_PAUSED
    why.circuit = circuit
    why.phase = phase
    why.slot = slot
