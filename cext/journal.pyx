# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The journal: what went into the kernel and what came out of it, in the order of its lock.

A record is its kind and its length in bytes, 32 bits each, and then whole numbers of 64 bits, in
the machine's order (little-endian wherever this runs). controller/journal.py reads them.

Nothing here waits and nothing is allocated: a record that finds no room is dropped whole, and
how many were is the next that is written. What a tick decided is told as what changed since the
tick that was told last; after a loss everything is told anew.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from cext.memory cimport take
from cext.types cimport GRID_PHASES, Charger, Contactor, Told, Why, World

cdef enum:
    WORD = 8
    HEAD = 8  # bytes of a record before its numbers
    LOST_BYTES = HEAD + WORD
    ORDER_WORDS = 10  # charger, setpoint, why, cause
    SWITCH_WORDS = 6  # contactor, closed, why
    # Some seconds of reports, and all orders at once, before anything is dropped.
    BASE_BYTES = 64 * 1024
    CHARGER_BYTES = 400
    CONTACTOR_BYTES = 64
    UNKNOWN = -2  # what no order and no contactor ever is


cdef void reserve_journal(World* world) noexcept:
    """To be reserved last: what a snapshot keeps are the pieces before it."""
    cdef int64_t bytes = (
        BASE_BYTES + <int64_t>CHARGER_BYTES * world.chargers_n
        + <int64_t>CONTACTOR_BYTES * world.contactors_n
    )
    world.journal.first_piece = world.memory.count
    world.journal.bytes = bytes
    world.journal.ring = <char*>take(&world.memory, bytes, 1)
    world.journal.told = <Told*>take(&world.memory, world.chargers_n, sizeof(Told))
    world.journal.switched = <Told*>take(&world.memory, world.contactors_n, sizeof(Told))
    if not world.memory.lacking:
        journal_anew(world)


cdef void journal_anew(World* world) noexcept nogil:
    """The next tick tells every output, changed or not."""
    cdef int32_t i
    for i in range(world.chargers_n):
        world.journal.told[i].output = UNKNOWN
    for i in range(world.contactors_n):
        world.journal.switched[i].output = UNKNOWN


# --- the ring ---------------------------------------------------------------------------


cdef int64_t journal_used(World* world) noexcept nogil:
    """Bytes that wait to be taken; what was lost since is told first."""
    if world.journal.lost > 0:
        make_room(world, 0)
    return world.journal.head - world.journal.tail


cdef void journal_take(World* world, char* to, int64_t count) noexcept nogil:
    """The oldest `count` bytes: all that `journal_used` spoke of, so whole records."""
    cdef int64_t at = world.journal.tail % world.journal.bytes
    cdef int64_t first = min(count, world.journal.bytes - at)
    memcpy(to, world.journal.ring + at, first)
    memcpy(to + first, world.journal.ring, count - first)
    world.journal.tail += count


cdef void put(World* world, const void* source, int64_t count) noexcept nogil:
    if count <= 0:
        return  # nothing may have no address
    cdef int64_t at = world.journal.head % world.journal.bytes
    cdef int64_t first = min(count, world.journal.bytes - at)
    memcpy(world.journal.ring + at, source, first)
    memcpy(world.journal.ring, <const char*>source + first, count - first)
    world.journal.head += count


cdef void put_head(World* world, int32_t kind, int64_t bytes) noexcept nogil:
    cdef int32_t head[2]
    head[0] = kind
    head[1] = <int32_t>bytes
    put(world, head, HEAD)


cdef bint make_room(World* world, int64_t bytes) noexcept nogil:
    """Whether a record of that length fits, behind word of what did not before it."""
    cdef int64_t free = world.journal.bytes - (world.journal.head - world.journal.tail)
    if world.journal.lost == 0:
        return bytes <= free
    if bytes + LOST_BYTES > free:
        return False
    put_head(world, KIND_LOST, LOST_BYTES)
    put(world, &world.journal.lost, WORD)
    world.journal.lost = 0
    journal_anew(world)
    return True


cdef void note(World* world, int32_t kind, const int64_t* value, int32_t count) noexcept nogil:
    """One record of `count` numbers."""
    cdef int64_t bytes = HEAD + <int64_t>count * WORD
    if not make_room(world, bytes):
        world.journal.lost += 1
        return
    put_head(world, kind, bytes)
    put(world, value, bytes - HEAD)


# --- inputs -----------------------------------------------------------------------------


cdef void note_pair(World* world, int32_t kind, int64_t who, int64_t value) noexcept nogil:
    cdef int64_t row[2]
    row[0] = who
    row[1] = value
    note(world, kind, row, 2)


cdef void note_reading(
    World* world, int64_t source, int64_t at, const int32_t* current
) noexcept nogil:
    cdef int64_t row[5]
    row[0] = source
    row[1] = at
    row[2] = current[0]
    row[3] = current[1]
    row[4] = current[2]
    note(world, KIND_READING, row, 5)


cdef void note_report(
    World* world, int64_t charger, int64_t at, int32_t in_force, const int32_t* current,
    int32_t vehicle, int64_t written,
) noexcept nogil:
    """`current` is NULL where it is not known."""
    cdef int64_t row[9]
    cdef int32_t phase
    row[0] = charger
    row[1] = at
    row[2] = in_force
    row[3] = current != NULL
    for phase in range(GRID_PHASES):
        row[4 + phase] = 0 if current == NULL else current[phase]
    row[7] = vehicle
    row[8] = written
    note(world, KIND_REPORT, row, 9)


cdef void note_contact(World* world, int64_t contactor, int64_t at, bint closed) noexcept nogil:
    cdef int64_t row[3]
    row[0] = contactor
    row[1] = at
    row[2] = closed
    note(world, KIND_CONTACT, row, 3)


cdef void note_limit(World* world, int64_t slot) noexcept nogil:
    """The limit that stands in that slot now."""
    cdef int64_t row[7]
    cdef int32_t phase
    row[0] = slot
    row[1] = world.slots[slot].unlimited
    for phase in range(GRID_PHASES):
        row[2 + phase] = world.slots[slot].limit[phase]
    row[5] = world.slots[slot].limit_until
    row[6] = world.slots[slot].alive_until
    note(world, KIND_LIMIT, row, 7)


cdef void note_advice(World* world, int64_t charger) noexcept nogil:
    """What that charger is advised now."""
    cdef int64_t row[5]
    row[0] = charger
    row[1] = world.chargers[charger].advice_weight
    row[2] = world.chargers[charger].advice_floor
    row[3] = world.chargers[charger].advice_cap
    row[4] = world.chargers[charger].advice_until
    note(world, KIND_ADVICE, row, 5)


cdef void note_heat(World* world, int64_t circuit) noexcept nogil:
    """How warm its protection is now."""
    cdef int64_t row[11]
    cdef int32_t phase
    row[0] = circuit
    row[1] = world.breakers[circuit].at
    for phase in range(GRID_PHASES):
        row[2 + phase] = world.breakers[circuit].image[phase]
        row[5 + phase] = world.breakers[circuit].worn[phase]
        row[8 + phase] = world.breakers[circuit].before[phase]
    note(world, KIND_HEAT, row, 11)


cdef void note_worst(World* world, int64_t circuit, const int32_t* worst) noexcept nogil:
    cdef int64_t row[4]
    row[0] = circuit
    row[1] = worst[0]
    row[2] = worst[1]
    row[3] = worst[2]
    note(world, KIND_WORST, row, 4)


# --- outputs ----------------------------------------------------------------------------


cdef inline int32_t ordered(const Charger* charger) noexcept nogil:
    return charger.order if charger.started else -1


cdef inline bint same(const Why* a, const Why* b) noexcept nogil:
    return (
        a.rule == b.rule and a.circuit == b.circuit and a.phase == b.phase and a.slot == b.slot
    )


cdef inline bint news(const Told* told, int32_t output, const Why* why, const Why* cause) noexcept nogil:
    return told.output != output or not same(&told.why, why) or not same(&told.cause, cause)


cdef inline void spell(const Why* why, int64_t* to) noexcept nogil:
    to[0] = why.rule
    to[1] = why.circuit
    to[2] = why.phase
    to[3] = why.slot


cdef void note_tick(World* world) noexcept nogil:
    """The tick that ends now, with each order and contactor that is not as it was told last."""
    cdef int32_t i, orders = 0, switches = 0
    cdef int64_t bytes
    cdef int64_t row[4]
    cdef Charger* charger
    cdef Contactor* contactor
    if not make_room(world, HEAD + 4 * WORD):  # and so everything is told anew where it must be
        world.journal.lost += 1
        return
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        orders += news(&world.journal.told[i], ordered(charger), &charger.why, &charger.cause)
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        switches += news(
            &world.journal.switched[i], contactor.closed, &contactor.why, &contactor.why
        )
    bytes = (
        HEAD + 4 * WORD
        + (<int64_t>orders * ORDER_WORDS + <int64_t>switches * SWITCH_WORDS) * WORD
    )
    if not make_room(world, bytes):
        world.journal.lost += 1
        return
    row[0] = world.tick
    row[1] = world.now
    row[2] = orders
    row[3] = switches
    put_head(world, KIND_TICK, bytes)
    put(world, row, 4 * WORD)
    for i in range(world.chargers_n):
        tell_order(world, i)
    for i in range(world.contactors_n):
        tell_switch(world, i)


cdef void tell_order(World* world, int32_t i) noexcept nogil:
    cdef int64_t row[ORDER_WORDS]
    cdef Charger* charger = &world.chargers[i]
    cdef Told* told = &world.journal.told[i]
    if not news(told, ordered(charger), &charger.why, &charger.cause):
        return
    told.output = ordered(charger)
    told.why = charger.why
    told.cause = charger.cause
    row[0] = i
    row[1] = told.output
    spell(&told.why, &row[2])
    spell(&told.cause, &row[6])
    put(world, row, ORDER_WORDS * WORD)


cdef void tell_switch(World* world, int32_t i) noexcept nogil:
    cdef int64_t row[SWITCH_WORDS]
    cdef Contactor* contactor = &world.contactors[i]
    cdef Told* told = &world.journal.switched[i]
    if not news(told, contactor.closed, &contactor.why, &contactor.why):
        return
    told.output = contactor.closed
    told.why = contactor.why
    told.cause = contactor.why
    row[0] = i
    row[1] = told.output
    spell(&told.why, &row[2])
    put(world, row, SWITCH_WORDS * WORD)
