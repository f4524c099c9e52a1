# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What a circuit bears beside its cap on each phase: three phases together, and a bus bar.

An apparent power at nominal voltage is a sum of the three phases' currents, each at its
magnitude. It is one more row beside the phases, on circuits that bound it. A phase that exports
adds nothing there, and takes something off only where export is credited.

A bus bar may be fed from two sides. So what the chargers below draw never exceeds it, however
much export is credited to the cap.
"""

from libc.stdint cimport int32_t, int64_t

from cext.bounds cimport NO_STEP, on_bar
from cext.types cimport AT_BUSBAR, GRID_PHASES, SUM, Charger, Circuit, World

cdef int64_t NO_CAP = 0x7FFFFFFF


cdef void add_up(World* world) noexcept nogil:
    """The sum's row of every circuit that has one; its phases are counted."""
    cdef int32_t i
    if not world.summed:
        return
    for i in range(world.circuits_n):
        if world.circuits[i].summed:
            add_up_phases(&world.circuits[i])
            net_of_credits(&world.circuits[i])


cdef int64_t three(const int64_t* phases) noexcept nogil:
    return phases[0] + phases[1] + phases[2]


cdef int64_t flows(const Circuit* circuit, int64_t phase_ma) noexcept nogil:
    """What a phase adds to the sum."""
    return phase_ma if circuit.credit_export else max(0, phase_ma)


cdef void add_up_phases(Circuit* circuit) noexcept nogil:
    cdef int32_t phase
    cdef int64_t reading = 0
    for phase in range(GRID_PHASES):
        reading += flows(circuit, circuit.reading[phase])
    circuit.reading[SUM] = <int32_t>reading  # three times 2^27 at the most
    circuit.draw_hi[SUM] = three(circuit.draw_hi)
    circuit.slow_hi[SUM] = three(circuit.slow_hi)
    circuit.base_hi[SUM] = three(circuit.base_hi)
    circuit.seen[SUM] = three(circuit.seen)
    circuit.credit[SUM] = three(circuit.credit)
    circuit.retaken[SUM] = circuit.retaken[0] | circuit.retaken[1] | circuit.retaken[2]


cdef void net_of_credits(Circuit* circuit) noexcept nogil:
    """The net excess of the sum, and what may be shed against it.

    What is credited, or lowered, on a phase takes no more off the sum than flows there.
    """
    cdef int32_t phase
    cdef int64_t net, left, excess = -<int64_t>circuit.cap[SUM]
    circuit.may_shed[SUM] = circuit.quick_shed[SUM] = circuit.suspect_draw[SUM] = 0
    circuit.excess[SUM] = 0
    if not circuit.fresh:
        return
    for phase in range(GRID_PHASES):
        net = flows(
            circuit,
            <int64_t>circuit.reading[phase] + circuit.error - circuit.credit[phase],
        )
        excess += net
        left = NO_CAP if circuit.credit_export else net
        circuit.quick_shed[SUM] += min(circuit.quick_shed[phase], left)
        circuit.may_shed[SUM] += min(circuit.may_shed[phase], left)
        left -= min(circuit.may_shed[phase], left)
        circuit.suspect_draw[SUM] += min(circuit.suspect_draw[phase], left)
    circuit.excess[SUM] = max(0, excess)


cdef int64_t worst_of(const Circuit* circuit, int32_t row) noexcept nogil:
    """The worst case of the base load."""
    if row < GRID_PHASES:
        return circuit.worst[row]
    return <int64_t>circuit.worst[0] + circuit.worst[1] + circuit.worst[2]


cdef int64_t beneath_rises(const Circuit* circuit, int32_t row) noexcept nogil:
    """The base load beside which something may rise. Until readings reach far enough back after a
    start, what is undeclared does not show yet: all that is read and nobody told to draw counts."""
    if circuit.fresh and not circuit.heard:
        return max(circuit.base_hi[row], circuit.seen[row])
    return circuit.base_hi[row]


cdef int64_t stepped(const Circuit* circuit, int32_t row) noexcept nogil:
    """The upper end of the base load after the largest step, at most the worst case: as far as that
    bounds anything, and has not been disproved."""
    cdef int64_t base, worst
    if row >= GRID_PHASES:
        return stepped(circuit, 0) + stepped(circuit, 1) + stepped(circuit, 2)
    worst = circuit.worst[row]
    if worst <= circuit.declared[row] and not circuit.undeclared[row]:
        base = circuit.base_hi[row] + circuit.base_step[row]
        return max(beneath_rises(circuit, row), min(base, worst))
    if circuit.base_step[row] == NO_STEP:
        return max(worst, circuit.base_hi[row] + circuit.declared[row])
    return circuit.base_hi[row] + circuit.base_step[row]


cdef bint bears(const Circuit* circuit, const Charger* charger, int32_t row) noexcept nogil:
    """Whether what a charger draws counts in that row of a circuit above it."""
    if row < GRID_PHASES:
        return charger.uses[row] != 0
    if row == SUM:
        return circuit.summed != 0
    return circuit.barred and charger.uses[row - AT_BUSBAR]


cdef int64_t drawn_in(int32_t row, const int64_t* drawn) noexcept nogil:
    """What counts in a row of what a charger draws by phase."""
    if row == SUM:
        return drawn[0] + drawn[1] + drawn[2]
    return drawn[row if row < SUM else row - AT_BUSBAR]


cdef int64_t room_with(const Charger* charger, int32_t row, int64_t slack) noexcept nogil:
    """The draw up to which it may rise on each phase where a row has that slack."""
    if row == SUM:
        return reach(charger, slack)
    return drawn_in(row, charger.draw_hi) + slack


cdef int64_t reach(const Charger* charger, int64_t slack) noexcept nogil:
    """The draw up to which a charger may rise on each phase when the sum has that slack: on any
    of its phases together it adds no more than that to their upper ends."""
    cdef int32_t chosen, phase, count
    cdef int64_t room, least = NO_CAP
    for chosen in range(1, 1 << GRID_PHASES):
        room = slack
        count = 0
        for phase in range(GRID_PHASES):
            if (chosen >> phase) & 1:
                count += 1 if charger.uses[phase] else GRID_PHASES + 1
                room += charger.draw_hi[phase]
        if count <= GRID_PHASES:
            least = min(least, room // count)
    return least


cdef int64_t for_chargers(const Circuit* circuit, int32_t row) noexcept nogil:
    """What the cap leaves to the chargers below, and no more than the bus bar carries."""
    cdef int64_t left = circuit.cap[row] - circuit.base_hi[row]
    return min(left, on_bar(circuit, row)) if row < GRID_PHASES else left


cdef int32_t at_fault(const Circuit* circuit, int32_t row) noexcept nogil:
    """The row to blame for what `for_chargers` leaves."""
    if row < GRID_PHASES and on_bar(circuit, row) < circuit.cap[row] - circuit.base_hi[row]:
        return AT_BUSBAR + row
    return row
