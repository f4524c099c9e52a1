from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger

cdef void note_change(
    Charger* charger, int64_t at, const int32_t* before, bint known_before
) noexcept nogil
cdef void watch_frozen(Charger* charger, int64_t now) noexcept nogil
cdef int64_t must_fall_to(const Charger* charger) noexcept nogil
cdef bint stands_still(const Charger* charger, int64_t now) noexcept nogil
