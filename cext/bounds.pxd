"""What a circuit bounds: its rows, and its bus bar."""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport BOUNDS, GRID_PHASES, ROWS, Circuit, World

cdef enum:
    NO_STEP = 0x7FFFFFFF  # nobody stated how far the base load steps


cdef inline int32_t rows_of(const Circuit* circuit) noexcept nogil:
    """How many rows a circuit bounds: its phases, and perhaps their sum."""
    return ROWS if circuit.summed else GRID_PHASES


cdef inline int32_t bounds_of(const Circuit* circuit) noexcept nogil:
    """How many bounds to look at; those that it does not have are among them."""
    return BOUNDS if circuit.summed or circuit.barred else GRID_PHASES


cdef inline int64_t on_bar(const Circuit* circuit, int32_t phase) noexcept nogil:
    """What a bus bar leaves to the chargers below. Behind what is fed in nobody sees the base load
    on it, so that counts at its worst, or at what readings show beyond that."""
    return max(
        <int64_t>0,
        circuit.busbar[phase] - max(circuit.worst[phase], circuit.undeclared[phase]),
    )


cdef inline void carry_up(const World* world, int32_t i, int64_t* sum) noexcept nogil:
    """Adds the rows of a circuit to those of its parent; from the last to the root, for parents
    stand before their children."""
    cdef int32_t row
    if i > 0:
        for row in range(ROWS):
            sum[world.circuits[i].parent * ROWS + row] += sum[i * ROWS + row]
