"""What a charger's registers mean, by its profile. Pure; unknown stays unknown."""

from cext.rows import NO_PHASE, Vehicle
from controller.document.devices import Charger
from controller.units import NS_PER_S, amperes_text, seconds_text
from drivers.profile import ChargerProfile
from drivers.reader import Sample

TERMINALS = (1, 2, 3)
_NS_PER_MS = 1_000_000


def force_registers(profile: ChargerProfile) -> tuple[str, ...]:
    """The registers that tell what is in force where any traffic feeds the watchdog."""
    setpoint, fallback = profile.setpoint, profile.watchdog.fallback
    if fallback is None and not profile.registers[setpoint.register_name].write_only:
        fallback = setpoint.register_name
    return tuple(name for name in (setpoint.applied, fallback) if name is not None)


def in_force_ma(
    profile: ChargerProfile, sample: Sample, lapsed: bool = True, alone_ma: int | None = None
) -> int | None:
    """The highest current that the charger may permit before it is heard again.

    That is the higher of what it applies at this moment and what it will apply: its setpoint
    while that is valid, else its fallback. What it applies alone would not do: it follows a new
    setpoint late, and with no vehicle or under a limit of its own it is lower than what the
    next moment may bring. The setpoint alone would not do either: it stands unchanged in its
    register when the watchdog has run out. A value below the least current is a pause, and
    stays the number it is: rounding it to 0 would count it lower than the charger says.

    A charger whose watchdog is fed by any traffic shows no time left. Where it may have run out
    (`lapsed`) and nothing was written since, either current may be in force. `alone_ma` is what
    it is said to do alone, for one that does not tell.
    """
    applied_ma = sample.ma(profile.setpoint.applied)
    promise_ma = promised_ma(profile, sample, lapsed, alone_ma)
    if applied_ma is None or promise_ma is None or min(applied_ma, promise_ma) < 0:
        return None
    return max(applied_ma, promise_ma)


def promised_ma(
    profile: ChargerProfile, sample: Sample, lapsed: bool = True, alone_ma: int | None = None
) -> int | None:
    """What it will apply when nobody writes: its setpoint while that is valid, else its fallback.

    One that does not tell how long it is valid keeps what it applies, or falls back (`lapsed`).
    """
    watchdog, promise = profile.watchdog, profile.setpoint.applied
    if watchdog.fallback is None:
        if watchdog.kind != "any_traffic":
            return sample.ma(promise)
        set_ma = sample.ma(profile.setpoint.register_name)
        return max(set_ma, alone_ma) if set_ma is not None and lapsed and alone_ma else set_ma
    if watchdog.remaining is not None:
        left_ns = time_left_ns(profile, sample)
        if left_ns is None:
            return None
        promise, lapsed = profile.setpoint.register_name, left_ns <= 0
    return told_fallback_ma(profile, sample) if lapsed else sample.ma(promise)


def told_fallback_ma(profile: ChargerProfile, sample: Sample) -> int | None:
    """What it says it does when its watchdog has run out; None where that is unknown."""
    name = profile.watchdog.fallback
    fallback_ma = None if name is None else sample.ma(name)
    return None if fallback_ma is None or fallback_ma < 0 else fallback_ma


def vehicle(profile: ChargerProfile, sample: Sample) -> Vehicle:
    """UNKNOWN for a code that the profile does not know."""
    code = str(sample.values[profile.status.register_name])
    state, unplugged = profile.status.iec.get(code), profile.status.unplugged
    if state is None:
        return Vehicle.UNKNOWN
    if state == "B" and unplugged is not None:
        connected = sample.number(unplugged.register_name)
        if connected is None:
            return Vehicle.UNKNOWN
        state = "A" if connected in unplugged.values else "B"
    return Vehicle[state]


def current_ma(profile: ChargerProfile, sample: Sample, terminal: int) -> int | None:
    """Drawn at a terminal. Less than 0 by more than the meter's error is no current at all."""
    name = f"current_l{terminal}"
    measured_ma = sample.ma(name) if name in profile.currents else None
    if measured_ma is None or measured_ma < -profile.error_ma:
        return None
    return max(measured_ma, 0)


def currents_ma(
    charger: Charger, profile: ChargerProfile, sample: Sample
) -> tuple[int, int, int] | None:
    """Drawn at terminals 1, 2, 3; None where any that is wired is unknown."""
    found = [current_ma(profile, sample, terminal) for terminal in TERMINALS]
    for i, phase in enumerate(charger.phases):
        if phase == NO_PHASE:
            found[i] = 0  # nothing is connected there
    l1, l2, l3 = found
    return None if l1 is None or l2 is None or l3 is None else (l1, l2, l3)


def time_left_ns(profile: ChargerProfile, sample: Sample) -> int | None:
    """Until its watchdog runs out; 0 when it has. None where that is unknown."""
    if profile.watchdog.remaining is None:
        return None
    left_ms = sample.number(profile.watchdog.remaining)
    return None if left_ms is None else left_ms * _NS_PER_MS


def time_set_ns(profile: ChargerProfile, sample: Sample) -> int | None:
    """Its watchdog's time as set in it; 0 where it is off. None where that is unknown."""
    if profile.watchdog.timeout is None:
        return None
    set_ms = sample.number(profile.watchdog.timeout)
    return None if set_ms is None else set_ms * _NS_PER_MS


def remark(charger: Charger, profile: ChargerProfile, sample: Sample) -> str | None:
    """Where the charger is set up otherwise than the site document says, on the unsafe side."""
    if in_force_ma(profile, sample) is None:
        return "it does not say what current is in force"
    timing = _timing_remark(charger, profile, sample)
    if timing is not None:
        return timing
    fallback_ma = told_fallback_ma(profile, sample)
    if fallback_ma is not None and fallback_ma > charger.alone_ma:
        return (
            f"it falls back to {amperes_text(fallback_ma)} A, "
            f"the site document says {amperes_text(charger.alone_ma)} A"
        )
    return None


def proven(charger: Charger, profile: ChargerProfile, sample: Sample) -> bool | None:
    """Whether it does alone what was declared, or less; None where it cannot tell.

    Nor does it matter where nothing was declared: it counts at its maximum then.
    """
    if profile.watchdog.fallback is None or charger.fallback_ma is None:
        return None
    fallback_ma = told_fallback_ma(profile, sample)
    if fallback_ma is None or fallback_ma > charger.fallback_ma:
        return False
    return _timing_remark(charger, profile, sample) is None


def _timing_remark(charger: Charger, profile: ChargerProfile, sample: Sample) -> str | None:
    left_ns, delay_ns = time_left_ns(profile, sample), charger.fallback_delay_ns
    set_ns = time_set_ns(profile, sample)
    if set_ns == 0:
        return "its watchdog is off: it would never fall back"
    if delay_ns is None:
        return None
    shown = None
    if left_ns is not None and left_ns > delay_ns + NS_PER_S:
        shown = f"runs for {seconds_text(left_ns)} s or more"
    elif set_ns is not None and set_ns > delay_ns:
        shown = f"is set to {seconds_text(set_ns)} s"
    if shown is None:
        return None
    return f"its watchdog {shown}, the site document says {seconds_text(delay_ns)} s"
