# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Who takes part in a fair-share run: admission, and which circuits can be full at all.

A wish is admitted when its minimum fits beside the minima before it, on its whole path. Where
all minima together fit a circuit, it refuses nobody and is not asked. Where all maxima below, as
the circuits in between let them through, are less than a cap, that circuit is never full and is
left out; a wish with no other circuit above it simply has its maximum. All sums are in mA: a
wish is below 2^31 and there are fewer than 2^17, so they stay below 2^48, and thrice that where
phases are added up.

The sum of the phases is one more row beside them: a wish counts there as often as it has phases.
Where nothing bounds it, its cap is more than the three phases' caps together.
"""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport ROWS, SUM, Filler, Sharer, Vessel, Wish

cdef enum:
    FRACTION = 24
    MOST_MA = 0x7FFFFFFF

cdef int64_t NO_SUM = <int64_t>MOST_MA << 2


cdef void admit(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """Says of each wish whether it is admitted, lines up those that may grow, fills vessels with
    the minima of all."""
    cdef int32_t i
    cdef bint crowded
    for i in range(filler.circuits * ROWS):
        filler.cap[i] = min(max(filler.cap[i], 0), NO_SUM if i % ROWS == SUM else <int64_t>MOST_MA)
    for i in range(count):
        wishes[i].admitted = 0 <= wishes[i].minimum <= wishes[i].maximum and wishes[i].maximum > 0
        wishes[i].share = 0
        wishes[i].bound_circuit = -1
        wishes[i].bound_phase = -1
    sum_up(filler, wishes, count)
    crowded = find_tight(filler)
    if crowded:
        for i in range(count):
            if wishes[i].admitted:
                squeeze_in(filler, &wishes[i])
        sum_up(filler, wishes, count)
    lay_vessels(filler)
    line_up_sharers(filler, wishes, count)


cdef void sum_up(Filler* filler, const Wish* wishes, int32_t count) noexcept nogil:
    """Of the admitted: the sums of the minima, and the most that can ever flow."""
    cdef int32_t i, row, at
    cdef const Wish* wish
    cdef int64_t times
    for i in range(filler.circuits * ROWS):
        filler.least[i] = 0
        filler.most[i] = 0
    for i in range(count):
        wish = &wishes[i]
        at = wish.circuit * ROWS
        for row in range(ROWS):
            times = wish.wired[row] if wish.admitted else 0
            filler.least[at + row] += wish.minimum * times
            filler.most[at + row] += wish.maximum * times
    for i in range(filler.circuits - 1, 0, -1):  # parents stand before their children
        at = filler.parent[i] * ROWS
        for row in range(ROWS):
            filler.least[at + row] += filler.least[i * ROWS + row]
            filler.most[at + row] += min(filler.most[i * ROWS + row], filler.cap[i * ROWS + row])


cdef bint find_tight(Filler* filler) noexcept nogil:
    """Finds the circuits where not all minima fit, and empties them; whether there is one."""
    cdef int32_t i, row
    cdef bint over, any_over = False
    for i in range(filler.circuits):
        over = False
        for row in range(ROWS):
            over = over or filler.least[i * ROWS + row] > filler.cap[i * ROWS + row]
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
                filler.least[at + row] + wish.minimum * wish.wired[row] > filler.cap[at + row]
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


cdef void lay_vessels(Filler* filler) noexcept nogil:
    """Links the circuits that can be full, each with the minima of all below it."""
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
            vessel.room[row] = (filler.cap[at] - filler.least[at]) << FRACTION
            vessel.weight[row] = 0
            if filler.most[at] >= filler.cap[at]:
                filler.lowest[i] = i


cdef bint may_grow(const Filler* filler, const Wish* wish) noexcept nogil:
    return (
        wish.admitted and wish.maximum > wish.minimum and filler.lowest[wish.circuit] >= 0
    )


cdef void line_up_sharers(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """Places those that may grow by circuit; the others have their shares."""
    cdef int32_t i, place = 0, spot
    cdef Wish* wish
    for i in range(filler.circuits):
        filler.growing[i] = 0
    for i in range(count):
        wish = &wishes[i]
        if may_grow(filler, wish):
            filler.growing[filler.spot[wish.circuit]] += 1
        elif wish.admitted:
            wish.share = wish.maximum
    for i in range(filler.circuits):
        filler.first[i] = place
        place += filler.growing[i]
    filler.sharers = place
    for i in range(count):
        if may_grow(filler, &wishes[i]):
            spot = filler.spot[wishes[i].circuit]
            seat(filler, &wishes[i], i, filler.first[spot])
            filler.first[spot] += 1
    for i in range(filler.circuits, 0, -1):  # each has moved to where the next begins
        filler.first[i] = filler.first[i - 1]
    filler.first[0] = 0


cdef void seat(Filler* filler, const Wish* wish, int32_t index, int32_t place) noexcept nogil:
    cdef Sharer* sharer = &filler.sharer[place]
    cdef int32_t row
    sharer.wish = index
    sharer.vessel = filler.lowest[wish.circuit]
    sharer.wired = 0
    for row in range(ROWS):
        sharer.wired |= (wish.wired[row] != 0) << row
    sharer.phases = wish.wired[SUM]
    sharer.weight = <int32_t>wish.weight
    sharer.minimum = <int32_t>wish.minimum
    sharer.maximum = <int32_t>wish.maximum
    sharer.stage = 0
