# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What fair-share runs need: its memory, taken once, and the tree as they go through it."""

from libc.stdint cimport int32_t, int64_t

from cext.memory cimport Memory, take
from cext.types cimport ROWS, Event, Filler, Sharer, Vessel


cdef void filler_make(Filler* filler, Memory* memory, int32_t circuits, int32_t room) noexcept:
    """Takes everything a run needs; `memory.lacking` tells when it could not be had."""
    filler.circuits = circuits
    filler.room = room
    filler.leaves = 1
    while filler.leaves < circuits:
        filler.leaves *= 2
    filler.parent = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.cap = <int64_t*>take(memory, circuits * ROWS, sizeof(int64_t))
    filler.spot = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.end = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.least = <int64_t*>take(memory, circuits * ROWS, sizeof(int64_t))
    filler.most = <int64_t*>take(memory, circuits * ROWS, sizeof(int64_t))
    filler.lowest = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.tight = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.first = <int32_t*>take(memory, circuits + 1, sizeof(int32_t))
    filler.growing = <int32_t*>take(memory, circuits, sizeof(int32_t))
    filler.vessel = <Vessel*>take(memory, circuits, sizeof(Vessel))
    filler.sharer = <Sharer*>take(memory, room, sizeof(Sharer))
    filler.floors = <Event*>take(memory, room, sizeof(Event))
    filler.tops = <Event*>take(memory, room, sizeof(Event))
    filler.spare = <Event*>take(memory, room, sizeof(Event))
    filler.full = <Event*>take(memory, 2 * filler.leaves, sizeof(Event))
    filler.changed = <int32_t*>take(memory, circuits, sizeof(int32_t))


cdef void filler_order(Filler* filler) noexcept:
    """Once `parent` is known: where circuits stand when every subtree is in one piece."""
    cdef int32_t i, above
    for i in range(filler.circuits):
        filler.end[i] = 1
    for i in range(filler.circuits - 1, 0, -1):  # how many each subtree has
        filler.end[filler.parent[i]] += filler.end[i]
    for i in range(filler.circuits):
        filler.spot[i] = 0
        if i > 0:
            above = filler.parent[i]
            filler.spot[i] = filler.growing[above]
            filler.growing[above] += filler.end[i]
        filler.growing[i] = filler.spot[i] + 1  # where its next child comes
        filler.end[i] += filler.spot[i]
