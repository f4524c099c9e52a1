# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""A kernel's state as bytes, and back: so that a replay can begin in the middle of a day.

The state is everything that one ledger (cext/memory.pyx) holds but the journal, and the scalars of
the world itself. It is copied whole under the kernel's lock. Pointers mean nothing elsewhere: where
the kernel that takes a state over has one, it keeps its own.
"""

from typing import NamedTuple

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp, memcpy

from cext.breaker cimport CURVE_STEPS, PHASES, Breaker, full_image
from cext.journal cimport journal_anew, journal_take, journal_used
from cext.memory cimport Memory
from cext.tick cimport Kernel, pthread_mutex_lock, pthread_mutex_unlock
from cext.types cimport (
    RING,
    Charger,
    Circuit,
    Contactor,
    Event,
    Journal,
    Ring,
    Sharer,
    Slot,
    Source,
    Vessel,
    Wish,
    World,
)

cdef enum:
    WORD = 8
    LAYOUT = 12  # words before the pieces' lengths
    FORMAT = 1


cdef int64_t MOST_IMAGE = 64 * 64 * full_image()  # what the largest current comes to


cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char* start, Py_ssize_t count)
    char* PyBytes_AsString(object value) except NULL


class Snapshot(NamedTuple):
    journal: bytes
    state: bytes


def snapshot(Kernel kernel not None):
    cdef World* world = &kernel.world
    cdef int64_t used
    state = PyBytes_FromStringAndSize(NULL, state_bytes(world))
    journal = PyBytes_FromStringAndSize(NULL, world.journal.bytes)
    cdef char* to_state = PyBytes_AsString(state)
    cdef char* to_journal = PyBytes_AsString(journal)
    pthread_mutex_lock(&kernel.lock)
    used = journal_used(world)
    journal_take(world, to_journal, used)
    journal_anew(world)
    save(world, to_state)
    pthread_mutex_unlock(&kernel.lock)
    return Snapshot(journal[:used], state)


def restore(Kernel kernel not None, bytes state not None):
    cdef World* world = &kernel.world
    cdef int64_t bytes_n = len(state)
    cdef const char* source = PyBytes_AsString(state)
    cdef World fresh = world[0]
    cdef bint fits, sound = False
    if world.circuits == NULL or world.tick != 0:
        raise ValueError("only a kernel that has not ticked yet takes a state over")
    pthread_mutex_lock(&kernel.lock)
    fits = bytes_n == state_bytes(world) and same_layout(world, source)
    if fits:
        load(world, source)
        sound = same_counts(world, &fresh) and is_sound(world)
        journal_anew(world)
    pthread_mutex_unlock(&kernel.lock)
    if not fits:
        raise ValueError(
            "this state is not of these tables, or of another version of the kernel:"
            " replay it with the version that recorded it"
        )
    if not sound:
        raise ValueError("this state is damaged: it speaks of what is not there")


# --- the layout -------------------------------------------------------------------------


cdef int64_t head_words(const World* world) noexcept nogil:
    return LAYOUT + world.journal.first_piece


cdef void layout(const World* world, int64_t* to) noexcept nogil:
    """The sizes of all structs and pieces: what makes two states comparable."""
    cdef const Memory* memory = &world.memory
    cdef int32_t i
    to[0] = FORMAT
    to[1] = sizeof(World) - sizeof(Memory)
    to[2] = sizeof(Circuit)
    to[3] = sizeof(Source)
    to[4] = sizeof(Charger)
    to[5] = sizeof(Slot)
    to[6] = sizeof(Contactor)
    to[7] = sizeof(Wish)
    to[8] = sizeof(Vessel)
    to[9] = sizeof(Sharer) * 1000 + sizeof(Event)
    to[10] = RING
    to[11] = world.journal.first_piece
    for i in range(world.journal.first_piece):
        to[LAYOUT + i] = memory.bytes[i] - memory.ahead[i]


cdef int64_t state_bytes(const World* world) noexcept nogil:
    cdef const Memory* memory = &world.memory
    cdef int64_t sum = head_words(world) * WORD + sizeof(World) - sizeof(Memory)
    cdef int32_t i
    for i in range(world.journal.first_piece):
        sum += memory.bytes[i] - memory.ahead[i]
    return sum


cdef bint same_layout(const World* world, const char* source) noexcept nogil:
    """A state as long as ours has a head as long as ours."""
    cdef int64_t own[128]
    cdef int64_t words = head_words(world)
    if words > 128:
        return False
    layout(world, own)
    return memcmp(own, source, words * WORD) == 0


# --- out and in -------------------------------------------------------------------------


cdef inline char* scalars(World* world) noexcept nogil:
    """Behind the ledger, which stands first."""
    return <char*>world + sizeof(Memory)


cdef void save(World* world, char* to) noexcept nogil:
    cdef Memory* memory = &world.memory
    cdef int32_t i
    cdef size_t count
    layout(world, <int64_t*>to)
    to += head_words(world) * WORD
    memcpy(to, scalars(world), sizeof(World) - sizeof(Memory))
    to += sizeof(World) - sizeof(Memory)
    for i in range(world.journal.first_piece):
        count = memory.bytes[i] - memory.ahead[i]
        memcpy(to, <char*>memory.start[i] + memory.ahead[i], count)
        to += count


cdef void load(World* world, const char* source) noexcept nogil:
    cdef Memory* memory = &world.memory
    cdef Journal journal = world.journal
    cdef int32_t i
    cdef size_t count
    source += head_words(world) * WORD
    load_scalars(world, source)
    world.journal = journal
    source += sizeof(World) - sizeof(Memory)
    for i in range(journal.first_piece):
        count = memory.bytes[i] - memory.ahead[i]
        memcpy(<char*>memory.start[i] + memory.ahead[i], source, count)
        source += count


cdef void load_scalars(World* world, const char* source) noexcept nogil:
    """Every word but those that point into this kernel's own memory.

    This kernel has not ticked: its other words are small numbers and spans of time, and one that
    looked like a pointer all the same would be of its tables, so the same in both.
    """
    cdef char* to = scalars(world)
    cdef int64_t at = 0, most = sizeof(World) - sizeof(Memory)
    cdef size_t word
    while at < most:
        memcpy(&word, to + at, WORD)
        if not points_inside(&world.memory, word):
            memcpy(to + at, source + at, WORD)
        at += WORD


cdef bint points_inside(const Memory* memory, size_t word) noexcept nogil:
    cdef int32_t i
    cdef size_t start
    for i in range(memory.count):
        start = <size_t>memory.start[i]
        if start <= word < start + memory.bytes[i]:
            return True
    return False


# --- what must not be believed ----------------------------------------------------------


cdef bint same_counts(const World* world, const World* fresh) noexcept nogil:
    return (
        world.circuits_n == fresh.circuits_n
        and world.sources_n == fresh.sources_n
        and world.chargers_n == fresh.chargers_n
        and world.slots_n == fresh.slots_n
        and world.contactors_n == fresh.contactors_n
        and world.members_n == fresh.members_n
        and world.filler.circuits == fresh.filler.circuits
        and world.filler.room == fresh.filler.room
        and world.filler.leaves == fresh.filler.leaves
    )


cdef bint is_sound(const World* world) noexcept nogil:
    """Whether every index that a tick goes by leads somewhere."""
    cdef int32_t i
    cdef const Charger* charger
    cdef const Contactor* contactor
    for i in range(world.circuits_n):
        if not within(world.circuits[i].parent, -1 if i == 0 else 0, i):
            return False
        if world.filler.parent[i] != world.circuits[i].parent:
            return False
        if not whole_ring(&world.circuits[i].drawn) or not whole_ring(&world.circuits[i].shown):
            return False
        if not whole_ring(&world.circuits[i].unvouched):
            return False
        if not whole_breaker(&world.breakers[i]):
            return False
    for i in range(world.sources_n):
        if not within(world.sources[i].circuit, 0, world.circuits_n):
            return False
        if not whole_ring(&world.sources[i].ring):
            return False
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        if not within(charger.circuit, 0, world.circuits_n):
            return False
        if not within(charger.own, -1, world.contactors_n):
            return False
        if not whole_ring(&charger.ring) or not whole_ring(&charger.orders):
            return False
        if not within(world.by_class[i], 0, world.chargers_n):
            return False
        if not within(world.turn_order[i], 0, world.chargers_n):
            return False
    for i in range(world.slots_n):
        if not within(world.slots[i].circuit, 0, world.circuits_n):
            return False
    for i in range(world.contactors_n):
        contactor = &world.contactors[i]
        if contactor.first < 0 or contactor.count < 0:
            return False
        if <int64_t>contactor.first + contactor.count > world.members_n:
            return False
    for i in range(world.members_n):
        if not within(world.members[i], 0, world.chargers_n):
            return False
    return (
        within(world.closing, -1, world.contactors_n)
        and within(world.last_closed, -1, world.contactors_n)
    )


cdef inline bint within(int64_t value, int64_t least, int64_t beyond) noexcept nogil:
    return least <= value < max(beyond, least + 1)


cdef inline bint whole_ring(const Ring* ring) noexcept nogil:
    return 0 <= ring.count <= RING and 0 <= ring.newest < RING and ring.span_ns > 0


cdef bint whole_breaker(const Breaker* breaker) noexcept nogil:
    cdef int32_t phase
    if not breaker.known:
        return True
    if breaker.pickup < 1 or breaker.tau < 1 or not within(breaker.steps, 0, CURVE_STEPS + 1):
        return False
    for phase in range(PHASES):
        if not within(breaker.image[phase], 0, MOST_IMAGE + 1) or breaker.before[phase] < 0:
            return False
        if not within(breaker.worn[phase], 0, full_image() + 1):
            return False
    return True
