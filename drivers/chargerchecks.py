"""What in a charger's profile contradicts itself, and what nobody could be told by it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from controller.document.problems import Problem
from drivers.chargerparts import PHASES
from drivers.encodable import untellable
from drivers.pilot import MA_PER_PCT, PCT_OF_6A

if TYPE_CHECKING:
    from drivers.chargerprofile import ChargerProfile


def contradictions(profile: ChargerProfile) -> Iterator[Problem]:
    """What single fields cannot show."""
    yield from _setpoint_problems(profile)
    yield from _special_problems(profile)
    yield from _percent_problems(profile)
    yield from _enable_problems(profile)
    if profile.watts is not None:
        yield from profile.watts.problems(profile.setpoint, profile.registers)
        if profile.watts.power is not None:
            yield from profile.wants("watts.power", profile.watts.power, "W")
    yield from _status_problems(profile)
    yield from profile.watchdog.problems(
        profile.registers, "A" if profile.watts is None else "W", profile.wants
    )
    for i, setting in enumerate(profile.settings):
        place = f"setting[{i}].register"
        yield from profile.wants(place, setting.register_name, None)
        yield from profile.wants(place, setting.register_name, None, written=True)
    yield from _endurance_problems(profile)
    yield from untellable(profile)
    if profile.connectors is not None:
        yield from profile.connectors.problems(profile.registers, profile.blocks)
        yield from _shared_problems(profile, profile.connectors.common)


def _unit(profile: ChargerProfile) -> str:
    """What its setpoint is in."""
    if profile.watts is not None:
        return "W"
    return "%" if profile.setpoint.duty or profile.setpoint.percent_of_ma is not None else "A"


def _setpoint_problems(profile: ChargerProfile) -> Iterator[Problem]:
    setpoint, unit = profile.setpoint, _unit(profile)
    for name in setpoint.register_names:
        yield from profile.wants("setpoint.register", name, unit, written=True)
    for name in setpoint.applied_names:
        applied = profile.registers.get(name)
        if applied is not None and applied.unit == "A" and profile.watts is None:
            unit = "A"  # told in amperes what it is told to do in something else
        yield from profile.wants("setpoint.applied", name, unit)
    if profile.watts is None:
        for key, stated in (("min_a", setpoint.min_ma), ("step_a", setpoint.step_ma)):
            if not stated:
                yield Problem(f"setpoint.{key}", "is missing, and the profile has no [watts]")
    elif setpoint.zero != "pauses" or setpoint.off is not None or profile.enable is not None:
        yield Problem("setpoint.zero", "is said in [watts], as zero and pause_w")
    elif len(setpoint.register_names) > 1 or _unit(profile) == "%":
        yield Problem("setpoint", "is one register in W where the profile has [watts]")
    if len(setpoint.register_names) not in (1, PHASES):
        yield Problem("setpoint.register", "is one for all phases, or one for each of three")
    if setpoint.unlimited and setpoint.max_ma is None:
        yield Problem("setpoint.unlimited", "needs max_a: that is what it may draw then")


def _special_problems(profile: ChargerProfile) -> Iterator[Problem]:
    """Values that mean something else than their number, and may be mistaken for it."""
    setpoint = profile.setpoint
    if (0 in setpoint.unlimited) != (setpoint.zero == "unlimited"):
        yield Problem("setpoint.unlimited", "must have 0 in it, for so says zero, or has not")
    special = {*setpoint.unlimited} | ({setpoint.off} - {None})
    if special and (setpoint.duty or profile.watts is not None):
        yield Problem("setpoint", "has neither off nor unlimited where it is a duty or a power")
        return
    if setpoint.off in setpoint.unlimited:
        yield Problem("setpoint.off", "would take its limit away: it is in unlimited")
    told = profile.registers.get(setpoint.register_name)
    per_raw = Fraction(0) if told is None else told.thousandths
    if setpoint.percent_of_ma is not None:
        per_raw = per_raw * setpoint.percent_of_ma / 100_000
    for raw in special:
        ma = (raw or 0) * per_raw
        if setpoint.min_ma <= ma and (setpoint.max_ma is None or ma <= setpoint.max_ma):
            yield Problem("setpoint", f"{raw} is a current, and off or unlimited, too")


def _percent_problems(profile: ChargerProfile) -> Iterator[Problem]:
    setpoint = profile.setpoint
    told = profile.registers.get(setpoint.register_name)
    if setpoint.duty and told is not None and (PCT_OF_6A / told.scale).denominator > 1:
        yield Problem("setpoint.duty", f"{PCT_OF_6A} % must be a whole number in its register")
    per_pct = MA_PER_PCT if setpoint.duty else Fraction(setpoint.percent_of_ma or 0, 100)
    steps = None if told is None or not per_pct else setpoint.step_ma / (told.scale * per_pct)
    if steps is not None and steps.denominator > 1:
        yield Problem("setpoint.step_a", "is no whole number of its register's steps")
    if setpoint.duty and setpoint.percent_of_ma is not None:
        yield Problem("setpoint.duty", "is a percentage of no current")


def _enable_problems(profile: ChargerProfile) -> Iterator[Problem]:
    setpoint, enable = profile.setpoint, profile.enable
    if enable is None:
        if not setpoint.zero_pauses and setpoint.zero != "ends_session":
            yield Problem("setpoint.zero", f"{setpoint.zero}: needs an off or an [enable]")
        return
    yield from profile.wants("enable.register", enable.register_name, None, written=True)
    if enable.on == enable.off:
        yield Problem("enable.on", "must differ from off")
    if profile.shows_enable is None and setpoint.applied_names == setpoint.register_names:
        yield Problem("enable", "is not shown: then setpoint.applied must tell what is applied")


def _status_problems(profile: ChargerProfile) -> Iterator[Problem]:
    status = profile.status
    yield from profile.wants("status.register", status.register_name, None)
    for key, refined in (("unplugged", status.unplugged), ("charging", status.charging)):
        if refined is not None:
            yield from profile.wants(f"status.{key}", refined.register_name, None)


def _endurance_problems(profile: ChargerProfile) -> Iterator[Problem]:
    watchdog, cyclic = profile.watchdog, set[str | None]()
    if watchdog.kind == "setpoint_rewrite":
        cyclic |= set(profile.setpoint.register_names)
    elif watchdog.feeds_apart:
        cyclic |= {watchdog.feed or watchdog.timeout_set}
        if profile.pacing.write_gap_ns:
            yield Problem("pacing.write_gap_s", "what feeds it would keep a reduction waiting")
    for name in () if profile.endurance is None else profile.endurance.registers:
        if name not in profile.registers:
            yield Problem("endurance.registers", f"needs a register {name}")
        elif name not in _written(profile):
            yield Problem("endurance.registers", f"{name} is never written")
        if name in cyclic:
            yield Problem("endurance.registers", f"{name} must be written to feed the watchdog")


def _shared_problems(profile: ChargerProfile, common: tuple[str, ...]) -> Iterator[Problem]:
    """A feed follows its own connector's order: another one may have refused to be lowered."""
    watchdog = profile.watchdog
    feeds = watchdog.feed
    if watchdog.kind == "timeout_rewrite":
        feeds = watchdog.timeout_set
    if feeds in common:
        yield Problem(
            "connectors.common",
            f"{feeds} feeds the watchdog of all connectors, also of one that refuses its order",
        )
    for name in (*profile.setpoint.register_names, *_enable_names(profile)):
        if name in common:
            yield Problem(
                "connectors.common", f"{name} is one connector's own, or it is one charger"
            )


def _enable_names(profile: ChargerProfile) -> tuple[str, ...]:
    return () if profile.enable is None else (profile.enable.register_name,)


def _written(profile: ChargerProfile) -> set[str | None]:
    """Names of the registers that are written to it."""
    watchdog = profile.watchdog
    return {
        *profile.setpoint.register_names,
        *_enable_names(profile),
        *(watchdog.timeout_set, *watchdog.fallback_set_names, watchdog.feed),
        *(setting.register_name for setting in profile.settings),
    }
