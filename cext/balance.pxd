from cext.types cimport Charger, World

cdef void balance(World* world) noexcept nogil
cdef void note_out(const World* world, Charger* charger) noexcept nogil
