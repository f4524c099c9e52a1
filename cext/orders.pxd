from libc.stdint cimport int32_t, int64_t

from cext.types cimport WORTH_MA, Charger, World

cdef enum:
    PACED_WORTH_MA = 2000  # of a change that forfeits the next one for a whole gap

cdef void start(World* world) noexcept nogil
cdef void order(World* world, Charger* charger, int32_t setpoint) noexcept nogil
cdef void shed_to(
    World* world, Charger* charger, int64_t setpoint, int32_t rule, int32_t circuit, int32_t row
) noexcept nogil


cdef inline int32_t worth_a_write(const Charger* charger) noexcept nogil:
    """A smaller change waits for more, unless a cap asks for it."""
    return PACED_WORTH_MA if charger.write_gap else WORTH_MA
