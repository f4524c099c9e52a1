from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, Circuit, World

cdef void add_up(World* world) noexcept nogil
cdef int64_t drawn_in(int32_t row, const int64_t* drawn) noexcept nogil
cdef bint bears(const Circuit* circuit, const Charger* charger, int32_t row) noexcept nogil
cdef int64_t room_with(const Charger* charger, int32_t row, int64_t slack) noexcept nogil
cdef int64_t worst_of(const Circuit* circuit, int32_t row) noexcept nogil
cdef int64_t beneath_rises(const Circuit* circuit, int32_t row) noexcept nogil
cdef int64_t stepped(const Circuit* circuit, int32_t row) noexcept nogil
cdef int64_t for_chargers(const Circuit* circuit, int32_t row) noexcept nogil
cdef int32_t at_fault(const Circuit* circuit, int32_t row) noexcept nogil
