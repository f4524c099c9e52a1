from cext.types cimport World

cdef void probe(World* world) noexcept nogil
