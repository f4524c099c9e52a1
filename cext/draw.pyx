# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Each charger's draw as an interval: what it can be drawing, now and until told otherwise."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from cext.credits cimport count_credit, reset_credits
from cext.demand cimport count_demand, meet_vehicle
from cext.frozen cimport note_change, tells_draw, watch_frozen
from cext.pause cimport least_order
from cext.phases cimport count_phases, note_phases
from cext.ring cimport ring_push, ring_reaches, ring_since, ring_span
from cext.types cimport (
    GRID_PHASES,
    NOTHING_MA,
    PROOF_MISSING,
    Charger,
    Circuit,
    World,
    in_date,
    stubborn_after,
)

cdef enum:
    SLOP_MA = 50  # a setpoint read back this close is the one ordered

cdef int64_t SECOND = 1_000_000_000
cdef int64_t PROVING = 10 * SECOND  # after a start, a charger may take this long to answer


# --- what arrives -----------------------------------------------------------------------


cdef void take_report(
    Charger* charger, int64_t at, int32_t in_force, const int32_t* current, int32_t vehicle,
    int64_t written_tick
) noexcept nogil:
    """A charger's report; `in_force` -1 and `current` NULL mean unknown.

    It draws nothing on phases that it is not wired to, whatever it says of them.
    """
    cdef int32_t phase
    cdef int32_t[GRID_PHASES] before = charger.current
    cdef bint other_state = not charger.heard or vehicle != charger.vehicle
    if charger.heard and at < charger.report_at:
        return
    if charger.heard and at - charger.report_at > charger.max_age:  # and perhaps no tick meanwhile
        may_have_fallen_back(charger)
    if other_state:
        meet_vehicle(charger, at, vehicle)
    charger.heard = 1
    charger.report_at = at
    charger.vehicle = vehicle
    charger.in_force = in_force
    charger.written_tick = written_tick
    charger.current_known = current != NULL and charger.metered
    if charger.current_known:
        for phase in range(GRID_PHASES):
            charger.current[phase] = current[phase] if charger.wired[phase] else 0
        ring_push(&charger.ring, at, charger.current)
        if charger.told_at == 0 or at - charger.told_at > charger.max_age:
            charger.told_since = at  # what it drew before is anybody's guess
        charger.told_at = at
    note_change(charger, at, before)
    note_phases(charger, at, other_state)
    if in_force >= 0:
        confirm(charger, at, in_force)


cdef void confirm(Charger* charger, int64_t at, int32_t in_force) noexcept nogil:
    """What the read-back says about the last order.

    Only a read-back asked for after the order was acknowledged proves it; one at or below
    the order does. A higher one counts at once, whoever set it. Before the first order nothing
    is proved: the vehicle may still be following an older, higher setpoint.
    """
    cdef int32_t slop = max(charger.step // 2, <int32_t>SLOP_MA)
    if not charger.started:
        return
    if charger.observed:
        charger.confirmed = 1
        charger.confirmed_at = at
    elif in_force > charger.order + slop:
        charger.in_force_hi = max(charger.in_force_hi, in_force)
        if charger.written_tick >= charger.order_tick:
            charger.confirmed = 0
    elif charger.written_tick >= charger.order_tick and not charger.confirmed:
        charger.confirmed = 1
        charger.confirmed_at = at


# --- upper ends -------------------------------------------------------------------------


cdef int32_t setpoint_for(const Charger* charger, int64_t draw) noexcept nogil:
    """The highest setpoint whose worst draw is no more than `draw`; 0 where none is."""
    cdef int64_t setpoint
    if draw <= charger.standby:
        return 0
    setpoint = (draw - charger.standby) * MILLION // (MILLION + charger.tolerance_ppm)
    return <int32_t>min(setpoint, <int64_t>charger.maximum)


cdef bint proving(const World* world, const Charger* charger) noexcept nogil:
    """After a start: not heard yet, but still expected to answer. What we gave its power back
    draws what it wakes with, heard or not."""
    if charger.started or charger.cut or charger.powered_at:
        return False
    return world.now - charger.began_at < PROVING


cdef bint booting(const Charger* charger, int64_t now) noexcept nogil:
    """Its silence says nothing yet: never heard since the start, or since it has power again."""
    return not charger.started and now - max(charger.began_at, charger.powered_at) < PROVING


cdef void ordered_draw(const World* world, const Charger* charger, int64_t* most) noexcept nogil:
    """The most a charger draws on each phase once its order holds; where orders do not count: its
    upper end.

    One that only has not answered yet counts at its target, the most it will be ordered, so
    that nobody is lowered for it. (For a rise it counts at its upper end.)
    """
    cdef int32_t phase
    cdef int64_t draw
    if proving(world, charger):
        draw = worst_draw(charger, charger.target)
    elif obeys(charger):
        draw = worst_draw(charger, charger.order)
    else:
        for phase in range(GRID_PHASES):
            most[phase] = charger.draw_hi[phase] if charger.wired[phase] else 0
        return
    for phase in range(GRID_PHASES):
        most[phase] = draw if charger.uses[phase] else charger.draw_hi[phase]


cdef bint is_unproven(const Charger* charger, int64_t now) noexcept nogil:
    """It had its time: to answer, or to prove that its fallback is what was declared."""
    cdef int64_t since = max(charger.began_at, charger.powered_at)
    if charger.cut:
        return False
    if not charger.started:
        return now - since >= PROVING
    return charger.proof == PROOF_MISSING and now - max(since, charger.proof_at) >= PROVING


cdef void may_have_fallen_back(Charger* charger) noexcept nogil:
    """Silent: it may have, or lost its power, until it tells otherwise and its vehicle followed."""
    charger.in_force_hi = max(charger.in_force_hi, max(charger.fallback, charger.power_on))
    charger.confirmed = 0


cdef void count_charger(World* world, Charger* charger) noexcept nogil:
    """Freshness, what may be in force, and the upper end of the draw."""
    cdef int32_t phase
    cdef int32_t hi[GRID_PHASES]
    cdef int64_t measured, told, now = world.now
    charger.fresh = charger.heard and in_date(charger.report_at, charger.max_age, now)
    charger.unproven = is_unproven(charger, now)
    watch_frozen(charger, now)
    count_phases(world, charger)
    if not charger.fresh:
        may_have_fallen_back(charger)
        if charger.suspect and charger.current_known:  # it goes on as it did, for all we know
            for phase in range(GRID_PHASES):
                charger.in_force_hi = max(charger.in_force_hi, charger.current[phase])
    elif charger.started and charger.confirmed and now - charger.confirmed_at >= charger.settle:
        charger.in_force_hi = charger.order
        if not charger.observed:
            charger.in_force_hi = max(charger.order, charger.in_force)
    if charger.cut:
        if not charger.was_cut:
            charger.before_cut = charger.in_force_hi
            charger.was_cut = 1
        wait_for_power(charger)
        return
    if charger.was_cut:  # without an order: it may never have lost its power
        charger.was_cut = 0
        charger.in_force_hi = max(charger.in_force_hi, charger.before_cut)
    if charger.reserved:
        charger.in_force_hi = max(charger.in_force_hi, wakes_at(charger))
    if charger.unproven:
        charger.in_force_hi = max(charger.in_force_hi, charger.ceiling)
    ring_since(&charger.ring, now - charger.window, hi)
    for phase in range(GRID_PHASES):
        charger.may_shed[phase] = 0
        charger.draw_hi[phase] = 0
        if charger.fresh and charger.current_known:
            hi[phase] = max(hi[phase], charger.current[phase])
        if charger.wired[phase]:
            measured = more(hi[phase], charger.tolerance_ppm)
            told = worst_draw(charger, charger.in_force_hi if charger.uses[phase] else 0)
            charger.draw_hi[phase] = max(told, measured)
            if charger.stubborn and not (charger.fresh and charger.current_known):
                charger.draw_hi[phase] = max(
                    charger.draw_hi[phase], worst_draw(charger, charger.ceiling)
                )


cdef int32_t wakes_at(const Charger* charger) noexcept nogil:
    """The highest setpoint a charger can come back with; a stubborn one respects none."""
    if charger.stubborn:
        return charger.ceiling
    return max(max(charger.power_on, charger.fallback), charger.order)


cdef void wait_for_power(Charger* charger) noexcept nogil:
    """Cut off: draws nothing, and comes back with whatever its power-on, fallback or order is.

    That counts before it is there: from when its contactor is about to be closed.
    """
    cdef int32_t phase
    charger.in_force_hi = wakes_at(charger)
    if charger.fresh:
        charger.in_force_hi = max(charger.in_force_hi, charger.in_force)
    charger.confirmed = 0
    for phase in range(GRID_PHASES):
        charger.may_shed[phase] = 0
        charger.draw_hi[phase] = 0
        if charger.reserved and charger.wired[phase]:
            charger.draw_hi[phase] = worst_draw(charger, charger.in_force_hi)


# --- suspicion --------------------------------------------------------------------------


cdef int64_t tolerated(const Charger* charger, int64_t setpoint) noexcept nogil:
    """The most that still counts as obedience: 1.1 × (setpoint + 0.5 A), or its own tolerance."""
    return max((setpoint + NOTHING_MA) * 11 // 10, worst_draw(charger, setpoint))


cdef void watch_stubborn(Charger* charger, int32_t most) noexcept nogil:
    """Stubborn: measured above all it might draw in the last 7 s (and the time until it took
    a write), for 7 s without pause.

    It ends when it was measured within its order for 7 s without pause, and confirms it.
    """
    cdef int64_t at = charger.report_at
    if most <= tolerated(charger, charger.order):
        charger.beyond_at = 0
        charger.within_at = charger.within_at or at
        if charger.confirmed and at - charger.within_at >= stubborn_after():
            charger.stubborn = 0
        return
    charger.within_at = 0
    charger.beyond_at = charger.beyond_at or at
    if at - charger.beyond_at >= stubborn_after():
        if most > tolerated(
            charger, highest_order(charger, at - stubborn_after() - charger.write_gap)
        ):
            charger.stubborn = charger.suspect = 1


cdef void watch_suspect(Charger* charger, int64_t now) noexcept nogil:
    """Suspected: draws more than any order of late permits, or confirms none in time.

    It is cleared when it does as told; a stubborn one, when it has done so for 7 s.
    """
    cdef int32_t phase, most = 0
    cdef int64_t due = shows_within(charger)
    cdef bint obedient = charger.confirmed
    if not charger.started or not charger.fresh or charger.observed:
        charger.beyond_at = charger.within_at = 0
        return
    if charger.current_known:
        for phase in range(GRID_PHASES):
            most = max(most, charger.current[phase])
        watch_stubborn(charger, most)
    obedient = obedient and not charger.stubborn and most <= tolerated(charger, charger.order)
    if obedient:
        charger.suspect = 0
        charger.doubted_at = now
    elif most > tolerated(charger, highest_order(charger, now - due)):
        charger.suspect = 1
    elif charger.confirmed:
        charger.doubted_at = now
    elif now - max(charger.doubted_at, charger.changed_at) > due:
        charger.suspect = 1


# --- sums -------------------------------------------------------------------------------


cdef void count_draw(World* world) noexcept nogil:
    """Sums of what the chargers below each circuit draw, at least and at most."""
    cdef int32_t i, phase, node
    cdef Charger* charger
    cdef Circuit* circuit
    for i in range(world.circuits_n):
        circuit = &world.circuits[i]
        reset_credits(circuit)
        for phase in range(GRID_PHASES):
            circuit.draw_lo[phase] = 0
            circuit.draw_hi[phase] = 0
            circuit.vouched[phase] = 0
            circuit.vouched_hi[phase] = 0
            circuit.retaken[phase] = 0
            circuit.may_shed[phase] = 0
            circuit.quick_shed[phase] = 0
            circuit.slow_hi[phase] = 0
            circuit.suspect_draw[phase] = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        count_charger(world, charger)
        watch_suspect(charger, world.now)
        count_demand(charger, world.now, world.turn_index)
        circuit = &world.circuits[charger.circuit]
        for phase in range(GRID_PHASES):
            circuit.draw_hi[phase] += charger.draw_hi[phase]
        if world.paced:
            count_slow(charger, circuit)
        node = charger.circuit if tells_draw(charger) else -1
        while node >= 0:
            circuit = &world.circuits[node]
            if circuit.fresh:
                count_measured(charger, circuit, world.now)
            node = circuit.parent
    for i in range(world.circuits_n - 1, 0, -1):  # parents stand before their children
        circuit = &world.circuits[i]
        for phase in range(GRID_PHASES):
            world.circuits[circuit.parent].draw_hi[phase] += circuit.draw_hi[phase]
            world.circuits[circuit.parent].slow_hi[phase] += circuit.slow_hi[phase]


cdef void count_slow(const Charger* charger, Circuit* circuit) noexcept nogil:
    """What is drawn still, once everybody who takes a write at once was told 0."""
    cdef int32_t phase
    cdef bint slow = charger.write_gap > 0 or charger.unproven or not obeys(charger)
    for phase in range(GRID_PHASES):
        if charger.wired[phase]:
            circuit.slow_hi[phase] += charger.draw_hi[phase] if slow else charger.standby


cdef bint tells_since(const Charger* charger, int64_t since) noexcept nogil:
    """Whether its reports reach back to then, without a gap."""
    return charger.told_since <= since and ring_reaches(&charger.ring, since)


cdef int64_t most_behind(const Charger* charger, int64_t told) noexcept nogil:
    """The most that is drawn where it tells so much. Its own consumption may be left out of that, and
    one commanded in watts may tell what its power is at nominal voltage."""
    return (
        more(told, max(charger.error_ppm, charger.tolerance_ppm)) + charger.error + charger.standby
    )


cdef void count_measured(Charger* charger, Circuit* circuit, int64_t now) noexcept nogil:
    """A metered charger's least and most draw in the circuit's window, its credit, what may be shed.

    Nothing is known to be drawn where no report lies inside the window, or none before it, or where
    none came for too long since: what it drew meanwhile is anybody's guess.
    """
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef int32_t phase
    cdef int64_t stays
    ring_span(&charger.ring, circuit.window_ns, lo, hi)
    if charger.report_at >= circuit.window_ns and tells_since(charger, circuit.window_ns):
        for phase in range(GRID_PHASES):
            circuit.draw_lo[phase] += least_draw(charger, lo[phase])
            if charger.wired[phase]:
                circuit.vouched[phase] += most_behind(charger, hi[phase])
            circuit.vouched_hi[phase] += charger.draw_hi[phase]
    if not charger.started:
        return
    ring_span(&charger.ring, circuit.oldest_ns, lo, hi)
    if charger.told_since > circuit.oldest_ns:
        memcpy(hi, charger.current, sizeof(charger.current))
    elif not charger.suspect:
        count_credit(charger, circuit, hi, now)
    for phase in range(GRID_PHASES):
        if charger.suspect:
            stays = max(0, charger.current[phase])
            circuit.suspect_draw[phase] += stays
        else:
            stays = min(hi[phase], charger.order)
            if stays < NOTHING_MA:
                continue
            stays = max(<int64_t>0, stays - least_order(charger))
            circuit.may_shed[phase] += stays
            if not charger.write_gap:
                circuit.quick_shed[phase] += stays
        charger.may_shed[phase] = max(charger.may_shed[phase], stays)
