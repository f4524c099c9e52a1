# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Which of its phases a vehicle uses: one that charges on some only frees the others.

A phase is freed after 30 s in which it showed nothing while another one carried a charge. It is
taken back at once by whatever says that this may be over: another state of the vehicle, current
there, no charge anywhere, no report to go by or one that stands still (cext.frozen). What was freed
may have been given to others, so taking it back is a reason to reduce them at once (cext.shed).
"""

from libc.stdint cimport int32_t, int64_t

from cext.frozen cimport tells_draw
from cext.types cimport GRID_PHASES, NOTHING_MA, VEHICLE_UNKNOWN, Charger, World

cdef enum:
    CHARGES_MA = 5_000  # a phase with so much shows that the vehicle charges

cdef int64_t SECOND = 1_000_000_000
cdef int64_t FREED_AFTER = 30 * SECOND


cdef void note_phases(Charger* charger, int64_t at, bint other_state) noexcept nogil:
    """A report: since when each phase has shown nothing beside a charge."""
    cdef int32_t phase, most = 0
    for phase in range(GRID_PHASES):
        most = max(most, charger.current[phase])
    if not charger.current_known or other_state or charger.vehicle == VEHICLE_UNKNOWN:
        most = 0
    if most < CHARGES_MA:
        forget_phases(charger)
        return
    for phase in range(GRID_PHASES):
        if charger.current[phase] >= NOTHING_MA:
            charger.empty_at[phase] = 0
        elif charger.empty_at[phase] == 0:
            charger.empty_at[phase] = at


cdef void forget_phases(Charger* charger) noexcept nogil:
    """It may use all of its phases."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        charger.empty_at[phase] = 0


cdef void count_phases(World* world, Charger* charger) noexcept nogil:
    """Which phases it uses in this tick; tells the circuits above what was taken back."""
    cdef int32_t phase, node, uses
    cdef int64_t since
    if not tells_draw(charger) or charger.stood or charger.parted:
        forget_phases(charger)
    for phase in range(GRID_PHASES):
        since = charger.empty_at[phase]
        uses = charger.wired[phase] and not (since and world.now - since >= FREED_AFTER)
        node = charger.circuit if uses and not charger.uses[phase] else -1
        charger.uses[phase] = uses
        while node >= 0:
            world.circuits[node].retaken[phase] = 1
            node = world.circuits[node].parent
