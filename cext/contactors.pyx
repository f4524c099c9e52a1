# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Contactors: what is cut off, and what only should be.

Ordered open is not open. A charger counts as cut off only where an auxiliary contact says
so, or where its own reports showed a steady draw drop at the order and still show nothing.
"""

from libc.stdint cimport int32_t, int64_t

from cext.frozen cimport tells_draw
from cext.orders cimport shed_to
from cext.ring cimport ring_span
from cext.targets cimport blame
from cext.types cimport (
    GRID_PHASES,
    NOTHING_MA,
    RULE_OPENED,
    RULE_RECLOSING,
    Charger,
    Contactor,
    Why,
    World,
    in_date,
)

cdef enum:
    MOST_DOUBLINGS = 6

cdef int64_t SECOND = 1_000_000_000
cdef int64_t CONTACT_AGE = 5 * SECOND  # what an auxiliary contact showed is then too old
cdef int64_t STEADY = 3 * SECOND  # a draw is steady that changed little for so long
cdef int64_t DROPS_WITHIN = SECOND
cdef int64_t OPEN_LEAST = 30 * SECOND  # and twice as long for each further opening
cdef int64_t FORGIVEN = 1800 * SECOND  # closed so long without trouble, it counts as new


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
    cdef int32_t i
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
        charger.shown_open = 0
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
    count_verified(world)


cdef void count_verified(World* world) noexcept nogil:
    """Open by its own contact, or nothing behind it has current."""
    cdef int32_t i, n
    cdef bint cut
    cdef Contactor* contactor
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        cut = contactor.count > 0
        for n in range(contactor.count):
            cut = cut and member(world, contactor, n).cut
        contactor.verified = not contactor.closed and (contactor.shown_open or cut)


cdef void lapse(World* world) noexcept nogil:
    """Every order had expired, so whoever holds a contactor has opened it: as at a start."""
    cdef int32_t i, n
    cdef Contactor* contactor
    give_up_closing(world)
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        if contactor.closed:
            change(world, contactor, False)
            for n in range(contactor.count):
                forget_drop(member(world, contactor, n))
            contactor.least_open = 0
            contactor.tried_at = 0
            blame(world, &contactor.why, RULE_RECLOSING, -1, -1)


cdef void give_up_closing(World* world) noexcept nogil:
    """What its chargers wake with needs no room any more."""
    if world.closing >= 0:
        reserve_for(world, &world.contactors[world.closing], False)
        world.closing = -1


cdef void count_contact(World* world, Contactor* contactor) noexcept nogil:
    """A contact counts that was looked at since the order."""
    cdef int32_t n
    cdef Charger* charger
    cdef bint tells = (
        contact_young(contactor, world.now) and contactor.contact_at >= contactor.changed_at
    )
    contactor.verified = not contactor.closed and tells and not contactor.contact_closed
    contactor.shown_open = contactor.verified
    if contactor.closed:
        return
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.parted += 1
        if contactor.verified:
            charger.cut = 1
            charger.shown_open += 1
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
        if charger.steady_ma - highest(charger) >= 3 * max(charger.error, charger.resolution):
            charger.dropped = 1


cdef void forget_drop(Charger* charger) noexcept nogil:
    """A drop proves nothing about an opening that it was not held against."""
    charger.steady_ma = 0
    charger.dropped = 0


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
    charger.parted_known = tells_draw(charger)
    for phase in range(GRID_PHASES):
        charger.parted_ma[phase] = charger.draw_hi[phase]
        if charger.parted_known:
            charger.parted_ma[phase] = max(charger.current[phase], 0)


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


# --- who wakes ---------------------------------------------------------------------------


cdef bint wakes(const Charger* charger, const Contactor* contactor) noexcept nogil:
    """Whether it may get its power back when this contactor closes.

    What counts as cut off is held back only by another one that is shown to be open, too.
    """
    if charger.parted == 1:
        return True
    return charger.cut and charger.shown_open <= contactor.shown_open


cdef void reserve_for(World* world, const Contactor* contactor, bint reserved) noexcept nogil:
    cdef int32_t n
    cdef Charger* charger
    for n in range(contactor.count):
        charger = member(world, contactor, n)
        charger.reserved = reserved and wakes(charger, contactor)
