from libc.stdint cimport int32_t

from cext.types cimport Charger, Circuit, World


cdef bint closed_to_rises(const Circuit* circuit, int32_t phase) noexcept nogil
cdef void rise(World* world) noexcept nogil
