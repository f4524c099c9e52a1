from cext.types cimport World

cdef int take_over(World* world, const World* old, maps) except -1
cdef void refit(World* world) noexcept nogil
