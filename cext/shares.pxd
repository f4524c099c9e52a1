from libc.stdint cimport int32_t

from cext.types cimport Filler, Wish

cdef int filler_make(Filler* filler, int32_t circuits, int32_t room) noexcept
cdef void filler_order(Filler* filler) noexcept
cdef void filler_free(Filler* filler) noexcept
cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil
