from cext.types cimport LATCH_OPEN, World

cdef void hold_latched(World* world) noexcept nogil
cdef void name_latched(World* world) noexcept nogil


cdef inline bint stays_down(const World* world) noexcept nogil:
    """Whether nothing rises and no contactor closes: latched, or left to itself."""
    return world.latched != LATCH_OPEN or world.leaving
