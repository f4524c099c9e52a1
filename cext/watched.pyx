# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""How each circuit of the virtual depot stands against what it truly may carry."""

from cext.rows import NEVER_NS

from libc.stdint cimport int32_t, int64_t

from cext.depot cimport TERMINALS, Depot, Node

cdef int64_t NEVER = NEVER_NS


cdef void watch(Node* node, int64_t tolerance_ma) noexcept nogil:
    """One inner step."""
    watch_cap(node, tolerance_ma)
    if node.bounded:
        watch_bounds(node)


cdef void watch_cap(Node* node, int64_t tolerance_ma) noexcept nogil:
    cdef int64_t excess = -NEVER, above
    cdef int32_t phase
    for phase in range(TERMINALS):
        above = node.load_ma[phase] - node.cap_ma[phase]
        node.above_ma[phase] = max(node.above_ma[phase], above)
        excess = max(excess, above)
    node.worst_ma = max(node.worst_ma, excess)
    if excess <= tolerance_ma:
        node.over_for = node.marked_over_for = 0
        return
    node.over_for += 1
    node.marked_over_for += 1
    node.longest = max(node.longest, node.marked_over_for)


cdef void watch_bounds(Node* node) noexcept nogil:
    cdef int32_t phase
    cdef int64_t ma, together = 0
    for phase in range(TERMINALS):
        ma = node.load_ma[phase]
        together += ma if node.nets else max(0, ma)
        node.busbar_above_ma[phase] = max(
            node.busbar_above_ma[phase], node.drawn_ma[phase] - node.busbar_ma[phase]
        )
    node.together_above_ma = max(node.together_above_ma, together - node.together_ma)


cdef void forget(Depot* depot) noexcept nogil:
    """A new measuring window begins."""
    cdef int32_t i, phase
    cdef Node* node
    for i in range(depot.nodes_n):
        node = &depot.nodes[i]
        node.worst_ma = 0
        node.together_above_ma = -NEVER
        for phase in range(TERMINALS):
            node.above_ma[phase] = node.busbar_above_ma[phase] = -NEVER
        node.longest = node.marked_over_for = 0
