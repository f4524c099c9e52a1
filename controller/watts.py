"""Chargers that are commanded in watts: what a power is as a current, and at the worst.

The kernel's setpoint stays a current: the power's at nominal voltage. What is written is rounded
down to a step of the device's, what is read back is rounded up. The same power is more current
while the voltage is lower, and by what the device loses on the way: that is in the tolerance. Whole
numbers only.
"""

from dataclasses import dataclass, replace

from controller.facts import ChargerFacts, WattsFacts
from controller.units import MA_MAX, PPM

LOWEST_PCT = 90  # of nominal voltage: EN 50160's lowest
HIGHEST_PCT = 110  # and its highest
UW_PER_MW = 1_000  # one mA at one mV is one uW
DEFAULT_PHASE_MV = 230_940  # 400 V line to line


@dataclass(frozen=True, slots=True)
class Watts:
    """One charger's conversion."""

    mv: int  # what one mA of setpoint is worth: the voltages of all phases that share the power
    efficiency_ppm: int  # worst of what is commanded; 1000000: the AC side is
    power_factor_ppm: int  # worst
    measured_ppm: int | None  # of the AC side's power it tells so much; None: it tells currents
    pause_mw: int  # what it is told for 0, and may draw then
    step_mw: int  # it is told whole ones of these, or the pause

    @classmethod
    def of(
        cls,
        facts: WattsFacts,
        phase_mv: int = DEFAULT_PHASE_MV,
        phases: int = 3,
        efficiency_ppm: int | None = None,
        power_factor_ppm: int | None = None,
    ) -> "Watts":
        """As its profile says, but for what was found out about the device itself."""
        efficiency_ppm = facts.efficiency_ppm if efficiency_ppm is None else efficiency_ppm
        shared = phases if facts.evenly and not facts.per_phase else 1
        return cls(
            mv=phase_mv * shared,
            efficiency_ppm=efficiency_ppm if facts.commands_dc else PPM,
            power_factor_ppm=(
                facts.power_factor_ppm if power_factor_ppm is None else power_factor_ppm
            ),
            measured_ppm=(
                None
                if facts.measures is None
                else efficiency_ppm
                if facts.measures == "dc"
                else PPM
            ),
            pause_mw=facts.pause_mw,
            step_mw=facts.step_mw,
        )

    def mw(self, ma: int) -> int:
        """The power of a current at nominal voltage, rounded down."""
        return ma * self.mv // UW_PER_MW

    def told_mw(self, ma: int) -> int:
        """What is written for it."""
        return told_mw(self.mv, self.pause_mw, self.step_mw, ma)

    def up_ma(self, mw: int) -> int:
        return min(-(-mw * UW_PER_MW // self.mv), MA_MAX)

    def asked_ma(self, mw: int) -> int:
        """The setpoint in force where a power is read back: the one, in whole steps, that is
        written as just that; or its current rounded up."""
        ma, step_ma = self.up_ma(mw), self.up_ma(self.step_mw)
        asked_ma = -(-ma // step_ma) * step_ma
        return asked_ma if self.told_mw(asked_ma) == mw else ma

    def down_ma(self, mw: int) -> int:
        return min(mw * UW_PER_MW // self.mv, MA_MAX)

    @property
    def draws_ppm(self) -> int:
        """Of its setpoint at nominal voltage, at its worst."""
        return -(-(PPM**3) // (self.efficiency_ppm * self.power_factor_ppm))

    def tolerance_ppm(self, own_ppm: int) -> int:
        """Drawn above its setpoint at the lowest voltage and its worst, its own tolerance included;
        rounded up."""
        drawn = (PPM + own_ppm) * PPM * PPM * 100
        return -(-drawn // (LOWEST_PCT * self.efficiency_ppm * self.power_factor_ppm)) - PPM

    @property
    def error_ppm(self) -> int:
        """By how much of itself a current may be too high that is made of the power it tells."""
        if self.measured_ppm is None:
            return 0
        return PPM - self.measured_ppm * 100 // HIGHEST_PCT

    def paused_ma(self, own_ppm: int) -> int:
        """The most that it may draw while it is paused."""
        return -(-self.up_ma(self.pause_mw) * (PPM + self.tolerance_ppm(own_ppm)) // PPM)

    def in_amperes(self, facts: ChargerFacts) -> ChargerFacts:
        """What its profile says in watts: a minimum and a step rounded up, a maximum down."""
        of = facts.watts
        assert of is not None
        most_ma = None if of.max_mw is None else self.down_ma(of.max_mw)
        least_mw = -(-of.min_mw // of.step_mw) * of.step_mw  # as it is told whole steps
        return replace(
            facts,
            min_ma=self.up_ma(least_mw),
            max_ma=most_ma,
            step_ma=self.up_ma(of.step_mw),
            writable_ma=None if of.writable_mw is None else self.down_ma(of.writable_mw),
        )


def told_mw(mv: int, pause_mw: int, step_mw: int, ma: int) -> int:
    """The power that is written for a current: whole steps, rounded down. A pause may be a small
    power, and is written as it is."""
    return max(ma * mv // UW_PER_MW // step_mw * step_mw, pause_mw)
