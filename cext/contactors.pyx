# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Contactors: what is cut off, what only should be, and how power comes back, one at a time.

Ordered open is not open. A charger counts as cut off only where an auxiliary contact says
so, or where its own reports showed a steady draw drop at the order and still show nothing.

A start finds a contactor open, because without power it is; each is closed like one that was
opened: never while a circuit above is over its cap, and only when the power-on currents of
what wakes up fit beside everything else. They are counted from before the order to close until
the chargers report.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport obeys, wakes_at, worst_draw
from cext.orders cimport shed_to
from cext.ring cimport ring_span
from cext.rise cimport closed_to_rises
from cext.targets cimport blame
from cext.types cimport (
    GRID_PHASES,
    NOTHING_MA,
    RULE_CLOSED,
    RULE_OPENED,
    RULE_RECLOSING,
    Charger,
    Circuit,
    Contactor,
    Why,
    World,
    in_date,
)

cdef enum:
    RESOLUTION_MA = 100  # of a charger's own reports, where its error is less
    MOST_DOUBLINGS = 6

cdef int64_t SECOND = 1_000_000_000
cdef int64_t CONTACT_AGE = 5 * SECOND  # what an auxiliary contact showed is then too old
cdef int64_t STEADY = 3 * SECOND  # a draw is steady that changed little for so long
cdef int64_t DROPS_WITHIN = SECOND
cdef int64_t OPEN_LEAST = 30 * SECOND  # and twice as long for each further opening
cdef int64_t FORGIVEN = 1800 * SECOND  # closed so long without trouble, it counts as new
cdef int64_t STAGGER = 2 * SECOND  # between two closings
cdef int64_t BOOT = 60 * SECOND  # so long a closing waits for room, or for chargers to report
cdef int64_t UNFIT = 10 * SECOND  # so long none may be to make; readings lag what makes room
cdef int64_t RETRY = SECOND  # between two looks for room for the same contactor


# --- auxiliary contacts -----------------------------------------------------------------


cdef bint take_contact(Contactor* contactor, int64_t at, bint closed) noexcept nogil:
    """What the auxiliary contact shows; True when that is news. An older one is dropped."""
    cdef bint news = not contactor.contact_known or contactor.contact_closed != closed
    if contactor.contact_known and at < contactor.contact_at:
        return False
    contactor.contact_known = 1
    contactor.contact_at = at
    contactor.contact_closed = closed
    return news


cdef bint contact_young(const Contactor* contactor, int64_t now) noexcept nogil:
    return (
        contactor.feedback and contactor.contact_known
        and in_date(contactor.contact_at, CONTACT_AGE, now)
    )


# --- what is cut off --------------------------------------------------------------------


cdef Charger* member(World* world, const Contactor* contactor, int32_t n) noexcept nogil:
    return &world.chargers[world.members[contactor.first + n]]


cdef void count_contactors(World* world) noexcept nogil:
    """Which chargers are behind open contactors, and which of these are known to be cut off."""
    cdef int32_t i, n
    cdef Contactor* contactor
    cdef Charger* charger
    if world.contactors_n == 0:
        return
    if world.lapsed and not world.pace.observe:
        lapse(world)
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.parted = 0
        charger.cut = 0
        charger.disputed = 0
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        count_contact(world, contactor)
        if contactor.closed and world.now - contactor.changed_at > FORGIVEN:
            contactor.openings = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if charger.parted and not charger.cut:
            watch_drop(charger, world.now)
            charger.cut = charger.dropped and not charger.disputed
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        if contactor.closed or contactor.verified or contactor.count == 0:
            continue
        contactor.verified = 1
        for n in range(contactor.count):
            if not member(world, contactor, n).cut:
                contactor.verified = 0


cdef void lapse(World* world) noexcept nogil:
    """Every order had expired, so whoever holds a contactor has opened it: as at a start."""
    cdef int32_t i
    cdef Contactor* contactor
    if world.closing >= 0:
        reserve_for(world, &world.contactors[world.closing], False)
        world.closing = -1
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        if contactor.closed:
            change(world, contactor, False)
            contactor.least_open = 0
            contactor.tried_at = 0
            blame(world, &contactor.why, RULE_RECLOSING, -1, -1)


cdef void count_contact(World* world, Contactor* contactor) noexcept nogil:
    """A contact counts that was looked at since the order."""
    cdef int32_t n
    cdef Charger* charger
    cdef bint tells = (
        contact_young(contactor, world.now) and contactor.contact_at >= contactor.changed_at
    )
    contactor.verified = not contactor.closed and tells and not contactor.contact_closed
    if contactor.closed:
        return
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.parted += 1
        if contactor.verified:
            charger.cut = 1
        elif tells:
            charger.disputed = 1


cdef int32_t highest(const Charger* charger) noexcept nogil:
    cdef int32_t phase, most = 0
    for phase in range(GRID_PHASES):
        if charger.wired[phase]:
            most = max(most, charger.current[phase])
    return most


cdef void watch_drop(Charger* charger, int64_t now) noexcept nogil:
    """Its own reports as the proof: a steady draw that fell at the order, and nothing since."""
    cdef int64_t since = charger.report_at - charger.parted_at
    cdef bint tells = (
        charger.heard and charger.current_known and in_date(charger.report_at, charger.max_age, now)
    )
    if not tells or highest(charger) >= NOTHING_MA:
        charger.dropped = 0
        if since > 0:
            charger.steady_ma = 0
    elif 0 < since <= DROPS_WITHIN + charger.lag + charger.poll:
        if charger.steady_ma - highest(charger) >= 3 * max(charger.error, <int32_t>RESOLUTION_MA):
            charger.dropped = 1


cdef int32_t steady_draw(const Charger* charger, int64_t now) noexcept nogil:
    """What it has drawn on its highest phase of late; 0 where that is unknown or unsteady."""
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef int32_t phase, steady = 0
    if not (charger.heard and charger.current_known
            and in_date(charger.report_at, charger.max_age, now)):
        return 0
    ring_span(&charger.ring, now - STEADY, lo, hi)
    for phase in range(GRID_PHASES):
        if hi[phase] - lo[phase] <= max(hi[phase] // 10, 3 * charger.error):
            steady = max(steady, lo[phase])
    return steady


# --- orders -----------------------------------------------------------------------------


cdef void change(World* world, Contactor* contactor, bint closed) noexcept nogil:
    contactor.closed = closed
    contactor.verified = 0
    contactor.changed_tick = world.tick
    contactor.changed_at = world.now
    world.changed = 1


cdef void open_contactor(World* world, Contactor* contactor, const Why* cause) noexcept nogil:
    """Opens against an excess; each further time it stays open twice as long."""
    cdef int32_t n
    cdef Charger* charger
    if not contactor.closed:
        return
    change(world, contactor, False)
    contactor.least_open = OPEN_LEAST << min(contactor.openings, <int32_t>MOST_DOUBLINGS)
    contactor.openings += 1
    contactor.tried_at = 0
    contactor.cause = cause[0]
    contactor.cause.rule = RULE_OPENED
    contactor.why = contactor.cause
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        if charger.parted == 0:
            charger.parted_at = world.now
            charger.steady_ma = steady_draw(charger, world.now)
            charger.dropped = 0
            note_loss(charger, contactor)
        charger.parted += 1
    lower_behind(world, contactor)


cdef void note_loss(Charger* charger, const Contactor* contactor) noexcept nogil:
    """What stops flowing now, at the most: a reading above goes on showing it for a while."""
    cdef int32_t phase
    charger.parting = contactor.opens
    charger.parted_known = charger.fresh and charger.current_known
    for phase in range(GRID_PHASES):
        charger.parted_ma[phase] = charger.draw_hi[phase]
        if charger.parted_known:
            charger.parted_ma[phase] = max(charger.current[phase], 0)


cdef void close_contactor(World* world, Contactor* contactor) noexcept nogil:
    """Closes; who gets power back counts at its power-on current until it tells otherwise."""
    cdef int32_t n
    cdef Charger* charger
    change(world, contactor, True)
    blame(world, &contactor.why, RULE_CLOSED, -1, -1)
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.reserved = 0
        charger.parted -= 1
        if charger.parted == 0:
            charger.powered_at = world.now
            charger.doubted_at = world.now
            charger.in_force_hi = max(charger.in_force_hi, wakes_at(charger))
            charger.confirmed = 0


cdef void lower_parted(World* world) noexcept nogil:
    """What stands behind an open contactor is told 0 A: it finds that when power comes back."""
    cdef int32_t i
    for i in range(world.contactors_n):
        if not world.contactors[i].closed:
            lower_behind(world, &world.contactors[i])


cdef void lower_behind(World* world, Contactor* contactor) noexcept nogil:
    cdef int32_t n
    cdef Charger* charger
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        shed_to(world, charger, 0, contactor.why.rule, contactor.why.circuit, contactor.why.phase)
        charger.why = contactor.why
        if charger.order_tick == world.tick:
            charger.cause = contactor.why


# --- closing ----------------------------------------------------------------------------


cdef bint wakes(const Charger* charger) noexcept nogil:
    """Whether it gets its power back when the contactor in question closes."""
    return charger.parted == 1


cdef void reserve_for(World* world, const Contactor* contactor, bint reserved) noexcept nogil:
    cdef int32_t n
    for n in range(contactor.count):
        if wakes(member(world, contactor, n)):
            member(world, contactor, n).reserved = reserved


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
        reserve_for(world, contactor, False)
        contactor.tried_at = world.now
        world.closing = -1


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


cdef int64_t draws_then(
    const Charger* charger, int32_t phase, bint floor, bint seen, int64_t now
) noexcept nogil:
    """The most that a charger, which does not wake, draws beside what a meter above shows now.

    At the `floor`: once everybody who listens was told 0. What is ordered open, silent, and
    would show in a fresh reading above, is in that reading if it is not cut off.
    """
    if not charger.wired[phase]:
        return 0
    if floor and obeys(charger):
        return charger.standby
    if charger.parted and not charger.cut and seen and not in_date(
        charger.report_at, charger.max_age, now
    ):
        return 0
    return charger.draw_hi[phase]


cdef bint seen_above(const World* world, const Charger* charger) noexcept nogil:
    cdef int32_t node = charger.circuit
    while node >= 0:
        if world.circuits[node].fresh:
            return True
        node = world.circuits[node].parent
    return False


cdef bint fits(World* world, const Contactor* contactor, bint floor, Why* where) noexcept nogil:
    """Whether all that wakes fits under every cap above; where not, where.

    Beside what is drawn now, or beside the `floor` of those who can be told to make room.
    """
    cdef int32_t i, n, phase, node
    cdef Charger* charger
    cdef Circuit* circuit
    cdef bint seen
    cdef int64_t draw
    for i in range(world.circuits_n):
        world.circuits[i].asked = 0
        for phase in range(GRID_PHASES):
            world.circuits[i].wakes[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.waking = 0
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.waking = wakes(charger)
        node = charger.circuit
        while node >= 0:
            world.circuits[node].asked = 1
            node = world.circuits[node].parent
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        seen = seen_above(world, charger)
        for phase in range(GRID_PHASES):
            if charger.waking:
                draw = worst_draw(charger, wakes_at(charger)) if charger.wired[phase] else 0
            else:
                draw = draws_then(charger, phase, floor, seen, world.now)
            node = charger.circuit
            while node >= 0:
                world.circuits[node].wakes[phase] += draw
                node = world.circuits[node].parent
    blame(world, where, RULE_RECLOSING, -1, -1)
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            if circuit.asked and (
                closed_to_rises(circuit, phase)
                or circuit.base_hi[phase] + circuit.wakes[phase] > circuit.cap[phase]
            ):
                blame(world, where, RULE_RECLOSING, i, phase)
                return False
    return True
