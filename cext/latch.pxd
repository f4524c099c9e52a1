from cext.types cimport World

cdef void hold_latched(World* world) noexcept nogil
cdef void name_latched(World* world) noexcept nogil
