from cext.breaker cimport Breaker
from cext.types cimport World

cdef void count_heat(World* world) noexcept nogil
cdef void fill_up(Breaker* breaker) noexcept nogil
cdef void take_heat(Breaker* breaker, const Breaker* was) noexcept nogil
