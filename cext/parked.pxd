from cext.types cimport World

cdef void park_idle(World* world) noexcept nogil
cdef void note_short(World* world) noexcept nogil
