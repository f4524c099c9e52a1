from libc.stdint cimport int32_t

from cext.types cimport Charger, World

cdef void apportion(World* world) noexcept nogil
cdef void shed_swing(World* world) noexcept nogil
