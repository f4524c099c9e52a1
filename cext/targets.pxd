from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, Why, World

cdef void blame(World* world, Why* why, int32_t rule, int32_t circuit, int32_t row) noexcept nogil
cdef int32_t to_step(const Charger* charger, int64_t setpoint) noexcept nogil
cdef void set_targets(World* world) noexcept nogil
cdef void share_out(World* world) noexcept nogil
cdef void set_failsafe(World* world) noexcept nogil
