"""The journal: every input as it was taken, every output as it was decided, in a ring of bytes."""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport Why, World

# controller.journal.Kind
cdef enum:
    KIND_READING = 1
    KIND_DISTRUST = 2
    KIND_REPORT = 3
    KIND_FALLBACK = 4
    KIND_PROVEN = 5
    KIND_CONTACT = 6
    KIND_LIMIT = 7
    KIND_LEAVE = 8
    KIND_LATCH = 9
    KIND_TICK = 10
    KIND_LOST = 11
    KIND_HEAT = 12
    KIND_WORST = 13
    KIND_ADVICE = 14

cdef void reserve_journal(World* world) noexcept
cdef int64_t journal_used(World* world) noexcept nogil
cdef void journal_take(World* world, char* to, int64_t count) noexcept nogil
cdef void journal_anew(World* world) noexcept nogil

# All below: the kernel's lock is held.
cdef void note(World* world, int32_t kind, const int64_t* value, int32_t count) noexcept nogil
cdef void note_pair(World* world, int32_t kind, int64_t who, int64_t value) noexcept nogil
cdef void note_reading(
    World* world, int64_t source, int64_t at, const int32_t* current
) noexcept nogil
cdef void note_report(
    World* world, int64_t charger, int64_t at, int32_t in_force, const int32_t* current,
    int32_t vehicle, int64_t written,
) noexcept nogil
cdef void note_contact(World* world, int64_t contactor, int64_t at, bint closed) noexcept nogil
cdef void note_limit(World* world, int64_t slot) noexcept nogil
cdef void note_heat(World* world, int64_t circuit) noexcept nogil
cdef void note_worst(World* world, int64_t circuit, const int32_t* worst) noexcept nogil
cdef void note_advice(World* world, int64_t charger) noexcept nogil
cdef void note_tick(World* world) noexcept nogil
