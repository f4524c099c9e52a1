"""What a charger's registers mean, by its profile. Pure; unknown stays unknown."""

from cext.rows import NO_PHASE, Vehicle
from controller.document.devices import Charger
from controller.units import NS_PER_S, amperes_text, seconds_text
from drivers.chargerprofile import ChargerProfile
from drivers.reader import Sample

TERMINALS = (1, 2, 3)
_NS_PER_MS = 1_000_000


def force_registers(profile: ChargerProfile) -> tuple[str, ...]:
    """The registers that tell what is in force where any traffic feeds the watchdog."""
    setpoint, watchdog = profile.setpoint, profile.watchdog
    names = [
        *(*setpoint.applied_names, *setpoint.register_names, *watchdog.fallback_names),
        *(watchdog.remaining, profile.shows_enable),
    ]
    wanted = dict.fromkeys(name for name in names if name is not None)
    return tuple(name for name in wanted if not profile.registers[name].write_only)


def applied_ma(profile: ChargerProfile, sample: Sample) -> int | None:
    """The highest current that it says it applies now."""
    return _highest_ma(profile, sample, profile.setpoint.applied_names)


def set_ma(profile: ChargerProfile, sample: Sample) -> int | None:
    """What stands in its setpoint or, where that cannot be read, what it applies."""
    names = profile.setpoint.register_names
    if any(profile.registers[name].write_only for name in names):
        return applied_ma(profile, sample)
    return _highest_ma(profile, sample, names)


def _highest_ma(profile: ChargerProfile, sample: Sample, names: tuple[str, ...]) -> int | None:
    """Of the registers of all phases; None where one is unknown."""
    found = [_shown_ma(profile, sample, name) for name in names]
    known = [ma for ma in found if ma is not None]
    return max(known) if len(known) == len(found) else None


def _shown_ma(profile: ChargerProfile, sample: Sample, name: str) -> int | None:
    """What a register tells; of one that it is told by, what that means to it."""
    ma, setpoint = sample.ma(name), profile.setpoint
    if ma is None or name not in setpoint.register_names:
        return ma
    shows, enable = profile.shows_enable, profile.enable
    if shows is not None and enable is not None and sample.number(shows) == enable.off:
        return 0
    per_raw = profile.registers[name].thousandths
    if setpoint.off is not None and ma == setpoint.off * per_raw:
        return 0
    free = any(ma == raw * per_raw for raw in setpoint.unlimited)
    if not setpoint.zero_stops and 0 <= ma < setpoint.min_ma:
        free = True  # too little to be told so, and no pause either: nobody knows what it does
    return setpoint.max_ma if free else ma


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

    Few chargers show the time left. Where their watchdog may have run out (`lapsed`) and nothing
    was written since, either current may be in force. `alone_ma` is what
    it is said to do alone, for one that does not tell.
    """
    now_ma = applied_ma(profile, sample)
    promise_ma = promised_ma(profile, sample, lapsed, alone_ma)
    if now_ma is None or promise_ma is None or min(now_ma, promise_ma) < 0:
        return None
    return max(now_ma, promise_ma)


def promised_ma(
    profile: ChargerProfile, sample: Sample, lapsed: bool = True, alone_ma: int | None = None
) -> int | None:
    """What it will apply when nobody writes: its setpoint while that is valid, else its fallback.

    One that does not tell how long it is valid keeps its setpoint; where it may have fallen back
    (`lapsed`), either may come.
    """
    watchdog = profile.watchdog
    told_ma = set_ma(profile, sample)
    paused_unseen = profile.enable is not None and profile.shows_enable is None
    kept_ma = applied_ma(profile, sample) if paused_unseen else told_ma  # the setpoint stands then
    if not watchdog.runs:
        return kept_ma
    if watchdog.fallback is None:
        return max(told_ma, alone_ma) if told_ma is not None and lapsed and alone_ma else told_ma
    if watchdog.remaining is not None:
        left_ns = time_left_ns(profile, sample)
        if left_ns is None:
            return None
        return told_ma if left_ns > 0 else told_fallback_ma(profile, sample)
    fallback_ma = told_fallback_ma(profile, sample)
    if not lapsed:
        return kept_ma
    return None if kept_ma is None or fallback_ma is None else max(kept_ma, fallback_ma)


def told_fallback_ma(profile: ChargerProfile, sample: Sample) -> int | None:
    """What it says it does when its watchdog has run out; None where that is unknown."""
    found = [_fallback_ma(profile, sample.ma(name)) for name in profile.watchdog.fallback_names]
    known = [ma for ma in found if ma is not None and ma >= 0]
    return max(known) if known and len(known) == len(found) else None


def _fallback_ma(profile: ChargerProfile, ma: int | None) -> int | None:
    """What a register of it means: too little to be told so is its most, unless that stops it."""
    if ma is None or ma < 0 or profile.zero_falls_to_0 or ma >= profile.setpoint.min_ma:
        return ma
    return profile.setpoint.max_ma


def vehicle(profile: ChargerProfile, sample: Sample) -> Vehicle:
    """UNKNOWN for a code that the profile does not know."""
    status = profile.status
    letter = status.iec.get(str(sample.values[status.register_name]))
    state = Vehicle.UNKNOWN if letter is None else Vehicle[letter]
    for refined, becomes in ((status.unplugged, Vehicle.A), (status.charging, Vehicle.C)):
        if refined is not None and state is Vehicle.B:
            found = sample.number(refined.register_name)
            if found is None:
                return Vehicle.UNKNOWN
            state = becomes if found in refined.values else Vehicle.B
    return state


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
    watchdog = profile.watchdog
    if watchdog.feed is not None and watchdog.feed_off:
        fed = sample.number(watchdog.feed)
        if fed is None or fed in watchdog.feed_off:
            return None if fed is None else 0
    if watchdog.timeout is None:
        return None
    set_ms = sample.number(watchdog.timeout)
    if set_ms is None:
        return None
    per_raw = profile.registers[watchdog.timeout].thousandths
    off = any(set_ms == raw * per_raw for raw in watchdog.timeout_off)
    return 0 if off else set_ms * _NS_PER_MS


def remark(charger: Charger, profile: ChargerProfile, sample: Sample) -> str | None:
    """Where the charger is set up otherwise than the site document says, on the unsafe side, or
    so that it falls back sooner."""
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
    return _sooner(charger, profile, sample)


def proven(charger: Charger, profile: ChargerProfile, sample: Sample) -> bool | None:
    """Whether it does alone what was declared, or less; None where it cannot tell.

    All that it can show must be so: one setting that is not as it must be, a watchdog that is off,
    or a time that it does not tell this once, and it cannot be relied upon. Nor does it matter
    where nothing was declared: it counts at its maximum then.
    """
    watchdog = profile.watchdog
    if not watchdog.runs or charger.fallback_ma is None:
        return None
    if not _all_set(profile, sample) or _timing_remark(charger, profile, sample) is not None:
        return False
    if watchdog.fallback is None:
        return None
    fallback_ma = told_fallback_ma(profile, sample)
    return fallback_ma is not None and fallback_ma <= charger.fallback_ma


def _all_set(profile: ChargerProfile, sample: Sample) -> bool:
    """Whether all that arms its watchdog is seen to stand in its memory."""
    arming = (each for each in profile.settings if each.arms)
    return all(sample.number(each.register_name) == each.value for each in arming)


def _timing_remark(charger: Charger, profile: ChargerProfile, sample: Sample) -> str | None:
    left_ns, delay_ns = time_left_ns(profile, sample), charger.fallback_delay_ns
    set_ns = time_set_ns(profile, sample)
    if set_ns == 0:
        return "its watchdog is off: it would never fall back"
    if _hides_time(profile, sample):
        return "it does not tell whether its watchdog is on, and for how long"
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


def _sooner(charger: Charger, profile: ChargerProfile, sample: Sample) -> str | None:
    """Where its watchdog is set to less, by more than a step, and nothing of ours sets it."""
    set_ns, delay_ns, name = time_set_ns(profile, sample), charger.fallback_delay_ns, None
    if charger.set_delay_ns is None:
        name = profile.watchdog.timeout
    if not set_ns or delay_ns is None or name is None:
        return None
    if set_ns + profile.registers[name].thousandths * _NS_PER_MS > delay_ns:
        return None
    return (
        f"its watchdog is set to {seconds_text(set_ns)} s, "
        f"the site document says {seconds_text(delay_ns)} s: it falls back sooner"
    )


def _hides_time(profile: ChargerProfile, sample: Sample) -> bool:
    """Whether its watchdog's time, or whether that runs, has a register that tells nothing now."""
    watchdog = profile.watchdog
    names = (watchdog.timeout, watchdog.feed if watchdog.feed_off else None)
    return any(name is not None and sample.number(name) is None for name in names)
