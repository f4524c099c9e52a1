from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger

# What reports that nothing can try are good for yet.
cdef enum:
    STOOD_NOT = 0
    STOOD_AT_LEAST = 1  # it draws all that it may: its draw is believed, its phases are not free
    STOOD_BELOW = 2  # it may draw more than it shows: nothing is believed

cdef void note_change(Charger* charger, int64_t at, const int32_t* before) noexcept nogil
cdef void watch_frozen(Charger* charger, int64_t now) noexcept nogil
cdef int64_t must_fall_to(const Charger* charger) noexcept nogil
cdef bint stands_still(const Charger* charger, int64_t now) noexcept nogil


cdef inline bint tells_draw(const Charger* charger) noexcept nogil:
    """Whether its reports are numbers: in date, measured, and not standing still."""
    return (
        charger.fresh and charger.current_known and not charger.frozen
        and charger.stood != STOOD_BELOW
    )
