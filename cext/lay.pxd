from cext.types cimport World

cdef int lay_world(World* world, circuits, sources, chargers, slots, tuning, contactors) except -1
