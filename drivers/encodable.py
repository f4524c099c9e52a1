"""What a charger would never be told as it is meant, found out before it matters: each value that
may have to be written is tried on its register when the profile is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from controller.document.problems import Problem
from drivers.decode import raw_words

if TYPE_CHECKING:
    from drivers.chargerprofile import ChargerProfile


def untellable(profile: ChargerProfile) -> Iterator[Problem]:
    setpoint, enable, watchdog = profile.setpoint, profile.enable, profile.watchdog
    off = () if setpoint.off is None else (setpoint.off,)
    told: list[tuple[str, str | None, int, tuple[int | None, ...]]] = [
        ("setpoint.fc", name, setpoint.fc, off) for name in setpoint.register_names
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
