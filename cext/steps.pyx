# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Left-over steps: shares are exact, setpoints come in steps, and what rounding leaves goes round.

Once targets are rounded down, whole steps that still fit under every cap are handed out, one to
a charger, in an order that is the same for a whole turn. When a turn passes, those that had one
go to the end. So a step changes hands once in a turn, never more than once a minute, and where
nothing else moves nothing moves.
"""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport carry_up
from cext.draw cimport worst_draw
from cext.types cimport ROWS, SUM, Charger, World

cdef int64_t MINUTE = 60_000_000_000


cdef void hand_round(World* world) noexcept nogil:
    """One pass over those that could take one more step; `Charger.next_step` is what it draws."""
    cdef int32_t i
    cdef bint any_wants = False
    cdef Charger* charger
    if world.turn_passes and world.now - world.steps_moved_at >= MINUTE:
        move_on(world)
    for i in range(world.chargers_n):
        any_wants = any_wants or world.chargers[i].next_step > 0
    if not any_wants:
        return
    count_left(world)
    for i in range(world.chargers_n):
        charger = &world.chargers[world.step_order[i]]
        charger.has_step = charger.next_step > 0 and fits(world, charger)
        if charger.has_step:
            take_off(world, charger, charger.next_step)
            charger.target += charger.step


cdef void move_on(World* world) noexcept nogil:
    """Those that have a left-over step go to the end; the others keep their order."""
    cdef int32_t i, kept = 0, moved = 0
    cdef int32_t* last = world.wisher  # scratch until wishes are lined up
    world.steps_moved_at = world.now
    for i in range(world.chargers_n):
        if world.chargers[world.step_order[i]].has_step:
            last[moved] = world.step_order[i]
            moved += 1
        else:
            world.step_order[kept] = world.step_order[i]
            kept += 1
    for i in range(moved):
        world.step_order[kept + i] = last[i]


cdef inline int32_t times(const Charger* charger, int32_t row) noexcept nogil:
    """How often a charger's draw counts in a row: phases, and what they carry together."""
    if row != SUM:
        return charger.uses[row]
    return charger.summed * (charger.uses[0] + charger.uses[1] + charger.uses[2])


cdef void count_left(World* world) noexcept nogil:
    """What targets leave of what was handed out, on each circuit and row."""
    cdef int32_t i, row
    cdef int64_t drawn
    cdef int64_t* sum = world.filler.least  # scratch: the run is over
    cdef Charger* charger
    for i in range(world.circuits_n * ROWS):
        sum[i] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not charger.served:
            continue
        drawn = worst_draw(charger, charger.target) - charger.standby
        for row in range(ROWS):
            sum[charger.circuit * ROWS + row] += drawn * times(charger, row)
    for i in range(world.circuits_n - 1, -1, -1):
        carry_up(world, i, sum)
    for i in range(world.circuits_n * ROWS):
        sum[i] = world.filler.cap[i] - sum[i]


cdef bint fits(const World* world, const Charger* charger) noexcept nogil:
    cdef int32_t node = charger.circuit, row
    while node >= 0:
        for row in range(ROWS):
            if times(charger, row) and (
                world.filler.least[node * ROWS + row] < charger.next_step * times(charger, row)
            ):
                return False
        node = world.circuits[node].parent
    return True


cdef void take_off(World* world, const Charger* charger, int64_t drawn) noexcept nogil:
    cdef int32_t node = charger.circuit, row
    while node >= 0:
        for row in range(ROWS):
            world.filler.least[node * ROWS + row] -= drawn * times(charger, row)
        node = world.circuits[node].parent
