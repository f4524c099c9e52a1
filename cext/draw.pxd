# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
from libc.stdint cimport int32_t, int64_t

from cext.ring cimport ring_since
from cext.types cimport GRID_PHASES, Charger, World

cdef enum:
    MILLION = 1_000_000
    WRITING = 1_000_000_000  # from an order to the charger having it, at the most, ns

cdef void ordered_draw(const World* world, const Charger* charger, int64_t* most) noexcept nogil
cdef bint proving(const World* world, const Charger* charger) noexcept nogil
cdef bint booting(const Charger* charger, int64_t now) noexcept nogil
cdef int32_t setpoint_for(const Charger* charger, int64_t draw) noexcept nogil
cdef void take_report(
    Charger* charger, int64_t at, int32_t in_force, const int32_t* current, int32_t vehicle,
    int64_t written_tick
) noexcept nogil
cdef void count_draw(World* world) noexcept nogil
cdef int32_t wakes_at(const Charger* charger) noexcept nogil


cdef inline int64_t more(int64_t ma, int64_t ppm) noexcept nogil:
    """So much and so many parts in a million more, rounded up."""
    return ma + (ma * ppm + MILLION - 1) // MILLION


cdef inline int64_t surely(const Charger* charger, int64_t told) noexcept nogil:
    """What is left of a current it tells, or of a change, when it told too much of itself."""
    return 2 * told - more(told, charger.error_ppm)


cdef inline int64_t least_draw(const Charger* charger, int64_t told) noexcept nogil:
    """The least that is drawn where it tells so much."""
    return max(<int64_t>0, surely(charger, told) - charger.error)


cdef inline int64_t worst_draw(const Charger* charger, int64_t setpoint) noexcept nogil:
    """The most a setpoint permits: tolerance, rounded up, and standby on top."""
    return more(setpoint, charger.tolerance_ppm) + charger.standby


cdef inline int32_t highest_order(const Charger* charger, int64_t since) noexcept nogil:
    """The highest order that was live at any time since then."""
    cdef int32_t hi[GRID_PHASES]
    ring_since(&charger.orders, since, hi)
    return max(charger.order, hi[0])


cdef inline int64_t shows_within(const Charger* charger) noexcept nogil:
    """From an order until its reports must show it: written, followed, measured, told."""
    return (
        charger.write_gap + charger.settle + charger.lag + charger.poll + charger.confirm_gap
        + WRITING
    )


cdef inline bint told_since_power(const Charger* charger) noexcept nogil:
    """What it told before it got its power back may be forgotten."""
    return charger.powered_at == 0 or charger.report_at > charger.powered_at


cdef inline bint obeys(const Charger* charger) noexcept nogil:
    """Whether an order to it counts: started, in touch, with power, and not suspected."""
    return (
        charger.started and charger.fresh and not charger.suspect and not charger.parted
        and told_since_power(charger)
    )
