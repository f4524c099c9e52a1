"""What the kernel believes, as rows for Python. All hold the GIL."""

from libc.stdint cimport int64_t

from cext.breaker cimport Breaker
from cext.types cimport Charger, Circuit, Contactor, Slot, Source

cdef object circuit_state(const Circuit* c, const Breaker* b)
cdef object charger_state(const Charger* c)
cdef object contactor_state(const Contactor* c, int64_t tick, int64_t now, int64_t lives)
cdef object source_state(const Source* s)
cdef object slot_state(const Slot* s)
cdef object heat_row(const Breaker* breaker)
cdef object heat_ppm(const Breaker* breaker)
cdef object trips_ns(const Breaker* breaker)
