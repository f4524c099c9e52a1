# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Charger reports that stand still: what they say may be over.

A report that shows the same to the last digit, while the charger was told long enough ago to draw
clearly less than that, says nothing: it proves no draw, and frees neither phases nor share, until it
changes. That such a report is one has to be found out, so one that stands still for long is tried
(cext.probe).
"""

from libc.stdint cimport int32_t, int64_t

from cext.draw cimport highest_order, shows_within, worst_draw
from cext.types cimport GRID_PHASES, Charger


cdef void note_change(
    Charger* charger, int64_t at, const int32_t* before, bint known_before
) noexcept nogil:
    """A report: since when it shows the same."""
    cdef int32_t phase
    cdef bint same = charger.current_known and known_before
    for phase in range(GRID_PHASES):
        same = same and charger.current[phase] == before[phase]
    if not same:
        charger.same_since = at
        charger.frozen = 0
        charger.probing = 0


cdef void watch_frozen(Charger* charger, int64_t now) noexcept nogil:
    """Frozen: it shows clearly more than was permitted for as long as a change takes to show."""
    cdef int32_t phase, most = 0
    cdef int64_t shows = shows_within(charger)
    if not charger.fresh or not charger.current_known:
        charger.probing = 0
        return
    if not charger.started or charger.observed or charger.report_at - charger.same_since < shows:
        return
    for phase in range(GRID_PHASES):
        most = max(most, charger.current[phase])
    most -= 3 * charger.resolution
    if most > worst_draw(charger, charger.order):
        if most > worst_draw(charger, highest_order(charger, now - shows)):
            charger.frozen = 1
            charger.probing = 0
