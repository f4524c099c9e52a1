"""`loadkeeper set`: one setpoint for commissioning; what was in force before is put back."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from dataclasses import dataclass, field
from pathlib import Path

from controller.commands.arguments import seconds
from controller.commands.gateway import enforcer_here
from controller.commands.one_device import (
    Shown,
    add_device_options,
    device_of,
    in_units,
)
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
from controller.commands.wearing import STATE_HELP, UncountedError, wear_of, wears
from controller.units import NS_PER_S, amperes_text, milliamps, seconds_text
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.device import DeviceError
from drivers.memory import Memory
from drivers.reader import Sample
from drivers.report import (
    TERMINALS,
    applied_ma,
    current_ma,
    in_force_ma,
    time_left_ns,
    vehicle,
)
from drivers.trial import ContestedError, Trial
from drivers.watts import seated, written_w

PILOT_MAX_MA = 80_000  # the most that a charger's pilot can permit, IEC 61851-1
WATTS_MAX_MA = 1_500_000  # 1 MW on three phases
HOLD_S = 10.0  # a vehicle may take 5 s to follow, and the charger's meter one more to show it
HOLD_MAX_S = 600.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WARNING = (
    "No enforcer may control this charger meanwhile, on whatever machine: each would undo the "
    "other's setpoints. Stop it first. One that runs here is found, and the command refused."
)


@dataclass
class Outcome:
    """How it went, beside what the trial itself knows."""

    problems: list[str] = field(default_factory=list)
    early: bool = False  # ended by a signal
    restored: bool | None = None  # None: nothing was written


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "set",
        help="try one setpoint on a charger, and put back what was in force",
        description="Writes one setpoint to a charger, reads back whether it is in force, holds "
        "it for a while and then puts back what was in force before; Ctrl-C does so at once.",
        epilog=WARNING,
    )
    add_device_options(parser)
    parser.add_argument("amps", type=_milliamps, metavar="AMPS", help="0 pauses the charger")
    parser.add_argument(
        "--hold",
        type=seconds(0, HOLD_MAX_S),
        metavar="S",
        default=HOLD_S,
        help=f"how long it stays in force; else {HOLD_S:g} s",
    )
    parser.add_argument(
        "--runtime", type=Path, metavar="DIR", help="of an enforcer that may run here"
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help=STATE_HELP)
    add_json_option(parser)


def run(args: Namespace) -> int:
    device = device_of(args)
    if isinstance(device, int):
        return device
    profile = device.profile
    if not isinstance(profile, ChargerProfile):
        complain(f"{profile.name} is the profile of a meter: only a charger takes a setpoint")
        return MISUSED
    profile = seated(profile)
    wrong = _out_of_range(profile, args.amps)
    if wrong is not None:
        complain(f"AMPS {wrong}")
        return MISUSED
    reason = asyncio.run(enforcer_here(args.runtime, counted=wears(profile)))
    if reason is not None:
        return _refused(reason, as_json=args.json)
    bus = device.bus(may_write=True)
    try:
        with wear_of(profile, args.state) as wear:
            memory = Memory(wear, device.address.place, device.unit, profile)
            trial = Trial(device.unit, profile, bus, args.amps, memory)
            outcome = asyncio.run(_try(trial, bus, profile, args))
    except UncountedError as error:
        return _refused(str(error), as_json=args.json)
    for problem in outcome.problems:
        complain(problem)
    if args.json:
        where = {"profile": profile.name, "bus": bus.url, "unit": device.unit}
        answer_json({**where, **_in_json(profile, trial, outcome, args.amps)})
    elif trial.before is not None:
        say(f"{profile.vendor} {profile.model} at {bus.url}, unit {device.unit}")
        _print(profile, trial, args.amps)
        _conclude(profile, trial, outcome, args.amps)
    return FINE if trial.taken and outcome.restored and not outcome.problems else NO


def _refused(reason: str, *, as_json: bool) -> int:
    complain(f"refused: {reason}")
    if as_json:
        answer_json({"written": False, "taken": False, "problems": [reason]})
    return NO


async def _try(trial: Trial, bus: Bus, profile: ChargerProfile, args: Namespace) -> Outcome:
    """All of it. Signals end what is tried, never what puts it back."""
    outcome = Outcome()

    async def attempt() -> None:
        await trial.look()
        _announce(profile, trial, args)
        await trial.write()
        await trial.hold(args.hold)

    work = asyncio.create_task(attempt())
    for name in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(name, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        outcome.early = True
        if not trial.taken:
            outcome.problems.append("ended before it was in force")
    except DeviceError as error:
        outcome.problems.append(str(error))
    finally:
        await _put_back(trial, outcome)
        bus.close()
    return outcome


async def _put_back(trial: Trial, outcome: Outcome) -> None:
    if not trial.written:
        return
    outcome.restored = False
    try:
        await trial.restore()
        outcome.restored = True
    except ContestedError as error:
        if str(error) not in outcome.problems:
            outcome.problems.append(str(error))
        outcome.problems.append("nothing was restored: the charger is left to who wrote last")
    except DeviceError as error:
        outcome.problems.append(f"NOT RESTORED: {error}")
        outcome.problems.append(f"by itself: {trial.alone()}")


def _announce(profile: ChargerProfile, trial: Trial, args: Namespace) -> None:
    """The last words before anything is written."""
    assert trial.before is not None
    left_ns = time_left_ns(profile, trial.before)
    if left_ns:
        complain(
            f"somebody has written a setpoint lately, it is valid for {seconds_text(left_ns)} s: "
            "does a controller run? It would undo this"
        )
    if not args.json:
        told = f"{amperes_text(args.amps)} A"
        if profile.watts is not None:
            told += f" ({written_w(profile, args.amps)} W of three phases at 400 V)"
        complain(f"{told} for {args.hold:g} s; Ctrl-C ends it and restores what was in force")


def _in_json(profile: ChargerProfile, trial: Trial, outcome: Outcome, ma: int) -> dict[str, object]:
    moments = {"before": trial.before, "after": trial.after, "now": trial.restored}
    answer: dict[str, object] = {
        name: sample
        and {
            key: {"value": value, "unit": unit}
            for key, (value, unit) in _seen(profile, trial, sample).items()
        }
        for name, sample in moments.items()
    }
    return {
        "asked": {"value": in_units(ma), "unit": "A"},
        "written": trial.written,
        "taken": trial.taken,
        "ended_early": outcome.early,
        "restored": outcome.restored,
        "problems": outcome.problems,
        **answer,
    }


def _print(profile: ChargerProfile, trial: Trial, ma: int) -> None:
    """What the charger showed before, with the setpoint, and after all, side by side."""
    moments = {
        "before": trial.before,
        f"at {amperes_text(ma)}": trial.after,
        "restored": trial.restored,
    }
    seen = {head: _seen(profile, trial, sample) for head, sample in moments.items() if sample}
    rows = [["", *seen, ""]]
    for name, (_, unit) in next(iter(seen.values())).items():
        values = [of[name][0] for of in seen.values()]
        rows.append([name, *("unknown" if each is None else str(each) for each in values), unit])
    for row in columns(rows, right=frozenset(range(1, len(seen) + 1))):
        say(f"  {row}")


def _conclude(profile: ChargerProfile, trial: Trial, outcome: Outcome, ma: int) -> None:
    if trial.taken and trial.after is not None:
        said = f"it took {amperes_text(ma)} A"
        if outcome.early:
            said += ", and was ended early"
        now_ma = applied_ma(profile, trial.after)
        if now_ma is not None and ma - now_ma >= profile.setpoint.step_ma:
            said += f"; it applies {amperes_text(now_ma)} A while no vehicle charges"
        say(said)
    restored_ma = (
        None if trial.restored is None else in_force_ma(profile, trial.restored, lapsed=False)
    )
    if outcome.restored and restored_ma is not None:
        say(f"{amperes_text(restored_ma)} A is in force again")


def _seen(profile: ChargerProfile, trial: Trial, sample: Sample) -> Shown:
    lapsed = sample is trial.before  # perhaps: all later ones follow a write
    left_ns = time_left_ns(profile, sample)
    shown: Shown = {
        "vehicle": (vehicle(profile, sample).name, ""),
        "in_force": (in_units(in_force_ma(profile, sample, lapsed)), "A"),
        "applied": (in_units(applied_ma(profile, sample)), "A"),
    }
    if profile.watchdog.remaining is not None:
        shown["valid_for"] = (None if left_ns is None else left_ns / NS_PER_S, "s")
    for terminal in TERMINALS:
        if (name := f"current_l{terminal}") in profile.currents:
            shown[name] = (in_units(current_ma(profile, sample, terminal)), "A")
    return shown


def _out_of_range(profile: ChargerProfile, ma: int) -> str | None:
    """Why the charger cannot be told this; None where it can."""
    least_ma = profile.setpoint.min_ma
    most_ma = PILOT_MAX_MA
    if profile.watts is not None:
        most_ma = WATTS_MAX_MA
    if profile.setpoint.max_ma is not None:
        most_ma = min(profile.setpoint.max_ma, most_ma)
    if ma != 0 and not least_ma <= ma <= most_ma:
        between = f"{amperes_text(least_ma)} to {amperes_text(most_ma)} A"
        return f"must be 0, which pauses the charger, or {between}"
    if profile.watts is None and ma % profile.setpoint.step_ma:  # powers are rounded down
        return f"must be in steps of {amperes_text(profile.setpoint.step_ma)} A"
    return None


def _milliamps(text: str) -> int:
    try:
        return milliamps(float(text))
    except ValueError:
        raise ArgumentTypeError("AMPS is a number of amperes, such as 10 or 6.5") from None
