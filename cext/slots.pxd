from cext.types cimport World

cdef void count_slots(World* world) noexcept nogil
