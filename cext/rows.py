"""What goes into the kernel and what comes out: plain rows of integers.

Milliamps and nanoseconds throughout, one value per grid phase L1, L2, L3, + is import.
Indexes refer to positions in the sequences handed to :class:`cext.tick.Kernel`.
"""

from enum import IntEnum
from typing import NamedTuple

Phases = tuple[int, int, int]

NO_PHASE = -1
ALL_PHASES = 3  # of a reason: what the three carry together
BY_RATING = -1  # of a reason: no limit slot, the circuit's own rating
BY_BUSBAR = -2  # its bus bar's
ROOT = -1
NEVER_NS = 2**63 - 1


class Vehicle(IntEnum):
    """Vehicle state as in IEC 61851-1; UNKNOWN counts as one that may draw at any moment."""

    UNKNOWN = 0
    A = 1  # no vehicle
    B = 2  # connected, not ready to draw
    C = 3  # charging
    D = 4  # charging, ventilation asked for
    E = 5  # fault
    F = 6  # charger not available


class Kind(IntEnum):
    """How hard a limit may be enforced (rating is not a slot, it is the circuit itself)."""

    GRID = 1
    ECONOMIC = 2


class Pause(IntEnum):
    """Whether a charger may be told 0 while it charges."""

    YES = 0
    REPLUG = 1  # its vehicle does not start again by itself: paused last, and not for turns
    NEVER = 2  # never ordered below its minimum, which counts as drawn


class Rule(IntEnum):
    """Why an output is what it is. CAP carries circuit, phase and slot; the others a rule."""

    STARTING = 0  # nothing is ordered before the charger has told its setpoint in force
    CAP = 1  # bound by a circuit's cap
    MAXIMUM = 2  # the charger's own maximum
    DEMAND = 3  # it does not use more
    NO_VEHICLE = 4
    TURN = 5  # the minimum does not fit for all: not its turn
    SHED = 6  # lowered by a net excess on circuit and phase
    BLIND = 7  # bound by a circuit counted at its declared worst case
    RAMP = 8  # rising
    DWELL = 9  # lowered for a cap a short while ago: may not rise yet
    SLACK = 10  # may not rise: no proven slack on circuit and phase
    CALM = 11  # will change at the calm pace
    SILENT = 12  # no fresh report: never raised
    FALLBACK = 13  # starts at the lesser of its setpoint in force and its fail-safe setpoint
    SUSPECT = 14  # does not do as told: counted at its worst, never raised
    STUBBORN = 15  # has drawn more than it may for 7 s: counted at what it draws, never raised
    PAUSED = 16  # does not do as told while circuit and phase are over their cap: told to stop
    OPENED = 17  # a contactor before it is ordered open; of a contactor: against an excess
    RECLOSING = 18  # of a contactor: waits until its power-on currents fit circuit and phase
    PACED = 19  # its writes are paced: waits until an increase need not be taken back at once
    UNPROVEN = 20  # did not answer, or its fallback is not proven: at its worst, never raised
    CLOSED = 21  # of a contactor: nothing speaks against it
    LATCHED = 22  # the latch is closed: at the fail-safe setpoint, or lower, until somebody resets
    IMBALANCE = 23  # draws on one phase only, and would lift it too far above another
    ADVICE = 24  # advised to have no more
    OFF_TIME = 25  # within its minimum time off: not switched on again yet
    PROBE = 26  # lowered a little, to see whether reports that stand still move
    IDLE = 27  # draws nothing while others are short: paused until it is asked again


class Demand(NamedTuple):
    """One wish in a fair-share run."""

    circuit: int
    phases: Phases  # grid phases used, NO_PHASE where none
    min_ma: int
    max_ma: int
    weight: int = 1
    class_rank: int = 0  # all of a lower one have their shares before
    floor_ma: int = 0  # met before anybody of its class grows beyond the minimum, or the own floor
    early: bool = False  # its minimum goes before every class


class CurveRow(NamedTuple):
    """What protects a circuit: the fastest that its device may be (controller.curves)."""

    pickup_ma: int  # at and below it, it never trips
    tau_ns: int  # of its thermal image
    steps: tuple[tuple[int, int | None], ...]  # up to so many mA not before so many ns, from cold


class CircuitRow(NamedTuple):
    """A node of the capacity tree; parents stand before their children."""

    parent: int  # ROOT for the root circuit
    rating_ma: Phases
    worst_base_ma: Phases  # declared; includes the children's
    credit_export: bool = False
    clear_within_ns: int | None = None  # an excess of the rating is to be gone within this time
    base_step_ma: Phases | None = None  # largest step of base load; None: the declared worst case
    busbar_ma: Phases | None = None  # of the bar; chargers below have it less the worst base load
    sum_ma: int | None = None  # the three phases together: apparent power at nominal voltage
    imbalance_ma: int | None = None  # one-phase draw puts no phase further above another
    curve: CurveRow | None = None  # of what protects it; None: nobody said, and nothing is timed


class SourceRow(NamedTuple):
    """A meter or clamp that measures a circuit.

    An unsigned one shows magnitudes only. They count, as import, on a circuit where no signed
    source is fresh and trusted, and never as a lower end of anything.
    """

    circuit: int
    error_ma: int
    lag_ns: int  # upper bound: how old the measured current is when the reading arrives
    max_age_ns: int
    poll_ns: int
    unsigned: bool = False


class ChargerRow(NamedTuple):
    """A managed charger. `phases` are the grid phases (0, 1, 2) at terminals 1, 2, 3."""

    circuit: int
    phases: Phases  # NO_PHASE where a terminal is not wired
    min_ma: int
    max_ma: int
    step_ma: int
    fallback_ma: int  # what it does alone; max_ma where unknown
    power_on_ma: int  # after its own power was cut; max_ma where unknown
    tolerance_ppm: int
    standby_ma: int
    settle_ns: int  # from a changed setpoint to the vehicle's current following it
    metered: bool
    error_ma: int  # of its own current reports
    lag_ns: int  # how old its reports are on arrival, upper bound
    poll_ns: int
    max_age_ns: int
    weight: int = 1
    class_rank: int = 0  # lower goes first
    write_gap_ns: int = 0  # it takes no second write sooner, not even a reduction
    confirm_gap_ns: int = 0  # how long a read-back may take beyond lag and poll
    ceiling_ma: int | None = None  # the highest setpoint it may get; what it may draw stays max_ma
    may_pause: Pause = Pause.YES
    class_wait_ns: int | None = None  # so long it waits behind others for its minimum; None: always
    min_on_ns: int = 0  # once on, so long it has its minimum before all others
    min_off_ns: int = 0  # once off, so long it is not switched on again
    resolution_ma: int = 100  # the least change that its current reports show
    error_ppm: int = 0  # so much of itself may a reported current be too high, beside the error


class SlotRow(NamedTuple):
    """A limit source's slot on a circuit."""

    circuit: int
    kind: Kind
    failsafe_ma: Phases
    hold_ns: int  # after the source is lost, its last limit binds at least this long
    clear_within_ns: int | None = None  # an excess of its limits is to be gone within this time


class ContactorRow(NamedTuple):
    """A contactor that can cut chargers off. A charger is behind at most one that is no group."""

    chargers: tuple[int, ...]
    group: bool  # drops a whole group, obedient chargers too: the last resort
    feedback: bool  # an auxiliary contact says whether it is open
    opens_ns: int  # from the order until it is open, at the most
    opens_alone: bool = True  # while nobody decides; else it begins closed


class Tuning(NamedTuple):
    """Pace of the controller; nothing here delays a reduction for a cap."""

    dead_man_ns: int
    dwell_ns: int
    ramp_ma_per_s: int
    calm_ns: int  # at least as long as a charger's reports and meters may hide a change
    turn_ns: int  # at least twice calm, and dwell
    observe: bool = False  # nothing is ever written: orders count as obeyed


class Why(NamedTuple):
    """A reason: the rule, and what is to blame for it."""

    rule: Rule
    circuit: int  # -1 where no circuit is to blame
    phase: int  # -1, or 0..2, or ALL_PHASES together
    slot: int  # BY_RATING, BY_BUSBAR: the circuit's own


class Advice(NamedTuple):
    """A planner's wish for a charger; None: no word on that."""

    weight: int | None = None  # stands in for its own
    floor_ma: int | None = None  # met before others of its class have more than theirs
    cap_ma: int | None = None  # it is not to want more
    until_ns: int = 0  # counts before this instant


class Output(NamedTuple):
    """One charger's order. `setpoint_ma` is None while STARTING: nothing may be written."""

    setpoint_ma: int | None
    changed_tick: int  # the tick that last changed the setpoint
    tick: int  # the tick that last confirmed it
    expires_ns: int  # never written at or after this instant
    why: Why  # what keeps it there now
    cause: Why  # what changed it last


class Together(NamedTuple):
    """What the three phases of a circuit carry together, where that is bounded."""

    cap_ma: int
    reading_ma: int | None  # exporting phases as nothing, unless export is credited; None: blind
    base_hi_ma: int
    draw_hi_ma: int
    excess_ma: int


class CircuitState(NamedTuple):
    """What the kernel last believed of a circuit."""

    cap_ma: Phases
    slot: Phases  # slot that binds each phase, -1 for the rating
    reading_ma: Phases | None  # None when blind
    reading_at_ns: int  # 0 when there was none
    base_hi_ma: Phases
    excess_ma: Phases  # net excess, 0 where none
    draw_hi_ma: Phases
    worst_base_ma: Phases  # as declared, or as three readings in a row have proved since
    beyond_control: bool  # over its cap with everything shed that can be
    together: Together | None = None
    heat_ppm: Phases | None = None  # how near its protection is to a trip, 1000000; None: unknown
    trips_ns: int | None = None  # from the last tick, when it may trip; None: not by what flows


class Heat(NamedTuple):
    """How warm what protects a circuit was at an instant; both parts are in 2^-32 of a trip."""

    at_ns: int
    image: Phases
    worn: Phases  # of its fastest curve from cold
    current_ma: Phases  # what flowed


class ChargerState(NamedTuple):
    """What the kernel last believed of a charger."""

    in_force_ma: int | None
    current_ma: Phases | None  # per grid phase; None when unmetered or over age
    vehicle: Vehicle
    draw_hi_ma: int
    fresh: bool
    suspect: bool  # does not do as told; a stubborn one is suspected, too
    stubborn: bool
    cut_off: bool  # behind a contactor that is verified open
    unproven: bool  # did not answer in time, or its fallback is not proven
    idle: bool = False  # offered current for a minute, it drew none: its turn has passed
    turn_since_ns: int = 0  # its present turn began; 0: it has none
    waits_since_ns: int = 0  # it wants its minimum and has not got it; 0: it does not wait
    overdue: bool = False  # it has waited longer than its class waits: goes before every class
    advice: Advice | None = None  # that counts now
    frozen: bool = False  # its reports stand still although it was told to draw less


class ContactorState(NamedTuple):
    """A contactor's order. Closed is a permission: it ends at `expires_ns`."""

    closed: bool
    changed_tick: int  # the tick that last changed the order
    tick: int  # the tick that last confirmed it
    expires_ns: int
    verified_open: bool  # ordered open, and all behind it is known to be without current
    contact: bool | None  # the auxiliary contact says closed; None: nothing young enough
    why: Why


class SourceState(NamedTuple):
    """A source as the last tick found it."""

    fresh: bool  # in date and trusted
    counts: bool  # its circuit goes by it, alone or with others
    distrusted: bool


class SlotState(NamedTuple):
    """A limit slot as it counts at the last tick."""

    state: str  # "live", "unlimited", "ended", "lost"
    cap_ma: Phases | None  # what the slot asks for now; None: nothing
    limit_until_ns: int
    alive_until_ns: int


class Granted(NamedTuple):
    """What a kernel's thread was granted when it began."""

    priority: int  # of SCHED_FIFO; 0: it runs like any other thread
    fifo_errno: int  # why it does
    all_locked: bool  # every page of the process stays in memory, once touched
    lock_errno: int  # else: why not even its own memory does; 0: that does
    own_bytes: int  # its own memory: the kernel's arrays and its stack
