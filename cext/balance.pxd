from cext.types cimport World

cdef void balance(World* world) noexcept nogil
