from libc.stdint cimport int32_t, int64_t

cdef int32_t whole(object value, object least, object most, str name) except? -1
cdef int64_t long_whole(object value, object most, str name) except -1
