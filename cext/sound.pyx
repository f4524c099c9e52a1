# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Whether a state that was read back may be worked on: what of it a tick trusts.

A state is for the tables that it was recorded with. So all that the tables say has to be what this
kernel's own tables say: with that every length, divisor and index that never changes is sound. What
does change is looked at for whether it leads somewhere, and for whether it is small enough for the
sums that were proved with it. That a time or a current is the true one is another question, and the
recording's checksums answer it.
"""

from cext.rows import Rule

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp, memcpy, memset

from cext.breaker cimport PHASES, Breaker, full_image
from cext.instants cimport (
    sums_up,
    times_of_circuit,
    times_of_contactor,
    times_of_feedback,
    times_of_orders,
    times_of_source,
    times_of_turns,
    times_of_world,
)
from cext.memory cimport Memory
from cext.types cimport (
    BY_BUSBAR,
    GRID_PHASES,
    LATCH_CLOSED,
    LATCH_OPEN,
    PROOF_MISSING,
    PROOF_NOT_ASKED,
    RING,
    ROWS,
    SLOT_LIVE,
    SLOT_LOST,
    SUM,
    VEHICLE_F,
    VEHICLE_UNKNOWN,
    Charger,
    Circuit,
    Contactor,
    Ring,
    Slot,
    Source,
    Why,
    World,
)

cdef enum:
    MOST_MA = 1 << 27  # cext.check
    MOST_WEIGHT = 1000

cdef int32_t RULES = len(Rule)
cdef int64_t MOST_IMAGE = 64 * 64 * full_image()  # what the largest current comes to


cdef void find_flaw(
    World* world, const World* fresh, const char* laid, char* marks, Flaw* flaw
) noexcept nogil:
    """`fresh` and `laid` are the scalars and pieces of this kernel before the state came, `marks`
    has room for a byte for each charger."""
    cdef int32_t i
    if not same_world(world, fresh):
        flaw.what = "the depot"
        return
    if not whole_orders(world, laid, marks):
        flaw.what = "the order in which chargers are asked"
        return
    for i in range(world.circuits_n):
        if not whole_circuit(world, i, piece(world, laid, world.circuits)):
            accuse(flaw, "circuit", i)
        if not whole_breaker(world, i, piece(world, laid, world.breakers)):
            accuse(flaw, "the protection of circuit", i)
    for i in range(world.sources_n):
        if not whole_source(world, i, piece(world, laid, world.sources)):
            accuse(flaw, "source", i)
    for i in range(world.slots_n):
        if not whole_slot(world, i, piece(world, laid, world.slots)):
            accuse(flaw, "limit slot", i)
    for i in range(world.contactors_n):
        if not whole_contactor(world, i, piece(world, laid, world.contactors)):
            accuse(flaw, "contactor", i)
    for i in range(world.chargers_n):
        if not whole_charger(world, i, piece(world, laid, world.chargers)):
            accuse(flaw, "charger", i)


cdef void accuse(Flaw* flaw, const char* what, int32_t index) noexcept nogil:
    if flaw.what == NULL:
        flaw.what = what
        flaw.index = index


cdef const char* piece(const World* world, const char* laid, const void* start) noexcept nogil:
    """Where a piece of this kernel's memory stands among the laid ones."""
    cdef const Memory* memory = &world.memory
    cdef int32_t i
    for i in range(world.journal.first_piece):
        if <const char*>memory.start[i] + memory.ahead[i] == <const char*>start:
            break
        laid += memory.bytes[i] - memory.ahead[i]
    return laid


cdef inline bint within(int64_t value, int64_t least, int64_t most) noexcept nogil:
    return least <= value <= most


# --- the depot --------------------------------------------------------------------------


cdef bint same_world(const World* world, const World* fresh) noexcept nogil:
    return (
        world.circuits_n == fresh.circuits_n
        and world.sources_n == fresh.sources_n
        and world.chargers_n == fresh.chargers_n
        and world.slots_n == fresh.slots_n
        and world.contactors_n == fresh.contactors_n
        and world.members_n == fresh.members_n
        and world.classes == fresh.classes
        and world.filler.circuits == fresh.filler.circuits
        and world.filler.room == fresh.filler.room
        and world.filler.leaves == fresh.filler.leaves
        and world.always == fresh.always
        and world.paced == fresh.paced
        and world.summed == fresh.summed
        and world.leveled == fresh.leveled
        and world.pace.dead_man == fresh.pace.dead_man
        and world.pace.dwell == fresh.pace.dwell
        and world.pace.ramp_ma_per_s == fresh.pace.ramp_ma_per_s
        and world.pace.calm == fresh.pace.calm
        and world.pace.turn == fresh.pace.turn
        and world.pace.observe == fresh.pace.observe
        and within(world.closing, -1, world.contactors_n - 1)
        and within(world.last_closed, -1, world.contactors_n - 1)
        and within(world.latched, LATCH_OPEN, LATCH_CLOSED)
        and times_of_world(world)
    )


cdef bint same_piece(
    const World* world, const char* laid, const void* now, int64_t bytes
) noexcept nogil:
    return memcmp(now, piece(world, laid, now), bytes) == 0


cdef bint whole_orders(World* world, const char* laid, char* marks) noexcept nogil:
    """All lists of chargers and circuits: those that never change are the same, the others have
    everybody once."""
    cdef int32_t i, circuits = world.circuits_n, chargers = world.chargers_n
    cdef size_t each = sizeof(int32_t)
    for i in range(chargers):
        if not within(world.turn_order[i], 0, chargers - 1):
            return False
    return (
        same_piece(world, laid, world.by_class, chargers * each)
        and same_piece(world, laid, world.members, world.members_n * each)
        and same_piece(world, laid, world.filler.parent, circuits * each)
        and same_piece(world, laid, world.filler.spot, circuits * each)
        and same_piece(world, laid, world.filler.end, circuits * each)
        and has_everybody(world.by_place, chargers, marks)
        and has_everybody(world.step_order, chargers, marks)
    )


cdef bint has_everybody(const int32_t* who, int32_t count, char* marks) noexcept nogil:
    cdef int32_t i
    memset(marks, 0, count)
    for i in range(count):
        if not within(who[i], 0, count - 1) or marks[who[i]]:
            return False
        marks[who[i]] = 1
    return True


# --- what many have ---------------------------------------------------------------------


cdef bint whole_why(const World* world, const Why* why, int32_t least_rule) noexcept nogil:
    return (
        within(why.rule, least_rule, RULES - 1)
        and within(why.circuit, -1, world.circuits_n - 1)
        and within(why.phase, -1, SUM)
        and within(why.slot, BY_BUSBAR, world.slots_n - 1)
    )


cdef bint whole_ring(const Ring* ring, const Ring* laid) noexcept nogil:
    cdef int32_t i
    for i in range(RING):
        if not sums_up(ring.bucket[i].first_ns) or not sums_up(ring.bucket[i].last_ns):
            return False
    return (
        within(ring.count, 0, RING) and within(ring.newest, 0, RING - 1)
        and ring.span_ns == laid.span_ns
    )


# --- each -------------------------------------------------------------------------------


cdef bint whole_circuit(const World* world, int32_t i, const char* laid) noexcept nogil:
    cdef const Circuit* circuit = &world.circuits[i]
    cdef Circuit own
    cdef int32_t row
    memcpy(&own, laid + i * sizeof(Circuit), sizeof(Circuit))
    for row in range(ROWS):
        if circuit.rating[row] != own.rating[row]:
            return False
        if not within(circuit.cap_slot[row], BY_BUSBAR, max(0, world.slots_n - 1)):
            return False
        if not within(circuit.hard_slot[row], BY_BUSBAR, max(0, world.slots_n - 1)):
            return False
    for row in range(GRID_PHASES):
        if (
            circuit.busbar[row] != own.busbar[row] or circuit.declared[row] != own.declared[row]
            or circuit.base_step[row] != own.base_step[row] or circuit.worst[row] < 0
        ):
            return False
    return (
        circuit.parent == own.parent
        and circuit.credit_export == own.credit_export
        and circuit.clear_within == own.clear_within
        and circuit.measured == own.measured
        and circuit.summed == own.summed
        and circuit.barred == own.barred
        and circuit.imbalance == own.imbalance
        and whole_ring(&circuit.drawn, &own.drawn)
        and circuit.most_error == own.most_error
        and times_of_circuit(circuit)
        and whole_ring(&circuit.unvouched, &own.unvouched)
    )


cdef bint whole_breaker(const World* world, int32_t i, const char* laid) noexcept nogil:
    cdef const Breaker* breaker = &world.breakers[i]
    cdef Breaker own
    cdef int32_t phase
    memcpy(&own, laid + i * sizeof(Breaker), sizeof(Breaker))
    if (
        breaker.known != own.known or breaker.pickup != own.pickup or breaker.tau != own.tau
        or breaker.heats != own.heats or breaker.cools != own.cools or breaker.steps != own.steps
        or memcmp(breaker.step_ma, own.step_ma, sizeof(own.step_ma))
        or memcmp(breaker.step_ns, own.step_ns, sizeof(own.step_ns))
    ):
        return False
    for phase in range(PHASES):
        if not within(breaker.image[phase], 0, MOST_IMAGE) or breaker.before[phase] < 0:
            return False
        if not within(breaker.worn[phase], 0, full_image()):
            return False
    # What was saved is told before the first tick; no clock has been heard then.
    return breaker.at >= -1 and (breaker.at <= world.now or world.tick == 0)


cdef bint whole_source(const World* world, int32_t i, const char* laid) noexcept nogil:
    cdef const Source* source = &world.sources[i]
    cdef Source own
    memcpy(&own, laid + i * sizeof(Source), sizeof(Source))
    return (
        source.circuit == own.circuit
        and source.error == own.error
        and source.lag == own.lag
        and source.max_age == own.max_age
        and source.poll == own.poll
        and source.unsigned == own.unsigned
        and source.charger_lag == own.charger_lag
        and times_of_source(source)
        and whole_ring(&source.ring, &own.ring)
        and whole_ring(&source.shown, &own.shown)
        and whole_ring(&source.twice, &own.twice)
    )


cdef bint whole_slot(const World* world, int32_t i, const char* laid) noexcept nogil:
    cdef const Slot* slot = &world.slots[i]
    cdef Slot own
    cdef int32_t phase
    memcpy(&own, laid + i * sizeof(Slot), sizeof(Slot))
    for phase in range(GRID_PHASES):
        if slot.failsafe[phase] != own.failsafe[phase] or slot.limit[phase] < 0:
            return False
    return (
        slot.circuit == own.circuit
        and slot.kind == own.kind
        and slot.clear_within == own.clear_within
        and slot.hold == own.hold
        and within(slot.state, SLOT_LIVE, SLOT_LOST)
        and slot.limit_until >= 0
        and slot.alive_until >= 0
        and sums_up(slot.over_since)
    )


cdef bint whole_contactor(const World* world, int32_t i, const char* laid) noexcept nogil:
    cdef const Contactor* contactor = &world.contactors[i]
    cdef Contactor own
    memcpy(&own, laid + i * sizeof(Contactor), sizeof(Contactor))
    return (
        contactor.first == own.first
        and contactor.count == own.count
        and contactor.group == own.group
        and contactor.feedback == own.feedback
        and contactor.opens == own.opens
        and times_of_contactor(contactor)
        and whole_why(world, &contactor.why, 0)
        and whole_why(world, &contactor.cause, 0)
    )


cdef bint whole_charger(const World* world, int32_t i, const char* laid) noexcept nogil:
    cdef const Charger* charger = &world.chargers[i]
    cdef Charger own
    memcpy(&own, laid + i * sizeof(Charger), sizeof(Charger))
    return (
        same_wiring(charger, &own)
        and same_amounts(charger, &own)
        and same_times(charger, &own)
        and times_of_feedback(charger)
        and times_of_orders(charger)
        and times_of_turns(charger)
        and whole_feedback(charger)
        and whole_order(charger)
        and whole_ring(&charger.ring, &own.ring)
        and whole_ring(&charger.orders, &own.orders)
        and whole_why(world, &charger.held, -1)
        and whole_why(world, &charger.bound, 0)
        and whole_why(world, &charger.why, 0)
        and whole_why(world, &charger.cause, 0)
    )


cdef bint same_wiring(const Charger* charger, const Charger* own) noexcept nogil:
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        if charger.wired[phase] != own.wired[phase]:
            return False
        if not within(charger.uses[phase], 0, charger.wired[phase]):
            return False
    return (
        charger.circuit == own.circuit
        and charger.summed == own.summed
        and charger.own == own.own
        and charger.group_opens == own.group_opens
        and charger.metered == own.metered
        and charger.observed == own.observed
        and charger.class_rank == own.class_rank
        and charger.class_index == own.class_index
        and charger.may_pause == own.may_pause
        and within(charger.alone, 0, GRID_PHASES)
    )


cdef bint same_amounts(const Charger* charger, const Charger* own) noexcept nogil:
    return (
        charger.minimum == own.minimum
        and charger.maximum == own.maximum
        and charger.ceiling == own.ceiling
        and charger.step == own.step
        and charger.declared_fallback == own.declared_fallback
        and charger.power_on == own.power_on
        and charger.tolerance_ppm == own.tolerance_ppm
        and charger.standby == own.standby
        and charger.error == own.error
        and charger.error_ppm == own.error_ppm
        and charger.resolution == own.resolution
        and charger.weight == own.weight
    )


cdef bint same_times(const Charger* charger, const Charger* own) noexcept nogil:
    return (
        charger.settle == own.settle
        and charger.lag == own.lag
        and charger.poll == own.poll
        and charger.max_age == own.max_age
        and charger.window == own.window
        and charger.calm == own.calm
        and charger.swing_calm == own.swing_calm
        and charger.show == own.show
        and charger.write_gap == own.write_gap
        and charger.confirm_gap == own.confirm_gap
        and charger.class_wait == own.class_wait
        and charger.min_on == own.min_on
        and charger.min_off == own.min_off
    )


cdef bint whole_feedback(const Charger* charger) noexcept nogil:
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        if not within(charger.current[phase], -MOST_MA, MOST_MA):
            return False
    return (
        within(charger.vehicle, VEHICLE_UNKNOWN, VEHICLE_F)
        and within(charger.in_force, -1, MOST_MA)
        and within(charger.in_force_hi, 0, MOST_MA)
        and within(charger.before_cut, 0, MOST_MA)
        and within(charger.told_fallback, 0, MOST_MA)
        and within(charger.fallback, 0, MOST_MA)
        and within(charger.proof, PROOF_NOT_ASKED, PROOF_MISSING)
    )


cdef bint whole_order(const Charger* charger) noexcept nogil:
    return (
        within(charger.order, 0, MOST_MA)
        and within(charger.failsafe, 0, MOST_MA)
        and within(charger.demand, 0, MOST_MA)
        and within(charger.target, 0, MOST_MA)
        and within(charger.calm_most, 0, MOST_MA)
        and within(charger.aim, -1, MOST_MA)
        and within(charger.own_limit, -1, MOST_MA)
        and within(charger.advice_weight, 0, MOST_WEIGHT)
        and within(charger.advice_floor, -1, MOST_MA)
        and within(charger.advice_cap, -1, MOST_MA)
    )
