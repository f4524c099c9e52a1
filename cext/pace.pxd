from cext.types cimport World

cdef void decide(World* world) noexcept nogil
