# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The imbalance limit: how far our one-phase chargers may lift a phase above another.

It only lowers targets, of chargers that draw on one phase alone: a rule of the network, and no
protection. So it is followed at the calm pace. Only managed chargers count, and of these only who
does not draw on all three phases: on the high phase the most that their targets permit, on the low
one the least that they were measured to draw. Nothing that may not be there evens anything out.

Who does not listen counts at what it was last allowed, and shares the phase with the others like any
of them: it takes its own part from them and no more, whatever it may be drawing. So a sick one
switches nobody off; it is for caps to count it at its worst.

What they lose is given to nobody, but for a minimum: to whom the limit leaves nothing has no place in
the shares either, so that nobody waits behind one that cannot have what it is offered.

What a phase may have follows the low phases down at once, and up only by steps, so that what is
drawn there may waver without anybody being switched on and off for it. A car that was once seen to
draw on one phase is one of those until it is unplugged, or seen to draw on another: whether it
charges or was stopped. Who stops takes from the room of the other phases, and so may bring back
another: so who was switched off for a limit twice in a turn stays off until the turn has passed, or
its vehicle has gone.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport least_draw, obeys, proving, setpoint_for, worst_draw
from cext.pause cimport ALWAYS, pause_rank
from cext.ring cimport ring_span
from cext.shares cimport fill
from cext.targets cimport blame, share_out, to_step
from cext.types cimport (
    GRID_PHASES,
    NOTHING_MA,
    ROWS,
    RULE_IMBALANCE,
    SUM,
    VEHICLE_A,
    Charger,
    Circuit,
    Wish,
    World,
)

cdef enum:
    DEAD_BAND_MA = 1_000
    OUTS = 2  # so often in a turn one is switched off; then it stays so until the turn has passed
    ROUNDS = 3  # so often others have the places of those that the limit leaves nothing

cdef int64_t NO_CAP = 0x7FFFFFFF
cdef int64_t NO_SUM = 1 << 40


cdef void balance(World* world) noexcept nogil:
    """Lowers targets where what they permit would lift a phase too far; the targets are set."""
    cdef int32_t i, n
    if not world.leveled:
        return
    for i in range(world.chargers_n):
        note_alone(&world.chargers[i])
    if keep_out(world):
        share_out(world)
    for n in range(ROUNDS):
        if not is_uneven(world, n == 0) or not lower_targets(world):
            return
        share_out(world)
    if is_uneven(world, False):
        lower_targets(world)


cdef void note_out(const World* world, Charger* charger) noexcept nogil:
    """It is switched off for an imbalance limit."""
    if charger.out_turn != world.turn_index:
        charger.outs = 0
    charger.out_turn = world.turn_index
    charger.outs = min(charger.outs + 1, <int32_t>OUTS)


cdef bint keep_out(World* world) noexcept nogil:
    """Shuts out again who came back in this turn, and was switched off once more; whether there is
    anybody."""
    cdef int32_t i, node
    cdef bint some = False
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.outs < OUTS or charger.out_turn != world.turn_index or not charger.alone:
            continue
        if charger.order > 0 or charger.target == 0 or not listens(world, charger):
            continue
        if pause_rank(charger) == ALWAYS:
            continue
        node = charger.circuit
        while node > 0 and world.circuits[node].imbalance < 0:
            node = world.circuits[node].parent
        if world.circuits[node].imbalance < 0:
            continue  # a document has taken its limit away
        charger.target = 0
        charger.shut_out = 1
        some = True
        blame(world, &charger.bound, RULE_IMBALANCE, node, charger.alone - 1)
    return some


cdef bint is_uneven(World* world, bint first) noexcept nogil:
    """Whether what targets permit lifts a phase too far somewhere; counts what may be there, and
    what is known to be once in a tick: who is lowered in this one draws still."""
    cdef int32_t i, phase
    cdef bint over = False
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            circuit.uneven_hi[phase] = circuit.uneven_fixed[phase] = 0
            if first:
                circuit.uneven_lo[phase] = 0
    for i in range(world.chargers_n):
        count_uneven(world, &world.chargers[i], first)
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        if circuit.imbalance >= 0:
            for phase in range(GRID_PHASES):
                follow(circuit, phase)
                over = over or circuit.uneven_hi[phase] > circuit.level[phase]
    return over


cdef void note_alone(Charger* charger) noexcept nogil:
    """On which phase its car draws alone, as far as anybody has seen."""
    cdef int32_t phase, wired = 0, used = 0, last = 0
    for phase in range(GRID_PHASES):
        wired += charger.wired[phase]
        used += charger.uses[phase]
        if charger.uses[phase]:
            last = phase
    if wired == 1 or used == 1:
        charger.alone = last + 1
    if charger.fresh and charger.vehicle == VEHICLE_A:
        charger.outs = 0
        if wired > 1 and used > 1:
            charger.alone = 0
    if wired == 1 or used == 1:
        return
    if not charger.alone or not charger.fresh or not charger.current_known:
        return
    for phase in range(GRID_PHASES):
        if phase != charger.alone - 1 and charger.current[phase] >= NOTHING_MA:
            charger.alone = 0
            return


cdef bint listens(const World* world, const Charger* charger) noexcept nogil:
    """Whether its target says what it will draw."""
    return (obeys(charger) and not charger.unproven) or proving(world, charger)


cdef int32_t allowed(const World* world, const Charger* charger) noexcept nogil:
    """What it may have by us: its target, or what it was told last. Cut off, it draws nothing."""
    if charger.cut:
        return 0
    if listens(world, charger):
        return charger.target
    return charger.order if charger.started else charger.failsafe


cdef bint lifts(const Charger* charger, int32_t phase) noexcept nogil:
    """Whether it draws on a phase, and not on all three."""
    if charger.alone:
        return phase == charger.alone - 1
    if charger.uses[0] and charger.uses[1] and charger.uses[2]:
        return False
    return charger.uses[phase] != 0


cdef void count_uneven(World* world, const Charger* charger, bint first) noexcept nogil:
    """Adds what it may lift, and what it is known to, to every circuit above."""
    cdef int32_t phase, node
    cdef int64_t most, least
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef bint known = charger.fresh and charger.current_known
    most = worst_draw(charger, allowed(world, charger))
    ring_span(&charger.ring, world.now - charger.window, lo, hi)
    for phase in range(GRID_PHASES):
        if not lifts(charger, phase):
            continue
        least = min(least_draw(charger, lo[phase]), most) if known else 0
        node = charger.circuit
        while node >= 0:
            world.circuits[node].uneven_hi[phase] += most
            if first:
                world.circuits[node].uneven_lo[phase] += least
            world.circuits[node].uneven_fixed[phase] += (
                charger.standby if charger.alone else most
            )
            node = world.circuits[node].parent


cdef void follow(Circuit* circuit, int32_t phase) noexcept nogil:
    """What a phase may have now: so much more than the least of the others is known to draw."""
    cdef int32_t other
    cdef int64_t low = NO_CAP, level
    for other in range(GRID_PHASES):
        if other != phase:
            low = min(low, circuit.uneven_lo[other])
    level = low + circuit.imbalance
    if level < circuit.level[phase] or level >= circuit.level[phase] + DEAD_BAND_MA:
        circuit.level[phase] = level
    circuit.level[phase] = max(circuit.level[phase], <int64_t>circuit.imbalance)


cdef bint lower_targets(World* world) noexcept nogil:
    """One fair-share run of those that draw on one phase, with what they may have as maxima; whether
    it shuts somebody out."""
    cdef int32_t i, phase, count = 0
    cdef bint shut_out = False
    cdef Charger* charger
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        world.filler.cap[i * ROWS + SUM] = NO_SUM
        for phase in range(GRID_PHASES):
            world.filler.cap[i * ROWS + phase] = NO_CAP
            if circuit.imbalance >= 0:
                world.filler.cap[i * ROWS + phase] = (
                    circuit.level[phase] - circuit.uneven_fixed[phase]
                )
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if charger.alone and allowed(world, charger) > 0:
            wish_alone(world, charger, &world.wishes[count])
            world.wisher[count] = world.turn_order[i]
            count += 1
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        charger = &world.chargers[world.wisher[i]]
        if listens(world, charger):
            lower_target(world, charger, &world.wishes[i])
            charger.shut_out = charger.target == 0
            shut_out = shut_out or charger.shut_out
    return shut_out


cdef void wish_alone(const World* world, const Charger* charger, Wish* wish) noexcept nogil:
    cdef int32_t row
    wish.circuit = charger.circuit
    wish.weight = charger.pull
    wish.maximum = worst_draw(charger, allowed(world, charger)) - charger.standby
    wish.minimum = min(worst_draw(charger, charger.minimum) - charger.standby, wish.maximum)
    wish.floor = 0
    wish.stage = charger.class_index
    wish.early = charger.early
    for row in range(ROWS):
        wish.wired[row] = row == charger.alone - 1


cdef void lower_target(World* world, Charger* charger, const Wish* wish) noexcept nogil:
    cdef int32_t target = to_step(charger, setpoint_for(charger, wish.share + charger.standby))
    if pause_rank(charger) == ALWAYS:
        target = max(target, charger.minimum)
    if target < charger.target:
        charger.target = target
        blame(world, &charger.bound, RULE_IMBALANCE, wish.bound_circuit, wish.bound_phase)
