# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Charger reports that stand still: what they say may be over.

A report that shows the same to the last digit, while the charger was told long enough ago to draw
clearly less than that, says nothing: it proves no draw, and frees neither phases nor share, until it
changes. That such a report is one has to be found out, so one that stands still for long is tried
(cext.probe).

Where it shows so little that no setpoint above a pause would change it, it cannot be tried. Then it
frees no phases any more, and where the charger may draw clearly more than it shows, nothing of it
counts, until it changes. One that shows all that it may draw is believed as far as its draw goes: so
do all when there is no more than the minimum for each, and most of them are right.
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport highest_order, shows_within, worst_draw
from cext.types cimport GRID_PHASES, NOTHING_MA, Charger

cdef enum:
    CLEARLY = 3  # so many times its resolution

cdef int64_t SECOND = 1_000_000_000
cdef int64_t STANDS_STILL = 300 * SECOND


cdef void note_change(Charger* charger, int64_t at, const int32_t* before) noexcept nogil:
    """A report: since when it shows the same as the last one that showed a current. One that shows
    none has not moved."""
    cdef int32_t phase
    cdef bint same = charger.same_since != 0
    if not charger.current_known:
        return
    for phase in range(GRID_PHASES):
        same = same and charger.current[phase] == before[phase]
    if not same:
        charger.same_since = at
        charger.frozen = 0
        charger.probing = 0
        charger.stood = STOOD_NOT


cdef int32_t shown(const Charger* charger) noexcept nogil:
    """The current of its highest phase."""
    cdef int32_t phase, most = 0
    for phase in range(GRID_PHASES):
        most = max(most, charger.current[phase])
    return most


cdef int64_t must_fall_to(const Charger* charger) noexcept nogil:
    """The highest draw that its reports cannot show as what they show now."""
    return shown(charger) - CLEARLY * <int64_t>charger.resolution - 1


cdef bint stands_still(const Charger* charger, int64_t now) noexcept nogil:
    """For so long that it is to be tried."""
    return charger.same_since != 0 and now - charger.same_since >= STANDS_STILL


cdef void watch_frozen(Charger* charger, int64_t now) noexcept nogil:
    """Frozen: it shows clearly more than was permitted for as long as a change takes to show."""
    cdef int64_t most, within = shows_within(charger)
    if not charger.fresh or not charger.current_known or charger.observed:
        charger.probing = 0
        return
    watch_standing(charger, now)
    if charger.probing and now - charger.changed_at > 2 * within:
        charger.probing = 0  # it ought to have moved or be found out; nobody waits for ever
    if not charger.started or charger.report_at - charger.same_since < within:
        return
    most = must_fall_to(charger) + 1
    if most > worst_draw(charger, charger.order):
        if most > worst_draw(charger, highest_order(charger, now - within)):
            charger.frozen = 1
            charger.probing = 0


cdef void watch_standing(Charger* charger, int64_t now) noexcept nogil:
    """What cannot be tried."""
    if not charger.started or charger.stood == STOOD_BELOW or shown(charger) < NOTHING_MA:
        return
    if not stands_still(charger, now) or charger.order < charger.minimum:
        return
    if worst_draw(charger, charger.minimum) <= must_fall_to(charger):
        return
    charger.stood = STOOD_AT_LEAST
    if shown(charger) + CLEARLY * <int64_t>charger.resolution < charger.order:
        charger.stood = STOOD_BELOW
