from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger, Contactor, Why, World


cdef bint contact_young(const Contactor* contactor, int64_t now) noexcept nogil
cdef bint take_contact(Contactor* contactor, int64_t at, bint closed) noexcept nogil
cdef void count_contactors(World* world) noexcept nogil
cdef void give_up_closing(World* world) noexcept nogil
cdef void open_contactor(World* world, Contactor* contactor, const Why* cause) noexcept nogil
cdef void lower_parted(World* world) noexcept nogil
cdef Charger* member(World* world, const Contactor* contactor, int32_t n) noexcept nogil
cdef void change(World* world, Contactor* contactor, bint closed) noexcept nogil
cdef void count_verified(World* world) noexcept nogil
cdef void forget_drop(Charger* charger) noexcept nogil
cdef bint wakes(const Charger* charger, const Contactor* contactor) noexcept nogil
cdef void reserve_for(World* world, const Contactor* contactor, bint reserved) noexcept nogil
