from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, World

cdef void take_advice(
    Charger* charger, int32_t weight, int32_t floor, int32_t cap, int64_t until
) noexcept nogil
cdef void count_advice(World* world) noexcept nogil
