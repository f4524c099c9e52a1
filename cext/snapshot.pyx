# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""A kernel's state as bytes, and back: so that a replay can begin in the middle of a day.

The state is everything that one ledger (cext/memory.pyx) holds but the journal, and the scalars of
the world itself, as they are between two ticks. It is copied beside the ticks, and once more where
one came in between, so that none waits for it. Pointers mean nothing elsewhere: where the kernel
that takes a state over has one, it keeps its own. What else must not be believed, cext.sound knows.
"""

from typing import NamedTuple

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp, memcpy, memset

from cext.journal cimport journal_anew, journal_take, journal_used
from cext.memory cimport Memory
from cext.sound cimport Flaw, find_flaw
from cext.tick cimport Kernel, pthread_mutex_lock, pthread_mutex_unlock
from cext.types cimport (
    RING,
    Charger,
    Circuit,
    Contactor,
    Event,
    Journal,
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
    TRIES = 3  # copies beside the ticks; then one while they wait

cdef int64_t WAITS = 1 << 16  # bytes of journal that one copy may be late by

cdef extern from "Python.h":
    object PyBytes_FromStringAndSize(const char* start, Py_ssize_t count)
    char* PyBytes_AsString(object value) except NULL


class Snapshot(NamedTuple):
    journal: bytes
    state: bytes


def snapshot(Kernel kernel not None):
    cdef World* world = &kernel.world
    cdef int64_t used, room, bytes_n = state_bytes(world)
    cdef int32_t tried
    cdef char* to_journal
    state = PyBytes_FromStringAndSize(NULL, bytes_n)
    cdef char* to_state = PyBytes_AsString(state)
    memset(to_state, 0, bytes_n)  # so that no tick waits for pages
    pthread_mutex_lock(&kernel.lock)
    used = journal_used(world)
    pthread_mutex_unlock(&kernel.lock)
    room = min(used + WAITS, world.journal.bytes)
    journal = PyBytes_FromStringAndSize(NULL, world.journal.bytes)
    to_journal = PyBytes_AsString(journal)
    memset(to_journal, 0, room)
    for tried in range(TRIES):
        if copied_between_ticks(kernel, to_state):
            break
    else:
        pthread_mutex_lock(&kernel.lock)
        save(world, to_state)
    used = journal_used(world)
    journal_take(world, to_journal, used)
    journal_anew(world)
    pthread_mutex_unlock(&kernel.lock)
    return Snapshot(journal[:used], state)


cdef bint copied_between_ticks(Kernel kernel, char* to) noexcept:
    """Copies without the lock: the caller has the GIL, so nobody but a tick can change anything.
    True, and the lock is held, where none did; else what was copied is nothing."""
    cdef int64_t tick
    pthread_mutex_lock(&kernel.lock)
    tick = kernel.world.tick
    pthread_mutex_unlock(&kernel.lock)
    save(&kernel.world, to)
    pthread_mutex_lock(&kernel.lock)
    if tick == kernel.world.tick:
        return True
    pthread_mutex_unlock(&kernel.lock)
    return False


def restore(Kernel kernel not None, bytes state not None):
    cdef World* world = &kernel.world
    cdef int64_t bytes_n = len(state)
    cdef const char* source = PyBytes_AsString(state)
    cdef World fresh = world[0]
    cdef Flaw flaw
    cdef bint fits
    if world.circuits == NULL or world.tick != 0:
        raise ValueError("only a kernel that has not ticked yet takes a state over")
    laid = PyBytes_FromStringAndSize(NULL, state_bytes(world))
    marks = PyBytes_FromStringAndSize(NULL, world.chargers_n + 1)
    flaw.what = NULL
    flaw.index = -1
    pthread_mutex_lock(&kernel.lock)
    fits = bytes_n == state_bytes(world) and same_layout(world, source)
    if fits:
        save(world, PyBytes_AsString(laid))
        load(world, source)
        find_flaw(
            world, &fresh, PyBytes_AsString(laid) + ahead_of_pieces(world),
            PyBytes_AsString(marks), &flaw,
        )
        if flaw.what != NULL:
            load(world, PyBytes_AsString(laid))
        journal_anew(world)
    pthread_mutex_unlock(&kernel.lock)
    if not fits:
        raise ValueError(
            "this state is not of these tables, or of another version of the kernel:"
            " replay it with the version that recorded it"
        )
    if flaw.what != NULL:
        where = f" {flaw.index}" if flaw.index >= 0 else ""
        raise ValueError(
            f"this state is damaged, or of other tables: {flaw.what.decode()}{where}"
            " says what cannot be"
        )


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
    cdef int64_t sum = ahead_of_pieces(world)
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


cdef int64_t ahead_of_pieces(const World* world) noexcept nogil:
    return head_words(world) * WORD + sizeof(World) - sizeof(Memory)


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
