from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, Circuit, World

cdef void reset_credits(Circuit* circuit) noexcept nogil
cdef void count_credit(
    const Charger* charger, Circuit* circuit, const int32_t* drew, int64_t now
) noexcept nogil
cdef void count_each_source(World* world) noexcept nogil
