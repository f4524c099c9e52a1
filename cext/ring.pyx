# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Rings: the least and the most of what was seen lately, per phase, in bounded space."""

from libc.stdint cimport int32_t, int64_t

from cext.filling cimport GRID_PHASES


cdef void ring_push(Ring* ring, int64_t at, const int32_t* value) noexcept nogil:
    """Adds a value; values closer together than the span share a bucket."""
    cdef Bucket* bucket = &ring.bucket[ring.newest]
    cdef int32_t phase
    if ring.count == 0 or at - bucket.first_ns >= ring.span_ns:
        ring.newest = (ring.newest + 1) % RING
        ring.count = min(ring.count + 1, <int32_t>RING)
        bucket = &ring.bucket[ring.newest]
        bucket.first_ns = at
        for phase in range(GRID_PHASES):
            bucket.lo[phase] = value[phase]
            bucket.hi[phase] = value[phase]
    bucket.last_ns = at
    for phase in range(GRID_PHASES):
        bucket.lo[phase] = min(bucket.lo[phase], value[phase])
        bucket.hi[phase] = max(bucket.hi[phase], value[phase])


cdef void ring_span(const Ring* ring, int64_t since, int32_t* lo, int32_t* hi) noexcept nogil:
    """Least and most per phase since then, with the last value before; all 0 when empty."""
    cdef int32_t i, phase
    cdef const Bucket* bucket
    for phase in range(GRID_PHASES):
        lo[phase] = 0
        hi[phase] = 0
    for i in range(ring.count):
        bucket = &ring.bucket[(ring.newest + RING - i) % RING]
        for phase in range(GRID_PHASES):
            lo[phase] = bucket.lo[phase] if i == 0 else min(lo[phase], bucket.lo[phase])
            hi[phase] = bucket.hi[phase] if i == 0 else max(hi[phase], bucket.hi[phase])
        if bucket.first_ns < since:
            return


cdef bint ring_reaches(const Ring* ring, int64_t since) noexcept nogil:
    """Whether something is known from then, or from before."""
    cdef int32_t oldest = (ring.newest + RING - ring.count + 1) % RING
    return ring.count > 0 and ring.bucket[oldest].first_ns <= since


cdef bint ring_since(const Ring* ring, int64_t since, int32_t* hi) noexcept nogil:
    """The most per phase at or after that instant; False, and all 0, where nothing is."""
    cdef int32_t i, phase
    cdef const Bucket* bucket
    for phase in range(GRID_PHASES):
        hi[phase] = 0
    for i in range(ring.count):
        bucket = &ring.bucket[(ring.newest + RING - i) % RING]
        if bucket.last_ns < since:
            return i > 0
        for phase in range(GRID_PHASES):
            hi[phase] = bucket.hi[phase] if i == 0 else max(hi[phase], bucket.hi[phase])
    return ring.count > 0
