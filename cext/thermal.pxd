from libc.stdint cimport int32_t, int64_t

from cext.breaker cimport Breaker
from cext.types cimport World

cdef void count_heat(World* world) noexcept nogil
cdef void fill_up(Breaker* breaker) noexcept nogil
cdef void take_heat(Breaker* breaker, const Breaker* was) noexcept nogil
cdef int64_t trips_after(const Breaker* breaker, int32_t phase) noexcept nogil

# For tests: each of them as `count_heat` uses it.
cdef int64_t square(int64_t current, int64_t pickup) noexcept nogil
cdef int64_t share_heated(const Breaker* breaker, int64_t dt) noexcept nogil
cdef int64_t share_cooled(const Breaker* breaker, int64_t dt) noexcept nogil
cdef int64_t heated(int64_t image, int64_t goal, int64_t share) noexcept nogil
cdef int64_t cooled(int64_t image, int64_t goal, int64_t share) noexcept nogil
cdef int64_t more_worn(int64_t worn, int64_t dt, int64_t lasts) noexcept nogil
cdef int64_t logarithm(int64_t y) noexcept nogil
cdef int64_t image_left(const Breaker* breaker, int64_t image, int64_t goal) noexcept nogil
cdef int64_t worn_left(int64_t worn, int64_t lasts) noexcept nogil
