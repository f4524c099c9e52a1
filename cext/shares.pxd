from libc.stdint cimport int32_t, int64_t

from cext.memory cimport Memory
from cext.types cimport Filler, Wish

cdef void filler_make(Filler* filler, Memory* memory, int32_t circuits, int32_t room) noexcept
cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil
