# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Who takes part in a fair-share run: admission, and which circuits can be full at all.

Wishes are let in one group after the other: a wish when its minimum fits, on its whole path,
beside all that was handed out before and beside the minima before it in its group. Where all
minima of a group together fit a circuit, it refuses nobody and is not asked. Where all maxima
below, as the circuits in between let them through, are less than a cap, that circuit is never
full and is left out; a wish with no other circuit above it simply has its maximum. All sums are
in mA: a wish is below 2^31 and there are fewer than 2^17, so they stay below 2^48, and thrice
that where phases are added up.

The sum of the phases is one more row beside them: a wish counts there as often as it has phases.
Where nothing bounds it, its cap is more than the three phases' caps together.
"""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport ROWS, SUM, Filler, Sharer, Vessel, Wish

cdef enum:
    FRACTION = 24
    MOST_MA = 0x7FFFFFFF
    DUST = 1 << 16  # 2^-8 mA: so little may what was shared out before be rounded up

cdef int64_t NO_SUM = <int64_t>MOST_MA << 2


cdef void begin_run(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """Nobody has anything yet; links the circuits that can be full."""
    cdef int32_t i
    cdef Wish* wish
    for i in range(filler.circuits * ROWS):
        filler.cap[i] = min(max(filler.cap[i], 0), NO_SUM if i % ROWS == SUM else <int64_t>MOST_MA)
    for i in range(count):
        wish = &wishes[i]
        wish.admitted = 0 <= wish.minimum <= wish.maximum and wish.maximum > 0
        wish.share = 0
        wish.stands = 0
        wish.bound_circuit = -1
        wish.bound_phase = -1
    sum_most(filler, wishes, count)
    lay_vessels(filler)


cdef void sum_most(Filler* filler, const Wish* wishes, int32_t count) noexcept nogil:
    """The most that can ever flow, whoever is admitted."""
    cdef int32_t i, row, at
    cdef const Wish* wish
    for i in range(filler.circuits * ROWS):
        filler.most[i] = 0
    for i in range(count):
        wish = &wishes[i]
        at = wish.circuit * ROWS
        for row in range(ROWS):
            filler.most[at + row] += wish.maximum * (wish.wired[row] if wish.admitted else 0)
    for i in range(filler.circuits - 1, 0, -1):  # parents stand before their children
        at = filler.parent[i] * ROWS
        for row in range(ROWS):
            filler.most[at + row] += min(filler.most[i * ROWS + row], filler.cap[i * ROWS + row])


cdef void lay_vessels(Filler* filler) noexcept nogil:
    """Every circuit with all its room; those that can be full are linked."""
    cdef int32_t i, row, at
    cdef Vessel* vessel
    for i in range(filler.circuits):
        vessel = &filler.vessel[i]
        vessel.above = filler.lowest[filler.parent[i]] if i > 0 else -1
        vessel.row = 0
        vessel.stale = 0
        vessel.listed = 0
        filler.lowest[i] = vessel.above
        for row in range(ROWS):
            at = i * ROWS + row
            vessel.room[row] = filler.cap[at] << FRACTION
            vessel.weight[row] = 0
            if filler.most[at] >= filler.cap[at]:
                filler.lowest[i] = i


# --- letting in -------------------------------------------------------------------------


cdef void let_in(Filler* filler, Wish* wishes, int32_t start, int32_t end) noexcept nogil:
    """Admits, in order, those of a group whose minima fit, and hands these out."""
    cdef int32_t i, row, at
    sum_least(filler, wishes, start, end)
    if find_tight(filler):
        for i in range(start, end):
            if wishes[i].admitted:
                squeeze_in(filler, &wishes[i])
        sum_least(filler, wishes, start, end)
    for i in range(start, end):
        if wishes[i].admitted:
            wishes[i].share = wishes[i].minimum
            wishes[i].stands = wishes[i].minimum << FRACTION
    for i in range(filler.circuits):
        at = i * ROWS
        for row in range(ROWS):
            filler.vessel[i].room[row] -= filler.least[at + row] << FRACTION


cdef inline int64_t room_at(const Filler* filler, int32_t circuit, int32_t row) noexcept nogil:
    """Whole mA that are left of a cap."""
    return max(0, filler.vessel[circuit].room[row] + <int64_t>DUST) >> FRACTION


cdef void sum_least(
    Filler* filler, const Wish* wishes, int32_t start, int32_t end
) noexcept nogil:
    """The sums of the minima of those in the group that are admitted so far."""
    cdef int32_t i, row, at
    cdef const Wish* wish
    for i in range(filler.circuits * ROWS):
        filler.least[i] = 0
    for i in range(start, end):
        wish = &wishes[i]
        at = wish.circuit * ROWS
        for row in range(ROWS):
            filler.least[at + row] += wish.minimum * (wish.wired[row] if wish.admitted else 0)
    for i in range(filler.circuits - 1, 0, -1):  # parents stand before their children
        at = filler.parent[i] * ROWS
        for row in range(ROWS):
            filler.least[at + row] += filler.least[i * ROWS + row]


cdef bint find_tight(Filler* filler) noexcept nogil:
    """Finds the circuits where not all minima fit, and empties them; whether there is one."""
    cdef int32_t i, row
    cdef bint over, any_over = False
    for i in range(filler.circuits):
        over = False
        for row in range(ROWS):
            over = over or filler.least[i * ROWS + row] > room_at(filler, i, row)
        filler.tight[i] = i
        if not over:
            filler.tight[i] = filler.tight[filler.parent[i]] if i > 0 else -1
            continue
        any_over = True
        for row in range(ROWS):
            filler.least[i * ROWS + row] = 0
    return any_over


cdef void squeeze_in(Filler* filler, Wish* wish) noexcept nogil:
    """Gives a wish its minimum where that fits the whole path; otherwise says where not."""
    cdef int32_t circuit = filler.tight[wish.circuit], row, at
    while circuit >= 0:
        at = circuit * ROWS
        for row in range(ROWS):
            if wish.wired[row] and (
                filler.least[at + row] + wish.minimum * wish.wired[row]
                > room_at(filler, circuit, row)
            ):
                wish.admitted = 0
                wish.bound_circuit = circuit
                wish.bound_phase = row
                return
        circuit = filler.tight[filler.parent[circuit]] if circuit > 0 else -1
    circuit = filler.tight[wish.circuit]
    while circuit >= 0:
        for row in range(ROWS):
            filler.least[circuit * ROWS + row] += wish.minimum * wish.wired[row]
        circuit = filler.tight[filler.parent[circuit]] if circuit > 0 else -1


# --- lining up --------------------------------------------------------------------------


cdef inline int64_t goal(const Wish* wish, bint floors) noexcept nogil:
    """How far it may grow now, in mA: to its floor first, then to its maximum."""
    return min(wish.floor, wish.maximum) if floors else wish.maximum


cdef inline bint may_grow(const Filler* filler, const Wish* wish, bint floors) noexcept nogil:
    return (
        wish.admitted
        and goal(wish, floors) << FRACTION > wish.stands
        and filler.lowest[wish.circuit] >= 0
    )


cdef void line_up(
    Filler* filler, Wish* wishes, int32_t early, int32_t start, int32_t end, int32_t stage,
    bint floors
) noexcept nogil:
    """Places those of a stage that may grow, by circuit; what nothing can stop has its maximum.

    They stand within the first `early` wishes and from `start` to `end`.
    """
    cdef int32_t n, i, place = 0, spot, count = early + end - start
    cdef Wish* wish
    for i in range(filler.circuits):
        filler.growing[i] = 0
    for n in range(count):
        wish = &wishes[n if n < early else n - early + start]
        if wish.stage != stage:
            continue
        if may_grow(filler, wish, floors):
            filler.growing[filler.spot[wish.circuit]] += 1
        elif wish.admitted and not floors and filler.lowest[wish.circuit] < 0:
            wish.share = wish.maximum
    for i in range(filler.circuits):
        filler.first[i] = place
        place += filler.growing[i]
    filler.sharers = place
    if place == 0:
        filler.first[filler.circuits] = 0
        return
    for n in range(count):
        i = n if n < early else n - early + start
        if wishes[i].stage == stage and may_grow(filler, &wishes[i], floors):
            spot = filler.spot[wishes[i].circuit]
            seat(filler, &wishes[i], i, filler.first[spot], floors)
            filler.first[spot] += 1
    for i in range(filler.circuits, 0, -1):  # each has moved to where the next begins
        filler.first[i] = filler.first[i - 1]
    filler.first[0] = 0


cdef void seat(
    Filler* filler, Wish* wish, int32_t index, int32_t place, bint floors
) noexcept nogil:
    cdef Sharer* sharer = &filler.sharer[place]
    cdef int32_t row
    wish.bound_circuit = wish.bound_phase = -1
    sharer.wish = index
    sharer.vessel = filler.lowest[wish.circuit]
    sharer.wired = 0
    for row in range(ROWS):
        sharer.wired |= (wish.wired[row] != 0) << row
    sharer.phases = wish.wired[SUM]
    sharer.weight = <int32_t>wish.weight
    sharer.stands = wish.stands
    sharer.maximum = <int32_t>goal(wish, floors)
    sharer.stage = 0
