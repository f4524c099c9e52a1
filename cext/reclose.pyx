# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""How power comes back: one contactor at a time.

A start finds a contactor open, because without power it is; each is closed like one that was
opened: never while a circuit above is over its cap, and only when the power-on currents of
what wakes up fit beside everything else. They are counted from before the order to close until
the chargers report.
"""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport bounds_of, on_bar, rows_of
from cext.contactors cimport (
    change,
    count_verified,
    forget_drop,
    give_up_closing,
    member,
    reserve_for,
    wakes,
)
from cext.draw cimport obeys, wakes_at, worst_draw
from cext.rise cimport closed_to_rises
from cext.sums cimport beneath_rises
from cext.targets cimport blame
from cext.types cimport (
    AT_BUSBAR,
    GRID_PHASES,
    ROWS,
    RULE_CLOSED,
    RULE_RECLOSING,
    SUM,
    Charger,
    Circuit,
    Contactor,
    Why,
    World,
)

cdef int64_t SECOND = 1_000_000_000
cdef int64_t STAGGER = 2 * SECOND  # between two closings
cdef int64_t BOOT = 60 * SECOND  # so long a closing waits for room, or for chargers to report
cdef int64_t UNFIT = 10 * SECOND  # so long none may be to make; readings lag what makes room
cdef int64_t RETRY = SECOND  # between two looks for room for the same contactor


cdef void reclose(World* world) noexcept nogil:
    """One contactor at a time: looked for, its power-on currents reserved, closed when they fit."""
    cdef Contactor* contactor
    cdef Why where
    if world.pace.observe or world.contactors_n == 0:
        return
    if world.closing < 0:
        begin_closing(world)
        return
    contactor = &world.contactors[world.closing]
    if fits(world, contactor, False, &where):
        close_contactor(world, contactor)
        world.last_closed = world.closing
        world.closing = -1
        return
    contactor.why = where
    if fits(world, contactor, True, &where):
        world.unfit_at = 0
    else:
        world.unfit_at = world.unfit_at or world.now
    if (world.now - world.closing_at > BOOT
            or (world.unfit_at and world.now - world.unfit_at > UNFIT)):
        give_up_closing(world)
        contactor.tried_at = world.now


cdef void close_contactor(World* world, Contactor* contactor) noexcept nogil:
    """Closes; who gets power back counts at its power-on current until it tells otherwise."""
    cdef int32_t n
    cdef Charger* charger
    change(world, contactor, True)
    blame(world, &contactor.why, RULE_CLOSED, -1, -1)
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.was_cut = charger.was_cut and not wakes(charger, contactor)
        if wakes(charger, contactor):
            charger.cut = 0
            charger.powered_at = world.now
            charger.doubted_at = world.now
            charger.in_force_hi = max(charger.in_force_hi, wakes_at(charger))
            charger.confirmed = 0
        charger.reserved = 0
        charger.parted -= 1
        forget_drop(charger)
    count_verified(world)


cdef void begin_closing(World* world) noexcept nogil:
    """Chooses the next one: whose last attempt is longest ago, of these a group before others."""
    cdef int32_t i, best = -1
    cdef Contactor* contactor
    cdef Contactor* other
    cdef Why where
    if last_still_wakes(world):
        return
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        if contactor.closed or world.now - contactor.changed_at < contactor.least_open:
            continue
        if contactor.tried_at and world.now - contactor.tried_at < RETRY:
            continue
        if best >= 0:
            other = &world.contactors[best]
            if contactor.tried_at > other.tried_at:
                continue
            if contactor.tried_at == other.tried_at and (other.group or not contactor.group):
                continue
        best = i
    if best < 0:
        return
    contactor = &world.contactors[best]
    if not fits(world, contactor, True, &where):
        contactor.tried_at = world.now
        contactor.why = where
        return
    blame(world, &contactor.why, RULE_RECLOSING, -1, -1)
    world.closing = best
    world.closing_at = world.now
    world.unfit_at = 0
    reserve_for(world, contactor, True)


cdef bint last_still_wakes(World* world) noexcept nogil:
    """Whether the next closing has to wait: for the stagger, or for the last one's chargers."""
    cdef int32_t n
    cdef Contactor* last
    cdef Charger* charger
    if world.last_closed < 0:
        return world.now - world.began < STAGGER
    last = &world.contactors[world.last_closed]
    if world.now - last.changed_at < STAGGER:
        return True
    if not last.closed or world.now - last.changed_at > BOOT:
        return False
    for n in range(last.count):
        charger = member(world, last, n)
        if charger.powered_at == last.changed_at and charger.report_at <= charger.powered_at:
            return True
    return False


cdef int64_t draws_then(const Charger* charger, int32_t phase, bint floor) noexcept nogil:
    """The most that a charger draws as things stand. At the `floor`: once everybody who
    listens was told 0."""
    if not charger.wired[phase]:
        return 0
    if floor and obeys(charger):
        return charger.standby
    return charger.draw_hi[phase]


cdef bint is_hidden(const Charger* charger) noexcept nogil:
    """Ordered open and silent, but not known to be cut off: a meter above would show it."""
    return charger.parted and not charger.cut and not charger.fresh


cdef int64_t beneath(const World* world, int32_t i, int32_t row) noexcept nogil:
    """The base load with what is hidden: together no more than a meter shows, here or above."""
    cdef const Circuit* circuit = &world.circuits[i]
    cdef int64_t hidden = circuit.hidden[row]
    cdef int32_t node = i
    if circuit.fresh:
        return max(
            beneath_rises(circuit, row), min(circuit.base_hi[row] + hidden, circuit.seen[row])
        )
    while node >= 0 and not (
        world.circuits[node].fresh and row < rows_of(&world.circuits[node])
    ):
        node = world.circuits[node].parent
    if node >= 0:
        hidden = min(hidden, max(0, world.circuits[node].seen[row]))
    return circuit.base_hi[row] + hidden


cdef bint is_crowded(const World* world, int32_t i, int32_t row) noexcept nogil:
    """Whether what wakes does not fit one of a circuit's bounds."""
    cdef const Circuit* circuit = &world.circuits[i]
    if row >= AT_BUSBAR:
        row -= AT_BUSBAR
        return circuit.bar_wakes[row] > on_bar(circuit, row)
    if row == SUM and not circuit.summed:
        return False
    return (
        closed_to_rises(circuit, row)
        or beneath(world, i, row) + circuit.wakes[row] > circuit.cap[row]
    )


cdef bint fits(World* world, const Contactor* contactor, bint floor, Why* where) noexcept nogil:
    """Whether all that wakes fits under every cap above; where not, where.

    Beside what is drawn now, or beside the `floor` of those who can be told to make room.
    """
    cdef int32_t i, n, phase, row, node
    cdef Charger* charger
    cdef Circuit* circuit
    cdef int64_t draw, hidden
    for i in range(world.circuits_n):
        world.circuits[i].asked = 0
        for row in range(ROWS):
            world.circuits[i].wakes[row] = 0
            world.circuits[i].hidden[row] = 0
        for phase in range(GRID_PHASES):
            world.circuits[i].bar_wakes[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.waking = 0
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.waking = wakes(charger, contactor)
        node = charger.circuit
        while node >= 0:
            world.circuits[node].asked = 1
            node = world.circuits[node].parent
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        for phase in range(GRID_PHASES):
            draw = hidden = 0
            if is_hidden(charger):
                hidden = draws_then(charger, phase, floor)
            else:
                draw = draws_then(charger, phase, floor)
            if charger.waking and charger.wired[phase]:
                draw = max(draw, worst_draw(charger, wakes_at(charger)))
            node = charger.circuit
            while node >= 0:
                world.circuits[node].hidden[phase] += hidden
                world.circuits[node].hidden[SUM] += hidden
                world.circuits[node].wakes[phase] += draw
                world.circuits[node].wakes[SUM] += draw
                world.circuits[node].bar_wakes[phase] += max(draw, hidden)
                node = world.circuits[node].parent
    blame(world, where, RULE_RECLOSING, -1, -1)
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for row in range(bounds_of(circuit)):
            if circuit.asked and is_crowded(world, i, row):
                blame(world, where, RULE_RECLOSING, i, row)
                return False
    return True
