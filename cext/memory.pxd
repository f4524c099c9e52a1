"""The memory of one kernel, taken once and known whole, so that it can be locked."""

from libc.stdint cimport int32_t

cdef enum:
    PIECES = 48  # arrays a kernel has at most

cdef struct Memory:
    void* start[PIECES]  # of each piece: on a page where no other piece begins
    size_t bytes[PIECES]
    size_t ahead[PIECES]  # bytes before what it was taken for
    int32_t count
    int32_t lacking  # some piece could not be had
    int32_t locked  # by lock_memory()

cdef void* take(Memory* memory, size_t count, size_t each) noexcept
cdef int lock_memory(Memory* memory) noexcept nogil
cdef void unlock_memory(Memory* memory) noexcept nogil
cdef void give_back(Memory* memory) noexcept
cdef size_t taken_bytes(const Memory* memory) noexcept nogil
