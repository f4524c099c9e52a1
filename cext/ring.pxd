from libc.stdint cimport int32_t, int64_t

from cext.filling cimport GRID_PHASES

cdef enum:
    RING = 24  # buckets a ring keeps

# Each bucket gathers what arrived within `Ring.span_ns`: least and most per phase.
cdef struct Bucket:
    int64_t first_ns
    int64_t last_ns
    int32_t lo[GRID_PHASES]
    int32_t hi[GRID_PHASES]

cdef struct Ring:
    Bucket bucket[RING]
    int64_t span_ns
    int32_t newest
    int32_t count

cdef void ring_push(Ring* ring, int64_t at, const int32_t* value) noexcept nogil
cdef void ring_span(const Ring* ring, int64_t since, int32_t* lo, int32_t* hi) noexcept nogil
cdef bint ring_reaches(const Ring* ring, int64_t since) noexcept nogil
cdef bint ring_since(const Ring* ring, int64_t since, int32_t* hi) noexcept nogil
