"""Whether a reading makes sense: what speaks for it, and what against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.chargerprofile import ChargerProfile
from drivers.decode import Value
from drivers.library import AnyProfile

VOLTS = range(80_000, 300_001)  # mV between a phase and neutral
HERTZ = range(45_000, 65_001)
AMPERES_MAX_MA = 10_000_000
IDLE_MA = 100  # no power can be told from so little


@dataclass(slots=True)
class Sense:
    """What speaks for a reading, and what against it."""

    speaks: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    phases: int = 0  # with a voltage

    def judge(self, holds: bool, fine: str, wrong: str) -> None:
        (self.speaks if holds else self.against).append(fine if holds else wrong)


def sense_of(profile: AnyProfile, values: Mapping[str, Value]) -> Sense:
    sense = Sense()
    numbers = {name: value for name, value in values.items() if isinstance(value, int)}
    measured(numbers, sense)
    if isinstance(profile, ChargerProfile):
        _as_charger(profile, values, sense)
    return sense


def measured(numbers: Mapping[str, int], sense: Sense) -> None:
    """Voltages, frequency, currents and powers: is each possible, do they fit together?"""
    volts = [numbers.get(f"voltage_l{n}") for n in (1, 2, 3)]
    told = [each for each in volts if each]
    if told:
        sense.phases = len(told)
        fine = all(each in VOLTS for each in told)
        sense.judge(fine, "its voltages are a mains'", f"voltages of {_text(told)} V")
    hertz = numbers.get("frequency")
    if hertz:
        sense.judge(hertz in HERTZ, "so is its frequency", f"a frequency of {_text([hertz])} Hz")
    drawn(numbers, sense)


def drawn(numbers: Mapping[str, int], sense: Sense) -> None:
    """Currents, and powers beside them."""
    amperes = [numbers.get(f"current_l{n}") for n in (1, 2, 3)]
    flows = [each for each in amperes if each is not None]
    if any(abs(each) > AMPERES_MAX_MA for each in flows):
        sense.against.append(f"currents of {_text(flows)} A")
    elif any(flows):
        sense.speaks.append("currents are possible")
    _powers(numbers, sense)


def _powers(numbers: Mapping[str, int], sense: Sense) -> None:
    """A power is no more than its voltage times its current."""
    apart = []
    compared = False
    for n in (1, 2, 3):
        power, volt, ampere = (
            numbers.get(f"{what}_l{n}") for what in ("power", "voltage", "current")
        )
        if power is None or not volt or ampere is None or abs(ampere) < IDLE_MA:
            continue
        compared = True
        apparent_mw = volt * abs(ampere) // 1000
        if abs(power) > apparent_mw * 12 // 10 + 50_000:
            apart.append(f"L{n}: {power / 1000:.0f} W of {apparent_mw / 1000:.0f} VA")
    if compared:
        sense.judge(not apart, "powers fit voltages and currents", "; ".join(apart))


def _as_charger(profile: ChargerProfile, values: Mapping[str, Value], sense: Sense) -> None:
    code = values.get(profile.status.register_name)
    known = str(code) in profile.status.iec
    sense.judge(known, f"state {code} is one of its own", f"a state {code} that it does not have")
    unit = 1 if profile.watts is None else 230
    most = 100_000 * unit
    for name in (*profile.setpoint.applied_names, *profile.watchdog.fallback_names):
        value = values.get(name)
        if isinstance(value, int):
            sense.judge(
                0 <= value <= most * 20, f"{name} is possible", f"{name} is {value / 1000:g}"
            )
    timeout = profile.watchdog.timeout
    if timeout is not None and isinstance(values.get(timeout), int):
        seconds = values[timeout]
        assert isinstance(seconds, int)
        sense.judge(0 <= seconds <= 7_200_000, f"{timeout} is possible", f"{timeout} is {seconds}")
    if all(value in (0, None) for value in values.values()):
        sense.against.append("it reads 0 everywhere")


def _text(thousandths: list[int]) -> str:
    return ", ".join(f"{each / 1000:g}" for each in thousandths)
