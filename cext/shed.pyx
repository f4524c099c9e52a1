# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Down at once: what a net excess, a fallen cap, a blind circuit or silence asks for.

A net excess asks for a lower draw of what is metered, shared out fairly with what is drawn
now as maxima; what is permitted and not drawn goes first, for nobody knows when it wakes. A
cap that fell, a blind circuit that does not fit, or one where phases were taken back and do not
fit, asks all below it to go to their targets.
"""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport bounds_of, on_bar, rows_of
from cext.draw cimport obeys, ordered_draw
from cext.frozen cimport tells_draw
from cext.orders cimport shed_to
from cext.pause cimport least_order
from cext.shares cimport fill
from cext.sums cimport bears
from cext.swing cimport shed_swing
from cext.targets cimport blame
from cext.unheard cimport shed_untold
from cext.types cimport (
    AT_BUSBAR,
    GRID_PHASES,
    ROWS,
    RULE_BLIND,
    RULE_CAP,
    RULE_FALLBACK,
    RULE_SHED,
    RULE_SILENT,
    SUM,
    WORTH_MA,
    Charger,
    Circuit,
    Why,
    Wish,
    World,
)

# In this order a net excess is asked for.
cdef enum:
    QUICK = 0
    PACED = 1
    SUSPECTS = 2

cdef int64_t NO_CAP = 0x7FFFFFFF
cdef int64_t NO_SUM = 1 << 40  # no sum of currents is as high


cdef void lower_silent(World* world) noexcept nogil:
    """Out of touch, a charger finds its fail-safe setpoint when it comes back, or less."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.started and not charger.fresh:
            shed_to(world, charger, charger.failsafe, RULE_SILENT, -1, -1)


cdef void fall_back(World* world) noexcept nogil:
    """Expired orders do not come to life again, and who leaves the depot leaves it safe: what
    goes on is the lesser of the setpoint in force and the fail-safe setpoint."""
    cdef int32_t i, setpoint
    cdef Charger* charger
    if not world.lapsed and not world.leaving:
        return
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        setpoint = charger.failsafe
        if charger.in_force >= 0:
            setpoint = min(setpoint, charger.in_force)
        if charger.started:
            shed_to(world, charger, setpoint, RULE_FALLBACK, -1, -1)


cdef bint excess_above(World* world, const Charger* charger, Why* where) noexcept nogil:
    """Whether a circuit and row above a charger carries a net excess, and which first."""
    cdef int32_t node = charger.circuit, row
    while node >= 0:
        for row in range(rows_of(&world.circuits[node])):
            if world.circuits[node].excess[row] > 0 and bears(&world.circuits[node], charger, row):
                blame(world, where, RULE_SHED, node, row)
                return True
        node = world.circuits[node].parent
    return False


cdef void shed_excess(World* world) noexcept nogil:
    """Lowers what is drawn, fairly, until what is ordered takes every net excess away.

    First swing chargers (cext.swing), then what takes a write at once; then what its own pacing may
    delay: what was lowered in its place rises again once targets have moved it, calmly. What is
    left asks suspects, each once in the time it takes to show. (And right after a start:
    cext.unheard.)
    """
    cdef int32_t i, row
    cdef bint over = False
    for i in range(world.circuits_n):
        for row in range(rows_of(&world.circuits[i])):
            over = over or world.circuits[i].excess[row] > 0
    if not over:
        return
    shed_unseen(world)
    shed_swing(world)
    shed_seen(world, QUICK)
    if world.paced:
        shed_seen(world, PACED)
    shed_seen(world, SUSPECTS)
    shed_untold(world)


cdef int64_t keeps(const Charger* charger) noexcept nogil:
    """What an order may stay at under a net excess, as far as what is not drawn is concerned.

    Where nobody knows the draw: the share of what the upper ends leave, or 0 where no order
    counts. Where it is known: no less than what is drawn; that is shed by its own rule.
    """
    cdef int32_t phase
    cdef int64_t drawn = 0
    if not charger.fresh or (charger.suspect and not tells_draw(charger)):
        return 0
    if tells_draw(charger):
        for phase in range(GRID_PHASES):
            drawn = max(drawn, charger.may_shed[phase])
        drawn += WORTH_MA + least_order(charger)
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


cdef int64_t still_allowed(const Circuit* circuit, int32_t row, int32_t who) noexcept nogil:
    """How much of the draw of those that may stay, when those before them gave all they can."""
    cdef int64_t before = 0, own = circuit.quick_shed[row]
    if who == PACED:
        before = circuit.quick_shed[row]
        own = circuit.may_shed[row] - before
    elif who == SUSPECTS:
        before = circuit.may_shed[row]
        own = circuit.suspect_draw[row]
    if circuit.excess[row] <= before:
        return NO_CAP
    return own - (circuit.excess[row] - before)


cdef int32_t whose(const Charger* charger) noexcept nogil:
    if charger.suspect:
        return SUSPECTS
    return PACED if charger.write_gap else QUICK


cdef void shed_seen(World* world, int32_t who) noexcept nogil:
    """One fair-share run with what is drawn as maxima; what was not granted is taken off."""
    cdef int32_t i, row, count = 0
    cdef int64_t taken
    cdef bint suspects = who == SUSPECTS
    cdef Charger* charger
    cdef Wish* wish
    for i in range(world.circuits_n):
        world.filler.cap[i * ROWS + SUM] = NO_SUM
        for row in range(rows_of(&world.circuits[i])):
            world.filler.cap[i * ROWS + row] = still_allowed(&world.circuits[i], row, who)
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if whose(charger) == who and wish_to_keep(charger, &world.wishes[count]):
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
        shed_to(world, charger,
                charger.order - taken if suspects else wish.share + least_order(charger),
                RULE_SHED, wish.bound_circuit, wish.bound_phase)


cdef bint wish_to_keep(const Charger* charger, Wish* wish) noexcept nogil:
    """A metered charger's wish to keep what it draws; False when there is nothing to shed."""
    cdef int32_t phase
    cdef int64_t most = 0
    if not charger.started or not tells_draw(charger):
        return False
    wish.wired[SUM] = 0
    for phase in range(GRID_PHASES):
        wish.wired[phase] = charger.may_shed[phase] > 0
        if charger.summed:
            wish.wired[SUM] += wish.wired[phase]
        most = max(most, charger.may_shed[phase])
    if most == 0:
        return False
    wish.circuit = charger.circuit
    wish.weight = charger.pull
    wish.stage = charger.class_index
    wish.early = charger.early
    wish.floor = charger.advised_floor
    wish.maximum = most
    wish.minimum = 0 if least_order(charger) else min(most, <int64_t>charger.minimum)
    return True


cdef void fall_to_targets(World* world) noexcept nogil:
    """Below what must fall now, all go to their targets."""
    cdef int32_t i, row, node
    cdef bint some = False
    cdef Circuit* circuit
    cdef Charger* charger
    sum_ordered(world)
    for i in range(world.circuits_n):
        for row in range(bounds_of(&world.circuits[i])):
            some = some or must_fall(&world.circuits[i], row)
    if not some:
        return
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        node = charger.circuit
        while charger.started and node >= 0:
            circuit = &world.circuits[node]
            for row in range(bounds_of(circuit)):
                if bears(circuit, charger, row) and must_fall(circuit, row):
                    shed_to(world, charger, charger.target if obeys(charger) else 0,
                            RULE_CAP if circuit.fresh or row >= AT_BUSBAR else RULE_BLIND, node,
                            row)
            node = circuit.parent


cdef void sum_ordered(World* world) noexcept nogil:
    """What all below each circuit draw at the most, once their orders hold."""
    cdef int32_t i, phase
    cdef int64_t most[GRID_PHASES]
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        for phase in range(ROWS):
            world.circuits[i].ordered[phase] = 0
    for i in range(world.chargers_n):
        ordered_draw(world, &world.chargers[i], most)
        circuit = &world.circuits[world.chargers[i].circuit]
        for phase in range(GRID_PHASES):
            circuit.ordered[phase] += most[phase]
            circuit.ordered[SUM] += most[phase]
    for i in range(world.circuits_n - 1, 0, -1):  # parents stand before their children
        circuit = &world.circuits[i]
        for phase in range(ROWS):
            world.circuits[circuit.parent].ordered[phase] += circuit.ordered[phase]


cdef bint must_fall(const Circuit* circuit, int32_t row) noexcept nogil:
    if row >= AT_BUSBAR:
        return circuit.ordered[row - AT_BUSBAR] > on_bar(circuit, row - AT_BUSBAR)
    if row == SUM and not circuit.summed:
        return False
    if circuit.cap[row] < circuit.cap_before[row]:
        return True
    if circuit.fresh and not circuit.retaken[row]:
        return False
    return circuit.base_hi[row] + circuit.ordered[row] > circuit.cap[row]
