"""What a charger would never be told as it is meant, found out before it matters: each value that
may have to be written is tried on its register when the profile is read."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING

from controller.document.problems import Problem
from controller.units import NS_MAX, amperes_text, seconds_text
from drivers.decode import greatest, raw_words
from drivers.pilot import DUTY_MAX_MA
from drivers.register import Register

if TYPE_CHECKING:
    from drivers.chargerprofile import ChargerProfile

MOST_MA = 1_000_000  # that a site may say of a charger
MOST_MW = 1_500_000_000  # so much on three phases
_NS_PER_MS = 1_000_000


def writable(profile: ChargerProfile) -> int | None:
    """The most that all its setpoint's registers can hold, in mA or mW; None: anything."""
    if profile.setpoint.duty:
        return DUTY_MAX_MA
    if profile.setpoint.percent_of_ma is not None:
        return profile.setpoint.percent_of_ma
    each = [greatest(profile.registers[name]) for name in profile.setpoint.register_names]
    return min((most for most in each if most is not None), default=None)


def timeout_least_ns(profile: ChargerProfile) -> int:
    """The shortest time that its watchdog can be set to: less than a step would be written as 0."""
    watchdog = profile.watchdog
    if watchdog.timeout_set is None:
        return watchdog.timeout_least_ns
    register = profile.registers[watchdog.timeout_set]
    step_ns = 0 if register.type.startswith("float") else ceil(register.thousandths * _NS_PER_MS)
    return max(watchdog.timeout_least_ns, step_ns)


def timeout_most_ns(profile: ChargerProfile) -> int | None:
    """The longest; never what would be read as off."""
    watchdog = profile.watchdog
    if watchdog.timeout_set is None:
        return watchdog.timeout_most_ns
    holds_ms = _holds_ms(profile, profile.registers[watchdog.timeout_set])
    if holds_ms is None:
        return watchdog.timeout_most_ns
    stated_ns = NS_MAX if watchdog.timeout_most_ns is None else watchdog.timeout_most_ns
    return min(holds_ms * _NS_PER_MS, stated_ns)


def _holds_ms(profile: ChargerProfile, register: Register) -> int | None:
    most_ms, per_raw = greatest(register), register.thousandths
    while most_ms is not None and most_ms / per_raw in profile.watchdog.timeout_off:
        most_ms = int(most_ms - per_raw)
    return most_ms


def untellable(profile: ChargerProfile) -> Iterator[Problem]:
    """Each of them, with its place."""
    yield from _function_problems(profile)
    yield from _current_problems(profile)
    yield from _fallback_problems(profile)
    yield from _time_problems(profile)


def _current_problems(profile: ChargerProfile) -> Iterator[Problem]:
    setpoint = profile.setpoint
    if profile.watts is not None or setpoint.duty or setpoint.percent_of_ma is not None:
        return  # steps and bounds of those are looked at where they are made amperes of
    for name in setpoint.register_names:
        register = profile.registers.get(name)
        most_ma = None if register is None else greatest(register)
        if register is None or most_ma is None:
            continue
        for key, ma in (("min_a", setpoint.min_ma), ("step_a", setpoint.step_ma)):
            if (ma / register.thousandths).denominator > 1:
                yield Problem(f"setpoint.{key}", f"is no whole number of {name}'s steps")
        if setpoint.max_ma is not None and setpoint.max_ma > most_ma:
            yield Problem("setpoint.max_a", _too_much(setpoint.max_ma, name, most_ma))


def _fallback_problems(profile: ChargerProfile) -> Iterator[Problem]:
    """As much as the site may say of it: its maximum, in mA or mW."""
    names = (*profile.setpoint.register_names, *profile.watchdog.fallback_set_names)
    if any(name not in profile.registers for name in names):
        return
    unit, stated, most = "A", profile.setpoint.max_ma, MOST_MA
    if profile.watts is not None:
        of = profile.watts.facts(None)
        unit, stated, most = "W", of.max_mw, MOST_MW
    told = min(each for each in (stated, writable(profile), most) if each is not None)
    for name in profile.watchdog.fallback_set_names:
        holds = greatest(profile.registers[name])
        if holds is not None and holds < told:
            yield Problem("watchdog.fallback_set", _too_much(told, name, holds, unit))


def _too_much(told: int, name: str, holds: int, unit: str = "A") -> str:
    """In thousandths of the unit."""
    return (
        f"{amperes_text(told)} {unit} cannot be written into {name}: "
        f"it holds at most {amperes_text(holds)} {unit}"
    )


def _time_problems(profile: ChargerProfile) -> Iterator[Problem]:
    watchdog, name = profile.watchdog, profile.watchdog.timeout_set
    register = profile.registers.get(name or "")
    most_ms = None if register is None else _holds_ms(profile, register)
    if register is None or most_ms is None or register.unit != "s":
        return
    most_ns = most_ms * _NS_PER_MS
    times_ns = {
        "timeout_least_s": watchdog.timeout_least_ns,
        "timeout_most_s": watchdog.timeout_most_ns or 0,
        "timeout_s": watchdog.timeout_ns or 0 if watchdog.kind == "timeout_rewrite" else 0,
    }
    for key, time_ns in times_ns.items():
        if time_ns > most_ns:
            yield Problem(
                f"watchdog.{key}",
                f"{seconds_text(time_ns)} s cannot be written into {name}: "
                f"it holds at most {seconds_text(most_ns)} s",
            )
    for raw in watchdog.timeout_off:
        if 0 < raw * register.thousandths <= most_ms:
            yield Problem("watchdog.timeout_off", f"{raw} is a time that may be set, and off, too")


def _function_problems(profile: ChargerProfile) -> Iterator[Problem]:
    setpoint, enable, watchdog = profile.setpoint, profile.enable, profile.watchdog
    special = (*(() if setpoint.off is None else (setpoint.off,)), *setpoint.unlimited)
    told: list[tuple[str, str | None, int, tuple[int | None, ...]]] = [
        ("setpoint.fc", name, setpoint.fc, special) for name in setpoint.register_names
    ]
    if enable is not None:
        told.append(("enable.fc", enable.register_name, enable.fc, (enable.on, enable.off)))
    told += [("watchdog.feed_fc", watchdog.feed, watchdog.feed_fc, (watchdog.feed_value,))]
    for name in (watchdog.timeout_set, *watchdog.fallback_set_names):
        told.append(("watchdog.fc", name, watchdog.fc, ()))
    for i, each in enumerate(profile.settings):
        told.append((f"setting[{i}].fc", each.register_name, each.fc, (each.value,)))
    for place, name, fc, values in told:
        register = profile.registers.get(name or "")
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
