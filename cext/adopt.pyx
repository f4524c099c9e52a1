# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""A kernel of a changed site takes over from the one that ran: what stays goes on as it was.

Carried is what was heard, ordered, limited and proved. What moved, or is wired or measured
otherwise now, is carried so that it counts for no less: its orders and what may be in force
stay, its rings begin anew, and until they reach back far enough it is known to draw nothing.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp, memcpy

from cext.breaker cimport Breaker
from cext.orders cimport order
from cext.phases cimport forget_phases
from cext.targets cimport blame, set_failsafe, to_step
from cext.types cimport (
    BY_RATING,
    GRID_PHASES,
    ROWS,
    RULE_MAXIMUM,
    Charger,
    Circuit,
    Contactor,
    Ring,
    Slot,
    Source,
    Why,
    World,
)


cdef int take_over(World* world, const World* old, maps) except -1:
    """`maps` are the new indexes' old ones, checked: of circuits, sources, chargers, slots and
    contactors."""
    circuits, sources, chargers, slots, contactors = maps
    now_circuit = {was: i for i, was in circuits.items()}
    now_slot = {was: i for i, was in slots.items()}
    world.tick = old.tick
    world.now = old.now
    world.began = old.began
    world.leaving = old.leaving
    world.latched = old.latched
    world.turn_index = old.turn_index
    world.unsorted = 1
    world.swing_turn = old.swing_turn
    world.waiting = old.waiting
    world.shared_at = old.shared_at
    for i, was in circuits.items():
        take_circuit(&world.circuits[<int32_t>i], &old.circuits[<int32_t>was])
        take_breaker(&world.breakers[<int32_t>i], &old.breakers[<int32_t>was])
    for i, was in sources.items():
        take_source(world, i, old, &old.sources[<int32_t>was], now_circuit)
    for i, was in slots.items():
        take_slot(world, i, &old.slots[<int32_t>was], now_circuit)
    for i, was in chargers.items():
        take_charger(world, i, old, &old.chargers[<int32_t>was], now_circuit, now_slot)
    take_steps(world, old, chargers)
    take_contactors(world, old, chargers, contactors, now_circuit, now_slot)
    world.adopted = 1
    set_failsafe(world)
    return 0


cdef int take_steps(World* world, const World* old, chargers) except -1:
    """Who is asked first for left-over steps; whoever is new is asked last."""
    now_charger = {was: i for i, was in chargers.items()}
    order = [now_charger.get(old.step_order[<int32_t>k], -1) for k in range(old.chargers_n)]
    order = [i for i in order if i >= 0]
    order += sorted(set(range(world.chargers_n)) - set(order))
    for k, i in enumerate(order):
        world.step_order[<int32_t>k] = i
    world.steps_moved_at = old.steps_moved_at
    return 0


cdef void take_ring(Ring* to, const Ring* ring) noexcept nogil:
    """What was seen, whatever span the ring has from now on."""
    cdef int64_t span = to.span_ns
    to[0] = ring[0]
    to.span_ns = span


cdef void take_circuit(Circuit* to, const Circuit* circuit) noexcept nogil:
    """What was proved of its base load stands, where the declaration is still the same."""
    cdef int32_t phase
    to.heard = circuit.heard
    to.unseen_at = circuit.unseen_at
    to.over_since = circuit.over_since
    to.stood_at = circuit.stood_at
    to.least_over = circuit.least_over
    to.looked_at = circuit.looked_at
    to.waits = circuit.waits
    to.beyond_control = circuit.beyond_control
    take_ring(&to.drawn, &circuit.drawn)
    to.fresh = circuit.fresh
    to.reading_at = circuit.reading_at
    memcpy(to.short_for, circuit.short_for, sizeof(to.short_for))
    if to.imbalance == circuit.imbalance:
        memcpy(to.level, circuit.level, sizeof(to.level))
    for phase in range(ROWS):
        to.cap[phase] = circuit.cap[phase]  # one that is lower now has fallen
        to.cap_slot[phase] = -1
        to.reading[phase] = circuit.reading[phase]
        to.base_hi[phase] = circuit.base_hi[phase]
        to.excess[phase] = circuit.excess[phase]
        to.draw_hi[phase] = circuit.draw_hi[phase]
    for phase in range(GRID_PHASES):
        if to.declared[phase] == circuit.declared[phase]:
            to.worst[phase] = circuit.worst[phase]
            if to.measured:  # else nobody could ever say that it is over
                to.inherited[phase] = to.undeclared[phase] = circuit.undeclared[phase]
    if to.measured:
        take_ring(&to.unvouched, &circuit.unvouched)
        to.shown_since = circuit.shown_since


cdef void take_breaker(Breaker* to, const Breaker* breaker) noexcept nogil:
    """The same device stays as warm as it was; of another nobody knows."""
    cdef int32_t i
    cdef bint same = to.known and breaker.known and to.steps == breaker.steps
    if not same or to.pickup != breaker.pickup or to.tau != breaker.tau:
        return
    for i in range(to.steps):
        if to.step_ma[i] != breaker.step_ma[i] or to.step_ns[i] != breaker.step_ns[i]:
            return
    to[0] = breaker[0]


cdef int take_source(
    World* world, int32_t i, const World* old, const Source* source, now_circuit
) except -1:
    """One that moved, or shows something else now, begins anew; distrusted it stays."""
    cdef int32_t phase
    cdef Source* to = &world.sources[i]
    cdef const Circuit* circuit = &world.circuits[to.circuit]
    cdef const Circuit* was = &old.circuits[source.circuit]
    to.distrusted = source.distrusted
    if now_circuit.get(source.circuit) != to.circuit or to.unsigned != source.unsigned:
        return 0
    to.known = source.known
    to.at = source.at
    to.first_at = source.first_at
    memcpy(to.reading, source.reading, sizeof(to.reading))
    to.fresh = source.fresh
    to.counts = source.counts
    to.counted_at = source.counted_at
    to.judged_at = source.judged_at
    for phase in range(GRID_PHASES):
        if circuit.declared[phase] == was.declared[phase]:
            to.disproofs[phase] = source.disproofs[phase]
            to.proved[phase] = source.proved[phase]
    take_ring(&to.ring, &source.ring)
    if not memcmp(circuit.declared, was.declared, sizeof(was.declared)):
        take_shown(to, source)
    return 0


cdef void take_shown(Source* to, const Source* source) noexcept nogil:
    to.showed_at = source.showed_at
    memcpy(to.showed, source.showed, sizeof(to.showed))
    memcpy(to.showed_most, source.showed_most, sizeof(to.showed_most))
    memcpy(to.showed_before, source.showed_before, sizeof(to.showed_before))
    memcpy(to.showed_most_before, source.showed_most_before, sizeof(to.showed_most_before))
    take_ring(&to.shown, &source.shown)
    take_ring(&to.twice, &source.twice)


cdef int take_slot(World* world, int32_t i, const Slot* slot, now_circuit) except -1:
    """A limit with its lease. Where the slot moved its source counts as lost: what it said was
    for another circuit, and only a fresh limit lifts the fail-safe cap here."""
    cdef Slot* to = &world.slots[i]
    to.known = slot.known
    to.unlimited = slot.unlimited
    memcpy(to.limit, slot.limit, sizeof(to.limit))
    to.limit_until = slot.limit_until
    to.alive_until = slot.alive_until
    to.state = slot.state
    to.over_since = slot.over_since
    if now_circuit.get(slot.circuit) != to.circuit:
        to.alive_until = min(to.alive_until, world.now)
    return 0


cdef int take_charger(
    World* world, int32_t i, const World* old, const Charger* charger, now_circuit, now_slot
) except -1:
    """Its feedback, and where orders still mean the same, its orders."""
    cdef Charger* to = &world.chargers[i]
    cdef bint moved = now_circuit.get(charger.circuit) != to.circuit
    take_feedback(to, charger)
    if to.observed == charger.observed:
        take_orders(to, charger)
        if not same_limits(world, to.circuit, old, charger.circuit):
            to.outs = 0
        to.bound = charger.bound
        to.why = charger.why
        to.cause = charger.cause
        rename(&to.bound, now_circuit, now_slot)
        rename(&to.why, now_circuit, now_slot)
        rename(&to.cause, now_circuit, now_slot)
    if not rewired(to, charger):
        to.alone = charger.alone
    if moved or rewired(to, charger):
        start_rings_anew(to, charger)
    return 0


cdef bint same_limits(
    const World* world, int32_t node, const World* old, int32_t was
) noexcept nogil:
    """Whether the imbalance limits above a charger are what they were."""
    while node >= 0 and was >= 0:
        if world.circuits[node].imbalance != old.circuits[was].imbalance:
            return False
        node = world.circuits[node].parent
        was = old.circuits[was].parent
    return node < 0 and was < 0


cdef int take_contactors(
    World* world, const World* old, chargers, contactors, now_circuit, now_slot
) except -1:
    """Each is ordered as it was. One whose chargers are others now is not about to close, and
    what its old chargers' reports showed proves nothing about it."""
    cdef Contactor* to
    cdef const Contactor* contactor
    cdef int32_t charger, i
    for i, was in contactors.items():
        to = &world.contactors[i]
        contactor = &old.contactors[<int32_t>was]
        to.closed = contactor.closed
        to.changed_tick = contactor.changed_tick
        to.changed_at = contactor.changed_at
        to.least_open = contactor.least_open
        to.openings = contactor.openings
        to.tried_at = contactor.tried_at
        to.contact_known = contactor.contact_known
        to.contact_closed = contactor.contact_closed
        to.contact_at = contactor.contact_at
        to.verified = contactor.verified
        to.shown_open = contactor.shown_open
        to.why = contactor.why
        to.cause = contactor.cause
        rename(&to.why, now_circuit, now_slot)
        rename(&to.cause, now_circuit, now_slot)
    for i, was in chargers.items():
        charger = was
        if {contactors.get(c, -1) for c in before(world, i)} == set(before(old, charger)):
            take_parting(&world.chargers[i], &old.chargers[charger])
    for i, was in contactors.items():
        members = [chargers.get(charger, -1) for charger in behind(world, i)]
        if was == old.last_closed:
            world.last_closed = i
        if was == old.closing and members == behind(old, was):
            world.closing = i
            world.closing_at = old.closing_at
            world.unfit_at = old.unfit_at
            for charger in behind(world, i):
                world.chargers[charger].reserved = old.chargers[<int32_t>chargers[charger]].reserved
    return 0


cdef list behind(const World* world, int32_t contactor):
    """The chargers behind a contactor."""
    cdef const Contactor* c = &world.contactors[contactor]
    cdef int32_t n
    return [world.members[c.first + n] for n in range(c.count)]


cdef list before(const World* world, int32_t charger):
    """The contactors that a charger is behind."""
    cdef int32_t i
    return [i for i in range(world.contactors_n) if charger in behind(world, i)]


cdef void take_parting(Charger* to, const Charger* charger) noexcept nogil:
    to.parted = charger.parted
    to.parted_at = charger.parted_at
    to.parting = charger.parting
    to.parted_known = charger.parted_known
    memcpy(to.parted_ma, charger.parted_ma, sizeof(to.parted_ma))
    to.cut = charger.cut
    to.shown_open = charger.shown_open
    to.was_cut = charger.was_cut
    to.before_cut = charger.before_cut
    to.disputed = charger.disputed
    to.steady_ma = charger.steady_ma
    to.dropped = charger.dropped


cdef int rename(Why* why, now_circuit, now_slot) except -1:
    """A reason under the new indexes; what is gone is nobody's."""
    if why.slot >= 0:
        why.slot = now_slot.get(why.slot, -1)
    why.circuit = now_circuit.get(why.circuit, -1)
    if why.circuit < 0:
        why.phase = -1
        why.slot = max(why.slot, <int32_t>BY_RATING)
    return 0


cdef bint rewired(const Charger* to, const Charger* charger) noexcept nogil:
    """Its reports are about other phases now, or it reports another way."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        if to.wired[phase] != charger.wired[phase]:
            return True
    if to.error_ppm != charger.error_ppm:
        return True
    return to.metered != charger.metered or to.error != charger.error


cdef void take_feedback(Charger* to, const Charger* charger) noexcept nogil:
    to.began_at = charger.began_at
    to.told_fallback = charger.told_fallback
    to.fallback = max(to.declared_fallback, to.told_fallback)
    to.heard = charger.heard
    to.report_at = charger.report_at
    to.in_force = charger.in_force
    to.current_known = charger.current_known
    memcpy(to.current, charger.current, sizeof(to.current))
    to.vehicle = charger.vehicle
    to.written_tick = charger.written_tick
    take_ring(&to.ring, &charger.ring)
    to.told_at = charger.told_at
    to.told_since = charger.told_since
    to.same_since = charger.same_since
    to.frozen = charger.frozen
    to.probing = charger.probing
    to.stood = charger.stood
    memcpy(to.empty_at, charger.empty_at, sizeof(to.empty_at))
    memcpy(to.uses, charger.uses, sizeof(to.uses))
    to.peak_now = charger.peak_now
    to.peak_before = charger.peak_before
    to.peak_since = charger.peak_since
    to.grace_until = charger.grace_until
    to.powered_at = charger.powered_at
    to.proof = charger.proof
    to.proof_at = charger.proof_at
    to.unproven = charger.unproven
    to.fresh = charger.fresh
    memcpy(to.draw_hi, charger.draw_hi, sizeof(to.draw_hi))


cdef void take_orders(Charger* to, const Charger* charger) noexcept nogil:
    """One that was never ordered may have anything in force, the new maximum too."""
    to.started = charger.started
    to.order = charger.order
    to.order_tick = charger.order_tick
    to.changed_at = charger.changed_at
    to.shed_at = charger.shed_at
    to.in_force_hi = charger.in_force_hi
    if not charger.started and to.ceiling > charger.ceiling:
        to.in_force_hi = max(to.in_force_hi, to.ceiling)
    to.confirmed = charger.confirmed
    to.confirmed_at = charger.confirmed_at
    take_ring(&to.orders, &charger.orders)
    to.suspect = charger.suspect
    to.stubborn = charger.stubborn
    to.beyond_at = charger.beyond_at
    to.within_at = charger.within_at
    to.doubted_at = charger.doubted_at
    to.idle = charger.idle
    to.idle_turn = charger.idle_turn
    to.offers = charger.offers
    take_turn(to, charger)
    to.arrived_at = charger.arrived_at
    to.climbs = charger.climbs
    to.outs = charger.outs
    to.out_turn = charger.out_turn
    to.own_limit = charger.own_limit
    to.more_since = charger.more_since
    to.parked = charger.parked
    to.parked_at = charger.parked_at
    to.parked_until = charger.parked_until
    to.asked_until = charger.asked_until
    to.swing = charger.swing
    to.swung_turn = charger.swung_turn
    to.calm_since = charger.calm_since
    to.calm_most = charger.calm_most
    to.demand = charger.demand
    to.target = charger.target


cdef void take_turn(Charger* to, const Charger* charger) noexcept nogil:
    """Its place in the queue, how long it has waited, and what it was advised."""
    to.on_since = charger.on_since
    to.off_since = charger.off_since
    to.turn_since = charger.turn_since
    to.queued = charger.queued
    to.place = charger.place
    to.waits_since = charger.waits_since
    to.overdue = charger.overdue
    to.has_step = charger.has_step
    to.advice_weight = charger.advice_weight
    to.advice_floor = charger.advice_floor
    to.advice_cap = charger.advice_cap
    to.advice_until = charger.advice_until


cdef void start_rings_anew(Charger* to, const Charger* charger) noexcept nogil:
    """What it drew counts as what it may draw; it is known to draw nothing until it reports."""
    cdef int32_t bucket, phase
    for bucket in range(to.ring.count):
        for phase in range(GRID_PHASES):
            to.in_force_hi = max(to.in_force_hi, charger.ring.bucket[bucket].hi[phase])
    to.in_force_hi = max(to.in_force_hi, to.order)
    to.confirmed = 0
    to.current_known = 0
    to.ring.count = 0
    to.ring.newest = 0
    forget_phases(to)
    to.same_since = to.frozen = to.probing = to.stood = 0


cdef void refit(World* world) noexcept nogil:
    """After a change of site: an order that its charger may not have any more comes down."""
    cdef int32_t i, fits
    cdef Charger* charger
    if not world.adopted:
        return
    world.adopted = 0
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        fits = to_step(charger, min(charger.order, charger.maximum))
        if charger.started and fits < charger.order:
            blame(world, &charger.why, RULE_MAXIMUM, -1, -1)
            order(world, charger, fits)
