from libc.stdint cimport int32_t, int64_t

from cext.types cimport BOUNDS, Why, World

# A circuit that is over, as one tick sees it.
cdef struct Case:
    int64_t over[BOUNDS]  # net excess over the cap; 0 where it is within the margin
    int64_t need[BOUNDS]  # of that, what contactors have to take: over the hard cap
    int64_t worst  # of `over`
    int64_t clear_by  # when the excess has to be gone; NEVER: nobody says
    int64_t pause_by  # the same with economic limits, which go no further than the pause
    int64_t shows  # from an opening until the reading above must show it
    bint patient  # nothing has improved for as long as a step takes to show
    bint pending  # something is under way, or may be done soon
    int32_t soft  # the row of the cap that is exceeded
    Why hard  # the cap that may be enforced by contactors
    int32_t hard_row


cdef void leave_out_reserved(World* world) noexcept nogil
cdef void harden(World* world) noexcept nogil
cdef bint examine(World* world, int32_t i, Case* case) noexcept nogil
