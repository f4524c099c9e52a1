from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, Why, Wish, World

cdef void blame(World* world, Why* why, int32_t rule, int32_t circuit, int32_t row) noexcept nogil
cdef int32_t to_step(const Charger* charger, int64_t setpoint) noexcept nogil
cdef bint at_table(const World* world, const Charger* charger) noexcept nogil
cdef void wish_of(const Charger* charger, Wish* wish, int32_t demand) noexcept nogil
cdef void line_up_wish(const Charger* charger, Wish* wish) noexcept nogil
cdef void set_targets(World* world) noexcept nogil
cdef void share_out(World* world) noexcept nogil
cdef void set_failsafe(World* world) noexcept nogil
