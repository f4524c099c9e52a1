# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What the kernel believes, as rows for Python: copies of its structs, made into tuples."""

from cext.rows import (
    ChargerState,
    CircuitState,
    ContactorState,
    Heat,
    SlotState,
    SourceState,
    Vehicle,
)

from libc.stdint cimport int32_t, int64_t

from cext.breaker cimport Breaker, full_image, no_trip
from cext.contactors cimport contact_young
from cext.edge cimport advice_row, three, three64, together, why_row
from cext.types cimport GRID_PHASES, Charger, Circuit, Contactor, Slot, Source


VEHICLES = tuple(Vehicle)
SLOT_STATES = ("live", "unlimited", "ended", "lost")
PPM = 1_000_000


cdef object circuit_state(const Circuit* c, const Breaker* b):
    return CircuitState(
        three(c.cap), three(c.cap_slot), three(c.reading) if c.fresh else None,
        c.reading_at, three64(c.base_hi), three64(c.excess), three64(c.draw_hi),
        three(c.worst), bool(c.beyond_control), together(c), heat_ppm(b), trips_ns(b),
    )


cdef object charger_state(const Charger* c):
    return ChargerState(
        c.in_force if c.heard and c.in_force >= 0 else None,
        three(c.current) if c.fresh and c.current_known else None,
        VEHICLES[c.vehicle if c.fresh else 0],
        max(three64(c.draw_hi)), bool(c.fresh), bool(c.suspect), bool(c.stubborn),
        bool(c.cut), bool(c.unproven), bool(c.idle), c.turn_since, c.waits_since,
        bool(c.overdue), advice_row(c) if c.advised else None, bool(c.frozen),
    )


cdef object contactor_state(const Contactor* c, int64_t tick, int64_t now, int64_t lives):
    return ContactorState(
        bool(c.closed), c.changed_tick, tick, now + lives,
        bool(c.verified), bool(c.contact_closed) if contact_young(c, now) else None,
        why_row(&c.why),
    )


cdef object source_state(const Source* s):
    return SourceState(bool(s.fresh), bool(s.counts), bool(s.distrusted))


cdef object slot_state(const Slot* s):
    return SlotState(
        SLOT_STATES[s.state], three(s.cap) if s.asks else None, s.limit_until, s.alive_until
    )


# --- thermal images ---------------------------------------------------------------------


cdef object heat_row(const Breaker* breaker):
    """None where nobody stated it, and before a tick."""
    if not breaker.known or breaker.at < 0:
        return None
    return Heat(
        breaker.at, three64(breaker.image), three64(breaker.worn), three(breaker.before)
    )


cdef object heat_ppm(const Breaker* breaker):
    cdef int32_t phase
    if not breaker.known:
        return None
    parts_of = [max(breaker.image[phase], breaker.worn[phase]) for phase in range(GRID_PHASES)]
    return tuple([PPM * part // full_image() for part in parts_of])


cdef object trips_ns(const Breaker* breaker):
    return None if breaker.trips == no_trip() else breaker.trips
