from libc.stdint cimport int64_t

from cext.depot cimport Depot, Node

cdef void watch(Node* node, int64_t tolerance_ma) noexcept nogil
cdef void forget(Depot* depot) noexcept nogil
