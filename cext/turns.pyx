# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Whose turn it is when not all can have their minimum.

Every vehicle that wants current has a place in a queue, by the instant at which it came. When a
turn passes (on a fixed period), whoever has been on for half a period goes to the end of it, the
one that has been on longest last. Nobody is switched off for that; only where not all minima fit
does the order of the queue say who has them. In that order stand:

1. who may not be paused, and who would not begin again (cext.pause);
2. who is within its minimum time on, by class: switching it off would only wear things out;
3. who has waited longer than its class waits: by its place, whatever its class, until the turn in
   which it gets its minimum has passed, so that nobody waits for ever behind a class that goes
   before, nor behind those for whom advice speaks;
4. class by class, in each those with an advised floor first, then by place, and last who was
   offered current for a minute and drew none: its turn has passed to the others. It is offered
   again with a new place when the next turn begins, a few times, and then only where there is
   room for all (cext.demand).

Silence changes no place. All of this says who is *asked* first: no cap counts for less.
"""

from libc.stdint cimport int32_t, int64_t

from cext.latch cimport stays_down
from cext.pause cimport OTHERS, pause_rank
from cext.sort cimport sort_events
from cext.types cimport (
    RULE_ADVICE,
    RULE_CAP,
    RULE_IDLE,
    RULE_SHED,
    RULE_TURN,
    VEHICLE_A,
    VEHICLE_E,
    VEHICLE_F,
    Charger,
    Event,
    World,
)


cdef enum:
    ROWS_OF_CLASS = 3  # an advised floor, none, idle


cdef void pass_turn(World* world) noexcept nogil:
    """Which turn it is; at the beginning of a tick. None passes where nobody may rise: it would
    take from those who charge and give to nobody."""
    cdef int64_t turn = world.now // world.pace.turn
    world.turn_passes = (
        turn != world.turn_index and world.turn_index >= 0 and not stays_down(world)
    )
    world.turn_index = turn


cdef void queue_up(World* world) noexcept nogil:
    """Everybody's place in this tick; demands stand."""
    cdef int32_t i
    for i in range(world.chargers_n):
        if take_place(world, &world.chargers[i]):
            world.unsorted = 1
    if world.turn_passes:
        go_round(world)
    if world.unsorted:
        sort_places(world)
    line_up(world)


cdef inline bint for_others(const Charger* charger) noexcept nogil:
    """Whether it was switched off because not all could have their minimum; else it may go on as
    soon as what was wrong has ended."""
    return charger.cause.rule in (RULE_TURN, RULE_CAP, RULE_SHED, RULE_ADVICE, RULE_IDLE)


cdef bint take_place(World* world, Charger* charger) noexcept nogil:
    """What it is about, and whether its place has changed."""
    cdef int64_t now = max(world.now, <int64_t>1)  # 0 means never
    cdef bint on = charger.started and charger.order > 0 and charger.order >= charger.minimum
    cdef bint came
    if on != (charger.on_since != 0):
        charger.on_since = charger.turn_since = now if on else 0
        charger.off_since = now if not on and for_others(charger) else 0
    if not charger.fresh:
        return False
    if charger.vehicle in (VEHICLE_A, VEHICLE_E, VEHICLE_F):
        charger.off_since = 0  # whatever comes next is not switched on again
    if charger.demand <= 0 or charger.demand < charger.minimum or charger.idle:
        charger.queued = charger.overdue = 0
        charger.waits_since = 0
        return False
    came = not charger.queued
    if came:
        charger.queued = 1
        charger.place = now
    if on:
        charger.waits_since = 0
    elif charger.waits_since == 0:
        charger.waits_since = now
    if charger.waits_since and now - charger.waits_since >= charger.class_wait >= 0:
        charger.overdue = 1
    return came


cdef void go_round(World* world) noexcept nogil:
    """Those that have had their turn go to the end of the queue, the longest on last."""
    cdef int32_t i, count = 0
    cdef Charger* charger
    cdef Event* events = world.filler.floors
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not charger.on_since or not charger.queued:
            continue
        if world.now - charger.turn_since < world.pace.turn // 2:
            continue
        events[count].level = charger.on_since
        events[count].who = i
        count += 1
    events = in_order(world, count)
    for i in range(count):
        charger = &world.chargers[events[i].who]
        charger.place = world.now + count - i  # apart by less than ticks are
        charger.turn_since = world.now
        charger.overdue = 0
        world.unsorted = 1


cdef Event* in_order(World* world, int32_t count) noexcept nogil:
    """The first `count` of the fair-share run's events, which nobody needs now, by level."""
    cdef Event* events = sort_events(world.filler.floors, world.filler.spare, count)
    if events == world.filler.spare:
        world.filler.spare = world.filler.floors
        world.filler.floors = events
    return events


cdef void sort_places(World* world) noexcept nogil:
    """All by their places, and by index where these are the same."""
    cdef int32_t i
    cdef Event* events = world.filler.floors
    for i in range(world.chargers_n):
        events[i].level = world.chargers[i].place
        events[i].who = i
    events = in_order(world, world.chargers_n)
    for i in range(world.chargers_n):
        world.by_place[i] = events[i].who
    world.unsorted = 0


cdef inline int32_t last_early(const World* world) noexcept nogil:
    """The last row whose minima go before every class."""
    return OTHERS + world.classes


cdef int32_t row_of(const World* world, const Charger* charger) noexcept nogil:
    """Which row of the queue a charger stands in; lower goes first."""
    cdef int32_t rank = pause_rank(charger)
    cdef int32_t first = last_early(world) + 1 + ROWS_OF_CLASS * charger.class_index
    if rank < OTHERS:
        return rank
    if charger.idle:
        return first + 2
    if charger.queued and charger.on_since and world.now - charger.on_since < charger.min_on:
        return OTHERS + charger.class_index
    if charger.overdue:
        return last_early(world)
    return first + (charger.advised_floor <= 0)


cdef void line_up(World* world) noexcept nogil:
    """The order in which minima are handed out: row by row, in each by place."""
    cdef int32_t i, place = 0, count, rows = last_early(world) + 1 + ROWS_OF_CLASS * world.classes
    cdef Charger* charger
    for i in range(rows):
        world.rows[i] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.row = row_of(world, charger)
        charger.early = charger.row <= last_early(world)
        world.rows[charger.row] += 1
    for i in range(rows):
        count = world.rows[i]
        world.rows[i] = place
        place += count
    for i in range(world.chargers_n):
        charger = &world.chargers[world.by_place[i]]
        world.turn_order[world.rows[charger.row]] = world.by_place[i]
        world.rows[charger.row] += 1
