from cext.types cimport World


cdef void escalate(World* world) noexcept nogil
