from cext.types cimport World

cdef void start(World* world) noexcept nogil
cdef void decide(World* world) noexcept nogil
