"""Each device by itself: does it answer, is it set up, can what it measures be? Pure.

What the currents of several devices tell together stands in `flows`.
"""

from __future__ import annotations

from collections.abc import Iterator

from cext.rows import NO_PHASE
from controller.document.buses import SERIAL
from controller.document.devices import Charger, Meter
from controller.units import amperes_text
from drivers.arming import wants
from drivers.chargerprofile import ChargerProfile
from drivers.device import (
    BadReplyError,
    GatewaySilenceError,
    IllegalAddressError,
    IllegalFunctionError,
    NoConnectionError,
    NoReplyError,
    PathError,
    WrongUnitError,
)
from drivers.finding import Finding, Weight, entry
from drivers.meter import TERMINALS
from drivers.meterprofile import MeterProfile
from drivers.reader import Sample
from drivers.report import current_ma, proven, remark, time_left_ns
from drivers.sense import HERTZ, Sense, drawn
from drivers.survey import VOLTAGES, Seen, Survey, profile_of

NEAR_PPM = 150_000  # of its nominal voltage
DEAD_MV = 20_000  # a terminal without voltage
FLOWS_MA = 3_000  # from here on a phase's power factor says something
ASTRAY_PPM = range(250_000, 750_000)  # a third of a turn: the cosine is -1/2
SPLIT_PPM = 150_000  # by which a sum of powers may miss their total
STRAY_MA = 1_000  # at a terminal that is not wired


def device_findings(survey: Survey) -> Iterator[Finding]:
    """Of each meter, charger and clamp, in the document's order."""
    site = survey.site
    devices: tuple[Meter | Charger, ...] = (*site.meters, *site.chargers)
    for device in devices:
        seen = survey.seen.get(device.id)
        if seen is None:
            continue
        found = list(_device(survey, device, seen))
        yield from found
        if not any(each.weight <= Weight.DOUBT for each in found):
            yield Finding(device.id, "answers", Weight.FINE, _fine(seen))
    for clamp in site.clamps:
        seen = survey.seen[clamp.id]
        if seen.heard:
            yield Finding(clamp.id, "answers", Weight.FINE, f"{len(seen.grid)} lines were heard")
        else:
            why = seen.error.what if seen.error else "nothing was heard"
            mend = "look at its port, its baud and its supply: `loadkeeper read FORMAT PORT`"
            yield Finding(clamp.id, "silent", Weight.WRONG, why, mend, entry("clamp", clamp.id))


def _fine(seen: Seen) -> str:
    who = ", ".join(f"{name} {value}" for name, value in seen.who.items())
    return f"answers at {seen.place}" + (f" ({who})" if who else "")


def _device(survey: Survey, device: Meter | Charger, seen: Seen) -> Iterator[Finding]:
    if seen.misset is not None:
        mend = "set it in the device, or name the profile of what is really there"
        where = entry(seen.kind, seen.id, "profile")
        yield Finding(seen.id, "misset", Weight.WRONG, seen.misset, mend, where)
    if not seen.samples:
        yield _unsupplied(survey, seen) or _silent(seen)
        return
    if seen.error is not None:
        what = f"it failed now and then: {seen.error.what}"
        mend = "look at the line's ends, its screen and its length, or at who else asks it"
        yield Finding(seen.id, "shaky", Weight.DOUBT, what, mend)
    profile, sample = profile_of(device), seen.samples[-1]
    volts = list(_voltages(survey, device, seen, sample))
    yield from volts
    if not volts:  # else what is made of them is astray, too
        yield from _possible(seen, sample)
    if isinstance(profile, MeterProfile):
        yield from _phase_order(seen)
        yield from _total(seen, sample)
    else:
        assert isinstance(device, Charger)
        yield from _charger(device, profile, seen)


def _unsupplied(survey: Survey, seen: Seen) -> Finding | None:
    """Whether it is behind a contactor: no enforcer closes it now."""
    for each in survey.site.contactors:
        if seen.id in each.chargers and isinstance(seen.error, NoConnectionError | NoReplyError):
            what = f"silent, and behind the contactor {each.id}: perhaps it has no supply now"
            mend = "close it by hand, and run this again"
            return Finding(seen.id, "unsupplied", Weight.UNSEEN, what, mend)
    return None


def _silent(seen: Seen) -> Finding:
    """Why it cannot be read, and what that mostly is."""
    error = seen.error
    where = entry(seen.kind, seen.id, "bus, unit")
    serial = seen.place.startswith(SERIAL)
    line = seen.place.split(",")[0]
    scan = f"`loadkeeper scan '{line}'` says who is there"
    code = "silent"
    match error:
        case WrongUnitError():
            mend = f"another unit answers for it: {scan}"
        case IllegalAddressError() | IllegalFunctionError():
            code = "wrong_profile"
            mend = f"somebody is there, but no {seen.profile}: {scan}"
            where = entry(seen.kind, seen.id, "profile, unit")
        case GatewaySilenceError() | PathError():
            mend = f"the gateway is there and finds no such unit: {scan}"
        case NoReplyError() | BadReplyError() if serial:
            mend = (
                "is it on; its unit id; A and B exchanged; the baud and parity of this line: "
                f"`loadkeeper scan '{line}' --settings` tries them"
            )
            where += f"; [[bus]] url {line}"
        case NoConnectionError():
            mend = "is it on, is Modbus switched on in it, are address and port right"
        case _:
            mend = f"its unit id may be another one: {scan}"
    what = error.what if error is not None else "it was not heard"
    return Finding(seen.id, code, Weight.WRONG, f"{seen.place}: {what}", mend, where)


# What it measures.


def _voltages(
    survey: Survey, device: Meter | Charger, seen: Seen, sample: Sample
) -> Iterator[Finding]:
    nominal_mv = next(c.phase_mv for c in survey.site.circuits if c.id == device.circuit)
    wired = [name for name, phase in zip(VOLTAGES, device.phases, strict=True) if phase != NO_PHASE]
    shown = {name: sample.values.get(name) for name in wired}
    numbers = {name: value for name, value in shown.items() if isinstance(value, int)}
    if not numbers:
        return
    off = {name: mv for name, mv in numbers.items() if not _near(mv, nominal_mv)}
    if not off:
        return
    text = ", ".join(f"{name[-2:].upper()} {mv / 1000:g} V" for name, mv in numbers.items())
    turned = [mv for name, mv in seen.turned_mv.items() if name in off]
    where = entry(seen.kind, seen.id, "profile")
    if turned and all(_near(mv, nominal_mv) for mv in turned):
        yield Finding(
            seen.id,
            "word_order",
            Weight.WRONG,
            f"its words are exchanged: {text}, and {turned[0] / 1000:g} V the other way round",
            "set the register or word order in the device back to as delivered, or use a profile "
            "with the other word_order",
            where,
        )
    elif all(abs(mv) < DEAD_MV for mv in off.values()):
        names = " ".join(name[-2:].upper() for name in off)
        what = f"no voltage at its terminal {names}: {text}"
        mend = "look at the fuses of its voltage taps; or fewer phases are wired than documented"
        yield Finding(
            seen.id, "no_voltage", Weight.WRONG, what, mend, entry(seen.kind, seen.id, "phases")
        )
    else:
        what = f"{text}, at a nominal {nominal_mv / 1000:g} V"
        mend = "is it this device (profile), this voltage (nominal_v), a neutral that is loose?"
        yield Finding(seen.id, "voltage", Weight.WRONG, what, mend, where)


def _near(mv: int, nominal_mv: int) -> bool:
    return abs(mv - nominal_mv) * 1_000_000 <= nominal_mv * NEAR_PPM


def _possible(seen: Seen, sample: Sample) -> Iterator[Finding]:
    """What no device can measure that is read as it must be."""
    numbers = {name: each for name, each in sample.values.items() if isinstance(each, int)}
    hertz = numbers.get("frequency")
    where = entry(seen.kind, seen.id, "profile")
    mend = "the profile is not this device's, or its words are set otherwise in the device"
    if hertz and hertz not in HERTZ:
        yield Finding(
            seen.id, "frequency", Weight.WRONG, f"a frequency of {hertz / 1000:g} Hz", mend, where
        )
    sense = Sense()
    drawn(numbers, sense)
    for what in sense.against:
        yield Finding(seen.id, "impossible", Weight.WRONG, what, mend, where)
    known = any(name in sample.values for name in ("current_l1", "current_l2", "current_l3"))
    unknown = [f"L{n}" for n in TERMINALS if sample.values.get(f"current_l{n}", 0) is None]
    if known and unknown:
        what = f"it does not know its current of {' '.join(unknown)}"
        mend = "is that transformer connected, and the meter set to four wires?"
        yield Finding(seen.id, "unknown_current", Weight.DOUBT, what, mend)


def _phase_order(seen: Seen) -> Iterator[Finding]:
    """A current that is measured beside another phase's voltage leads or lags by a third."""
    astray = {}
    for n in TERMINALS:
        ratios = [_cosine_ppm(sample, n) for sample in seen.samples]
        known = sorted(each for each in ratios if each is not None)
        if known and abs(known[len(known) // 2]) in ASTRAY_PPM:
            astray[n] = known[len(known) // 2]
    if len(astray) >= 2:
        names = " ".join(f"L{n}" for n in astray)
        factors = ", ".join(f"{ppm / 1e6:.2f}" for ppm in astray.values())
        yield Finding(
            seen.id,
            "phase_order",
            Weight.WRONG,
            f"power factors of {factors} on {names}: these currents belong to other voltages",
            f"exchange the transformers of {names} at the meter, or its voltage taps, so that "
            "each current is beside its own voltage",
            entry("meter", seen.id, "ct.phases"),
        )


def _cosine_ppm(sample: Sample, terminal: int) -> int | None:
    """Signed; None where too little flows to tell."""
    values = [sample.values.get(f"{what}_l{terminal}") for what in ("power", "voltage", "current")]
    power, volt, ampere = (each if isinstance(each, int) else None for each in values)
    if power is None or not volt or ampere is None or abs(ampere) < FLOWS_MA:
        return None
    return power * 1_000_000 // (volt * abs(ampere) // 1000)


def _total(seen: Seen, sample: Sample) -> Iterator[Finding]:
    """The sum of its phases' powers is its total."""
    powers = [sample.values.get(f"power_l{n}") for n in TERMINALS]
    total = sample.values.get("power_total")
    known = [each for each in powers if isinstance(each, int)]
    if len(known) < len(powers) or not isinstance(total, int):
        return
    scale = sum(map(abs, known))
    if abs(sum(known) - total) * 1_000_000 > scale * SPLIT_PPM + 100_000_000_000:
        what = f"its phases sum to {sum(known) / 1000:.0f} W, its total says {total / 1000:.0f} W"
        mend = "one register is not what the profile says: is it this model, this firmware?"
        where = entry("meter", seen.id, "profile")
        yield Finding(seen.id, "power_sum", Weight.DOUBT, what, mend, where)


# What it does alone.


def _charger(charger: Charger, profile: ChargerProfile, seen: Seen) -> Iterator[Finding]:
    sample = seen.samples[-1]
    yield from _fallback(charger, profile, sample)
    for terminal, phase in zip(TERMINALS, charger.phases, strict=True):
        stray_ma = current_ma(profile, sample, terminal)
        if phase == NO_PHASE and stray_ma is not None and stray_ma > STRAY_MA:
            what = f"terminal {terminal} draws {amperes_text(stray_ma)} A, and is not documented"
            mend = "write the grid phase that is wired there"
            yield Finding(
                charger.id, "phases", Weight.WRONG, what, mend, entry("charger", seen.id, "phases")
            )
    left_ns = time_left_ns(profile, sample)
    if left_ns:
        what = "somebody has written a setpoint lately"
        mend = "find the other controller and switch it off: two of them undo each other"
        yield Finding(charger.id, "contested", Weight.DOUBT, what, mend)


def _fallback(charger: Charger, profile: ChargerProfile, sample: Sample) -> Iterator[Finding]:
    """What it does when it hears nothing, as it reads back; and what the enforcer will write."""
    try:
        wanted = wants(charger, profile)
    except ValueError as error:
        where = entry("charger", charger.id, "fallback_a, fallback_delay_s")
        mend = "declare what it can be set to"
        yield Finding(charger.id, "fallback", Weight.WRONG, str(error), mend, where)
        return
    lacking = [
        want.wrong(number)
        for want in wanted
        if (number := sample.number(want.register_name)) not in (None, want.number)
    ]
    mend = "set it in the charger"
    where = entry("charger", charger.id, "fallback_a, fallback_delay_s")
    if lacking:
        for what in lacking:
            written = "the enforcer writes it when it starts in control, and reads it back"
            yield Finding(charger.id, "unarmed", Weight.DOUBT, what, written, where)
        return
    said = remark(charger, profile, sample)
    if said is not None:
        mend += ", or declare what it does and see whether the proof still holds"
        yield Finding(charger.id, "fallback", Weight.WRONG, said, mend, where)
        return
    match proven(charger, profile, sample):
        case True:
            what = f"falls back to {amperes_text(charger.alone_ma)} A or less, as it reads back"
            yield Finding(charger.id, "fallback", Weight.FINE, what)
        case None:
            what = "it does not tell what it does when it hears nothing"
            mend = "let a vehicle charge, pull its network plug, and see what it falls back to"
            yield Finding(charger.id, "fallback", Weight.UNSEEN, what, mend, where)
        case False:
            what = "it does not do alone what the document says"
            yield Finding(charger.id, "fallback", Weight.WRONG, what, mend, where)
