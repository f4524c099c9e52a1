"""Chargers that have no bus: a pin of the gateway's switches them on and off.

To everybody else such a charger is one with a single setpoint beside 0, its rated current. What it
does alone is what its relay does when nobody drives the pin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.document.buses import Bus, PinAddress
from controller.document.contacts import Feedback, Switch
from controller.document.devices import Charger, Meter
from controller.document.draft import Draft
from controller.document.entries.charger import ChargerEntry
from controller.document.patterns import is_pattern
from controller.document.problems import found
from controller.document.seats import Seats
from controller.facts import ChargerFacts
from controller.units import NS_PER_S, PPM, seconds_text

LOOK_NS = NS_PER_S // 10  # how often pin and contact are looked at, whatever else happens
MAX_AGE_NS = NS_PER_S
OPENS_NS = NS_PER_S // 2
SETTLE_NS = 6 * NS_PER_S  # the vehicle's 5 s and one of the charger's own
TOLERANCE_PPM = 3 * PPM // 100
STANDBY_MA = 100
MIN_ON_NS = 300 * NS_PER_S  # relays wear, and vehicles give up that are stopped too often
NAME = "a switch"
_OF_PINS = ("rated_ma", "active_high", "energised", "feedback_pin", "feedback", "opens_ns", "meter")
_OF_BUSES = (
    *("profile", "bus", "unit", "connector", "count", "first", "poll_ns", "max_age_ns"),
    *("min_ma", "max_ma", "step_ma", "fallback_ma", "fallback_delay_ns", "program"),
    *("power_on_ma", "efficiency_ppm", "power_factor_ppm"),
)


@dataclass(frozen=True, slots=True)
class _Told:
    """What tells how much it draws; where nothing does, nothing is known."""

    metered: bool = False
    error_ma: int = 0
    resolution_ma: int = 100
    lag_ns: int = 0
    poll_ns: int = LOOK_NS
    max_age_ns: int = MAX_AGE_NS


def check_kind(draft: Draft, index: int, entry: ChargerEntry) -> bool:
    """Whether it is complete as a charger on a bus, or on a pin; complains about the rest."""
    complete = True
    for key in _OF_PINS if entry.pin is None else _OF_BUSES:
        if key in entry.model_fields_set:
            whose = "with a pin" if entry.pin is None else "on a bus: this one has a pin"
            draft.complain(f"belongs to a charger {whose}", "charger", index, _written(key))
    if entry.pin is not None:
        return True
    for key, wanted in (
        ("profile", "the name of its profile (or its pin, where it has no bus)"),
        ("bus", "its URL, or the id of a [[bus]] (or its pin, where it has no bus)"),
    ):
        if getattr(entry, key) is None:
            draft.complain(f"is missing: {wanted}", "charger", index, key)
            complete = False
    return complete


def _written(key: str) -> str:
    """A field as it is called in a document."""
    return ChargerEntry.model_fields[key].alias or key


def resolve_pinned(
    draft: Draft, seats: Seats, index: int, entry: ChargerEntry, meters: Mapping[str, Meter]
) -> Charger | None:
    """None after a complaint; its pin itself is taken with all others (document.gpio)."""
    assert entry.pin is not None
    if is_pattern(entry.id) or is_pattern(entry.name):
        draft.complain("counts, but each charger on a pin stands alone", "charger", index, "id")
        return None
    seats.take_id("charger", index, entry.id)
    feedback = _feedback(draft, index, entry)
    told = _told(draft, index, entry, meters)
    if not entry.rated_ma:
        said = "is missing" if entry.rated_ma is None else "must be above 0"
        draft.complain(f"{said}: what it draws while it is on", "charger", index, "rated_a")
        return None
    switch = Switch(
        charger=entry.id,
        pin=entry.pin,
        active_high=entry.active_high is not False,
        on_energised=entry.energised != "off",
        rated_ma=entry.rated_ma,
        phases=entry.phases,
        feedback=feedback,
        opens_ns=_or(entry.opens_ns, OPENS_NS),
        meter=entry.meter if told.metered else None,
    )
    if entry.settle_ns is not None and entry.settle_ns < switch.opens_ns:
        draft.complain(
            f"must be at least opens_s, {seconds_text(switch.opens_ns)} s; "
            f"found {seconds_text(entry.settle_ns)}",
            *("charger", index, "settle_s"),
        )
    pins_fall = draft.gpio is not None and draft.gpio.pins_fall
    return _charger(entry, switch, told, falls=pins_fall and switch.off_alone and switch.tells)


def _charger(entry: ChargerEntry, switch: Switch, told: _Told, *, falls: bool) -> Charger:
    """`falls`: it goes off with the process, and somebody would find out if it did not."""
    facts = _facts(switch, told, falls=falls)
    alone_ma = 0 if falls else None
    return Charger(
        id=entry.id,
        name=entry.name,
        circuit=entry.circuit,
        profile=NAME,
        facts=facts,
        bus=_bus(switch.pin),
        unit=0,
        poll_ns=told.poll_ns,
        phases=entry.phases,
        min_ma=switch.rated_ma,
        max_ma=switch.rated_ma,
        step_ma=switch.rated_ma,
        fallback_ma=alone_ma,
        fallback_delay_ns=0 if falls else None,
        power_on_ma=alone_ma,
        set_fallback_ma=None,
        set_delay_ns=None,
        tolerance_ppm=_or(entry.tolerance_ppm, facts.tolerance_ppm),
        standby_ma=_or(entry.standby_ma, facts.standby_ma),
        settle_ns=_or(entry.settle_ns, facts.settle_ns),
        max_age_ns=told.max_age_ns,
        weight=entry.weight,
        class_rank=entry.class_rank,
        may_pause=entry.may_pause or "yes",
        min_on_ns=_or(entry.min_on_ns, MIN_ON_NS),
        min_off_ns=_or(entry.min_off_ns, 0),
        own_tolerance_ppm=_or(entry.tolerance_ppm, facts.tolerance_ppm),
        switch=switch,
    )


def _facts(switch: Switch, told: _Told, *, falls: bool) -> ChargerFacts:
    """As of a charger that falls back to 0 with the process, or of one that has no fallback."""
    return ChargerFacts(
        name=NAME,
        min_ma=switch.rated_ma,
        max_ma=switch.rated_ma,
        step_ma=switch.rated_ma,
        tolerance_ppm=TOLERANCE_PPM,
        standby_ma=STANDBY_MA,
        settle_ns=max(SETTLE_NS, switch.opens_ns),
        metered=told.metered,
        error_ma=told.error_ma,
        lag_ns=told.lag_ns,
        watchdog_timeout_ns=None,
        has_fallback=falls,
        watchdog_armed_after_power_on=falls,
        power_on_is_fallback=falls,
        resolution_ma=told.resolution_ma,
    )


def _feedback(draft: Draft, index: int, entry: ChargerEntry) -> Feedback | None:
    if (entry.feedback_pin is None) != (entry.feedback is None):
        draft.complain(
            'needs both feedback_pin and feedback, "normally_closed" or "normally_open"',
            *("charger", index),
        )
    if entry.feedback_pin is None:
        return None
    return Feedback(entry.feedback_pin, entry.feedback != "normally_open")


def _told(draft: Draft, index: int, entry: ChargerEntry, meters: Mapping[str, Meter]) -> _Told:
    """By the meter that is named, if it measures this charger and nothing else."""
    if entry.meter is None or not draft.refer("meter", entry.meter, "charger", index, "meter"):
        return _Told()
    meter = meters.get(entry.meter)
    if meter is None:
        return _Told()  # told at its own place
    others = _beside(draft, index, meter.circuit)
    if entry.circuit != meter.circuit:
        others = [f"it measures {found(meter.circuit)}, and the charger hangs elsewhere"]
    if others:
        draft.complain(f"must measure this charger alone: {others[0]}", "charger", index, "meter")
        return _Told()
    return _Told(
        metered=True,
        error_ma=meter.error_ma,
        resolution_ma=max(100, meter.error_ma),
        lag_ns=meter.lag_ns,
        poll_ns=meter.poll_ns,
        max_age_ns=max(MAX_AGE_NS, meter.max_age_ns),
    )


def _beside(draft: Draft, index: int, circuit: str) -> Sequence[str]:
    """What else draws on the circuit."""
    found_there = [
        f"{found(each.id)} hangs on {found(circuit)}, too"
        for at, each in draft.chargers.items()
        if at != index and each.circuit == circuit
    ]
    for each in draft.circuits.values():
        if each.parent == circuit:
            found_there.append(f"{found(each.id)} is below {found(circuit)}")
        if each.id == circuit and any(each.worst_base_ma):
            found_there.append(f"{found(circuit)} has a worst_base_a above 0")
    return found_there


def _bus(pin: int) -> Bus:
    address = PinAddress(pin)
    return Bus(address.url, address, LOOK_NS)


def _or(written: int | None, usual: int) -> int:
    return usual if written is None else written
