"""What protects a circuit, and how warm it is: the thermal image's struct."""

from libc.stdint cimport int32_t, int64_t

cdef enum:
    CURVE_STEPS = 40  # of a protective device, at the most
    PHASES = 3

cdef struct Breaker:
    int32_t known  # whether anybody said
    int32_t pickup  # at and below it, it never trips
    int64_t tau
    int64_t heats  # 2^62 / tau, rounded up
    int64_t cools  # rounded down
    int32_t steps
    int32_t step_ma[CURVE_STEPS]
    int64_t step_ns[CURVE_STEPS]  # up to that current not sooner, from cold; no_trip: no bound
    int64_t image[PHASES]  # 2^-32 of what may trip it
    int64_t worn[PHASES]  # 2^-32 of its fastest curve
    int64_t at  # when that was so; -1: never
    int32_t before[PHASES]  # what flowed then
    # of this tick
    int32_t current[PHASES]
    int64_t trips  # from now on; no_trip


cdef inline int64_t full_image() noexcept nogil:
    """So warm, a protective device may trip: 1, in 2^-32."""
    return 0x100000000


cdef inline int64_t no_trip() noexcept nogil:
    """In place of a time: not by what flows."""
    return 0x7FFFFFFFFFFFFFFF
