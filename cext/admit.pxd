from libc.stdint cimport int32_t

from cext.types cimport Filler, Wish

cdef void begin_run(Filler* filler, Wish* wishes, int32_t count) noexcept nogil
cdef void let_in(Filler* filler, Wish* wishes, int32_t start, int32_t end) noexcept nogil
cdef void line_up(
    Filler* filler, Wish* wishes, int32_t early, int32_t start, int32_t end, int32_t stage,
    bint floors
) noexcept nogil
