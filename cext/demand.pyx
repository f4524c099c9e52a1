# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What a charger can use: all it may have, or what it drew when it was offered more, plus a margin
to grow into.

Half of the margin is no less than the charger's tolerance: one commanded in watts draws less than
its setpoint while the voltage is high, and must not be held there for it.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport more
from cext.frozen cimport tells_draw
from cext.types cimport (
    GRID_PHASES,
    NOTHING_MA,
    VEHICLE_A,
    VEHICLE_E,
    VEHICLE_F,
    Charger,
)

cdef enum:
    GROW_MA = 1_000  # margin to grow into, above what is drawn
    GROW_PART = 16  # and this part of it
    OFFERS = 3  # so often one that drew nothing is offered current again in the others' stead

cdef int64_t SECOND = 1_000_000_000
cdef int64_t GRACE = 60 * SECOND  # so long after a change it may have its full share
cdef int64_t PEAK_SPAN = 15 * SECOND  # draw counts for one to two of these spans


cdef bint says_nothing(const Charger* charger, int64_t at, int32_t vehicle) noexcept nogil:
    """A change of state that is no sign of another wish: of one that drew nothing, between plugged
    states, while it is offered current, or as an echo of that offer's end."""
    if not charger.idle and not charger.offers:
        return False
    if not is_plugged(charger.vehicle) or not is_plugged(vehicle):
        return False
    return charger.order >= charger.minimum or at - charger.changed_at < charger.show


cdef inline bint is_plugged(int32_t vehicle) noexcept nogil:
    return VEHICLE_A < vehicle < VEHICLE_E


cdef void meet_vehicle(Charger* charger, int64_t at, int32_t vehicle) noexcept nogil:
    """Another vehicle, or another state of it: what it drew before says nothing any more."""
    if charger.heard and says_nothing(charger, at, vehicle):
        return
    charger.grace_until = at + GRACE
    charger.peak_now = 0
    charger.peak_before = 0
    charger.peak_since = at
    charger.idle = 0
    charger.offers = 0
    charger.own_limit = -1
    charger.more_since = at


cdef int32_t peak(Charger* charger, int64_t now) noexcept nogil:
    """The highest current of the last one to two spans."""
    cdef int32_t phase
    if now - charger.peak_since >= PEAK_SPAN:
        charger.peak_before = charger.peak_now
        charger.peak_now = 0
        charger.peak_since = now
    for phase in range(GRID_PHASES):
        charger.peak_now = max(charger.peak_now, charger.current[phase])
    return max(charger.peak_now, charger.peak_before)


cdef int64_t margin_above(const Charger* charger, int32_t drawn) noexcept nogil:
    """Room to grow into: with half of it used, it may want anything."""
    return max(GROW_MA + drawn // GROW_PART, 2 * (more(drawn, charger.tolerance_ppm) - drawn))


cdef int32_t wants(Charger* charger, int32_t most, int64_t now) noexcept nogil:
    """What it wants as far as it has shown: what it drew when it was offered clearly more and the
    order had its time to show, and a margin. Who draws all that he is offered may want anything.
    """
    cdef int64_t known = charger.own_limit
    if known >= 0 and most > known + margin_above(charger, charger.own_limit) // 2:
        charger.own_limit = -1
    if charger.order < charger.minimum or charger.order - most <= margin_above(charger, most) // 2:
        charger.more_since = now
    elif now - charger.more_since >= charger.show + PEAK_SPAN:
        charger.own_limit = most
    return as_shown(charger)


cdef int32_t as_shown(const Charger* charger) noexcept nogil:
    """What it wants by what it has shown so far: anything, or so much and a margin."""
    cdef int64_t known
    if charger.own_limit < 0:
        return charger.maximum
    known = charger.own_limit + margin_above(charger, charger.own_limit)
    return <int32_t>min(<int64_t>charger.maximum, max(<int64_t>charger.minimum, known))


cdef int32_t untold(const Charger* charger) noexcept nogil:
    """What it may have while it does not tell what it draws, or what it tells stands still: what it
    has, and what this vehicle has shown before that it uses. That is no reason to give its share to
    others, and none to give it more."""
    return min(charger.maximum, max(charger.order, as_shown(charger)))


cdef bint waits(Charger* charger, int64_t now, int64_t turn) noexcept nogil:
    """Paused by us, it cannot show what it wants: its grace begins when it is let go.

    One that drew nothing before stays behind those that do until the next turn, and after a few
    offers for good.
    """
    if charger.order >= charger.minimum:
        return False
    if charger.idle and (charger.idle_turn == turn or charger.offers >= OFFERS):
        return True
    charger.offers += charger.idle
    charger.idle = 0
    charger.grace_until = max(charger.grace_until, now + GRACE)
    return False


cdef void count_demand(Charger* charger, int64_t now, int64_t turn) noexcept nogil:
    """Sets `demand` in mA of setpoint, and `idle` where it is offered current and draws none."""
    cdef int32_t most
    charger.demand = 0
    if not charger.fresh or charger.vehicle in (VEHICLE_A, VEHICLE_E, VEHICLE_F):
        return
    if not tells_draw(charger):
        charger.demand = untold(charger)
        charger.idle = charger.idle and not charger.current_known
        return
    charger.demand = charger.maximum
    most = peak(charger, now)
    if not waits(charger, now, turn):
        if now < charger.grace_until:
            if charger.offers and most < NOTHING_MA:  # asked again, it gets more once it draws
                charger.demand = charger.minimum
            return
        charger.idle = most < NOTHING_MA
        charger.idle_turn = turn
        if not charger.idle:
            charger.offers = 0
    charger.demand = wants(charger, most, now)
