"""Meters and chargers with everything filled in, as drivers, tables and proof use them."""

from dataclasses import dataclass

from cext.rows import Advice, Phases
from controller.document.buses import Bus
from controller.document.contacts import Switch
from controller.facts import ChargerFacts, MeterFacts
from controller.units import PPM
from controller.watts import Watts


@dataclass(frozen=True, slots=True)
class Meter:
    id: str
    circuit: str
    profile: str
    facts: MeterFacts
    bus: Bus
    unit: int
    poll_ns: int
    lag_ns: int
    max_age_ns: int
    ratio_ppm: int
    reversed: bool
    phases: Phases  # grid phases (0, 1, 2) at terminals 1, 2, 3

    @property
    def error_ma(self) -> int:
        """Of a current on the circuit, behind the CT ratio; rounded up."""
        return -(-self.facts.error_ma * self.ratio_ppm // PPM)


@dataclass(frozen=True, slots=True)
class Charger:
    id: str
    name: str
    circuit: str
    profile: str
    facts: ChargerFacts
    bus: Bus
    unit: int
    poll_ns: int
    phases: Phases  # grid phases (0, 1, 2) at terminals 1, 2, 3; NO_PHASE where not wired
    min_ma: int
    max_ma: int
    step_ma: int
    fallback_ma: int | None  # None: unknown
    fallback_delay_ns: int | None  # None: it has no watchdog, or nobody knows its time
    power_on_ma: int | None  # None: unknown
    set_fallback_ma: int | None  # to be written into the device; None: it is set there
    set_delay_ns: int | None  # likewise
    tolerance_ppm: int
    standby_ma: int
    settle_ns: int
    max_age_ns: int
    weight: int
    class_rank: int
    may_pause: str = "yes"  # or "replug", "never"
    class_wait_ns: int | None = None  # so long it waits behind others; None: always
    min_on_ns: int = 0
    min_off_ns: int = 0
    advice: Advice | None = None  # of the document; ends at an instant of UTC
    ceiling_ma: int | None = None  # the highest setpoint the operator permits; None: max_ma
    watts: Watts | None = None  # commanded in watts; its currents are at nominal voltage
    connector: int = 1  # which one of its device
    own_tolerance_ppm: int = 0  # of `tolerance_ppm`, what is not the voltage's or losses
    switch: Switch | None = None  # what a pin switches it by; None: it is on a bus

    @property
    def alone_ma(self) -> int:
        """What it does when it hears nothing; its maximum where that is unknown."""
        return self.max_ma if self.fallback_ma is None else self.fallback_ma

    @property
    def least_ma(self) -> int:
        """Its lowest setpoint that is no pause: the minimum, in whole steps."""
        return -(-self.min_ma // self.step_ma) * self.step_ma

    @property
    def always_ma(self) -> int:
        """What it is never told to go below."""
        return self.least_ma if self.may_pause == "never" else 0

    @property
    def restart_ma(self) -> int:
        """What it offers after its own power was cut; its maximum where that is unknown."""
        return self.max_ma if self.power_on_ma is None else self.power_on_ma

    def draw_ma(self, setpoint_ma: int) -> int:
        """The most it draws per phase at a setpoint: tolerance and standby added, rounded up."""
        return -(-setpoint_ma * (PPM + self.tolerance_ppm) // PPM) + self.standby_ma
