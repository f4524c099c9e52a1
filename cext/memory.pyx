# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The memory of one kernel: every array of it, taken at start, touched at once.

Locks are kept by page, and do not nest. So each piece begins on a page of its own: then no
page holds parts of two pieces, and to unlock one kernel's memory leaves another's locked.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memset


cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void** where, size_t alignment, size_t bytes)


cdef extern from "<unistd.h>" nogil:
    int _SC_PAGESIZE
    long sysconf(int name)


cdef extern from "<sys/mman.h>" nogil:
    int mlock(const void* start, size_t bytes)
    int munlock(const void* start, size_t bytes)


cdef extern from "<errno.h>" nogil:
    int errno


cdef enum:
    LINE = 64  # bytes of a cache line
    STAGGER = 5 * LINE  # else all arrays would meet in the same few lines of the cache


cdef void* take(Memory* memory, size_t count, size_t each) noexcept:
    """Zeroed room for `count` times `each` bytes; NULL, and `lacking` set, when there is none."""
    cdef size_t page = <size_t>sysconf(_SC_PAGESIZE)
    cdef size_t ahead = <size_t>memory.count * STAGGER % page
    cdef size_t bytes = ahead + (count if count > 0 else <size_t>1) * each
    cdef void* start = NULL
    if memory.count == PIECES or posix_memalign(&start, page, bytes):
        memory.lacking = 1
        return NULL
    memset(start, 0, bytes)  # so that no tick is the first to touch a page
    memory.start[memory.count] = start
    memory.bytes[memory.count] = bytes
    memory.ahead[memory.count] = ahead
    memory.count += 1
    return <char*>start + ahead


cdef size_t taken_bytes(const Memory* memory) noexcept nogil:
    cdef size_t sum = 0
    cdef int32_t i
    for i in range(memory.count):
        sum += memory.bytes[i]
    return sum


cdef int lock_memory(Memory* memory) noexcept nogil:
    """Keeps all of it in memory, or none: 0, or why not (errno). It stays so until given back."""
    cdef int why
    cdef int32_t i
    for i in range(memory.count):
        if mlock(memory.start[i], memory.bytes[i]):
            why = errno
            unlock_memory(memory)
            return why
    memory.locked = 1
    return 0


cdef void unlock_memory(Memory* memory) noexcept nogil:
    cdef int32_t i
    for i in range(memory.count):
        munlock(memory.start[i], memory.bytes[i])
    memory.locked = 0


cdef void give_back(Memory* memory) noexcept:
    cdef int32_t i
    if memory.locked:
        unlock_memory(memory)
    for i in range(memory.count):
        free(memory.start[i])
    memory.count = 0
