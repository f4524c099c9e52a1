from libc.stdint cimport int32_t

from cext.types cimport World

# What is wrong with a state; NULL: nothing.
cdef struct Flaw:
    const char* what
    int32_t index  # -1: there is only one

cdef void find_flaw(
    World* world, const World* fresh, const char* laid, char* marks, Flaw* flaw
) noexcept nogil
