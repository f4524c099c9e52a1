"""What the enforcer tells of its depot: the status, part by part.

It goes over the socket whole (controller.wire), and over MQTT in parts (controller.link.bulletin).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controller.reported import Model as _Model

Three = tuple[float, float, float]


class LatchReport(_Model):
    """Why the depot is latched at its fail-safe setpoints; see controller.latch."""

    cause: str
    why: str
    since: str | None  # UTC; None: the clock was not trusted
    id: str  # what resets it from afar names it


class RecordingReport(_Model):
    """Of the black box; see controller.blackbox.recorder."""

    since_s: float | None  # it records without a gap for so long; None: it does not
    lost: int  # records, since the enforcer started
    problem: str | None  # why it does not


class LinkReport(_Model):
    attached: bool  # the link process is there
    connected: bool  # and it has a session with the broker
    since_s: float | None  # for how long it has been as it is; None: never was


class TogetherReport(_Model):
    """The three phases of a circuit together, in amperes: where its apparent power is bounded."""

    cap_a: float
    load_a: float | None  # None: blind
    base_hi_a: float
    draw_hi_a: float
    excess_a: float


class CircuitReport(_Model):
    id: str
    parent: str | None
    rating_a: Three
    load_a: Three | None  # None: blind
    cap_a: Three
    bound_by: tuple[str, str, str]  # "rating" or the limit source
    base_hi_a: Three
    draw_hi_a: Three
    excess_a: Three
    blind: bool
    reading_age_s: float | None
    beyond_control: bool = False  # over, and nothing is left to shed
    together: TogetherReport | None = None
    heat_pct: float | None = None  # of what trips its protection; None: that is not stated
    trips_s: float | None = None  # when it may trip by what flows now; None: it does not
    busbar_a: Three | None = None  # what it carries for the chargers, whatever is fed in


class ChargerReport(_Model):
    id: str
    circuit: str
    setpoint_a: float | None
    in_force_a: float | None
    current_a: Three | None
    vehicle: str
    online: bool
    reason: str
    draw_hi_a: float
    stubborn: bool = False
    waits_s: float | None = None  # for its minimum; None: it does not wait
    overtakes: bool = False  # it has waited longer than its class waits: goes before all others
    turn_s: float | None = None  # how long its present turn has lasted; None: it has none
    idle: bool = False  # it draws nothing of what it is offered: its turn has passed
    advice: str | None = None  # that counts now
    advice_s: float | None = None  # until it ends
    frozen: bool = False  # its reports stand still although it was told to draw less
    cut_off: bool = False  # behind a contactor that is verified open
    setpoint_w: float | None = None  # as it is written; None: commanded in amperes, or not yet


class LimitReport(_Model):
    source: str
    circuit: str
    kind: str
    state: Literal["live", "unlimited", "ended", "lost"]
    limit_a: Three | None  # as last heard; None: unlimited or nothing heard
    left_s: float | None  # until it ends or lapses; None when it has
    cap_a: Three | None  # what it asks for now; None: nothing


class DeviceReport(_Model):
    id: str
    online: bool
    error: str | None
    suspected: str | None = None  # why what it shows is not believed


class PinReport(_Model):
    """What is on one of the gateway's own pins."""

    id: str
    name: str
    kind: Literal["contactor", "health", "dim"]
    pin: int
    of: str  # the circuit or charger that it drops, or the limit source that it speaks for
    state: Literal["closed", "open", "verified open", "holds", "dropped", "dims", "rests", "?"]
    contact: Literal["closed", "open"] | None  # what an auxiliary contact says; None: nothing
    why: str | None


class RealTimeReport(_Model):
    """What the kernel's thread was granted; the words say what would grant the rest."""

    full: bool
    scheduling: str
    memory: str
    worst_late_ms: float  # the most that a tick began after it was due, since this document runs


class DerogationReport(_Model):
    """A line of the commissioning proof that somebody answers for; see the site document."""

    line: int
    name: str
    circuit: str | None
    source: str | None
    reason: str
    excess_a: float
    trips_after_s: float
    by: str
    date: str


class StatusReport(_Model):
    """All that the enforcer knows of its depot at one moment."""

    site: str
    version: str
    boot_id: str
    installation_hash: str
    mode: Literal["control", "observe"]
    uptime_s: float
    ticks: int
    tick_age_s: float
    clock_trusted: bool
    revision: int | None = None  # of the document in force; None: the installer's file
    state_problem: str | None  # why limits or documents cannot be saved, if they cannot
    real_time: RealTimeReport | None = None  # None: of an older enforcer
    latched: LatchReport | None = None  # at its fail-safe setpoints until somebody resets it
    recording: RecordingReport | None = None  # None: of an older enforcer
    link: LinkReport
    circuits: list[CircuitReport]
    chargers: list[ChargerReport]
    limits: list[LimitReport]
    devices: list[DeviceReport]
    pins: list[PinReport] = Field(default_factory=list)
    derogations: list[DerogationReport] = Field(default_factory=list)
