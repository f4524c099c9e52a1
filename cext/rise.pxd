from cext.types cimport World

cdef void rise(World* world) noexcept nogil
