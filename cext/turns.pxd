from cext.types cimport World

cdef void pass_turn(World* world) noexcept nogil
cdef void queue_up(World* world) noexcept nogil
