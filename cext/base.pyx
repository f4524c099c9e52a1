# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What is measured, and the base load as an interval: what is left when the draw is known."""

from libc.stdint cimport int32_t, int64_t

from cext.credits cimport count_each_source
from cext.ring cimport ring_push, ring_span
from cext.types cimport GRID_PHASES, Circuit, Source, World, in_date
from cext.undeclared cimport doubt, judge_readings, note_lasting, note_undeclared

cdef int64_t MOST = 0x7FFFFFFF
cdef int64_t SECOND = 1_000_000_000


cdef inline int32_t magnitude(int32_t ma) noexcept nogil:
    return ma if ma >= 0 else -ma


cdef void take_reading(Source* source, int64_t at, const int32_t* current) noexcept nogil:
    """A reading; one older than the last is dropped, and so is one that nobody trusts."""
    cdef int32_t phase
    if source.distrusted or (source.known and at < source.at):
        return
    if not source.known:
        source.first_at = at
    source.known = 1
    source.at = at
    for phase in range(GRID_PHASES):
        source.reading[phase] = magnitude(current[phase]) if source.unsigned else current[phase]
    ring_push(&source.ring, at, source.reading)


cdef void distrust(Source* source, bint distrusted) noexcept nogil:
    """Stale at once. Trusted again, it begins anew with its next reading."""
    if source.distrusted == distrusted:
        return
    source.distrusted = distrusted
    source.known = 0
    source.ring.count = 0
    doubt(source)


cdef void count_readings(World* world) noexcept nogil:
    """Which circuits are measured now, by what, and since when that may hold.

    Magnitudes count only where nothing signed is fresh.
    """
    cdef int32_t i
    cdef Source* source
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        world.circuits[i].fresh = 0
        world.circuits[i].unsigned = 0
        world.circuits[i].handing = 0
    for i in range(world.sources_n):
        source = &world.sources[i]
        source.fresh = source.known and in_date(source.at, source.max_age, world.now)
        source.counts = source.fresh and not source.unsigned
        if source.counts:
            count_source(&world.circuits[source.circuit], source)
    for i in range(world.sources_n):
        source = &world.sources[i]
        circuit = &world.circuits[source.circuit]
        if source.fresh and source.unsigned and (circuit.unsigned or not circuit.fresh):
            source.counts = 1
            circuit.unsigned = 1
            count_source(circuit, source)
    for i in range(world.sources_n):
        hand_over(&world.circuits[world.sources[i].circuit], &world.sources[i])
        keep_error(&world.circuits[world.sources[i].circuit], &world.sources[i])


cdef void hand_over(Circuit* circuit, Source* source) noexcept nogil:
    """A source no longer counts: until the others' readings must be newer than its last one,
    they may not know yet what it knew."""
    if source.counts:
        source.counted_at = source.at
    elif circuit.fresh and source.counted_at > circuit.oldest_ns:
        circuit.handing = 1


cdef void keep_error(Circuit* circuit, const Source* source) noexcept nogil:
    """Of a source that counted before, beside those that do: losing it frees nothing that it held."""
    if circuit.fresh and source.counted_at and (circuit.unsigned or not source.unsigned):
        circuit.error = max(circuit.error, source.error)


cdef void count_source(Circuit* circuit, const Source* source) noexcept nogil:
    """One source that counts; of several the worst counts, per phase and per figure.

    A circuit was heard once a source has told it for twice as long as reports below may be late:
    before that, what nobody declared cannot be told from what chargers draw.
    """
    cdef int32_t phase
    cdef int64_t oldest = source.at - source.lag
    if source.at - source.first_at > 2 * (source.lag + source.charger_lag) + SECOND:
        circuit.heard = 1
    if not circuit.fresh:
        circuit.fresh = 1
        circuit.error = 0
        circuit.reading_at = source.at
        circuit.oldest_ns = oldest
        circuit.window_ns = oldest - source.charger_lag
        circuit.quick_ns = oldest
        circuit.credit_ns = 0
        circuit.quick_credit_ns = source.lag + source.poll
        for phase in range(GRID_PHASES):
            circuit.reading[phase] = source.reading[phase]
    circuit.error = max(circuit.error, source.error)
    circuit.reading_at = max(circuit.reading_at, source.at)
    circuit.oldest_ns = min(circuit.oldest_ns, oldest)
    circuit.window_ns = min(circuit.window_ns, oldest - source.charger_lag)
    circuit.quick_ns = max(circuit.quick_ns, oldest)
    circuit.credit_ns = max(circuit.credit_ns, source.lag + source.poll)
    circuit.quick_credit_ns = min(circuit.quick_credit_ns, source.lag + source.poll)
    for phase in range(GRID_PHASES):
        circuit.reading[phase] = max(circuit.reading[phase], source.reading[phase])


cdef void count_base(World* world) noexcept nogil:
    """Both ends of the base load, and the net excess, of every circuit and phase."""
    cdef int32_t i
    for i in range(world.circuits_n):
        note_draw(&world.circuits[i], world.now)
    judge_readings(world)
    note_lasting(world)
    note_undeclared(world)
    count_each_source(world)
    for i in range(world.circuits_n):
        count_circuit(&world.circuits[i])
    bound_by_readings(world)
    bound_blind_parents(world)


cdef void note_draw(Circuit* circuit, int64_t now) noexcept nogil:
    """Keeps the sum of upper ends, to be held against readings that are older than it."""
    cdef int32_t phase
    cdef int32_t sum_hi[GRID_PHASES]
    for phase in range(GRID_PHASES):
        sum_hi[phase] = <int32_t>min(circuit.draw_hi[phase], MOST)
    ring_push(&circuit.drawn, now, sum_hi)


cdef void count_circuit(Circuit* circuit) noexcept nogil:
    """Lower end and net excess by the reading; without one: nothing known, nothing measured.

    The error of what was read counts beside the declared worst case as long as nothing is read,
    too: losing a reading frees nothing that it held.
    """
    cdef int32_t phase, held
    cdef int64_t least
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    ring_span(&circuit.drawn, circuit.oldest_ns, lo, hi)
    held = circuit.most_error if circuit.heard else 0
    for phase in range(GRID_PHASES):
        circuit.base_hi[phase] = max(circuit.worst[phase], max(held, circuit.undeclared[phase]))
        circuit.base_lo[phase] = 0
        circuit.excess[phase] = 0
        if not circuit.fresh:
            continue
        least = <int64_t>circuit.reading[phase] - circuit.error - hi[phase]
        if not circuit.unsigned:  # a magnitude may be export: it is nobody's lower end
            circuit.base_lo[phase] = max(0, least)
        circuit.excess[phase] = max(
            0,
            <int64_t>circuit.reading[phase] + circuit.error
            - circuit.cap[phase] - circuit.credit[phase],
        )


cdef void bound_by_readings(World* world) noexcept nogil:
    """Upper end where there is a reading: the largest in the window, less the least draw.

    Never above the declared worst case (or the meter's error, where that is more: less could not
    be told from an excess; or what readings show beyond it), never below 0 unless export is
    credited.
    """
    cdef int32_t i, phase
    cdef int64_t seen, most
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef Circuit* circuit
    cdef Source* source
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            circuit.seen[phase] = -MOST if circuit.credit_export else 0
    for i in range(world.sources_n):
        source = &world.sources[i]
        circuit = &world.circuits[source.circuit]
        if not source.counts:
            continue
        ring_span(&source.ring, circuit.window_ns, lo, hi)
        for phase in range(GRID_PHASES):
            seen = <int64_t>hi[phase] + circuit.error - circuit.draw_lo[phase]
            circuit.seen[phase] = max(circuit.seen[phase], seen)
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            if circuit.fresh:
                most = max(circuit.worst[phase], max(circuit.error, circuit.undeclared[phase]))
                circuit.base_hi[phase] = min(circuit.seen[phase], most)


cdef void bound_blind_parents(World* world) noexcept nogil:
    """A blind parent carries at least what its children's base loads are known to be."""
    cdef int32_t i, phase
    cdef Circuit* circuit
    cdef Circuit* parent
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            world.circuits[i].below_lo[phase] = 0
    for i in range(world.circuits_n - 1, -1, -1):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            if not circuit.fresh:
                circuit.base_lo[phase] = circuit.below_lo[phase]
                circuit.base_hi[phase] = max(circuit.base_hi[phase], circuit.below_lo[phase])
            if circuit.parent >= 0:
                parent = &world.circuits[circuit.parent]
                parent.below_lo[phase] += circuit.base_lo[phase]
