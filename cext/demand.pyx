# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What a charger can use: all it may have, or what it drew lately plus a margin to grow into.

The margin is no less than the charger's tolerance: one commanded in watts draws less than its
setpoint while the voltage is high, and must not be held there for it.
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
    GROW_MA = 4_000  # margin to grow into, above what is drawn
    OFFERS = 3  # so often one that drew nothing is offered current again in the others' stead

cdef int64_t SECOND = 1_000_000_000
cdef int64_t GRACE = 60 * SECOND  # so long after a change it may have its full share
cdef int64_t PEAK_SPAN = 15 * SECOND  # draw counts for one to two of these spans


cdef void meet_vehicle(Charger* charger, int64_t at) noexcept nogil:
    """Another vehicle, or another state of it: what it drew before says nothing any more."""
    charger.grace_until = at + GRACE
    charger.peak_now = 0
    charger.peak_before = 0
    charger.peak_since = at
    charger.idle = 0
    charger.offers = 0


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
    cdef int64_t grows
    charger.demand = 0
    if not charger.fresh or charger.vehicle in (VEHICLE_A, VEHICLE_E, VEHICLE_F):
        return
    charger.demand = charger.maximum
    if not charger.current_known:
        return
    if not tells_draw(charger):  # what it shows is no reason to give its share to others
        charger.idle = 0
        return
    most = peak(charger, now)
    grows = max(<int64_t>GROW_MA, more(most, charger.tolerance_ppm) - most)
    if not waits(charger, now, turn):
        if now < charger.grace_until:
            return
        charger.idle = most < NOTHING_MA
        charger.idle_turn = turn
        if not charger.idle:
            charger.offers = 0
    charger.demand = <int32_t>min(<int64_t>charger.maximum, max(<int64_t>charger.minimum, most + grows))
