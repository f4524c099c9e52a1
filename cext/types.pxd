"""The kernel's structs. All currents mA, all times ns, phases L1 L2 L3, + is import."""

from libc.stdint cimport int32_t, int64_t

from cext.breaker cimport Breaker
from cext.filling cimport GRID_PHASES, ROWS, SUM, Event, Filler, Sharer, Vessel, Wish
from cext.memory cimport Memory
from cext.ring cimport RING, Bucket, Ring
from cext.rules cimport *  # they are asked for here

cdef enum:
    AT_BUSBAR = 4  # where all bounds are looked at: from here on the bus bar of each phase
    BOUNDS = 7
    NOTHING_MA = 500  # a phase that carries less draws nothing
    WORTH_MA = 500  # a smaller change is not worth a write, unless a cap asks for it

# How a limit slot counts, in the order of states.SLOT_STATES.
cdef enum:
    SLOT_LIVE = 0
    SLOT_UNLIMITED = 1
    SLOT_ENDED = 2
    SLOT_LOST = 3

# The latch; while it closes, what is in force counts too.
cdef enum:
    LATCH_OPEN = 0
    LATCH_CLOSING = 1
    LATCH_CLOSED = 2

# What is known of a charger's fallback.
cdef enum:
    PROOF_NOT_ASKED = 0  # the device cannot tell: that it answers has to do
    PROOF_GIVEN = 1
    PROOF_MISSING = 2

# rows.Pause
cdef enum:
    PAUSE_YES = 0
    PAUSE_REPLUG = 1
    PAUSE_NEVER = 2

# rows.Vehicle
cdef enum:
    VEHICLE_UNKNOWN = 0
    VEHICLE_A = 1
    VEHICLE_E = 5
    VEHICLE_F = 6


# What bounds where no limit slot does, in `Why.slot` and `Circuit.cap_slot`.
cdef enum:
    BY_RATING = -1
    BY_BUSBAR = -2

# A reason, as rows.Why.
cdef struct Why:
    int32_t rule
    int32_t circuit
    int32_t phase
    int32_t slot

cdef struct Circuit:
    int32_t parent
    int32_t credit_export
    int64_t clear_within  # of its rating; -1: not stated
    int32_t measured  # some source measures it
    int32_t heard  # some source has spoken for long enough since start
    int32_t unsigned  # of this tick: only magnitudes count, as import
    int32_t handing  # of this tick: another source knew more lately than what counts now
    int32_t summed  # what its three phases carry together is bounded, too
    int32_t barred  # and what the chargers below draw by themselves
    int32_t rating[ROWS]
    int64_t level[GRID_PHASES]  # what may be drawn there by who does not draw on all three
    int64_t uneven_hi[GRID_PHASES]  # of this tick: the most that they may draw
    int64_t uneven_fixed[GRID_PHASES]  # the part of it that no lower target takes away
    int64_t uneven_lo[GRID_PHASES]  # the least that they draw
    int64_t busbar[GRID_PHASES]  # what the bar carries, whatever is fed in
    int32_t imbalance  # how far one phase may be above another by our doing; -1: as it comes
    int32_t base_step[GRID_PHASES]  # the most that the base load rises at once
    int32_t declared[GRID_PHASES]
    int32_t worst[GRID_PHASES]  # as declared, or as measured since
    # of this tick
    int32_t cap[ROWS]
    int32_t cap_slot[ROWS]
    int32_t cap_before[ROWS]
    int32_t fresh
    int32_t reading[ROWS]  # highest of the fresh sources
    int32_t error  # largest of the fresh sources
    int32_t most_error  # largest of all its sources, fresh or not
    int64_t reading_at
    int64_t oldest_ns  # the instant the reading may date from
    int64_t window_ns  # where the draw window begins
    int64_t credit_ns  # how long after the vehicle followed a reading may still hide it
    int64_t quick_ns  # the same two of the quickest source; where there is one, of the slowest
    int64_t quick_credit_ns
    int64_t base_hi[ROWS]
    int64_t base_lo[GRID_PHASES]
    int64_t seen[ROWS]  # largest reading in the window less the least draw
    int64_t below_lo[GRID_PHASES]  # sum of the children's base_lo
    int64_t lasting[GRID_PHASES]  # least reading of as long as reports below may be late
    int64_t vouched[GRID_PHASES]  # the most that believed reports showed in the window
    int64_t vouched_hi[GRID_PHASES]  # the upper ends of the same chargers
    Ring unvouched  # upper ends of late of the others
    int64_t shown_since  # what its sources showed since then counts, as of the last tick with a reading
    int32_t undeclared[GRID_PHASES]  # base load beyond the worst case that they showed; 0: none
    int32_t inherited[GRID_PHASES]  # what they did before a new document, until something is read
    int64_t draw_lo[GRID_PHASES]  # sum over the chargers below
    int64_t draw_hi[ROWS]
    int32_t retaken[ROWS]  # of this tick: a charger below uses the phase again
    int64_t credit[ROWS]  # what is ordered and does not show in the reading yet
    int64_t quick_credit[GRID_PHASES]  # in a reading of any but the slowest source
    int64_t net[GRID_PHASES]  # scratch: the highest reading of any source less its own credit
    int64_t excess[ROWS]
    int64_t short_for[GRID_PHASES]  # so long somebody would have had more
    int32_t short_now[GRID_PHASES]  # of the last tick: somebody would
    int64_t left[GRID_PHASES]  # scratch: of the excess, what swing chargers have not given
    int32_t beyond_control
    int32_t hard_cap[ROWS]  # of this tick: the cap without economic limits
    int32_t hard_slot[ROWS]
    int64_t over_since  # without pause above its rating and the margin; 0: it is not
    int64_t clear_by  # of this tick: when what is exceeded has to be gone, hard caps alone
    int64_t pause_by  # of this tick: the same with economic limits
    int64_t stood_at  # since then the excess has not become clearly less; 0: none
    int64_t least_over  # what it was then
    int64_t looked_at  # when that was last looked at
    int64_t waits  # so long nothing may improve before the next step
    int64_t ordered[ROWS]  # most the chargers below draw once their orders hold
    int64_t may_shed[ROWS]  # sum of the draw that a net excess may lower
    int64_t quick_shed[ROWS]  # the part of it that goes with the next write
    int64_t slow_hi[ROWS]  # most that is drawn once all that obeys at once was told 0
    int64_t suspect_draw[ROWS]  # sum of what suspects draw
    int64_t wakes[ROWS]  # scratch: most that is drawn once a contactor has closed
    int64_t hidden[ROWS]  # scratch: of what is ordered open, silent and not known cut off
    int64_t bar_wakes[GRID_PHASES]  # scratch: the same at a bus bar, which no meter shows
    int32_t asked  # scratch: whether that contactor's chargers are fed from here
    Ring drawn  # draw_hi of late
    int64_t unseen_at  # when an unmetered charger below last rose; 0: never

cdef struct Source:
    int32_t circuit
    int32_t error
    int64_t lag
    int64_t max_age
    int64_t poll
    int32_t unsigned  # it shows magnitudes: counts as import, where no signed source does
    int32_t distrusted
    int32_t fresh  # of this tick: in date and trusted
    int32_t counts  # of this tick: fresh, and not stood in for by a better one
    int64_t counted_at  # arrival of the last reading with which it counted
    int64_t charger_lag  # largest (lag + poll) of a metered charger below
    int64_t at
    int64_t first_at  # of its readings since start, or since it is trusted again
    int32_t known
    int32_t reading[GRID_PHASES]
    int64_t judged_at  # the last reading held against the declared worst case
    int32_t disproofs[GRID_PHASES]  # how many in a row spoke against it
    int64_t proved[GRID_PHASES]  # the least that they proved
    Ring ring
    int64_t showed_at  # the last reading that was looked at for undeclared base load
    int32_t showed[GRID_PHASES]  # so much it showed; 0: none
    int32_t showed_most[GRID_PHASES]  # and so much it may have been
    int32_t showed_before[GRID_PHASES]  # the same of the reading before
    int32_t showed_most_before[GRID_PHASES]
    Ring shown  # what each reading showed of late
    Ring twice  # what two in a row did

cdef struct Charger:
    int32_t circuit
    int32_t wired[GRID_PHASES]  # 1 where it draws from that grid phase
    int32_t summed  # some circuit bounds what its phases carry together
    int32_t alone  # one more than the phase on which its car draws alone; 0: not as far as known
    int32_t minimum
    int32_t maximum
    int32_t ceiling  # as declared: what counts where nothing is known
    int32_t step
    int32_t declared_fallback
    int32_t told_fallback  # as the charger itself says
    int32_t fallback  # the higher of both
    int32_t power_on
    int32_t tolerance_ppm
    int32_t standby
    int32_t metered
    int32_t error
    int32_t error_ppm  # so much of itself its reports may be too high, too
    int32_t resolution  # the least change that its reports show
    int32_t weight
    int32_t class_rank
    int32_t may_pause  # PAUSE_*
    int64_t settle
    int64_t lag
    int64_t poll
    int64_t max_age
    int64_t window  # how far back its reports matter
    int64_t calm  # pace.calm, or longer where a change takes longer to show
    int64_t show  # from an order until every meter above must show it
    int32_t failsafe
    int64_t write_gap
    int64_t confirm_gap
    int64_t began_at  # the first tick that knew of it; 0: none yet
    # feedback
    int32_t heard
    int64_t report_at
    int32_t in_force  # -1: unknown
    int32_t current_known
    int32_t current[GRID_PHASES]
    int32_t vehicle
    int64_t written_tick
    Ring ring
    int64_t told_at  # when it last told what it draws
    int64_t told_since  # since then it has told that without a gap longer than max_age
    # what is ordered and what may be in force
    int32_t started
    int32_t order
    int64_t order_tick
    int64_t changed_at
    int64_t shed_at
    int32_t in_force_hi  # highest setpoint that may still be in force
    int32_t confirmed
    int64_t confirmed_at
    Ring orders  # each order that ended, at its end
    int32_t observed  # nothing is ever written: orders count as obeyed
    int32_t suspect
    int32_t stubborn  # suspected, too
    int64_t beyond_at  # since then it was measured above its order without pause; 0: it is not
    int64_t within_at  # since then it was not; 0: it is
    int32_t proof  # of its fallback, as PROOF_*
    int64_t proof_at  # since when
    int32_t unproven  # of this tick
    int64_t doubted_at  # since then no read-back has confirmed the order
    # contactors
    int64_t group_opens  # how long the slowest group it is in takes to open; -1: it is in none
    int32_t own  # the contactor of its own; -1: none
    int32_t parted  # one it is behind is ordered open
    int32_t cut  # and one of them is verified open: it draws nothing
    int32_t shown_open  # how many auxiliary contacts say so
    int32_t was_cut  # in the tick before
    int32_t before_cut  # the highest setpoint that might have been in force until then
    int32_t disputed  # an auxiliary contact says that it is not
    int32_t waking  # scratch: gets its power back with the contactor in question
    int32_t reserved  # it is about to get its power back, and counts as if it had
    int64_t parted_at
    int64_t parting  # how long that takes
    int32_t parted_known  # whether it was measured what it drew then
    int64_t parted_ma[GRID_PHASES]  # at the most
    int64_t powered_at  # when it last got its power back by our order
    int32_t steady_ma  # what it drew steadily when it was parted; 0: nothing, or not steadily
    int32_t dropped  # its own reports showed that draw drop at the order
    # reports that stand still
    int64_t same_since  # its reports show the same to the last digit; 0: nothing was shown yet
    int32_t frozen  # though it was told to draw less
    int32_t probing  # it is told a little less, to see whether its reports move
    int32_t stood  # STOOD_…: they have for too long, and nothing it may be told would move them
    # phases
    int64_t empty_at[GRID_PHASES]  # since then it shows nothing there beside a charge; 0: no
    int32_t uses[GRID_PHASES]  # as of the last tick: wired, and not empty for long
    # demand: peak hold over two spans, and the grace after a change of vehicle state
    int32_t peak_now
    int32_t peak_before
    int64_t peak_since
    int64_t grace_until
    int32_t idle
    int64_t idle_turn  # the turn in which it was found idle
    int32_t offers  # how often it was offered current again, and drew none
    # turns
    int32_t class_index  # its class among those that there are
    int64_t class_wait  # so long it waits behind others; -1: for ever
    int64_t min_on
    int64_t min_off
    int64_t on_since  # its order is at least its minimum; 0: it is not
    int64_t off_since  # switched off for others, with a vehicle there; 0: it is not
    int64_t turn_since  # its present turn; 0: it has none
    int32_t queued  # it wants current, and has a place
    int64_t place
    int64_t waits_since  # without its minimum; 0: it does not wait
    int32_t overdue  # for longer than its class waits; until the turn has passed in which it got it
    int32_t has_step  # one more step than its share
    # advice
    int32_t advice_weight  # 0: none
    int32_t advice_floor  # -1: none
    int32_t advice_cap  # -1: none
    int64_t advice_until
    int32_t own_limit  # what it drew when it was offered clearly more; -1: it takes all
    int64_t more_since  # offered clearly more than it draws
    int32_t was_idle  # in the tick before
    int32_t parked  # it gives back what it does not draw
    int64_t parked_at  # since when
    int64_t parked_until  # at least
    int64_t asked_until  # offered current again
    # calm pace
    int32_t swing  # it takes up noise, for a turn
    int64_t swung_turn  # in which it was one last
    int32_t aim  # of this tick: what its order is to move to, calm considered
    int64_t arrived_at  # when it last began to charge; 0: never
    int32_t climbs  # its last change was a rise that ended short of what it may have: it is on its way
    int64_t swing_calm  # what calm means for swing chargers, and where there are none
    int64_t calm_since
    int32_t calm_most
    # of this tick
    int32_t fresh
    int32_t demand
    int32_t target
    int32_t advised  # its advice counts
    int32_t advised_floor  # 0: none
    int32_t capped  # its advice lowers its demand
    int32_t pull  # its weight: advised, or its own
    int32_t row  # of the queue
    int32_t early  # its minimum goes before every class
    int32_t served  # a fair-share run had a wish of it
    int32_t shut_out  # an imbalance limit leaves it nothing: its place is the others'
    int32_t outs  # so often it was switched off for an imbalance limit
    int64_t out_turn  # in this turn
    int64_t next_step  # what one more step would draw; 0: it can have none
    int64_t draw_hi[GRID_PHASES]
    int64_t may_shed[GRID_PHASES]  # least of what it drew and its order; suspects: what it draws
    Why held  # what keeps its demand below what it could use; rule -1: nothing
    Why bound  # what bounds the target
    Why why  # what keeps the order there now
    Why cause  # what changed it last

cdef struct Slot:
    int32_t circuit
    int32_t kind
    int64_t clear_within  # -1: not stated
    int32_t failsafe[GRID_PHASES]
    int64_t hold
    int32_t known  # some limit was ever heard
    int32_t unlimited
    int32_t limit[GRID_PHASES]
    int64_t limit_until
    int64_t alive_until
    int64_t over_since  # its circuit is above its cap and the margin without pause; 0: it is not
    # of this tick
    int32_t state
    int32_t asks  # it asks for a cap now
    int32_t cap[GRID_PHASES]

cdef struct Contactor:
    int32_t first  # its chargers are world.members[first : first + count]
    int32_t count
    int32_t group
    int32_t feedback
    int64_t opens
    int32_t closed  # as ordered
    int64_t changed_tick
    int64_t changed_at
    int64_t least_open  # it stays open at least this long
    int32_t openings  # against an excess, lately
    int64_t tried_at  # when room for its power-on currents was last looked for in vain
    int32_t contact_known  # auxiliary contact
    int32_t contact_closed
    int64_t contact_at
    int32_t verified  # of this tick: open, and known to be
    int32_t shown_open  # and its own auxiliary contact says so
    Why why
    Why cause  # the excess it was last opened against

cdef struct Pace:
    int64_t dead_man
    int64_t dwell
    int64_t ramp_ma_per_s
    int64_t calm
    int64_t turn
    int32_t observe

# What the journal told last of one output.
cdef struct Told:
    int32_t output  # an order, -1 where there is none; a contactor: closed
    Why why
    Why cause

# A ring of bytes: positions only grow, and what lies between them waits to be taken.
cdef struct Journal:
    char* ring
    int64_t bytes
    int64_t head
    int64_t tail
    int64_t lost  # records that found no room since one was written
    Told* told  # of each charger
    Told* switched  # of each contactor
    int32_t first_piece  # of the memory: what comes before it is what a tick works on

cdef struct World:
    Memory memory  # all that the pointers below lead to
    int32_t circuits_n
    int32_t sources_n
    int32_t chargers_n
    int32_t slots_n
    int32_t contactors_n
    int32_t members_n
    Circuit* circuits
    Breaker* breakers  # one for each circuit
    Source* sources
    Charger* chargers
    Slot* slots
    Contactor* contactors
    int32_t* members  # chargers behind each contactor, one list after the other
    int32_t closing  # the contactor whose power-on currents are reserved; -1: none
    int64_t closing_at  # since when
    int64_t unfit_at  # since then no room can be made for it; 0: it can
    int32_t last_closed  # -1: none yet
    Pace pace
    Wish* wishes
    int32_t* wisher  # charger of each wish
    int32_t* by_class
    int32_t classes  # how many there are
    int32_t* by_place
    int32_t* turn_order  # of this tick: who is asked first
    int32_t* rows  # scratch: how many stand in each row of the queue
    int64_t turn_index
    int32_t turn_passes  # with this tick another turn begins
    int32_t unsorted  # places have changed
    int32_t* step_order  # who is asked first for left-over steps
    int64_t steps_moved_at
    int32_t waiting  # somebody is to rise, and has no room
    int32_t waited  # it was so in the last tick
    int32_t swings  # swing chargers; 0: few charge, and everybody follows his share
    int64_t shared_at  # the last tick that shared out; 0: none yet
    int64_t swing_turn  # in which swing chargers were chosen anew
    Filler filler
    int64_t began  # the first tick's instant; 0 before it
    int32_t always  # some charger may never be paused
    int32_t paced  # some charger takes no second write within a gap
    int32_t summed  # some circuit bounds what its phases carry together
    int32_t leveled  # some circuit has an imbalance limit
    int32_t adopted  # it took over from another kernel and has not ticked since
    int64_t now
    int64_t tick
    int32_t changed
    int32_t lapsed  # every order had expired before this tick
    int32_t leaving  # the depot is to be left to itself
    int32_t latched  # LATCH_…: fail-safe until somebody ends it
    Journal journal


cdef inline bint in_date(int64_t at, int64_t max_age, int64_t now) noexcept nogil:
    """Whether a time stamp is recent; one more than a second ahead is not believed."""
    return now - at <= max_age and at - now <= 1_000_000_000


cdef inline int64_t stubborn_after() noexcept nogil:
    """Above what it may draw for so long, a charger is stubborn; within it for so long, not."""
    return 7_000_000_000
