from libc.stdint cimport int32_t, int64_t

from cext.depot cimport Depot, Node, Station, Switch


cdef class Plant:
    cdef Depot depot
    cdef int64_t origin_ns
    cdef int64_t step_ns
    cdef bint begun
    cdef object energy_unit  # femtojoules in one mA x step
    cdef int64_t unit_over  # milliwatt-hours in one mA x step, as a fraction
    cdef int64_t unit_under
    cdef int _add_circuit(self, int32_t i, object parent, object seed) except -1
    cdef int _add_charger(self, int32_t i, object charger) except -1
    cdef int _add_contactors(self, object contactors) except -1
    cdef int64_t _steps(self, object duration_ns) except -1
    cdef int64_t _charge(self, object watt_hours, object most) except -1
    cdef Station* _station(self, object charger) except NULL
    cdef Switch* _switch(self, object contactor) except NULL
    cdef Node* _node(self, object circuit) except NULL
    cdef void go_to(self, int64_t now_ns) noexcept
    cdef bint take_setpoint(self, Station* station, int32_t setpoint_ma) noexcept
    cdef void feed_one(self, Station* station) noexcept
    cdef bint speaks(self, Station* station) noexcept
    cdef object _energy_mwh(self, Station* station)
    cdef int32_t told(self, Station* station, int32_t terminal) noexcept
