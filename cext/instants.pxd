# cython: language_level=3, cdivision=True
"""Whether instants and counts of a state that was read back are small enough for the sums and
differences that were proved with them. cext.check bounds those that come from outside."""

from libc.stdint cimport int64_t

from cext.types cimport GRID_PHASES, ROWS, Charger, Circuit, Contactor, Source, World

cdef enum:
    MOST_OFFERS = 1 << 30


cdef inline int64_t most_now() noexcept nogil:
    return <int64_t>1 << 60  # cext.check


cdef inline bint sums_up(int64_t value) noexcept nogil:
    """An instant, a turn, or a time that passed: two of them, and any time of the tables, still fit."""
    return -2 * most_now() <= value <= 2 * most_now()


cdef inline bint times_of_world(const World* world) noexcept nogil:
    return (
        0 <= world.now <= most_now()
        and 0 <= world.tick <= most_now()
        and -1 <= world.turn_index <= most_now() // max(<int64_t>1, world.pace.turn)
        and sums_up(world.swing_turn)
        and sums_up(world.shared_at)
        and sums_up(world.steps_moved_at)
        and sums_up(world.began)
        and sums_up(world.closing_at)
        and sums_up(world.unfit_at)
    )


cdef inline bint times_of_circuit(const Circuit* circuit) noexcept nogil:
    cdef int phase
    for phase in range(GRID_PHASES):
        if not 0 <= circuit.short_for[phase] <= 2 * most_now():
            return False
    for phase in range(ROWS):  # of a row that nothing bounds it is never counted anew
        if not sums_up(circuit.base_hi[phase]):
            return False
    return (
        sums_up(circuit.reading_at)
        and sums_up(circuit.least_over)
        and sums_up(circuit.oldest_ns)
        and sums_up(circuit.window_ns)
        and sums_up(circuit.shown_since)
        and sums_up(circuit.over_since)
        and sums_up(circuit.stood_at)
        and sums_up(circuit.looked_at)
        and sums_up(circuit.waits)
        and sums_up(circuit.unseen_at)
    )


cdef inline bint times_of_source(const Source* source) noexcept nogil:
    cdef int phase
    for phase in range(GRID_PHASES):
        if not 0 <= source.disproofs[phase] <= MOST_OFFERS:
            return False
    return (
        sums_up(source.at)
        and sums_up(source.first_at)
        and sums_up(source.counted_at)
        and sums_up(source.judged_at)
        and sums_up(source.showed_at)
    )


cdef inline bint times_of_contactor(const Contactor* contactor) noexcept nogil:
    return (
        0 <= contactor.openings <= MOST_OFFERS
        and sums_up(contactor.changed_at)
        and sums_up(contactor.least_open)
        and sums_up(contactor.tried_at)
        and sums_up(contactor.contact_at)
    )


cdef inline bint times_of_feedback(const Charger* charger) noexcept nogil:
    cdef int phase
    for phase in range(GRID_PHASES):
        if not sums_up(charger.empty_at[phase]):
            return False
    return (
        sums_up(charger.began_at)
        and sums_up(charger.report_at)
        and sums_up(charger.confirmed_at)
        and sums_up(charger.beyond_at)
        and sums_up(charger.within_at)
        and sums_up(charger.proof_at)
        and sums_up(charger.doubted_at)
        and sums_up(charger.told_at)
        and sums_up(charger.told_since)
        and sums_up(charger.same_since)
        and sums_up(charger.peak_since)
        and sums_up(charger.more_since)
    )


cdef inline bint times_of_orders(const Charger* charger) noexcept nogil:
    return (
        sums_up(charger.changed_at)
        and sums_up(charger.shed_at)
        and sums_up(charger.parted_at)
        and sums_up(charger.parting)
        and sums_up(charger.powered_at)
        and sums_up(charger.calm_since)
    )


cdef inline bint times_of_turns(const Charger* charger) noexcept nogil:
    return (
        0 <= charger.idle <= 1
        and 0 <= charger.was_idle <= 1
        and 0 <= charger.offers <= MOST_OFFERS
        and 0 <= charger.outs <= MOST_OFFERS
        and sums_up(charger.idle_turn)
        and sums_up(charger.swung_turn)
        and sums_up(charger.on_since)
        and sums_up(charger.off_since)
        and sums_up(charger.turn_since)
        and sums_up(charger.waits_since)
        and sums_up(charger.place)
        and sums_up(charger.parked_at)
        and sums_up(charger.parked_until)
        and sums_up(charger.asked_until)
        and sums_up(charger.arrived_at)
        and sums_up(charger.grace_until)
    )
