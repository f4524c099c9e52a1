from libc.stdint cimport int32_t

from cext.types cimport Charger, Why, World

cdef int32_t spared(World* world, const Charger* charger, Why* where) noexcept nogil
