from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, World

cdef void start(World* world) noexcept nogil
cdef void order(World* world, Charger* charger, int32_t setpoint) noexcept nogil
cdef void shed_to(
    World* world, Charger* charger, int64_t setpoint, int32_t rule, int32_t circuit, int32_t row
) noexcept nogil
