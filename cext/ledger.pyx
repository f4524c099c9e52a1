# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Draw and base load as intervals: what is known, from when, and the worst it can mean."""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport (
    GRID_PHASES,
    RING,
    VEHICLE_A,
    VEHICLE_E,
    VEHICLE_F,
    Bucket,
    Charger,
    Circuit,
    Ring,
    Source,
    World,
)

cdef enum:
    MILLION = 1_000_000
    NOTHING_MA = 500  # below this a phase does not draw
    GROW_MA = 4_000  # margin to grow into, above what is drawn
    DISPROOFS = 3
    SLOP_MA = 50  # a setpoint read back this close is the one ordered

cdef int64_t SECOND = 1_000_000_000
cdef int64_t GRACE = 60 * SECOND  # a changed vehicle may have its full share this long
cdef int64_t PEAK_SPAN = 15 * SECOND  # draw counts for one to two of these spans
cdef int64_t PROVING = 10 * SECOND  # after a start, a charger may take this long to answer
cdef int64_t AHEAD = SECOND  # a time stamp further ahead than this is not believed


# --- rings ------------------------------------------------------------------------------


cdef void ring_push(Ring* ring, int64_t at, const int32_t* value) noexcept nogil:
    """Adds a value; values closer together than the span share a bucket."""
    cdef Bucket* bucket = &ring.bucket[ring.newest]
    cdef int32_t phase
    if ring.count == 0 or at - bucket.first_ns >= ring.span_ns:
        ring.newest = (ring.newest + 1) % RING
        ring.count = min(ring.count + 1, <int32_t>RING)
        bucket = &ring.bucket[ring.newest]
        bucket.first_ns = at
        for phase in range(GRID_PHASES):
            bucket.lo[phase] = value[phase]
            bucket.hi[phase] = value[phase]
    bucket.last_ns = at
    for phase in range(GRID_PHASES):
        bucket.lo[phase] = min(bucket.lo[phase], value[phase])
        bucket.hi[phase] = max(bucket.hi[phase], value[phase])


cdef void ring_span(const Ring* ring, int64_t since, int32_t* lo, int32_t* hi) noexcept nogil:
    """Least and most per phase since then, with the last value before; all 0 when empty."""
    cdef int32_t i, phase
    cdef const Bucket* bucket
    for phase in range(GRID_PHASES):
        lo[phase] = 0
        hi[phase] = 0
    for i in range(ring.count):
        bucket = &ring.bucket[(ring.newest + RING - i) % RING]
        for phase in range(GRID_PHASES):
            lo[phase] = bucket.lo[phase] if i == 0 else min(lo[phase], bucket.lo[phase])
            hi[phase] = bucket.hi[phase] if i == 0 else max(hi[phase], bucket.hi[phase])
        if bucket.first_ns < since:
            return


# --- what arrives -----------------------------------------------------------------------


cdef void take_reading(Source* source, int64_t at, const int32_t* current) noexcept nogil:
    """A reading; one older than the last is dropped."""
    cdef int32_t phase
    if source.known and at < source.at:
        return
    source.known = 1
    source.at = at
    for phase in range(GRID_PHASES):
        source.reading[phase] = current[phase]
    ring_push(&source.ring, at, current)


cdef void take_report(
    Charger* charger, int64_t at, int32_t in_force, const int32_t* current, int32_t vehicle,
    int64_t written_tick
) noexcept nogil:
    """A charger's report; `in_force` -1 and `current` NULL mean unknown."""
    cdef int32_t phase
    if charger.heard and at < charger.report_at:
        return
    if not charger.heard or vehicle != charger.vehicle:
        charger.vehicle_since = at
        charger.grace_until = at + GRACE
        charger.peak_now = 0
        charger.peak_before = 0
        charger.peak_since = at
    charger.heard = 1
    charger.report_at = at
    charger.vehicle = vehicle
    charger.in_force = in_force
    charger.written_tick = written_tick
    charger.current_known = current != NULL and charger.metered
    if charger.current_known:
        for phase in range(GRID_PHASES):
            charger.current[phase] = current[phase]
        ring_push(&charger.ring, at, current)
    if in_force >= 0:
        confirm(charger, at, in_force)


cdef void confirm(Charger* charger, int64_t at, int32_t in_force) noexcept nogil:
    """What the read-back says about the last order.

    Only a read-back asked for after the order was acknowledged proves it; one at or below
    the order does. A higher one counts at once, whoever set it.
    """
    cdef int32_t slop = max(charger.step // 2, <int32_t>SLOP_MA)
    if not charger.started:
        charger.in_force_hi = in_force
        return
    if in_force > charger.order + slop:
        charger.in_force_hi = max(charger.in_force_hi, in_force)
        if charger.written_tick >= charger.order_tick:
            charger.confirmed = 0
    elif charger.written_tick >= charger.order_tick and not charger.confirmed:
        charger.confirmed = 1
        charger.confirmed_at = at


# --- readings of circuits ---------------------------------------------------------------


cdef bint in_date(int64_t at, int64_t max_age, int64_t now) noexcept nogil:
    return now - at <= max_age and at - now <= AHEAD


cdef void count_readings(World* world) noexcept nogil:
    """Which circuits are measured now, by what, and since when that may hold."""
    cdef int32_t i, phase
    cdef Circuit* circuit
    cdef Source* source
    for i in range(world.circuits_n):
        world.circuits[i].fresh = 0
    for i in range(world.sources_n):
        source = &world.sources[i]
        circuit = &world.circuits[source.circuit]
        if not source.known or not in_date(source.at, source.max_age, world.now):
            continue
        circuit.heard = 1
        if not circuit.fresh:
            circuit.fresh = 1
            circuit.error = source.error
            circuit.reading_at = source.at
            circuit.oldest_ns = source.at - source.lag
            circuit.window_ns = source.at - source.lag - source.charger_lag
            circuit.credit_ns = source.lag + source.poll
            for phase in range(GRID_PHASES):
                circuit.reading[phase] = source.reading[phase]
        else:
            circuit.error = max(circuit.error, source.error)
            circuit.reading_at = max(circuit.reading_at, source.at)
            circuit.oldest_ns = min(circuit.oldest_ns, source.at - source.lag)
            circuit.window_ns = min(
                circuit.window_ns, source.at - source.lag - source.charger_lag
            )
            circuit.credit_ns = max(circuit.credit_ns, source.lag + source.poll)
            for phase in range(GRID_PHASES):
                circuit.reading[phase] = max(circuit.reading[phase], source.reading[phase])


# --- draw -------------------------------------------------------------------------------


cdef int64_t worst_draw(const Charger* charger, int64_t setpoint) noexcept nogil:
    """The most a setpoint permits: tolerance, rounded up, and standby on top."""
    return (
        setpoint + (setpoint * charger.tolerance_ppm + MILLION - 1) // MILLION + charger.standby
    )


cdef int32_t setpoint_for(const Charger* charger, int64_t draw) noexcept nogil:
    """The highest setpoint whose worst draw is no more than `draw`; 0 where none is."""
    cdef int64_t setpoint
    if draw <= charger.standby:
        return 0
    setpoint = (draw - charger.standby) * MILLION // (MILLION + charger.tolerance_ppm)
    return <int32_t>min(setpoint, <int64_t>charger.maximum)


cdef int64_t ordered_draw(
    const World* world, const Charger* charger, int32_t phase
) noexcept nogil:
    """The most a charger draws once its order holds; out of reach: its upper end.

    While it may still be proven after a start it counts at its fallback: nobody is lowered
    for a charger that only has not answered yet. (For a rise it counts at its upper end.)
    """
    if not charger.wired[phase]:
        return 0
    if not charger.started and world.now - world.began < PROVING:
        return worst_draw(charger, charger.fallback)
    if not charger.fresh or not charger.started:
        return charger.draw_hi[phase]
    return worst_draw(charger, charger.order)


cdef void settle(Charger* charger, int64_t now) noexcept nogil:
    """A confirmed order is all that can be in force once the vehicle has followed."""
    if charger.started and charger.confirmed and now - charger.confirmed_at >= charger.settle:
        charger.in_force_hi = max(charger.order, charger.in_force)


cdef void count_charger(Charger* charger, int64_t now, int64_t window) noexcept nogil:
    """Upper end of one charger's draw, and the demand it has shown."""
    cdef int32_t phase, setpoint
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef int64_t most
    charger.fresh = charger.heard and in_date(charger.report_at, charger.max_age, now)
    settle(charger, now)
    setpoint = charger.in_force_hi
    if not charger.fresh:
        setpoint = max(setpoint, max(charger.fallback, charger.power_on))
    ring_span(&charger.ring, now - window, lo, hi)
    for phase in range(GRID_PHASES):
        charger.draw_lo[phase] = 0
        charger.may_shed[phase] = 0
        charger.draw_hi[phase] = 0
        if charger.wired[phase]:
            most = hi[phase] + <int64_t>hi[phase] * charger.tolerance_ppm // MILLION
            charger.draw_hi[phase] = max(worst_draw(charger, setpoint), most)
    watch_suspect(charger, now)
    count_demand(charger, now)


cdef void watch_suspect(Charger* charger, int64_t now) noexcept nogil:
    """An order that did not show in time makes a suspect; obeying again clears it."""
    cdef int32_t phase, most = 0
    if not charger.started or not charger.current_known:
        return
    for phase in range(GRID_PHASES):
        most = max(most, charger.current[phase])
    if most <= worst_draw(charger, charger.order) + NOTHING_MA:
        charger.suspect = 0
    elif charger.reduced_at and now - charger.reduced_at > charger.settle + charger.show:
        charger.suspect = 1


cdef void count_demand(Charger* charger, int64_t now) noexcept nogil:
    """What it can use: all it may have, or what it drew lately plus a margin to grow into."""
    cdef int32_t phase, most = 0
    charger.idle = 0
    if not charger.fresh:
        charger.demand = 0
        return
    if charger.vehicle in (VEHICLE_A, VEHICLE_E, VEHICLE_F):
        charger.demand = 0
        return
    if charger.order < charger.minimum:  # paused by us: it cannot show what it wants
        charger.grace_until = max(charger.grace_until, now + GRACE)
    charger.demand = charger.maximum
    if not charger.current_known:
        return
    for phase in range(GRID_PHASES):
        most = max(most, charger.current[phase])
    if now - charger.peak_since >= PEAK_SPAN:
        charger.peak_before = charger.peak_now
        charger.peak_now = 0
        charger.peak_since = now
    charger.peak_now = max(charger.peak_now, most)
    if now < charger.grace_until:
        return
    most = max(charger.peak_now, charger.peak_before)
    charger.idle = most < NOTHING_MA
    charger.demand = min(charger.maximum, max(charger.minimum, most + <int32_t>GROW_MA))


cdef void count_draw(World* world) noexcept nogil:
    """Sums of what the chargers below each circuit draw, at least and at most."""
    cdef int32_t i, phase, node
    cdef Charger* charger
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            circuit.draw_lo[phase] = 0
            circuit.draw_hi[phase] = 0
            circuit.credit[phase] = 0
            circuit.shed[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        count_charger(charger, world.now, world.window)
        node = charger.circuit
        while node >= 0:
            circuit = &world.circuits[node]
            for phase in range(GRID_PHASES):
                circuit.draw_hi[phase] += charger.draw_hi[phase]
            if circuit.fresh and charger.fresh and charger.current_known:
                count_measured(world, charger, circuit)
            node = circuit.parent


cdef void count_measured(World* world, Charger* charger, Circuit* circuit) noexcept nogil:
    """A metered charger's least draw in the circuit's window, its credit, what may be shed."""
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef int32_t phase
    cdef int64_t drawn, stays
    cdef bint credited = (
        charger.started and not charger.suspect and charger.reduced_at
        and world.now - charger.reduced_at
        <= charger.settle + charger.lag + charger.poll + circuit.credit_ns
    )
    ring_span(&charger.ring, circuit.window_ns, lo, hi)
    for phase in range(GRID_PHASES):
        drawn = max(0, lo[phase] - charger.error)
        circuit.draw_lo[phase] += drawn
        if circuit == &world.circuits[charger.circuit]:
            charger.draw_lo[phase] = drawn
    if not charger.started or charger.suspect:
        return
    ring_span(&charger.ring, circuit.oldest_ns, lo, hi)
    for phase in range(GRID_PHASES):
        stays = min(hi[phase], charger.order)
        if credited:
            circuit.credit[phase] += max(0, hi[phase] - charger.order)
        if stays >= NOTHING_MA:
            circuit.shed[phase] += stays
            charger.may_shed[phase] = max(charger.may_shed[phase], stays)


# --- base load --------------------------------------------------------------------------


cdef void count_base(World* world) noexcept nogil:
    """Both ends of the base load, and the net excess, of every circuit and phase."""
    cdef int32_t i, phase
    cdef int64_t least
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            circuit.base_hi[phase] = circuit.worst[phase]
            circuit.base_lo[phase] = 0
            circuit.excess[phase] = 0
            if circuit.fresh:
                least = circuit.reading[phase] - circuit.error - circuit.draw_hi[phase]
                circuit.base_lo[phase] = max(0, least)
                circuit.excess[phase] = max(
                    0,
                    <int64_t>circuit.reading[phase] + circuit.error
                    - circuit.cap[phase] - circuit.credit[phase],
                )
        if circuit.fresh and circuit.reading_at != circuit.judged_at:
            judge_worst_case(circuit)
    bound_by_readings(world)
    bound_blind_parents(world)


cdef void judge_worst_case(Circuit* circuit) noexcept nogil:
    """Three readings in a row that prove more base load than declared replace what was declared."""
    cdef int32_t phase
    cdef bint beyond = False
    circuit.judged_at = circuit.reading_at
    for phase in range(GRID_PHASES):
        beyond = beyond or circuit.base_lo[phase] > circuit.worst[phase]
    circuit.disproofs = circuit.disproofs + 1 if beyond else 0
    if circuit.disproofs < DISPROOFS:
        return
    circuit.disproofs = 0
    for phase in range(GRID_PHASES):
        if circuit.base_lo[phase] > circuit.worst[phase]:
            circuit.worst[phase] = <int32_t>circuit.base_lo[phase]


cdef void bound_by_readings(World* world) noexcept nogil:
    """Upper end where there is a reading: the largest in the window, less the least draw.

    Never above the declared worst case, never below 0 unless export is credited.
    """
    cdef int32_t i, phase
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef int64_t most[GRID_PHASES]
    cdef Circuit* circuit
    cdef Source* source
    for i in range(world.circuits_n):
        for phase in range(GRID_PHASES):
            world.circuits[i].base_seen[phase] = 0
        world.circuits[i].base_known = 0
    for i in range(world.sources_n):
        source = &world.sources[i]
        circuit = &world.circuits[source.circuit]
        if not source.known or not in_date(source.at, source.max_age, world.now):
            continue
        ring_span(&source.ring, circuit.window_ns, lo, hi)
        for phase in range(GRID_PHASES):
            most[phase] = <int64_t>hi[phase] + source.error - circuit.draw_lo[phase]
            if not circuit.base_known or most[phase] > circuit.base_seen[phase]:
                circuit.base_seen[phase] = most[phase]
        circuit.base_known = 1
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        if not circuit.base_known:
            continue
        for phase in range(GRID_PHASES):
            if not circuit.credit_export:
                circuit.base_seen[phase] = max(0, circuit.base_seen[phase])
            circuit.base_hi[phase] = min(circuit.base_seen[phase], circuit.worst[phase])


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
