cdef int ask_fifo(int* priority) noexcept nogil
cdef bint process_locked() noexcept nogil
cdef int lock_pages(const void* start, size_t bytes) noexcept nogil
cdef void unlock_pages(const void* start, size_t bytes) noexcept nogil
cdef size_t own_stack(char** lowest) noexcept nogil
cdef void touch_below(char* lowest, size_t bytes) noexcept nogil
