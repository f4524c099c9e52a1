from libc.stdint cimport int32_t

from cext.types cimport Event

cdef Event* sort_events(Event* events, Event* spare, int32_t count) noexcept nogil
