"""What the site document needs to know of a device profile. Drivers fill these in."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """A meter model, as far as control and proof depend on it."""

    name: str
    phases: int
    error_ma: int  # of a current reading, before the CT ratio
    lag_ns: int  # measured current's age when the reply arrives, upper bound
    active_export: bool = True  # of a current that is exported it shows the active part alone
    tells_currents: bool = True  # of each of its phases


@dataclass(frozen=True, slots=True)
class WattsFacts:
    """Of a charger model that is commanded in watts."""

    commands_dc: bool  # its setpoint is the power of its DC side
    per_phase: bool  # and is meant of each phase
    evenly: bool  # it draws on all its phases alike; else all of its power may be drawn on one
    efficiency_ppm: int  # worst, from its AC side to its DC side
    power_factor_ppm: int  # worst
    min_mw: int
    max_mw: int | None  # None: the site must say
    step_mw: int
    writable_mw: int | None
    pause_mw: int  # what it is told for 0
    zero_ends_session: bool  # and 0 would end the vehicle's session
    measures: Literal["ac", "dc"] | None  # the side whose power it tells; None: it tells currents


@dataclass(frozen=True, slots=True)
class ChargerFacts:
    """A charger model, as far as control and proof depend on it."""

    name: str
    min_ma: int
    max_ma: int | None  # None: the site must say
    step_ma: int
    tolerance_ppm: int
    standby_ma: int
    settle_ns: int
    metered: bool
    error_ma: int
    lag_ns: int
    watchdog_timeout_ns: int | None  # None: unknown, or it has no watchdog
    has_fallback: bool  # False: keeps its last setpoint, or does what nobody knows
    watchdog_armed_after_power_on: bool
    power_on_is_fallback: bool  # after its own power was cut it starts with its fallback
    sets_fallback: bool = False  # its fallback can be set and read back over its line
    sets_timeout: bool = False  # likewise its watchdog's time
    timeout_least_ns: int = 0  # that its watchdog can be set to
    timeout_most_ns: int | None = None  # likewise; None: anything
    writable_ma: int | None = None  # the most its setpoint register can hold; None: anything
    any_traffic: bool = False  # every request feeds its watchdog, polls included
    writes: int = 1  # that one order takes at most, each an exchange of its own
    write_gap_ns: int = 0  # it takes no second write sooner, not even a reduction
    resolution_ma: int = 100  # the least change that its current reports show
    confirm_gap_ns: int = 0  # how long one report takes where its reads are paced, else 0
    watts: WattsFacts | None = None  # commanded in watts: the currents above are at nominal voltage
    connectors: int = 1  # that one device has, each with registers of its own
    unit_stride: int = 0  # from the unit of one connector to that of the next
    zero_ends_session: bool = False  # it can be stopped, and not be paused
    zero_falls_to_0: bool = True  # a fallback of 0 stops it, and does not let it draw anything


class Profiles(Protocol):
    """Looks a profile up by name or path.

    KeyError when unknown, ValueError when bad, each with a sentence for the installer.
    """

    def meter(self, name: str) -> MeterFacts: ...
    def charger(self, name: str) -> ChargerFacts: ...
