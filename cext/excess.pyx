# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""How far each circuit is over what it bears, for how long, and when that has to be gone.

Beside its caps a circuit bears what its three phases carry together, and what a bus bar carries
for the chargers alone, which no meter shows. All by the reading where there is one, less what is
ordered and has yet to show.

An excess that comes and goes is one: within the margin its clocks run back, four times slower.
"""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport bounds_of, on_bar, rows_of
from cext.types cimport (
    AT_BUSBAR,
    BOUNDS,
    BY_BUSBAR,
    GRID_PHASES,
    RULE_PAUSED,
    SUM,
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

cdef int64_t OUR_OWN = 500_000_000  # ticks, and writing an order
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
                world.circuits[node].ordered[SUM] -= charger.draw_hi[phase]
            node = world.circuits[node].parent


cdef void harden(World* world) noexcept nogil:
    """Caps without the economic ones: the rating and what network operators ask for. And until
    when what is exceeded has to be clear again: each by its own clock."""
    cdef int32_t i, phase, row
    cdef bint over
    cdef Circuit* circuit
    cdef Slot* slot
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        over = False
        for row in range(rows_of(circuit)):
            circuit.hard_cap[row] = circuit.rating[row]
            circuit.hard_slot[row] = -1
            over = over or exceeds(circuit, row, circuit.rating[row])
        circuit.over_since = counted(world, circuit, circuit.over_since, over)
        circuit.clear_by = circuit.pause_by = due(circuit.over_since, circuit.clear_within)
    for i in range(world.slots_n):
        slot = &world.slots[i]
        circuit = &world.circuits[slot.circuit]
        over = False
        for phase in range(GRID_PHASES):
            over = over or (slot.asks and exceeds(circuit, phase, slot.cap[phase]))
        slot.over_since = counted(world, circuit, slot.over_since, over)
        circuit.pause_by = min(circuit.pause_by, due(slot.over_since, slot.clear_within))
        if not slot.asks or slot.kind != KIND_GRID:
            continue
        circuit.clear_by = min(circuit.clear_by, due(slot.over_since, slot.clear_within))
        for phase in range(GRID_PHASES):
            if slot.cap[phase] < circuit.hard_cap[phase]:
                circuit.hard_cap[phase] = slot.cap[phase]
                circuit.hard_slot[phase] = i


cdef bint exceeds(const Circuit* circuit, int32_t row, int64_t cap) noexcept nogil:
    """By more than the margin."""
    return load(circuit, row) - cap > margin(cap)


cdef int64_t counted(
    const World* world, const Circuit* circuit, int64_t since, bint over
) noexcept nogil:
    """When the clock of one bound began; 0: it does not run."""
    if over:
        return since or world.now
    return forgiven(circuit, since, world.now)


cdef int64_t due(int64_t since, int64_t within) noexcept nogil:
    return since + within if since and within >= 0 else NEVER


cdef int64_t load(const Circuit* circuit, int32_t row) noexcept nogil:
    """The most that flows by the reading; blind, and at a bus bar: that may flow once orders
    hold."""
    if row >= AT_BUSBAR:
        return circuit.ordered[row - AT_BUSBAR]
    if circuit.fresh:
        return circuit.reading[row] + <int64_t>circuit.error * (GRID_PHASES if row == SUM else 1)
    return circuit.base_hi[row] + circuit.ordered[row]


cdef int64_t hard_cap(const Circuit* circuit, int32_t row) noexcept nogil:
    return on_bar(circuit, row - AT_BUSBAR) if row >= AT_BUSBAR else circuit.hard_cap[row]


cdef int64_t soft_cap(const Circuit* circuit, int32_t row) noexcept nogil:
    return on_bar(circuit, row - AT_BUSBAR) if row >= AT_BUSBAR else circuit.cap[row]


cdef int64_t margin(int64_t cap) noexcept nogil:
    return max(cap // MARGIN_PARTS, <int64_t>LEAST_MARGIN_MA)


cdef bint examine(World* world, int32_t i, Case* case) noexcept nogil:
    """Whether a circuit is over by more than the margin; keeps since when, and how it goes."""
    cdef Circuit* circuit = &world.circuits[i]
    cdef int32_t row
    cdef int64_t net, gross, hard, soft, worst_need = 0
    case.worst = 0
    case.pending = False
    for row in range(BOUNDS):
        case.over[row] = case.need[row] = 0
    for row in range(bounds_of(circuit)):
        if row == SUM and not circuit.summed:
            continue
        soft, hard = soft_cap(circuit, row), hard_cap(circuit, row)
        gross = load(circuit, row)
        net = gross - soft
        if circuit.fresh and row < AT_BUSBAR:
            net -= circuit.credit[row]
        if net <= 0 or (net <= margin(soft) and not circuit.beyond_control):
            continue
        case.over[row] = net
        if net > case.worst:
            case.worst = net
            case.soft = row
        net -= hard - soft
        if net > margin(hard):
            case.need[row] = net
            if net > worst_need:
                worst_need = net
                point(&case.hard, i, row, circuit)
                case.hard_row = row
    if case.worst == 0:
        circuit.beyond_control = 0
        circuit.stood_at = forgiven(circuit, circuit.stood_at, world.now)
    circuit.looked_at = world.now
    if case.worst == 0:
        return False
    if circuit.stood_at == 0 or case.worst < circuit.least_over - WORTH_MA:
        circuit.stood_at = world.now
        circuit.least_over = case.worst
    case.clear_by, case.pause_by = circuit.clear_by, circuit.pause_by
    if world.breakers[i].trips < NEVER - world.now:
        case.clear_by = min(case.clear_by, world.now + world.breakers[i].trips)
        case.pause_by = min(case.pause_by, case.clear_by)
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


cdef void point(Why* why, int32_t i, int32_t row, const Circuit* circuit) noexcept nogil:
    why.rule = RULE_PAUSED
    why.circuit = i
    why.phase = row if row < AT_BUSBAR else row - AT_BUSBAR
    why.slot = circuit.hard_slot[row] if row < AT_BUSBAR else BY_BUSBAR
