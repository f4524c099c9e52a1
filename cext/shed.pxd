from cext.types cimport World

cdef void lower_silent(World* world) noexcept nogil
cdef void shed_excess(World* world) noexcept nogil
cdef void fall_back(World* world) noexcept nogil
cdef void fall_to_targets(World* world) noexcept nogil
