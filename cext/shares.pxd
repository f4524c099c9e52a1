from libc.stdint cimport int32_t

from cext.types cimport Filler, Wish

cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil
