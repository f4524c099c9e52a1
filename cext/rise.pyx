# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Up on proof: out of slack that is free after every upper end is counted, along a ramp."""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport bounds_of, on_bar
from cext.draw cimport setpoint_for, told_since_power, worst_draw
from cext.orders cimport order, worth_a_write
from cext.spare cimport spared
from cext.sums cimport bears, beneath_rises, room_with, worst_of
from cext.targets cimport blame, to_step
from cext.types cimport (
    AT_BUSBAR,
    GRID_PHASES,
    PROOF_MISSING,
    RULE_CALM,
    RULE_DWELL,
    RULE_FALLBACK,
    RULE_PACED,
    RULE_PROBE,
    RULE_RAMP,
    RULE_SILENT,
    RULE_SLACK,
    RULE_STARTING,
    RULE_STUBBORN,
    RULE_SUSPECT,
    RULE_UNPROVEN,
    SUM,
    Charger,
    Circuit,
    Why,
    World,
)

cdef enum:
    ROUNDED_MA = 1000  # by less than this a device may have less in force than it was told

cdef int64_t SECOND = 1_000_000_000
cdef int64_t RAISE_GAP = SECOND  # between two rises of one charger
cdef int64_t RAISE_SPAN = 2 * SECOND  # one rise uses at most this much of the ramp
cdef int64_t MILLISECOND = 1_000_000
cdef int64_t HOUR_MS = 3_600_000
cdef int64_t LATE = SECOND  # beyond lag and poll, a report may be this late before a rise
cdef int64_t NO_CAP = 0x7FFFFFFF


cdef void rise(World* world) noexcept nogil:
    """Raises, in turn, what proven slack permits, and says of the others why not."""
    cdef int32_t i
    cdef Charger* charger
    world.waited, world.waiting = world.waiting, 0
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if charger.parted:
            continue  # its contactor's reason stands
        if not charger.started:
            blame(
                world, &charger.why, RULE_UNPROVEN if charger.unproven else RULE_STARTING, -1, -1
            )
        elif not charger.fresh or not told_since_power(charger):
            blame(world, &charger.why, RULE_SILENT, -1, -1)
        elif charger.suspect:
            blame(
                world, &charger.why, RULE_STUBBORN if charger.stubborn else RULE_SUSPECT, -1, -1
            )
        elif fell_back(charger):
            blame(world, &charger.why, RULE_FALLBACK, -1, -1)
        elif charger.proof == PROOF_MISSING:
            blame(world, &charger.why, RULE_UNPROVEN, -1, -1)
        elif charger.probing:
            blame(world, &charger.why, RULE_PROBE, -1, -1)
        elif wanted(world, charger) > charger.order:
            rise_one(world, charger)
        elif charger.target > charger.order:
            charger.why = charger.bound
            charger.why.rule = RULE_CALM
        elif charger.target == charger.order:
            charger.why = charger.bound


cdef int32_t wanted(const World* world, const Charger* charger) noexcept nogil:
    """What it may rise to as far as its share is concerned: a swing charger takes whatever is free
    while nobody else waits for it."""
    if charger.swing and not world.waited:
        return max(charger.aim, to_step(charger, charger.demand))
    return charger.aim


cdef bint fell_back(const Charger* charger) noexcept nogil:
    """Its order was in force, and what is now is clearly lower: it did that by itself, and to order
    more would not reach it. Devices round down what they are told by less than this."""
    if not charger.confirmed or charger.observed or charger.in_force < 0:
        return False
    return charger.in_force < charger.order - max(charger.step, <int32_t>ROUNDED_MA)


cdef void rise_one(World* world, Charger* charger) noexcept nogil:
    """One rise, or the reason why there is none now."""
    cdef Why where
    cdef int32_t setpoint, most = wanted(world, charger)
    cdef int64_t room = room_above(world, charger, &where)
    cdef int64_t ramp = ramped(world, charger)
    setpoint = to_step(charger, min(<int64_t>most, setpoint_for(charger, room)))
    if setpoint < most and not charger.swing:  # whatever else keeps it from rising in this tick
        world.waiting = 1
    if charger.shed_at and world.now - charger.shed_at < world.pace.dwell:
        charger.why = charger.cause
        charger.why.rule = RULE_DWELL
        return
    if world.now - charger.report_at > charger.lag + charger.poll + LATE:
        blame(world, &charger.why, RULE_SILENT, -1, -1)
        return
    charger.why = where if setpoint < most else charger.bound
    if charger.write_gap:
        setpoint = paced(world, charger, setpoint)
    if ramp < setpoint:
        world.waiting = world.waiting or not charger.swing
        setpoint = to_step(charger, ramp)
        blame(world, &charger.why, RULE_RAMP, -1, -1)
    if world.now - charger.changed_at < RAISE_GAP:
        return
    if setpoint - charger.order >= worth_a_write(charger) or is_last(world, charger, setpoint):
        claim(world, charger, setpoint)
        order(world, charger, setpoint)
        charger.climbs = setpoint < most


cdef bint is_last(World* world, const Charger* charger, int32_t setpoint) noexcept nogil:
    """The step to its maximum may be small; one that takes a whole gap only after a rest."""
    if charger.write_gap and world.now - charger.changed_at < charger.calm:
        return False
    return setpoint == charger.maximum > charger.order


cdef int32_t paced(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """A rise that forfeits the next reduction for a whole gap: as far as nothing needs one then.

    Not while the gap of the change before may still run.
    """
    cdef Why where
    cdef int32_t most = to_step(charger, spared(world, charger, &where))
    if world.now - charger.changed_at < charger.write_gap + charger.confirm_gap:
        blame(world, &charger.why, RULE_PACED, -1, -1)
        return charger.order
    if most < setpoint:
        charger.why = where
        return most
    return setpoint


cdef bint closed_to_rises(const Circuit* circuit, int32_t row) noexcept nogil:
    """Nothing rises below what is over its cap by its reading, credits or not, nor below what
    was never measured yet since the start although it has a meter, nor while one source hands
    over to another that may know less."""
    if not circuit.fresh:
        return circuit.measured and not circuit.heard
    if circuit.handing:
        return True
    return circuit.excess[row] > 0 or circuit.reading[row] > circuit.cap[row]


cdef int64_t slack_for(
    World* world, const Charger* charger, const Circuit* circuit, int32_t row
) noexcept nogil:
    """What is free after every upper end is counted.

    What an unmetered charger draws more will be read as base load. Where the declared worst
    case does not cover that already, it takes twice the room, and waits until the reading
    must show the last such rise.
    """
    cdef int64_t free, slack, covered
    if row >= AT_BUSBAR:
        return on_bar(circuit, row - AT_BUSBAR) - circuit.draw_hi[row - AT_BUSBAR]
    free = circuit.cap[row] - circuit.draw_hi[row]
    slack = free - beneath_rises(circuit, row)
    covered = min(slack, free - worst_of(circuit, row))
    if charger.metered or slack <= 0:
        return slack
    if circuit.unseen_at and 0 < world.now - circuit.unseen_at < charger.show:
        return max(0, covered)
    return max(slack // 2, covered)


cdef int64_t room_above(World* world, const Charger* charger, Why* where) noexcept nogil:
    """The draw a charger may rise to: its upper end plus the least slack on its path.

    0 where nothing may rise; `where` says which circuit and row leaves the least.
    """
    cdef int32_t node = charger.circuit, row
    cdef int64_t slack, room, most = NO_CAP
    cdef Circuit* circuit
    blame(world, where, RULE_SLACK, -1, -1)
    while node >= 0:
        circuit = &world.circuits[node]
        for row in range(bounds_of(circuit)):
            if not bears(circuit, charger, row):
                continue
            slack = slack_for(world, charger, circuit, row)
            room = room_with(charger, row, slack)
            if slack < 0 or (row < AT_BUSBAR and closed_to_rises(circuit, row)):
                room = 0
            if room < most:
                most = room
                blame(world, where, RULE_SLACK, node, row)
        node = circuit.parent
    return most


cdef int64_t ramped(World* world, const Charger* charger) noexcept nogil:
    """The highest order the ramp permits now; a start goes to the minimum at once.

    What a rest allows is bounded, but never to less than one change that is worth a write.
    """
    cdef int64_t rested_ms = min((world.now - charger.changed_at) // MILLISECOND, HOUR_MS)
    cdef int64_t most
    cdef int64_t span_ms = min((RAISE_SPAN + charger.write_gap) // MILLISECOND, HOUR_MS)
    most = max(
        world.pace.ramp_ma_per_s * span_ms // 1000,
        <int64_t>charger.step + worth_a_write(charger),
    )
    return max(
        <int64_t>charger.minimum,
        charger.order + min(world.pace.ramp_ma_per_s * rested_ms // 1000, most),
    )


cdef void claim(World* world, Charger* charger, int32_t setpoint) noexcept nogil:
    """Counts a raised setpoint on the whole path before the next charger is asked."""
    cdef int32_t node, phase
    cdef int64_t more, before
    cdef Circuit* circuit
    for phase in range(GRID_PHASES):
        if not charger.uses[phase]:
            continue
        more = worst_draw(charger, setpoint) - charger.draw_hi[phase]
        if more <= 0:
            continue
        charger.draw_hi[phase] += more
        node = charger.circuit
        while node >= 0:
            circuit = &world.circuits[node]
            circuit.draw_hi[phase] += more
            circuit.draw_hi[SUM] += more
            if charger.write_gap:
                circuit.slow_hi[phase] += more
                circuit.slow_hi[SUM] += more
            if circuit.fresh and not charger.metered:
                circuit.unseen_at = world.now
                before = circuit.base_hi[phase]
                circuit.base_hi[phase] = max(
                    before, min(before + more, <int64_t>circuit.worst[phase])
                )
                circuit.base_hi[SUM] += circuit.base_hi[phase] - before
            node = circuit.parent
