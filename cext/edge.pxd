"""Checks at the edge, and rows for the way out. All raise, and hold the GIL."""

from libc.stdint cimport int32_t, int64_t

from cext.breaker cimport Breaker
from cext.types cimport Charger, Circuit, Why

cdef object whole(str name, value, least, most)
cdef object instant(str name, value)
cdef object index(str name, value, int32_t count)
cdef object index_map(str name, value, int32_t count, int32_t old_count)
cdef int amps(str name, value, least, int32_t* to) except -1
cdef object three(const int32_t* value)
cdef object three64(const int64_t* value)
cdef object together(const Circuit* circuit)
cdef object why_row(const Why* why)
cdef int read_heat(heat, Breaker* to) except -1
cdef int64_t advised(str name, value, int32_t* to) except -1
cdef object advice_row(const Charger* charger)
