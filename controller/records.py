"""What the kernel's journal tells, record by record: all that it was told, and what it decided.

How they are written as bytes is controller.journal's.
"""

from __future__ import annotations

from typing import NamedTuple

from cext.rows import Advice, Heat, Phases, Vehicle, Why


class Reading(NamedTuple):
    """A meter's or clamp's, per grid phase."""

    source: int
    at_ns: int
    current_ma: Phases


class Distrust(NamedTuple):
    source: int
    distrusted: bool


class Report(NamedTuple):
    """A charger's own."""

    charger: int
    at_ns: int
    in_force_ma: int | None
    current_ma: Phases | None
    vehicle: Vehicle
    written_tick: int


class Fallback(NamedTuple):
    charger: int
    fallback_ma: int


class Proven(NamedTuple):
    charger: int
    proven: bool | None


class Contact(NamedTuple):
    contactor: int
    at_ns: int
    closed: bool


class Limit(NamedTuple):
    slot: int
    limit_ma: Phases | None  # None: "unlimited"
    limit_until_ns: int
    alive_until_ns: int


class Advised(NamedTuple):
    charger: int
    advice: Advice


class Leave(NamedTuple):
    """The depot is to be left to itself."""


class Latch(NamedTuple):
    latched: bool


class Order(NamedTuple):
    charger: int
    setpoint_ma: int | None  # None while STARTING
    why: Why
    cause: Why


class Switch(NamedTuple):
    contactor: int
    closed: bool
    why: Why


class Tick(NamedTuple):
    """A decision, with each output that is not as it was told before."""

    tick: int
    now_ns: int
    orders: tuple[Order, ...]
    contactors: tuple[Switch, ...]


class Lost(NamedTuple):
    """So many records are missing here."""

    lost: int


class RestoredHeat(NamedTuple):
    """How warm a circuit's protection was, as saved by the process before."""

    circuit: int
    heat: Heat


class RestoredWorst(NamedTuple):
    """The worst-case base load that the process before had proved."""

    circuit: int
    worst_ma: Phases


Input = Reading | Distrust | Report | Fallback | Proven | Contact | Limit | Advised | Leave | Latch
Record = Input | RestoredHeat | RestoredWorst | Tick | Lost
