from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, World

cdef int64_t worst_draw(const Charger* charger, int64_t setpoint) noexcept nogil
cdef int64_t ordered_draw(
    const World* world, const Charger* charger, int32_t phase
) noexcept nogil
cdef bint proving(const World* world, const Charger* charger) noexcept nogil
cdef bint obeys(const Charger* charger) noexcept nogil
cdef int32_t setpoint_for(const Charger* charger, int64_t draw) noexcept nogil
cdef void take_report(
    Charger* charger, int64_t at, int32_t in_force, const int32_t* current, int32_t vehicle,
    int64_t written_tick
) noexcept nogil
cdef void count_draw(World* world) noexcept nogil
cdef int32_t wakes_at(const Charger* charger) noexcept nogil
