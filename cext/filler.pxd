from libc.stdint cimport int32_t

from cext.memory cimport Memory
from cext.types cimport Filler

cdef void filler_make(Filler* filler, Memory* memory, int32_t circuits, int32_t room) noexcept
cdef void filler_order(Filler* filler) noexcept
