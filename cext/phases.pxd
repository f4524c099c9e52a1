from libc.stdint cimport int64_t

from cext.types cimport Charger, World

cdef void note_phases(Charger* charger, int64_t at, bint other_state) noexcept nogil
cdef void forget_phases(Charger* charger) noexcept nogil
cdef void count_phases(World* world, Charger* charger) noexcept nogil
