# cython: language_level=3
"""Numbers from outside: whole, and within their range, or an error that names them."""

from libc.stdint cimport int32_t, int64_t


cdef int32_t whole(object value, object least, object most, str name) except? -1:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, not within {least} and {most}")
    return <int32_t>value


cdef int64_t long_whole(object value, object most, str name) except -1:
    if not 0 <= value <= most:
        raise ValueError(f"{name} is {value}, not within 0 and {most}")
    return <int64_t>value
