# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Advice: a planner's wish for a charger, with an expiry; never a permission.

Its weight stands in for the charger's own. Its floor is a share that is met before others of its
class have more than theirs, and a better place where not all can have their minimum. Its cap
lowers what the charger is taken to want, calmly; below its minimum that is nothing, though not
before its minimum time on is over. All of it acts on who gets how much of what there is. What
there is, and whether anything may rise, is none of its business.
"""

from libc.stdint cimport int32_t, int64_t

from cext.pause cimport OTHERS, pause_rank
from cext.types cimport Charger, World


cdef void take_advice(
    Charger* charger, int32_t weight, int32_t floor, int32_t cap, int64_t until
) noexcept nogil:
    """In place of all advice before; a weight of 0, a floor or a cap of -1 is none."""
    charger.advice_weight = weight
    charger.advice_floor = floor
    charger.advice_cap = cap
    charger.advice_until = until


cdef void count_advice(World* world) noexcept nogil:
    """What advice is worth in this tick: nothing once it has expired."""
    cdef int32_t i
    cdef Charger* charger
    for i in range(world.chargers_n):
        charger = &world.chargers[i]
        charger.advised = world.now < charger.advice_until
        charger.advised_floor = 0
        charger.pull = charger.weight
        charger.capped = 0
        if charger.advised:
            follow(world, charger)


cdef void follow(const World* world, Charger* charger) noexcept nogil:
    cdef int32_t most = charger.advice_cap
    if charger.advice_weight > 0:
        charger.pull = charger.advice_weight
    charger.advised_floor = max(charger.advice_floor, 0)
    if most < 0:
        return
    if most < charger.minimum:
        most = 0
        if charger.on_since and world.now - charger.on_since < charger.min_on:
            most = charger.minimum
        if pause_rank(charger) < OTHERS:  # a wish pauses nobody for whom that is more than a wait
            most = charger.minimum
    charger.advised_floor = min(charger.advised_floor, most)
    if charger.demand > most:
        charger.demand = most
        charger.capped = 1
