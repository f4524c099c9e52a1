from cext.types cimport World

cdef void shed_untold(World* world) noexcept nogil
