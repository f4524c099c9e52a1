# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""A few swing chargers take up the noise of every tick, so that the others can stand still.

The base load and its meters never rest, so fair shares move a little in every tick. Whoever is no
swing charger keeps its order and follows its share once in the calm time at the most. What that
leaves, or what it lacks, goes to the swing chargers: they *aim* at a fair share of the rest. They
give first when a small net excess must go, too, down to their minima; beyond that all others give
as well, and what is no noise any more is shared out among all at once.

One in eight of those that charge is a swing charger, for a turn: of the last class, metered and
free of pacing if possible. Where only a few charge, or a limit of imbalance looks at who draws on
which phase, there is nobody to spare: everybody follows his share as soon as he may.
"""

from libc.stdint cimport int32_t, int64_t

from cext.balance cimport balance
from cext.bounds cimport carry_up
from cext.draw cimport obeys, setpoint_for, worst_draw
from cext.orders cimport shed_to
from cext.parked cimport note_short, park_idle
from cext.pause cimport least_order
from cext.shares cimport fill
from cext.targets cimport at_table, line_up_wish, set_targets, to_step, wish_of
from cext.types cimport (
    GRID_PHASES,
    NOTHING_MA,
    ROWS,
    RULE_BLIND,
    RULE_SHED,
    SUM,
    Charger,
    World,
)

cdef enum:
    CROWD = 16  # fewer than so many all move as they may
    ONE_IN = 8
    NOISE_PART = 32  # of a rating: a larger excess is no noise, and everybody's
    LEAST = 2  # on each phase
    STEADY_MA = 1_000  # so much below its share nobody asks the swing chargers for more


cdef void apportion(World* world) noexcept nogil:
    """What each is to have in this tick: its target, and as much of the way there as calm permits."""
    park_idle(world)
    set_targets(world)
    balance(world)
    note_short(world)
    set_aims(world)


# --- who --------------------------------------------------------------------------------


cdef bint charges(const Charger* charger) noexcept nogil:
    """It has a share, and uses what it is offered as far as anybody knows."""
    return (
        obeys(charger) and charger.target >= charger.minimum and charger.order >= charger.minimum
        and not charger.idle and not charger.unproven
    )


cdef bint suits(const Charger* charger, int32_t how, int64_t turn) noexcept nogil:
    """Whether it can be a swing charger: 0, it is one; 1, it fits well and was none of late; 2, it
    fits well; 3, if there are no others."""
    if not charges(charger):
        return False
    if how == 0:
        return charger.swing != 0
    if how == 3:
        return True
    if how == 1 and turn - charger.swung_turn < ONE_IN:
        return False
    return (
        charger.metered and not charger.write_gap and charger.bound.rule != RULE_BLIND
        and charger.target > charger.minimum
    )


cdef void choose(World* world) noexcept nogil:
    """Marks swing chargers: those of before go on for their turn, as long as they are fit for it."""
    cdef int32_t i, how, phase, count = 0
    cdef int32_t lack[GRID_PHASES]
    cdef int32_t seen[GRID_PHASES]
    cdef Charger* charger
    for phase in range(GRID_PHASES):
        seen[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if world.swing_turn != world.turn_index:
            charger.swing = 0
        if charges(charger):
            count += 1
            for phase in range(GRID_PHASES):
                seen[phase] += charger.uses[phase] != 0
        charger.aim = -1  # not asked yet
    world.swing_turn = world.turn_index
    world.swings = 0
    if count < CROWD or world.leveled:
        for i in range(world.chargers_n):
            world.chargers[i].swing = 0
        return
    for phase in range(GRID_PHASES):
        lack[phase] = max(seen[phase] // ONE_IN, min(seen[phase], <int32_t>LEAST))
    for how in range(4):
        for i in range(world.chargers_n - 1, -1, -1):
            charger = &world.chargers[world.turn_order[i]]
            if charger.aim < 0 and suits(charger, how, world.turn_index):
                if wanted_there(charger, lack):
                    charger.aim = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.swing = charger.aim == 0
        if charger.swing:
            charger.swung_turn = world.turn_index
        world.swings += charger.swing


cdef bint wanted_there(const Charger* charger, int32_t* lack) noexcept nogil:
    """Takes one on where a phase that it uses has not enough of them."""
    cdef int32_t phase
    cdef bint wanted = False
    for phase in range(GRID_PHASES):
        wanted = wanted or (charger.uses[phase] and lack[phase] > 0)
    if not wanted:
        return False
    for phase in range(GRID_PHASES):
        lack[phase] -= charger.uses[phase] != 0
    return True


# --- what they aim at -------------------------------------------------------------------


cdef bint arrives(const World* world, const Charger* charger) noexcept nogil:
    """It began to charge a short while ago."""
    return charger.arrived_at > 0 and world.now - charger.arrived_at < charger.calm


cdef bint may_move(const World* world, const Charger* charger) noexcept nogil:
    """Whether it may rise now, as far as calm is concerned: swing chargers, who only just began to
    charge, who is still on its way up, and who has kept still for the calm time."""
    return (
        charger.swing or not world.swings or charger.climbs or arrives(world, charger)
        or charger.order < charger.minimum or world.now - charger.changed_at >= charger.calm
    )


cdef int32_t steady_aim(const World* world, const Charger* charger) noexcept nogil:
    """What one that is no swing charger is to have now: its order, or its share when it is due."""
    if not charger.started:
        return charger.target
    if charger.target <= charger.order or not may_move(world, charger):
        return charger.order
    if charger.shed_at and world.now - charger.shed_at < world.pace.dwell:
        return charger.order
    if world.swings and charger.target - charger.order < STEADY_MA and charger.target < charger.maximum:
        return charger.order
    return charger.target


cdef void set_aims(World* world) noexcept nogil:
    """What each order is to move to, calm considered; the targets stand."""
    cdef int32_t i, count = 0
    cdef Charger* charger
    choose(world)
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if charger.swing:
            world.wisher[count] = world.turn_order[i]
            wish_of(charger, &world.wishes[count], charger.demand)
            line_up_wish(charger, &world.wishes[count])
            count += 1
        else:
            charger.aim = steady_aim(world, charger)
    if count == 0:
        return
    leave_to_swing(world)
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        charger = &world.chargers[world.wisher[i]]
        charger.aim = to_step(
            charger, setpoint_for(charger, world.wishes[i].share + charger.standby)
        )


cdef void leave_to_swing(World* world) noexcept nogil:
    """Takes what the others are to have off what was handed out to all. The minima of the swing
    chargers stay: who is to be paused is decided elsewhere."""
    cdef int32_t i, phase, row, at
    cdef int64_t share
    cdef int64_t* sum
    cdef int64_t* taken = world.filler.least  # scratch until the run begins
    cdef int64_t* minima = world.filler.most
    cdef Charger* charger
    for i in range(world.circuits_n * ROWS):
        taken[i] = minima[i] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not at_table(world, charger):
            continue
        at = charger.circuit * ROWS
        share = worst_draw(charger, charger.minimum if charger.swing else charger.aim)
        for phase in range(GRID_PHASES):
            if charger.uses[phase]:
                sum = minima if charger.swing else taken
                sum[at + phase] += share - charger.standby
                sum[at + SUM] += share - charger.standby
    for i in range(world.circuits_n - 1, -1, -1):  # parents stand before their children
        for row in range(ROWS):
            at = i * ROWS + row
            if row < GRID_PHASES or world.circuits[i].summed:
                world.filler.cap[at] = max(world.filler.cap[at] - taken[at], minima[at])
        carry_up(world, i, taken)
        carry_up(world, i, minima)


# --- what they give first ---------------------------------------------------------------


cdef void shed_swing(World* world) noexcept nogil:
    """Swing chargers give of a net excess what they draw above their minima, one after the other,
    so that as few as possible have to dwell: who draws on other phases too comes last."""
    cdef int32_t i, only, phase
    cdef Charger* charger
    for i in range(world.circuits_n):
        if world.circuits[i].summed and world.circuits[i].excess[SUM] > 0:
            return
        for phase in range(GRID_PHASES):
            world.circuits[i].left[phase] = world.circuits[i].excess[phase]
            if world.circuits[i].excess[phase] > world.circuits[i].rating[phase] // NOISE_PART:
                return
    for only in range(1, -1, -1):
        for i in range(world.chargers_n - 1, -1, -1):
            charger = &world.chargers[world.turn_order[i]]
            if charger.swing and charger.fresh and charger.current_known and not charger.write_gap:
                give(world, charger, only)


cdef void give(World* world, Charger* charger, bint only) noexcept nogil:
    """Lowers one by what is left of the excess above it; `only` if it is so on all its phases."""
    cdef int32_t node = charger.circuit, phase, where = -1, which = 0
    cdef int64_t drawn = 0, most = 0, on_phase
    for phase in range(GRID_PHASES):
        if not charger.uses[phase]:
            continue
        drawn = max(drawn, charger.may_shed[phase])
        node, on_phase = charger.circuit, 0
        while node >= 0:
            if world.circuits[node].left[phase] > on_phase:
                on_phase = world.circuits[node].left[phase]
                if on_phase > most:
                    most, where, which = on_phase, node, phase
            node = world.circuits[node].parent
        if only and on_phase == 0:
            return
    drawn += least_order(charger)  # what it may not give is no part of what it may
    most = min(most, drawn - charger.minimum)
    if most <= 0:
        return
    drawn -= most
    most += drawn - to_step(charger, drawn)
    shed_to(world, charger, drawn, RULE_SHED, where, which)
    for phase in range(GRID_PHASES):
        if charger.uses[phase]:
            charger.may_shed[phase] = min(
                charger.may_shed[phase], <int64_t>charger.order - least_order(charger)
            )
            node = charger.circuit
            while node >= 0:
                world.circuits[node].left[phase] -= most
                node = world.circuits[node].parent
