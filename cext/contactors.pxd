from libc.stdint cimport int32_t, int64_t

from cext.types cimport Contactor, Why, World


cdef bint contact_young(const Contactor* contactor, int64_t now) noexcept nogil
cdef bint take_contact(Contactor* contactor, int64_t at, bint closed) noexcept nogil
cdef void count_contactors(World* world) noexcept nogil
cdef void open_contactor(World* world, Contactor* contactor, const Why* cause) noexcept nogil
cdef void lower_parted(World* world) noexcept nogil
cdef void reclose(World* world) noexcept nogil
