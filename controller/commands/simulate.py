"""`loadkeeper simulate SITE`: a day of this site on the virtual depot, by its own document.

The kernel is the one that will hold the depot; meters, chargers, vehicles and their drivers are
imitated. Where nothing else is said, base load and vehicles are made up: a working day with
machines that start and stop, and a fleet that comes back in the evening and leaves in the morning.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from controller.document.problems import DocumentError, Problem, found
from controller.document.quantities import GRID_PHASES
from controller.proof import prove
from controller.simulation.chart import axis, clock, row, svg
from controller.simulation.course import Course, Visit, Worst
from controller.simulation.course import run as run_day
from controller.simulation.day import HOUR_S, Day, made_up_base, made_up_fleet, own_worst_ma
from controller.simulation.tables import read_base, read_vehicles, time_of_day
from controller.simulation.verdict import Held, held
from controller.site import Site, load
from controller.units import MA_PER_A, NS_PER_S, amperes_text, seconds_text
from drivers.library import library

MAX_HOURS = 7 * 24
KWH_MWH = 1_000_000
SHOWN = 12  # vehicles that left with too little, and chargers in the worst minute


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("simulate", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    parser.add_argument(
        "--from",
        dest="begins_s",
        type=_time,
        default=float(12 * HOUR_S),
        metavar="HH:MM",
        help="when the day begins (12:00, so that the night is in one piece)",
    )
    parser.add_argument("--hours", type=_hours, default=24.0, help="how long it is (24)")
    parser.add_argument("--seed", type=int, default=1, help="of what is made up (1)")
    parser.add_argument(
        "--base", type=Path, metavar="CSV", help="base load: time, and amperes of each circuit"
    )
    parser.add_argument(
        "--vehicles", type=Path, metavar="CSV", help="charger, arrives, leaves, energy_kwh, …"
    )
    parser.add_argument(
        "--silent",
        action="append",
        default=[],
        metavar="ID",
        help="this meter, clamp or charger never answers; may be given several times",
    )
    parser.add_argument(
        "--lost",
        action="append",
        default=[],
        metavar="SOURCE",
        help="this limit source is never heard: its fail-safe cap holds",
    )
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the day into this file")
    add_json_option(parser)


def _time(text: str) -> float:
    try:
        return time_of_day(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{error}; found {found(text)}") from error


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 1 / 60 <= hours <= MAX_HOURS:
        raise ArgumentTypeError(f"must be from a minute to {MAX_HOURS} hours; found {found(text)}")
    return hours


def run(args: Namespace) -> int:
    """0: every circuit was held; 1: one was not, or a document or table is wrong."""
    try:
        site = load(args.site, library())
        day = _day(args, site)
    except OSError as error:
        complain(f"loadkeeper simulate: {error.filename}: {error.strerror or error}")
        return MISUSED
    except DocumentError as error:
        return _refuse(args, error.problems)
    if strange := _strangers(args, site):
        for sentence in strange:
            complain(f"loadkeeper simulate: {sentence}")
        return MISUSED
    remarks = _remarks(args, site, day)
    course = run_day(site, day, args.seed, set(args.silent), set(args.lost), _progress(args))
    rows = held(site, course)
    if args.plot is not None:
        try:
            args.plot.write_text(svg(site, course), encoding="utf-8")
        except OSError as error:
            complain(f"loadkeeper simulate: {args.plot}: {error.strerror or error}")
            return MISUSED
    if args.json:
        answer_json(_answer(site, course, rows, remarks))
    else:
        _say(site, course, rows, remarks)
    return FINE if all(each.passed for each in rows) else NO


def _day(args: Namespace, site: Site) -> Day:
    """Raises OSError, DocumentError with what is wrong in both tables."""
    begins_s, lasts_s = args.begins_s, args.hours * HOUR_S
    problems: list[Problem] = []
    base = made_up_base(site, begins_s, lasts_s, args.seed)
    stays = made_up_fleet(site, begins_s, lasts_s, args.seed)
    if args.base is not None:
        try:
            base = read_base(args.base, site, begins_s, lasts_s)
        except DocumentError as error:
            problems += error.problems
    if args.vehicles is not None:
        try:
            stays = read_vehicles(args.vehicles, site, begins_s, lasts_s)
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return Day(begins_s, lasts_s, stays, base)


def _refuse(args: Namespace, problems: Sequence[Problem]) -> int:
    if args.json:
        told = [{"path": each.path, "message": each.message} for each in problems]
        answer_json({"held": None, "problems": told})
    for problem in problems:
        complain(f"{problem.path}\n    {problem.message}")
    return NO


def _strangers(args: Namespace, site: Site) -> list[str]:
    devices = [meter.id for meter in site.meters]
    devices += [clamp.id for clamp in site.clamps]
    devices += [charger.id for charger in site.chargers]
    sources = [each.id for each in site.limit_sources]
    return [
        *_unknown("--silent", "meter, clamp or charger", args.silent, devices),
        *_unknown("--lost", "limit source", args.lost, sources),
    ]


def _unknown(option: str, what: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    there = ", ".join(known) or "none"
    return [
        f"{option}: there is no {what} {found(name)}; there is {there}"
        for name in names
        if name not in known
    ]


def _remarks(args: Namespace, site: Site, day: Day) -> list[str]:
    """What who reads the result must know beside it."""
    remarks = []
    if args.base is None:
        remarks.append(f"base load made up (seed {args.seed}), within the declared worst case")
    if args.vehicles is None:
        remarks.append(f"{len(day.stays)} vehicles made up (seed {args.seed})")
    for index, worst_ma in enumerate(own_worst_ma(site)):
        most_ma = [
            max((base.load_ma[phase] for base in day.base if base.circuit == index), default=0)
            for phase in range(3)
        ]
        for phase in range(3):
            if most_ma[phase] > worst_ma[phase]:
                remarks.append(
                    f"the base load of {site.circuits[index].id} reaches "
                    f"{amperes_text(most_ma[phase])} A on {GRID_PHASES[phase]}, more than the "
                    f"{amperes_text(worst_ma[phase])} A that its worst_base_a leaves it: "
                    "the document is wrong, or the table"
                )
                break
    if site.mode == "observe":
        remarks.append('mode is "observe": nothing is written to any charger')
    if not prove(site).passed:
        remarks.append("this site fails its commissioning proof: see loadkeeper check")
    remarks += [f"{name} never answers" for name in args.silent]
    remarks += [f"{name} is never heard" for name in args.lost]
    return remarks


class _progress:  # noqa: N801  # a function with a memory
    """Hours done, for who waits at a terminal."""

    def __init__(self, args: Namespace) -> None:
        self._shows = sys.stderr.isatty() and not args.json
        self._hours = args.hours

    def __call__(self, second: float) -> None:
        if self._shows:
            sys.stderr.write(f"\r{second / HOUR_S:.0f} of {self._hours:g} h\r")
            sys.stderr.flush()


# For people.


def _say(site: Site, course: Course, rows: Sequence[Held], remarks: Sequence[str]) -> None:
    day = course.day
    say(f"{site.name or site.id}: {day.lasts_s / HOUR_S:g} h from {clock(day.begins_s)} on\n")
    for remark in remarks:
        say(f"   {remark}")
    say()
    width = max(len(circuit.id) for circuit in site.circuits)
    for index, circuit in enumerate(site.circuits):
        say(f"   {circuit.id.ljust(width)}  {row(course.minutes[index])}")
    say(f"   {' ' * width}  {axis(course.minutes[0])}\n")
    header = (
        "circuit",
        "cap A",
        "highest A",
        "free A",
        "at",
        "over s",
        "allowed s",
        "in all s",
        "unexplained s",
        "",
    )
    table = [header, *(_held_row(each) for each in rows)]
    for text in columns(table, right=frozenset({1, 2, 3, 5, 6, 7, 8})):
        say(f"   {text}")
    say()
    _say_vehicles(site, course)
    if course.worst is not None:
        _say_worst(site, course.worst)
    failed = [each.circuit for each in rows if not each.passed]
    say(f"NOT HELD: {', '.join(failed)}." if failed else "Held.")


def _held_row(each: Held) -> Sequence[str]:
    return (
        each.circuit,
        amperes_text(each.cap_ma),
        _tenths(each.most_ma),
        _tenths(each.cap_ma - each.most_ma),
        clock(each.most_at_s),
        f"{each.longest_ns / NS_PER_S:.1f}",
        seconds_text(each.allowed_ns),
        str(each.seconds_over),
        str(each.unexplained_s),
        "ok" if each.passed else "NOT HELD",
    )


def _tenths(ma: int) -> str:
    return f"{ma / MA_PER_A:.1f}"


def _say_vehicles(site: Site, course: Course) -> None:
    content = sum(visit.content for visit in course.visits)
    say(
        f"{course.energy_mwh / KWH_MWH:.1f} kWh charged. Of {len(course.visits)} vehicles that "
        f"came and went, {content} left with all they wanted."
    )
    short = [visit for visit in course.visits if not visit.content]
    short.sort(key=lambda visit: visit.got_mwh - visit.wanted_mwh)
    for visit in short[:SHOWN]:
        say(f"   {_lacks(site, visit)}")
    if len(short) > SHOWN:
        say(f"   and {len(short) - SHOWN} more")
    say()


def _lacks(site: Site, visit: Visit) -> str:
    got, wanted = visit.got_mwh / KWH_MWH, visit.wanted_mwh / KWH_MWH
    stay = visit.stay
    return (
        f"{site.chargers[stay.charger].id}: {got:.1f} of {wanted:.1f} kWh between "
        f"{clock(stay.arrives_s)} and {clock(stay.leaves_s)}"
    )


def _say_worst(site: Site, worst: Worst) -> None:
    phase, circuit = GRID_PHASES[worst.phase], site.circuits[worst.circuit].id
    how = "over" if worst.over_ma > 0 else "below"
    say(
        f"The worst minute: {clock(worst.at_s)}. At {clock(worst.at_s, seconds=True)} {circuit} "
        f"{phase} was {_tenths(abs(worst.over_ma))} A {how} its cap of "
        f"{amperes_text(worst.cap_ma)} A."
    )
    flows = [second.load_ma[worst.circuit][worst.phase] for second in worst.seconds]
    say(f"   second by second, A: {' '.join(_tenths(ma) for ma in flows[::6])} (each sixth)")
    for each in worst.chargers[:SHOWN]:
        told = "-" if each.setpoint_ma is None else amperes_text(each.setpoint_ma)
        say(f"   {each.charger}: {told} A, draws {_tenths(each.current_ma)} A; {each.why}")
    if len(worst.chargers) > SHOWN:
        say(f"   and {len(worst.chargers) - SHOWN} more")
    say()


# For machines.


def _answer(
    site: Site, course: Course, rows: Sequence[Held], remarks: Sequence[str]
) -> dict[str, Any]:
    worst = course.worst
    return {
        "held": all(each.passed for each in rows),
        "problems": [],
        "remarks": list(remarks),
        "begins": clock(course.day.begins_s),
        "hours": course.day.lasts_s / HOUR_S,
        "energy_kwh": course.energy_mwh / KWH_MWH,
        "setpoint_writes": course.setpoint_writes,
        "circuits": [
            {
                "circuit": each.circuit,
                "cap_a": each.cap_ma / MA_PER_A,
                "highest_a": each.most_ma / MA_PER_A,
                "at": clock(each.most_at_s),
                "over_s": each.longest_ns / NS_PER_S,
                "allowed_s": each.allowed_ns / NS_PER_S,
                "over_in_all_s": each.seconds_over,
                "unexplained_s": each.unexplained_s,
                "held": each.passed,
            }
            for each in rows
        ],
        "vehicles": [
            {
                "charger": site.chargers[visit.stay.charger].id,
                "arrives": clock(visit.stay.arrives_s),
                "leaves": clock(visit.stay.leaves_s),
                "wanted_kwh": visit.wanted_mwh / KWH_MWH,
                "got_kwh": visit.got_mwh / KWH_MWH,
            }
            for visit in course.visits
        ],
        "worst_minute": worst
        and {
            "circuit": site.circuits[worst.circuit].id,
            "phase": GRID_PHASES[worst.phase],
            "at": clock(worst.at_s, seconds=True),
            "over_a": worst.over_ma / MA_PER_A,
            "cap_a": worst.cap_ma / MA_PER_A,
            "flow_a": [
                second.load_ma[worst.circuit][worst.phase] / MA_PER_A for second in worst.seconds
            ],
            "chargers": [asdict(each) for each in worst.chargers],
        },
    }
