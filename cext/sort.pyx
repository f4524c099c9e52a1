# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Events in the order of their level: stable, and in bounded time whatever the levels are."""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport Event

cdef enum:
    FEW = 24  # so many are sorted by insertion
    DIGIT_BITS = 8
    DIGITS = 256
    LEVEL_DIGITS = 8


cdef Event* sort_events(Event* events, Event* spare, int32_t count) noexcept nogil:
    """Sorts by level, none of them negative; the answer is in one of the two, the other is lost.

    Digit by digit from the lowest, and a digit that is the same everywhere costs nothing.
    """
    cdef int32_t at[DIGITS]
    cdef int32_t n, shift, i, digit, place, held
    cdef int64_t differ = 0
    cdef Event* other
    if count <= FEW:
        insert(events, count)
        return events
    for i in range(1, count):
        differ |= events[i].level ^ events[0].level
    for n in range(LEVEL_DIGITS):
        shift = n * DIGIT_BITS
        if not (differ >> shift) & (DIGITS - 1):
            continue
        for i in range(DIGITS):
            at[i] = 0
        for i in range(count):
            at[(events[i].level >> shift) & (DIGITS - 1)] += 1
        place = 0
        for i in range(DIGITS):
            held = at[i]
            at[i] = place
            place += held
        for i in range(count):
            digit = <int32_t>((events[i].level >> shift) & (DIGITS - 1))
            spare[at[digit]] = events[i]
            at[digit] += 1
        other = events
        events = spare
        spare = other
    return events


cdef void insert(Event* events, int32_t count) noexcept nogil:
    cdef int32_t i, hole
    cdef Event event
    for i in range(1, count):
        event = events[i]
        hole = i
        while hole > 0 and events[hole - 1].level > event.level:
            events[hole] = events[hole - 1]
            hole -= 1
        events[hole] = event
