# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Right after a start: an excess, and somebody who may draw it has not been heard yet.

A charger that has not answered since the start counts at its share for a while, so that nobody is
lowered for it (cext.draw). Where a meter shows an excess that those who tell their draw cannot take
away, that is no longer so: it counts at its upper end, and those whose draw nobody tells share what
is left beside it.
"""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport carry_up, rows_of
from cext.draw cimport obeys, proving, setpoint_for, worst_draw
from cext.frozen cimport tells_draw
from cext.orders cimport shed_to
from cext.pause cimport least_order
from cext.shares cimport fill
from cext.targets cimport line_up_wish, wish_of
from cext.types cimport GRID_PHASES, ROWS, RULE_SHED, SUM, Charger, Circuit, Wish, World

cdef int64_t NO_CAP = 1 << 40  # no sum of currents is as high


cdef void shed_untold(World* world) noexcept nogil:
    """Once everybody else has been asked for the net excess."""
    cdef int32_t i, count = 0
    cdef Charger* charger
    cdef Wish* wish
    if not someone_asks(world):
        return
    for i in range(world.chargers_n):
        charger = &world.chargers[world.turn_order[i]]
        if is_asked(charger):
            wish = &world.wishes[count]
            wish_of(charger, wish, charger.order)
            line_up_wish(charger, wish)
            world.wisher[count] = world.turn_order[i]
            count += 1
    if count == 0:
        return
    leave_room(world)
    fill(&world.filler, world.wishes, count)
    for i in range(count):
        charger = &world.chargers[world.wisher[i]]
        wish = &world.wishes[i]
        if wish.bound_circuit >= 0:
            shed_to(
                world, charger, setpoint_for(charger, wish.share + charger.standby), RULE_SHED,
                wish.bound_circuit, wish.bound_phase,
            )


cdef bint is_asked(const Charger* charger) noexcept nogil:
    return obeys(charger) and not tells_draw(charger) and charger.order > least_order(charger)


cdef bint lacks_more(const Circuit* circuit, int32_t row) noexcept nogil:
    """By more than those who tell their draw were asked for, with somebody below unheard."""
    return (
        circuit.asked
        and circuit.excess[row] > circuit.may_shed[row] + circuit.suspect_draw[row]
    )


cdef bint someone_asks(World* world) noexcept nogil:
    """Whether a circuit is over its cap by more than those who tell their draw can give, with
    somebody below that was not heard yet."""
    cdef int32_t i, row, node
    cdef bint some = False
    for i in range(world.circuits_n):
        world.circuits[i].asked = 0
    for i in range(world.chargers_n):
        node = world.chargers[i].circuit if proving(world, &world.chargers[i]) else -1
        while node >= 0 and not world.circuits[node].asked:
            world.circuits[node].asked = 1
            node = world.circuits[node].parent
    for i in range(world.circuits_n):
        for row in range(rows_of(&world.circuits[i])):
            some = some or lacks_more(&world.circuits[i], row)
    return some


cdef void leave_room(World* world) noexcept nogil:
    """What each circuit that asks leaves to those asked, beside all others at their worst."""
    cdef int32_t i, row, at, phase
    cdef bint told, asked
    cdef int64_t draw, once_told
    cdef int64_t* sum = world.filler.least  # scratch until the run begins
    cdef Charger* charger
    cdef Circuit* circuit
    for i in range(world.circuits_n * ROWS):
        sum[i] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        told, asked = obeys(charger), is_asked(charger)
        once_told = charger.standby if asked else worst_draw(charger, charger.order)
        for phase in range(GRID_PHASES):
            draw = charger.draw_hi[phase]
            if told and charger.uses[phase]:
                draw = once_told
            sum[charger.circuit * ROWS + phase] += draw
            sum[charger.circuit * ROWS + SUM] += draw
    for i in range(world.circuits_n - 1, -1, -1):  # parents stand before their children
        circuit = &world.circuits[i]
        for row in range(ROWS):
            at = i * ROWS + row
            world.filler.cap[at] = NO_CAP
            if row < rows_of(circuit) and lacks_more(circuit, row):
                world.filler.cap[at] = circuit.cap[row] - circuit.base_hi[row] - sum[at]
        carry_up(world, i, sum)
