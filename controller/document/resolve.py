"""Entries into devices: rows counted out, buses found, the profile's word where there is none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from cext.rows import NO_PHASE
from controller.document.buses import Bus
from controller.document.devices import Charger, Meter
from controller.document.draft import Draft
from controller.document.entries.charger import ChargerEntry
from controller.document.entries.meter import MeterEntry
from controller.document.phases import check_measures
from controller.document.pinned import check_kind, resolve_pinned
from controller.document.problems import DocumentError, found, printable
from controller.document.seats import Seats
from controller.facts import ChargerFacts, MeterFacts, Profiles
from controller.units import MA_PER_A, NS_PER_S, amperes_text, seconds_text
from controller.watts import DEFAULT_PHASE_MV, Watts

CHARGERS_MAX = 5000
POLL_NS = NS_PER_S
MIN_ON_NS = 300 * NS_PER_S  # contactors wear, and vehicles give up that are stopped too often
MIN_OFF_NS = 0  # dwell_s already keeps off for a while what a cap switched off
MIN_MA = 6 * MA_PER_A  # IEC 61851-1: nothing charges below
Facts = TypeVar("Facts", MeterFacts, ChargerFacts)


class _Currents(NamedTuple):
    min_ma: int
    max_ma: int
    step_ma: int
    fallback_ma: int | None
    fallback_delay_ns: int | None
    power_on_ma: int | None
    set_fallback_ma: int | None
    set_delay_ns: int | None


def resolve_meters(draft: Draft, seats: Seats, profiles: Profiles) -> tuple[Meter, ...]:
    """Complains about everything in a meter's way; returns those with nothing in it."""
    meters = []
    for index, entry in draft.meters.items():
        draft.refer("circuit", entry.circuit, "meter", index, "circuit")
        facts = _facts(draft, profiles.meter, "meter", index, entry.profile)
        seat = seats.of_meter(index, entry)
        if facts is not None:
            check_measures(draft, index, entry, facts)
        if facts is not None and not facts.active_export:
            _check_credit(draft, entry)
        if facts is None or seat is None:
            continue
        meters.append(
            Meter(
                id=entry.id,
                circuit=entry.circuit,
                profile=entry.profile,
                facts=replace(facts, error_ma=_or(entry.error_ma, facts.error_ma)),
                bus=seat.bus,
                unit=seat.unit,
                poll_ns=entry.poll_ns,
                lag_ns=_or(entry.lag_ns, facts.lag_ns),
                max_age_ns=_max_age_ns(draft, "meter", index, entry, entry.poll_ns, seat.bus),
                ratio_ppm=entry.ct.ratio_ppm,
                reversed=entry.ct.reversed,
                phases=entry.ct.phases,
            )
        )
    return tuple(meters)


def _check_credit(draft: Draft, meter: MeterEntry) -> None:
    for index, circuit in draft.circuits.items():
        if circuit.id == meter.circuit and circuit.credit_export:
            draft.complain(
                f"gives nothing: only the active part of what is fed in may be credited, and "
                f"{found(meter.profile)} of {found(meter.id)} tells no active power of each phase; "
                f"take another meter, or leave it out",
                *("circuit", index, "credit_export"),
            )


def resolve_chargers(
    draft: Draft,
    seats: Seats,
    profiles: Profiles,
    phase_mv: int = DEFAULT_PHASE_MV,
    meters: Sequence[Meter] = (),
) -> tuple[Charger, ...]:
    """Complains about everything in a charger's way; returns those with nothing in it."""
    if sum(entry.count or 1 for entry in draft.chargers.values()) > CHARGERS_MAX:
        draft.complain(f"must be {CHARGERS_MAX} at most, rows counted out", "charger")
        return ()
    chargers: list[Charger] = []
    for index, entry in draft.chargers.items():
        draft.refer("circuit", entry.circuit, "charger", index, "circuit")
        complete = check_kind(draft, index, entry)
        if entry.pin is not None:
            pinned = resolve_pinned(draft, seats, index, entry, {each.id: each for each in meters})
            chargers += [] if pinned is None else [pinned]
            continue
        facts = None
        if entry.profile is not None:
            facts = _facts(draft, profiles.charger, "charger", index, entry.profile)
        watts = None if facts is None else _watts(draft, index, entry, facts, phase_mv)
        if facts is not None and watts is not None:
            facts = watts.in_amperes(facts)
        currents = None if facts is None else _currents(draft, index, entry, facts)
        stride = 0 if facts is None else facts.unit_stride
        row = [] if entry.bus is None else seats.of_row(index, entry, entry.bus, stride)
        if facts is None or currents is None or not row or not complete:
            continue
        poll_ns = _poll_ns(draft, index, entry, facts)
        own_ppm = _or(entry.tolerance_ppm, facts.tolerance_ppm)
        ages = {
            bus: _max_age_ns(
                draft, "charger", index, entry, poll_ns, bus, takes_ns=facts.confirm_gap_ns
            )
            for _, _, bus, _ in row
        }
        chargers += [
            Charger(
                id=seat.id,
                name=seat.name,
                circuit=entry.circuit,
                profile=facts.name if entry.profile is None else entry.profile,
                facts=facts,
                bus=seat.bus,
                unit=seat.unit,
                poll_ns=poll_ns,
                phases=entry.phases,
                **currents._asdict(),
                tolerance_ppm=own_ppm if watts is None else watts.tolerance_ppm(own_ppm),
                standby_ma=_or(entry.standby_ma, facts.standby_ma)
                + (0 if watts is None else watts.paused_ma(own_ppm)),
                settle_ns=_or(entry.settle_ns, facts.settle_ns),
                max_age_ns=ages[seat.bus],
                weight=entry.weight,
                class_rank=entry.class_rank,
                min_on_ns=_or(entry.min_on_ns, MIN_ON_NS),
                min_off_ns=_or(entry.min_off_ns, MIN_OFF_NS),
                may_pause=_may_pause(draft, index, entry, facts),
                watts=watts,
                connector=entry.connector,
                own_tolerance_ppm=own_ppm,
            )
            for seat in row
        ]
    return tuple(chargers)


def _watts(
    draft: Draft, index: int, entry: ChargerEntry, facts: ChargerFacts, phase_mv: int
) -> Watts | None:
    """How its watts become currents; complains about what belongs to such chargers only."""
    if entry.connector > facts.connectors:
        draft.complain(
            f"can be at most {facts.connectors} in {facts.name}; found {entry.connector}",
            *("charger", index, "connector"),
        )
    if facts.watts is not None:
        wired = sum(phase != NO_PHASE for phase in entry.phases)
        losses = (entry.efficiency_ppm, entry.power_factor_ppm)
        return Watts.of(facts.watts, phase_mv, wired, *losses)
    for key, written in (
        ("efficiency_pct", entry.efficiency_ppm),
        ("power_factor", entry.power_factor_ppm),
    ):
        if written is not None:
            draft.complain(
                f"must be left out: {facts.name} is commanded in amperes, and draws no other "
                f"current for it",
                *("charger", index, key),
            )
    return None


def _may_pause(draft: Draft, index: int, entry: ChargerEntry, facts: ChargerFacts) -> str:
    """Where a stop ends the session, somebody must walk there: nobody may take it for a pause."""
    ends = facts.zero_ends_session
    if facts.watts is not None:
        ends = facts.watts.zero_ends_session and not facts.watts.pause_mw
    if entry.may_pause == "yes" and ends:
        what = "0 A" if facts.watts is None else "0 W"
        draft.complain(
            f"must be replug or never: {what} ends the vehicle's session in {facts.name}; found "
            f"yes",
            *("charger", index, "may_pause"),
        )
    return entry.may_pause or ("replug" if ends else "yes")


def _or(written: int | None, profiles: int) -> int:
    return profiles if written is None else written


def _facts(
    draft: Draft, look_up: Callable[[str], Facts], section: str, index: int, name: str
) -> Facts | None:
    try:
        return look_up(name)
    except KeyError as error:
        draft.complain(printable(str(error.args[0]), 300), section, index, "profile")
    except DocumentError as error:
        for problem in error.problems:
            draft.complain(printable(str(problem), 300), section, index, "profile")
    except ValueError as error:
        draft.complain(printable(str(error), 300), section, index, "profile")
    return None


def _poll_ns(draft: Draft, index: int, entry: ChargerEntry, facts: ChargerFacts) -> int:
    """As written, else 1 s, or as long as one report takes."""
    takes_ns = facts.confirm_gap_ns
    if entry.poll_ns is None:
        return max(POLL_NS, takes_ns)
    if entry.poll_ns < takes_ns:
        draft.complain(
            f"must be at least {seconds_text(takes_ns)}: {facts.name} bears reads only now and "
            f"then, and one report takes so long; found {seconds_text(entry.poll_ns)}",
            *("charger", index, "poll_s"),
        )
    return entry.poll_ns


def _max_age_ns(
    draft: Draft,
    section: str,
    index: int,
    entry: MeterEntry | ChargerEntry,
    poll_ns: int,
    bus: Bus,
    takes_ns: int = 0,
) -> int:
    """As written, else the longest of 3 polls, 2 time-outs + 1 poll, 1 s; and what one takes."""
    if entry.max_age_ns is None:
        return takes_ns + max(3 * poll_ns, 2 * bus.timeout_ns + poll_ns, NS_PER_S)
    if entry.max_age_ns <= poll_ns + takes_ns:
        taken = f" and the {seconds_text(takes_ns)} s that one takes" if takes_ns else ""
        draft.complain(
            f"must be longer than poll_s, {seconds_text(poll_ns)} s{taken}, "
            f"or nothing is ever fresh; found {seconds_text(entry.max_age_ns)}",
            *(section, index, "max_age_s"),
        )
    return entry.max_age_ns


def _currents(
    draft: Draft, index: int, entry: ChargerEntry, facts: ChargerFacts
) -> _Currents | None:
    """Fills in and compares; None when there is no maximum to go by."""

    def refuse(key: str, wanted: str, found_ma: int) -> None:
        draft.complain(f"{wanted}; found {amperes_text(found_ma)}", "charger", index, key)

    max_ma = facts.max_ma if entry.max_ma is None else entry.max_ma
    if max_ma is None:
        draft.complain(
            "is missing: what the device itself is set to, for its profile does not know",
            *("charger", index, "max_a"),
        )
        return None
    if facts.max_ma is not None and max_ma > facts.max_ma:
        refuse("max_a", f"can be at most {amperes_text(facts.max_ma)} A in {facts.name}", max_ma)
    if facts.writable_ma is not None and max_ma > facts.writable_ma:
        wanted = f"cannot be written: its register holds at most {amperes_text(facts.writable_ma)}"
        refuse("max_a", f"{wanted} A in {facts.name}", max_ma)
    min_ma = _or(entry.min_ma, max(MIN_MA, facts.min_ma))
    if min_ma < facts.min_ma:
        refuse("min_a", f"can be no less than {amperes_text(facts.min_ma)} A", min_ma)
    if min_ma > max_ma:
        refuse("max_a", f"must be at least the minimum, {amperes_text(min_ma)} A", max_ma)
    step_ma = _or(entry.step_ma, facts.step_ma)
    if step_ma % facts.step_ma:
        refuse("step_a", f"can only be a multiple of {amperes_text(facts.step_ma)} A", step_ma)
    least_ma = -(-min_ma // step_ma) * step_ma
    if entry.may_pause == "never" and not 0 < least_ma <= max_ma:
        wanted = "cannot be never: above 0 and within min_a and max_a it has no setpoint"
        draft.complain(wanted, "charger", index, "may_pause")
    for key, written_ma in (("fallback_a", entry.fallback_ma), ("power_on_a", entry.power_on_ma)):
        if written_ma is not None and written_ma > max_ma:
            refuse(key, f"must not exceed the device's max_a, {amperes_text(max_ma)} A", written_ma)
    delay_ns = _delay_ns(draft, index, entry, facts)
    power_on_ma = entry.power_on_ma
    if power_on_ma is None and facts.power_on_is_fallback:
        power_on_ma = entry.fallback_ma
    fallback_ma = entry.fallback_ma
    to_set = _to_set(draft, index, entry, facts)
    return _Currents(min_ma, max_ma, step_ma, fallback_ma, delay_ns, power_on_ma, *to_set)


def _to_set(
    draft: Draft, index: int, entry: ChargerEntry, facts: ChargerFacts
) -> tuple[int | None, int | None]:
    """Fallback and watchdog's time to be written into the device: only what stands here."""
    if entry.program and not (facts.sets_fallback or facts.sets_timeout):
        draft.complain(
            f"must be left out: the fallback of {facts.name} can only be set in the device itself",
            *("charger", index, "program"),
        )
    if entry.program is False:
        return None, None
    fallback_ma = entry.fallback_ma if facts.sets_fallback else None
    delay_ns = entry.fallback_delay_ns if facts.sets_timeout else None
    stops = facts.zero_falls_to_0 and fallback_ma == 0
    if fallback_ma is not None and fallback_ma < facts.min_ma and not stops:
        draft.complain(
            f"must be {'0 or ' if facts.zero_falls_to_0 else ''}at least "
            f"{amperes_text(facts.min_ma)} A to be written into "
            f"{facts.name} (or program = false); found {amperes_text(fallback_ma)}",
            *("charger", index, "fallback_a"),
        )
    most_ns = facts.timeout_most_ns
    if delay_ns is not None and (
        delay_ns < facts.timeout_least_ns or (most_ns is not None and delay_ns > most_ns)
    ):
        upto = "" if most_ns is None else f" to {seconds_text(most_ns)}"
        draft.complain(
            f"{facts.name} can be set to {seconds_text(facts.timeout_least_ns)}{upto} s "
            f"(or program = false); found {seconds_text(delay_ns)}",
            *("charger", index, "fallback_delay_s"),
        )
    return fallback_ma, delay_ns


def _delay_ns(draft: Draft, index: int, entry: ChargerEntry, facts: ChargerFacts) -> int | None:
    """How long until the fallback; complains where a fallback cannot be relied upon."""
    if facts.has_fallback:
        delay_ns = entry.fallback_delay_ns
        delay_ns = facts.watchdog_timeout_ns if delay_ns is None else delay_ns
        if entry.fallback_ma is not None and delay_ns is None:
            draft.complain(
                "is missing: the watchdog's time as set in the device, "
                "for its profile does not know; without it there is no fallback",
                *("charger", index, "fallback_delay_s"),
            )
        return delay_ns
    for key, written in (
        ("fallback_a", entry.fallback_ma),
        ("fallback_delay_s", entry.fallback_delay_ns),
    ):
        if written is not None:
            draft.complain(
                f"must be left out: {facts.name} has no fallback, it stays where it was",
                *("charger", index, key),
            )
    return None
