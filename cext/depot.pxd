"""The virtual depot's structs. All currents mA, all times in inner steps, + is import."""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    TERMINALS = 3
    OFFERS = 16  # changed offers a vehicle may still have to see

# An offer on its way to the vehicle, seen at `due`.
cdef struct Offer:
    int64_t due
    int32_t ma

cdef struct Guest:
    int32_t plugged
    int32_t max_ma
    int32_t terminals  # uses terminals 1 to this one
    int64_t dead  # from a changed offer until the current begins to follow
    int64_t ramp  # from then until it has followed
    int32_t gain_ppm  # it draws so much more than it is offered
    int64_t wanted  # energy, in mA x steps over all its phases
    int64_t taper
    int32_t seen_ma  # the offer it follows
    int32_t to_ma
    int32_t from_ma
    int64_t from_at
    Offer offers[OFFERS]  # oldest first
    int32_t pending

cdef struct Station:
    int32_t circuit
    int32_t phase[TERMINALS]
    int32_t max_ma
    int32_t power_on_ma
    int32_t fallback_ma
    int64_t watchdog  # 0: none
    int64_t write_gap  # a write so soon after another is lost
    int64_t next_write  # the first step at which one is taken again
    int64_t deadline  # 0: it has run out, or there is none
    int32_t offered_ma
    int64_t changes  # of it, so far
    int32_t pilot_ma  # what the vehicle is told: the offer, of one that obeys
    int32_t obeys
    int32_t dark  # its supply is cut elsewhere
    int32_t current_ma  # on each phase in use
    int32_t draws_ppm  # of one commanded in watts: its current at nominal voltage, of the pull
    int32_t shows_ppm  # it reports its power: so much of its current, at nominal voltage
    int32_t pull_ma  # what its vehicle takes of the offer: the current itself, or its power
    int32_t told_ma  # what it says of that; -1: the truth
    int32_t in_use  # phases
    int64_t settled_at  # energy is counted up to here
    int64_t delivered  # mA x steps over all phases
    int64_t next_at  # nothing changes before
    int32_t off  # all that is open before it: then it offers nothing, and takes no setpoint
    int64_t boot  # with power again, it answers so much later
    int64_t awake_at
    Guest car

# A contactor as it is. One that welds stays closed from when it is closed.
cdef struct Switch:
    int32_t closed
    int32_t wanted
    int32_t welded
    int32_t first  # its chargers are members[first : first + count]
    int32_t count

cdef struct Node:
    int32_t parent
    int32_t base_ma[TERMINALS]
    int32_t noise_ma
    int64_t noise_now[TERMINALS]
    uint64_t random
    int64_t load_ma[TERMINALS]
    int64_t drawn_ma[TERMINALS]  # of that, by the chargers below
    int64_t cap_ma[TERMINALS]
    int64_t worst_ma
    int64_t above_ma[TERMINALS]  # the highest above the cap since the mark; negative: never above
    int32_t bounded  # by more than its caps: by what follows
    int32_t nets  # what a phase exports takes something off the sum of all three
    int64_t together_ma  # what the three phases may carry together
    int64_t busbar_ma[TERMINALS]  # what the chargers below may draw
    int64_t together_above_ma  # likewise the highest since the mark
    int64_t busbar_above_ma[TERMINALS]
    int64_t over_for  # steps without pause above the cap, now
    int64_t marked_over_for  # of these, since the mark
    int64_t longest
    int64_t lag
    int64_t refresh
    int64_t sigma_ma  # of what it shows, by chance
    int64_t step_ma  # it shows whole steps
    uint64_t chance
    int64_t* past_ma  # lag + 1 loads of three phases, a ring; NULL without a meter
    int64_t shown_ma[TERMINALS]

cdef struct Depot:
    Node* nodes
    Station* stations
    Switch* switches
    int32_t* members
    int32_t switches_n
    int32_t nodes_n
    int32_t stations_n
    int64_t now
    int64_t tolerance_ma
    int64_t voltage_ppm  # of nominal

cdef void add_load(Depot* depot, int32_t circuit, int32_t phase, int64_t ma) noexcept nogil
cdef void new_noise(Depot* depot, int32_t circuit) noexcept nogil
cdef void offer(Station* station, int32_t ma, int64_t now) noexcept nogil
cdef void greet(Station* station, int64_t now) noexcept nogil
cdef void tell(Station* station, int32_t ma, int64_t now) noexcept nogil
cdef void bend(Depot* depot, int32_t voltage_ppm) noexcept nogil
cdef int32_t drawn_ma(const Station* station, int32_t terminal) noexcept nogil
cdef int32_t told_ma(const Depot* depot, const Station* station, int32_t terminal) noexcept nogil
cdef void stop(Depot* depot, Station* station) noexcept nogil
cdef void power_up(Station* station, int64_t now) noexcept nogil
cdef void count_supply(Depot* depot, Station* station, bint closed) noexcept nogil
cdef void throw_switch(Depot* depot, Switch* switch) noexcept nogil
cdef void update(Depot* depot, Station* station) noexcept nogil
cdef void run(Depot* depot, int64_t until) noexcept nogil
cdef int32_t shown_state(const Station* station) noexcept nogil
