from cext.types cimport World


cdef void reclose(World* world) noexcept nogil
