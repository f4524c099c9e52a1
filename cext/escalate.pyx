# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""When what was ordered does not help: pause, open the contactor, drop the group's relay.

Only against chargers that are suspected (stubborn ones are), or silent; only while a circuit
above is over its cap by more than a margin, after what is ordered has been credited. Each step
waits until nothing has improved for as long as a step takes to show, or until no more time is
left: the excess has to be gone by the limit's `clear_within`, and before the protective device
trips by what it has carried so far (cext.thermal), whichever is first. For an economic limit the last
step is the pause.

How a circuit stands, and since when, says cext.excess.

Where nothing is left to shed and the circuit is still over, it is beyond control: that is said,
and nothing else is switched off for it.
"""

from libc.stdint cimport int32_t, int64_t

from cext.contactors cimport open_contactor
from cext.draw cimport booting, obeys
from cext.excess cimport Case, examine, harden, leave_out_reserved
from cext.orders cimport shed_to
from cext.pause cimport at_least_order
from cext.sums cimport bears, drawn_in
from cext.types cimport (
    AT_BUSBAR,
    BOUNDS,
    GRID_PHASES,
    NOTHING_MA,
    RULE_OPENED,
    RULE_PAUSED,
    SUM,
    Charger,
    Circuit,
    Contactor,
    World,
)

cdef enum:
    AT_ONCE = 8  # contactors that one tick opens for one circuit, at the most

cdef int64_t SECOND = 1_000_000_000
cdef int64_t PAUSED = 5 * SECOND  # a contactor opens so long after 0 A was ordered, if time permits
cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFF


cdef void escalate(World* world) noexcept nogil:
    """Takes the next step on every circuit that needs one; the deepest first."""
    cdef int32_t i
    cdef Case case
    if world.pace.observe:
        return
    leave_out_reserved(world)
    harden(world)
    for i in range(world.circuits_n - 1, -1, -1):
        if examine(world, i, &case):
            proceed(world, i, &case)


# --- who is to blame ---------------------------------------------------------------------


cdef bint is_below(const World* world, int32_t circuit, int32_t top) noexcept nogil:
    while circuit > top:  # parents stand before their children
        circuit = world.circuits[circuit].parent
    return circuit == top


cdef bint disobeys(const World* world, const Charger* charger) noexcept nogil:
    """Suspected or silent, and not known to be cut off."""
    if charger.cut or booting(charger, world.now):
        return False
    return charger.suspect or not charger.fresh


cdef bint feeds(const Charger* charger, const int64_t* over, bint read) noexcept nogil:
    """Whether it may be drawing where there is too much; what a meter `read` is no may-be."""
    cdef int32_t row, phase
    for row in range(BOUNDS):
        for phase in range(GRID_PHASES):
            if over[row] <= 0 or charger.draw_hi[phase] <= charger.standby:
                continue
            if row != SUM and phase != (row if row < AT_BUSBAR else row - AT_BUSBAR):
                continue
            if not (read and row < AT_BUSBAR and charger.fresh and charger.current_known):
                return True
            if charger.current[phase] >= NOTHING_MA:
                return True
    return False


cdef bint is_culprit(
    const World* world, const Charger* charger, int32_t top, const int64_t* over
) noexcept nogil:
    return (
        disobeys(world, charger) and feeds(charger, over, world.circuits[top].fresh)
        and is_below(world, charger.circuit, top)
    )


# --- the steps --------------------------------------------------------------------------


cdef void proceed(World* world, int32_t top, Case* case) noexcept nogil:
    """One step, if one is due; where none is left, says so."""
    cdef Circuit* circuit = &world.circuits[top]
    cdef int32_t i
    cdef int64_t wait = case.shows + SECOND
    for i in range(world.chargers_n):
        if is_culprit(world, &world.chargers[i], top, case.over):
            wait = max(wait, world.chargers[i].show)
    case.patient = world.now - circuit.stood_at >= wait
    circuit.waits = wait
    if pause(world, top, case) or part(world, top, case) or drop(world, top, case):
        circuit.stood_at = world.now
        circuit.least_over = case.worst
    if case.pending or not case.patient or not at_floor(world, top, case):
        circuit.beyond_control = circuit.beyond_control and at_floor(world, top, case)
    else:
        circuit.beyond_control = 1


cdef bint is_due(const World* world, int64_t clear_by, int64_t lead) noexcept nogil:
    """Whether a step that takes so long is to be taken now, whatever else it might wait for."""
    return clear_by != NEVER and world.now >= clear_by - lead


cdef bint urgent(const World* world, const Case* case, int64_t lead) noexcept nogil:
    return is_due(world, case.clear_by, lead)


cdef int64_t group_lead(const Charger* charger, const Case* case) noexcept nogil:
    """What the last step against a charger takes; 0 where there is none."""
    return charger.group_opens + case.shows if charger.group_opens >= 0 else 0


cdef int64_t own_lead(World* world, const Charger* charger, const Case* case) noexcept nogil:
    """What opening its own contactor takes, and to see that it did not help, and the rest."""
    if charger.own < 0 or not world.contactors[charger.own].closed:
        return group_lead(charger, case)
    return world.contactors[charger.own].opens + case.shows + group_lead(charger, case)


cdef bint pause(World* world, int32_t top, Case* case) noexcept nogil:
    """Orders 0 A from every culprit, from one that is never paused its minimum; True when that was
    news for one."""
    cdef int32_t i
    cdef int64_t lead
    cdef bint done = False
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not charger.started or at_least_order(charger):
            continue
        if not is_culprit(world, charger, top, case.over):
            continue
        lead = PAUSED + own_lead(world, charger, case)
        # an economic limit has no step after this one
        if (case.patient or urgent(world, case, lead)
                or is_due(world, case.pause_by, case.shows)):
            shed_to(world, charger, 0, RULE_PAUSED, top, case.soft)
            done = True
        case.pending = True
    return done


cdef bint paused_long(const World* world, const Charger* charger) noexcept nogil:
    """0 A was ordered long enough ago; one that was never ordered anything was told nothing."""
    if not charger.started:
        return True
    return at_least_order(charger) and world.now - charger.changed_at >= PAUSED


cdef int64_t drawn(const Charger* charger, int32_t row) noexcept nogil:
    cdef int64_t most[GRID_PHASES]
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        most[phase] = charger.draw_hi[phase]
        if charger.fresh and charger.current_known:
            most[phase] = max(charger.current[phase], 0)
        if not charger.wired[phase]:
            most[phase] = 0
    return drawn_in(row, most)


cdef int64_t greatest_need(const Case* case) noexcept nogil:
    cdef int32_t row
    cdef int64_t most = 0
    for row in range(BOUNDS):
        most = max(most, case.need[row])
    return most


cdef void relieve(World* world, int32_t top, Case* case) noexcept nogil:
    """What was cut off so lately that it does not show yet is no longer needed.

    Where time presses, only what was measured counts as such.
    """
    cdef int32_t i, row
    cdef int64_t within, parted
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        within = charger.parting + case.shows
        if not charger.parted or world.now - charger.parted_at > within:
            continue
        if not is_below(world, charger.circuit, top):
            continue
        if not charger.parted_known and urgent(world, case, within):
            continue
        for row in range(BOUNDS):
            if charger.cut and (row >= AT_BUSBAR or not world.circuits[top].fresh):
                continue  # it is counted at 0 already
            parted = drawn_in(row, charger.parted_ma)
            if case.need[row] > 0 and parted > 0:
                case.need[row] = max(0, case.need[row] - parted)
                case.pending = True


cdef bint part(World* world, int32_t top, Case* case) noexcept nogil:
    """Opens culprits' own contactors, as few as take the need away; True when one was opened."""
    cdef int32_t n, row, best
    cdef Charger* charger
    cdef bint done = False
    case.hard.rule = RULE_OPENED
    relieve(world, top, case)
    for n in range(AT_ONCE):
        best = next_to_part(world, top, case)
        if best < 0:
            break
        charger = &world.chargers[best]
        for row in range(BOUNDS):
            case.need[row] = max(0, case.need[row] - drawn(charger, row))
        open_contactor(world, &world.contactors[charger.own], &case.hard)
        case.pending = done = True
    return done


cdef int32_t next_to_part(World* world, int32_t top, Case* case) noexcept nogil:
    """The culprit that draws just enough, else the one that draws most; -1 where none is ready."""
    cdef int32_t i, best = -1
    cdef int64_t draw, need, best_draw = 0
    cdef Charger* charger
    cdef bint ready
    need = greatest_need(case)
    if need <= 0:
        return -1
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.own < 0 or not world.contactors[charger.own].closed:
            continue
        if not is_culprit(world, charger, top, case.need):
            continue
        case.pending = True
        ready = case.patient and paused_long(world, charger)
        if not ready and not urgent(world, case, own_lead(world, charger, case)):
            continue
        draw = most_needed(charger, case)
        if best < 0 or (draw > best_draw if best_draw < need else need <= draw < best_draw):
            best = i
            best_draw = draw
    return best


cdef int64_t most_needed(const Charger* charger, const Case* case) noexcept nogil:
    """What it draws where there is need, at the most."""
    cdef int32_t row
    cdef int64_t most = 0
    for row in range(BOUNDS):
        if case.need[row] > 0:
            most = max(most, drawn(charger, row))
    return most


# --- groups -----------------------------------------------------------------------------


cdef bint drop(World* world, int32_t top, Case* case) noexcept nogil:
    """The last step: the group whose loss does the least harm. True when one was dropped.

    All of it is told 0 A first. Not while a contactor of a culprit's own may still help.
    """
    cdef int32_t best = -1, i, n
    cdef int64_t harm, least = 0, lead = 0
    cdef Contactor* group
    cdef Charger* charger
    cdef bint ready = case.patient
    if case.pending or greatest_need(case) <= 0:
        return False
    for i in range(world.contactors_n):
        group = &world.contactors[i]
        if group.group and group.closed and holds_culprit(world, group, top, case):
            harm = harm_of(world, group)
            if best < 0 or harm < least:
                best = i
                least = harm
    if best < 0:
        return False
    case.pending = True
    group = &world.contactors[best]
    lead = group.opens + case.shows
    if not case.patient and not urgent(world, case, lead + PAUSED):
        return False
    for n in range(group.count):
        charger = &world.chargers[world.members[group.first + n]]
        ready = ready and paused_long(world, charger)
        shed_to(world, charger, 0, RULE_PAUSED, top, case.hard_row)
    if not ready and not urgent(world, case, lead):
        return False
    open_contactor(world, group, &case.hard)
    return True


cdef bint holds_culprit(
    World* world, const Contactor* group, int32_t top, const Case* case
) noexcept nogil:
    cdef int32_t n
    for n in range(group.count):
        if is_culprit(
            world, &world.chargers[world.members[group.first + n]], top, case.need
        ):
            return True
    return False


cdef int64_t harm_of(World* world, const Contactor* group) noexcept nogil:
    """What the obedient in a group lose, in mA over the phases; the more of them, the more."""
    cdef int32_t n, phase
    cdef int64_t harm = 0
    cdef Charger* charger
    for n in range(group.count):
        charger = &world.chargers[world.members[group.first + n]]
        if disobeys(world, charger) or charger.cut:
            continue
        harm += 1
        for phase in range(GRID_PHASES):
            harm += charger.draw_hi[phase]
    return harm


# --- nothing left -----------------------------------------------------------------------


cdef bint may_draw(const Charger* charger, int32_t row) noexcept nogil:
    """Whether its last report shows a current that counts in a row."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        if charger.current[phase] >= NOTHING_MA and (
            row == SUM or phase == (row if row < AT_BUSBAR else row - AT_BUSBAR)
        ):
            return True
    return False


cdef bint at_floor(World* world, int32_t top, const Case* case) noexcept nogil:
    """Whether nobody who listens draws any more where the circuit is over."""
    cdef int32_t i, row
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if at_least_order(charger) or not obeys(charger):
            continue
        if not is_below(world, charger.circuit, top):
            continue
        for row in range(BOUNDS):
            if case.over[row] > 0 and bears(&world.circuits[top], charger, row) and (
                not charger.current_known or may_draw(charger, row)
            ):
                return False
    return True
