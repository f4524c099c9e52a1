"""A charger's profile: how it is told and lowered, what it reports, and what it does alone."""

from collections.abc import Iterator
from math import ceil
from typing import Literal

from pydantic import Field

from controller.document.problems import Problem
from controller.facts import ChargerFacts
from controller.units import NS_PER_S
from drivers.chargerchecks import contradictions
from drivers.chargerparts import (
    Enable,
    Endurance,
    InWatts,
    Setpoint,
    Setting,
    Status,
    Watchdog,
)
from drivers.connectors import Connectors
from drivers.encodable import timeout_least_ns, timeout_most_ns, writable
from drivers.profile import Profile
from drivers.register import Amperes, Percent, Seconds

RESOLUTION_MA = 100  # of a current, at the finest
DAY_NS = 86_400 * NS_PER_S
READ_NS = 50_000_000  # what one paced read takes beside its gap, and some


class ChargerProfile(Profile):
    kind: Literal["charger"]
    tolerance_ppm: Percent = Field(alias="tolerance_pct")  # drawn above the setpoint
    standby_ma: Amperes = Field(alias="standby_a")
    settle_ns: Seconds = Field(alias="settle_s")  # until the vehicle follows a setpoint
    setpoint: Setpoint
    enable: Enable | None = None
    status: Status
    watchdog: Watchdog
    settings: tuple[Setting, ...] = Field((), alias="setting")
    endurance: Endurance | None = None
    watts: InWatts | None = None  # commanded in watts
    connectors: Connectors | None = None

    @property
    def reported(self) -> tuple[str, ...]:
        """The registers that a report comes from."""
        watchdog, status = self.watchdog, self.status
        names = (
            *self.currents,
            status.register_name,
            None if status.unplugged is None else status.unplugged.register_name,
            None if status.charging is None else status.charging.register_name,
            *self.setpoint.register_names,
            *self.setpoint.applied_names,
            None if self.enable is None else self.enable.register_name,
            watchdog.timeout,
            watchdog.remaining,
            *watchdog.fallback_names,
            watchdog.feed if watchdog.feed_off else None,
            *(setting.register_name for setting in self.settings),
        )
        found = dict.fromkeys(name for name in names if name is not None)
        return tuple(name for name in found if self._readable(name))

    def _readable(self, name: str) -> bool:
        register = self.registers.get(name)
        return register is None or not register.write_only

    @property
    def shows_enable(self) -> str | None:
        """The register that tells whether it may charge at all."""
        if self.enable is None or self.enable.command:
            return None
        return self.enable.register_name if self._readable(self.enable.register_name) else None

    @property
    def zero_ends_session(self) -> bool:
        """Whether it can be stopped, and not be paused."""
        return (
            self.watts is None
            and self.setpoint.zero == "ends_session"
            and self.setpoint.off is None
            and self.enable is None
        )

    @property
    def order_wears_ns(self) -> int | None:
        """How often an order may be written for ever where that wears a memory out; else None."""
        if self.endurance is None:
            return None
        enable = () if self.enable is None else (self.enable.register_name,)
        told = {*self.setpoint.register_names, *enable}
        if not told & set(self.endurance.registers):
            return None
        return DAY_NS // self.endurance.writes_a_day

    @property
    def zero_falls_to_0(self) -> bool:
        """Whether a fallback of 0 is a pause, and not what nobody knows."""
        return self.setpoint.zero_stops or self.watchdog.fallback_stops

    @property
    def report_ns(self) -> int:
        """How long one report takes where reads are paced; else nothing to speak of."""
        if not self.pacing.read_gap_ns:
            return 0
        reads = max(map(len, self.rounds(self.asked_for(self.reported))))
        return reads * (self.pacing.read_gap_ns + READ_NS)

    @property
    def reading_ns(self) -> int:
        """How long it hears from us in every report, at the least: paced reads are spread."""
        reads = min(map(len, self.rounds(self.asked_for(self.reported))))
        return (reads - 1) * self.pacing.read_gap_ns

    @property
    def facts(self) -> ChargerFacts:
        watchdog = self.watchdog
        connectors = self.connectors
        return ChargerFacts(
            name=self.name,
            min_ma=self.setpoint.min_ma,
            max_ma=self.setpoint.max_ma,
            step_ma=self.setpoint.step_ma,
            tolerance_ppm=self.tolerance_ppm,
            standby_ma=self.standby_ma,
            settle_ns=self.settle_ns,
            metered=bool(self.currents or (self.watts and self.watts.power)),
            error_ma=self.error_ma,
            lag_ns=self.lag_ns,
            watchdog_timeout_ns=watchdog.timeout_ns or None,
            has_fallback=watchdog.runs and not watchdog.fallback_unknown,
            watchdog_armed_after_power_on=watchdog.armed_after_power_on,
            power_on_is_fallback=watchdog.power_on_is_fallback,
            sets_fallback=bool(watchdog.fallback_set_names),
            sets_timeout=None not in (watchdog.timeout, watchdog.timeout_set),
            timeout_least_ns=timeout_least_ns(self),
            timeout_most_ns=timeout_most_ns(self),
            writable_ma=writable(self),
            any_traffic=watchdog.kind == "any_traffic",
            writes=len(self.setpoint.register_names) + (self.enable is not None),
            write_gap_ns=self.pacing.write_gap_ns * len(self.setpoint.register_names),
            confirm_gap_ns=self.report_ns,
            resolution_ma=self._resolution_ma,
            watts=None if self.watts is None else self.watts.facts(writable(self)),
            connectors=1 if connectors is None else connectors.count,
            unit_stride=0 if connectors is None else connectors.unit_stride,
            zero_ends_session=self.zero_ends_session,
            zero_falls_to_0=self.zero_falls_to_0,
        )

    @property
    def _resolution_ma(self) -> int:
        """The least change that its currents show; what counts finer than a tenth is noise."""
        registers = [self.registers[part] for name in self.currents for part in self.parts(name)]
        coarse = [each for each in registers if not each.type.startswith("float")]
        return max(RESOLUTION_MA, *(ceil(each.thousandths) for each in coarse), 0)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from contradictions(self)
