from libc.stdint cimport int32_t, int64_t

from cext.types cimport Ring

cdef void ring_push(Ring* ring, int64_t at, const int32_t* value) noexcept nogil
cdef void ring_span(const Ring* ring, int64_t since, int32_t* lo, int32_t* hi) noexcept nogil
cdef bint ring_reaches(const Ring* ring, int64_t since) noexcept nogil
cdef bint ring_since(const Ring* ring, int64_t since, int32_t* hi) noexcept nogil
