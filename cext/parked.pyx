# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Who is offered current and draws none gives all of it back, while others are short of it.

A vehicle that is full, or waits for its own timer, would keep the current that its charger's minimum
reserves. Where somebody above it has been short for the calm time, it is *parked*: paused for as long
as somebody is, and until the turn has passed in which that was so last. Each turn it is asked again,
a few times (cext.demand), and later once an hour: offered its minimum for two minutes, and what it
can use as soon as it draws. It is asked at once when its vehicle does something.

Who may not be paused, or only until he is plugged in anew, keeps his minimum, and so does everybody
within his minimum time on; not who is only asked again, and still draws nothing.
"""

from libc.stdint cimport int32_t, int64_t

from cext.targets cimport blame
from cext.types cimport (
    GRID_PHASES,
    PAUSE_YES,
    RULE_BLIND,
    RULE_CAP,
    RULE_IDLE,
    RULE_TURN,
    Charger,
    Circuit,
    World,
)

cdef int64_t MINUTE = 60_000_000_000
cdef int64_t ASKED = 2 * MINUTE  # so long it is offered current again
cdef int64_t ASKED_EACH = 60 * MINUTE  # where its turns have been in vain


cdef void park_idle(World* world) noexcept nogil:
    """Takes their demand from those who draw nothing where somebody was short in the last tick."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not may_be_parked(world, charger):
            charger.parked = 0
            charger.parked_until = 0
            continue
        if world.now < charger.asked_until:
            charger.parked = 0
            continue
        if charger.was_idle and stands_in_the_way(world, charger):
            charger.parked_until = (world.turn_index + 1) * world.pace.turn
        if world.now >= charger.parked_until:
            charger.parked = 0
            continue
        if not charger.parked:
            charger.parked = 1
            charger.parked_at = world.now
        elif world.now - charger.parked_at >= ASKED_EACH:
            charger.asked_until = world.now + ASKED
            charger.parked = 0
            continue
        charger.demand = 0


cdef bint may_be_parked(const World* world, const Charger* charger) noexcept nogil:
    if not charger.idle or charger.may_pause != PAUSE_YES or charger.demand == 0:
        return False
    if charger.offers or not charger.on_since:  # what it is asked again with wears nothing out
        return True
    return world.now - charger.on_since >= charger.min_on


cdef bint stands_in_the_way(const World* world, const Charger* charger) noexcept nogil:
    """Whether what it reserves is what others have lacked for the calm time."""
    cdef int32_t node = charger.circuit, phase
    cdef const Circuit* circuit
    while node >= 0:
        circuit = &world.circuits[node]
        for phase in range(GRID_PHASES):
            if charger.uses[phase] and circuit.short_now[phase]:
                if circuit.short_for[phase] >= world.pace.calm:
                    return True
        node = circuit.parent
    return False


cdef bint is_short(const Charger* charger) noexcept nogil:
    """Whether its share ends at a circuit, below what it can use."""
    if charger.idle or not charger.fresh or charger.bound.circuit < 0:
        return False
    if charger.bound.rule not in (RULE_CAP, RULE_BLIND, RULE_TURN):
        return False
    return charger.target < charger.demand


cdef void note_short(World* world) noexcept nogil:
    """Notes for how long shares have ended where they could be more; the targets stand."""
    cdef int32_t i, phase
    cdef int64_t passed = world.now - world.shared_at if world.shared_at else 0
    cdef Charger* charger
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            world.circuits[i].short_now[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.was_idle = charger.idle
        if charger.parked:
            blame(world, &charger.bound, RULE_IDLE, -1, -1)
        elif is_short(charger):
            for phase in range(GRID_PHASES):
                if phase == charger.bound.phase or charger.bound.phase >= GRID_PHASES:
                    world.circuits[charger.bound.circuit].short_now[phase] = 1
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            count_short(&world.circuits[i], phase, passed, world.pace.calm)
    world.shared_at = world.now


cdef void count_short(
    Circuit* circuit, int32_t phase, int64_t passed, int64_t most
) noexcept nogil:
    """Time in which somebody is short counts, four times as long a time in which nobody is takes
    it back: which phase ends a share changes with every reading."""
    cdef int64_t after = circuit.short_for[phase]
    after += passed if circuit.short_now[phase] else -passed // 4
    circuit.short_for[phase] = min(max(after, <int64_t>0), most)
