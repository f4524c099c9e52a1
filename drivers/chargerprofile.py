"""A charger's profile: how it is told and lowered, what it reports, and what it does alone."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Literal

from pydantic import Field, StrictInt

from controller.document.problems import Problem
from controller.facts import ChargerFacts
from controller.units import NS_MAX
from drivers.chargerparts import (
    PHASES,
    Enable,
    Endurance,
    InWatts,
    Setpoint,
    Setting,
    Status,
    Watchdog,
)
from drivers.decode import greatest, raw_words
from drivers.pilot import DUTY_MAX_MA, MA_PER_PCT, PCT_OF_6A
from drivers.profile import Profile
from drivers.register import Amperes, Block, Part, Percent, Register, Seconds

RESOLUTION_MA = 100  # of a current, at the finest
READ_NS = 50_000_000  # what one paced read takes beside its gap, and some


class Connectors(Part):
    """Of a device with several: the profile's addresses, and its unit, are the first one's."""

    count: StrictInt = Field(ge=1, le=16)
    stride: StrictInt = Field(0, ge=0, le=4096)  # from one's registers to the next one's
    unit_stride: StrictInt = Field(0, ge=0, le=100)  # from one's unit to the next one's
    common: tuple[str, ...] = ()  # registers that all of them share, where they stand

    def problems(
        self, registers: Mapping[str, Register], blocks: Sequence[Block]
    ) -> Iterator[Problem]:
        if self.count > 1 and not (self.stride or self.unit_stride):
            yield Problem("connectors.stride", "is missing, and unit_stride: which is whose?")
        for name in self.common:
            if name not in registers:
                yield Problem("connectors.common", f"needs a register {name}")
        for i, block in enumerate(blocks):
            held = {name for name, each in registers.items() if block.covers(each)}
            if held & set(self.common) and held - set(self.common):
                yield Problem(f"block[{i}]", "holds what all connectors share, and more")


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
            timeout_least_ns=watchdog.timeout_least_ns,
            timeout_most_ns=self._timeout_most_ns,
            writable_ma=self._writable,
            any_traffic=watchdog.kind == "any_traffic",
            writes=len(self.setpoint.register_names) + (self.enable is not None),
            write_gap_ns=self.pacing.write_gap_ns * len(self.setpoint.register_names),
            confirm_gap_ns=self.report_ns,
            resolution_ma=self._resolution_ma,
            watts=None if self.watts is None else self.watts.facts(self._writable),
            connectors=1 if connectors is None else connectors.count,
            unit_stride=0 if connectors is None else connectors.unit_stride,
            zero_ends_session=self.zero_ends_session,
        )

    @property
    def _writable(self) -> int | None:
        """The most that its setpoint's register can hold."""
        if self.setpoint.duty:
            return DUTY_MAX_MA
        if self.setpoint.percent_of_ma is not None:
            return self.setpoint.percent_of_ma
        return greatest(self.registers[self.setpoint.register_name])

    @property
    def _resolution_ma(self) -> int:
        """The least change that its currents show; what counts finer than a tenth is noise."""
        registers = [self.registers[part] for name in self.currents for part in self.parts(name)]
        coarse = [each for each in registers if not each.type.startswith("float")]
        return max(RESOLUTION_MA, *(ceil(each.thousandths) for each in coarse), 0)

    @property
    def _timeout_most_ns(self) -> int | None:
        """The longest time that its watchdog can be set to."""
        name = self.watchdog.timeout_set
        holds_ms = None if name is None else greatest(self.registers[name])
        stated_ns = self.watchdog.timeout_most_ns
        if holds_ms is None:
            return stated_ns
        return min(holds_ms * 1_000_000, NS_MAX if stated_ns is None else stated_ns)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        unit = self._unit
        for name in self.setpoint.register_names:
            yield from self.wants("setpoint.register", name, unit, written=True)
        for name in self.setpoint.applied_names:
            applied = self.registers.get(name)
            if applied is not None and applied.unit == "A" and self.watts is None:
                unit = "A"  # told in amperes what it is told to do in something else
            yield from self.wants("setpoint.applied", name, unit)
        yield from self._setpoint_problems()
        if self.watts is not None:
            yield from self.watts.problems(self.setpoint, self.registers)
            if self.watts.power is not None:
                yield from self.wants("watts.power", self.watts.power, "W")
        status = self.status
        yield from self.wants("status.register", status.register_name, None)
        for key, refined in (("unplugged", status.unplugged), ("charging", status.charging)):
            if refined is not None:
                yield from self.wants(f"status.{key}", refined.register_name, None)
        yield from self.watchdog.problems(
            self.registers, "A" if self.watts is None else "W", self.wants
        )
        for i, setting in enumerate(self.settings):
            place = f"setting[{i}].register"
            yield from self.wants(place, setting.register_name, None)
            yield from self.wants(place, setting.register_name, None, written=True)
        yield from self._endurance_problems()
        yield from self._written_problems()
        if self.connectors is not None:
            yield from self.connectors.problems(self.registers, self.blocks)

    @property
    def _unit(self) -> str:
        """What its setpoint is in."""
        if self.watts is not None:
            return "W"
        return "%" if self.setpoint.duty or self.setpoint.percent_of_ma is not None else "A"

    def _setpoint_problems(self) -> Iterator[Problem]:
        setpoint = self.setpoint
        if self.watts is None:
            for key, stated in (("min_a", setpoint.min_ma), ("step_a", setpoint.step_ma)):
                if not stated:
                    yield Problem(f"setpoint.{key}", "is missing, and the profile has no [watts]")
        elif setpoint.zero != "pauses" or setpoint.off is not None or self.enable is not None:
            yield Problem("setpoint.zero", "is said in [watts], as zero and pause_w")
        elif len(setpoint.register_names) > 1 or self._unit == "%":
            yield Problem("setpoint", "is one register in W where the profile has [watts]")
        if len(setpoint.register_names) not in (1, PHASES):
            yield Problem("setpoint.register", "is one for all phases, or one for each of three")
        yield from self._percent_problems()
        if setpoint.unlimited and setpoint.max_ma is None:
            yield Problem("setpoint.unlimited", "needs max_a: that is what it may draw then")
        yield from self._special_problems()
        yield from self._enable_problems()

    def _endurance_problems(self) -> Iterator[Problem]:
        watchdog, cyclic = self.watchdog, set[str | None]()
        if watchdog.kind == "setpoint_rewrite":
            cyclic |= set(self.setpoint.register_names)
        elif watchdog.feeds_apart:
            cyclic |= {watchdog.feed or watchdog.timeout_set}
            if self.pacing.write_gap_ns:
                yield Problem("pacing.write_gap_s", "what feeds it would keep a reduction waiting")
        for name in () if self.endurance is None else self.endurance.registers:
            if name not in self.registers:
                yield Problem("endurance.registers", f"needs a register {name}")
            elif name not in self._written:
                yield Problem("endurance.registers", f"{name} is never written")
            if name in cyclic:
                yield Problem("endurance.registers", f"{name} must be written to feed the watchdog")

    @property
    def _written(self) -> set[str | None]:
        """Names of the registers that are written to it."""
        watchdog = self.watchdog
        return {
            *self.setpoint.register_names,
            None if self.enable is None else self.enable.register_name,
            *(watchdog.timeout_set, *watchdog.fallback_set_names, watchdog.feed),
            *(setting.register_name for setting in self.settings),
        }

    def _written_problems(self) -> Iterator[Problem]:
        """What the device would never be told as it is meant, found out before it matters."""
        setpoint, enable, watchdog = self.setpoint, self.enable, self.watchdog
        off = () if setpoint.off is None else (setpoint.off,)
        told: list[tuple[str, str | None, int, tuple[int | None, ...]]] = [
            ("setpoint.fc", name, setpoint.fc, off) for name in setpoint.register_names
        ]
        if enable is not None:
            told.append(("enable.fc", enable.register_name, enable.fc, (enable.on, enable.off)))
        told += [("watchdog.feed_fc", watchdog.feed, watchdog.feed_fc, (watchdog.feed_value,))]
        for name in (watchdog.timeout_set, *watchdog.fallback_set_names):
            told.append(("watchdog.fc", name, watchdog.fc, ()))
        for i, each in enumerate(self.settings):
            told.append((f"setting[{i}].fc", each.register_name, each.fc, (each.value,)))
        for place, name, fc, values in told:
            register = self.registers.get(name or "")
            if register is None or register.type == "ascii":
                continue
            if (fc == 5) != (register.type == "bool"):
                yield Problem(place, f"5 writes coils, and them alone; not so {name}")
            elif fc == 6 and register.length > 1:
                yield Problem(place, f"6 writes one word, {name} has {register.length}")
            elif register.fc not in (1, 3) and not register.write_only:
                yield Problem(place, f"{name} is read with {register.fc}, and cannot be written")
            for value in values:
                try:
                    raw_words(register, value or 0)
                except ValueError:
                    yield Problem(place, f"{value} cannot be written into {name}")

    def _special_problems(self) -> Iterator[Problem]:
        """Values that mean something else than their number, and may be mistaken for it."""
        setpoint = self.setpoint
        if (0 in setpoint.unlimited) != (setpoint.zero == "unlimited"):
            yield Problem("setpoint.unlimited", "must have 0 in it, for so says zero, or has not")
        special = {*setpoint.unlimited} | ({setpoint.off} - {None})
        if special and (setpoint.duty or self.watts is not None):
            yield Problem("setpoint", "has neither off nor unlimited where it is a duty or a power")
            return
        if setpoint.off in setpoint.unlimited:
            yield Problem("setpoint.off", "would take its limit away: it is in unlimited")
        told = self.registers.get(setpoint.register_name)
        per_raw = Fraction(0) if told is None else told.thousandths
        if setpoint.percent_of_ma is not None:
            per_raw = per_raw * setpoint.percent_of_ma / 100_000
        for raw in special:
            ma = (raw or 0) * per_raw
            if setpoint.min_ma <= ma and (setpoint.max_ma is None or ma <= setpoint.max_ma):
                yield Problem("setpoint", f"{raw} is a current, and off or unlimited, too")

    def _percent_problems(self) -> Iterator[Problem]:
        setpoint = self.setpoint
        told = self.registers.get(setpoint.register_name)
        if setpoint.duty and told is not None and (PCT_OF_6A / told.scale).denominator > 1:
            yield Problem("setpoint.duty", f"{PCT_OF_6A} % must be a whole number in its register")
        per_pct = MA_PER_PCT if setpoint.duty else Fraction(setpoint.percent_of_ma or 0, 100)
        steps = None if told is None or not per_pct else setpoint.step_ma / (told.scale * per_pct)
        if steps is not None and steps.denominator > 1:
            yield Problem("setpoint.step_a", "is no whole number of its register's steps")
        if setpoint.duty and setpoint.percent_of_ma is not None:
            yield Problem("setpoint.duty", "is a percentage of no current")

    def _enable_problems(self) -> Iterator[Problem]:
        setpoint, enable = self.setpoint, self.enable
        if enable is None:
            if not setpoint.zero_pauses and setpoint.zero != "ends_session":
                yield Problem("setpoint.zero", f"{setpoint.zero}: needs an off or an [enable]")
            return
        yield from self.wants("enable.register", enable.register_name, None, written=True)
        if enable.on == enable.off:
            yield Problem("enable.on", "must differ from off")
        if self.shows_enable is None and setpoint.applied_names == setpoint.register_names:
            yield Problem("enable", "is not shown: then setpoint.applied must tell what is applied")
