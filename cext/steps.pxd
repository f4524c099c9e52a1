from cext.types cimport World

cdef void hand_round(World* world) noexcept nogil
