from libc.stdint cimport int32_t, int64_t

from cext.types cimport Source, World

cdef void take_reading(Source* source, int64_t at, const int32_t* current) noexcept nogil
cdef void distrust(Source* source, bint distrusted) noexcept nogil
cdef void count_readings(World* world) noexcept nogil
cdef void count_base(World* world) noexcept nogil
