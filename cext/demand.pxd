from libc.stdint cimport int32_t, int64_t

from cext.types cimport Charger

cdef void meet_vehicle(Charger* charger, int64_t at, int32_t vehicle) noexcept nogil
cdef void count_demand(Charger* charger, int64_t now, int64_t turn) noexcept nogil
