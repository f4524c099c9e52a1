"""`loadkeeper identify SITE CHARGER`: where a charger hangs, told by what follows its steps."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from pathlib import Path
from typing import Any

from cext.rows import NO_PHASE
from controller.commands.gateway import enforcer_here
from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    complain,
    say,
)
from controller.commands.processes import site_of
from controller.commands.wearing import STATE_HELP, UncountedError, wear_of, wears
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.proof import Proof, prove
from controller.site import Site
from controller.units import PPM, amperes_text, milliamps
from drivers.chargerprofile import ChargerProfile
from drivers.device import DeviceError
from drivers.finding import Finding, Weight
from drivers.memory import Memory
from drivers.patience import patiently
from drivers.pattern import CODE, ROUNDS
from drivers.reader import Sample
from drivers.report import in_force_ma, vehicle
from drivers.survey import profile_of
from drivers.trial import CHARGING, Trial
from drivers.variation import Watch, dwell_s, most_ma, own_ma, vary, window_s
from drivers.whereabouts import Answer, answer_of, conclusions, path_of

STEP_MA = 4_000
STEPS_MA = range(2_000, 10_001)
DRAWS_MA = 3_000  # a vehicle that charges
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WARNING = (
    "No enforcer may control meanwhile, on whatever machine: it would undo each step. The charger "
    "goes down from what is in force. Where that is its least already it goes up, within what the "
    "commissioning proof leaves free with all chargers on their own, and only while the meters "
    "above it show that it fits. What was in force is put back after each step and in the end."
)


class UnableError(Exception):
    """Why nothing can be varied; nothing was."""


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "identify",
        help="vary one charger by a few amperes, and tell from the meters where it hangs",
        description="Varies one charger by a few amperes, in an irregular pattern, and tells from "
        "the meters which circuit and phases moved, and whether the document says so. A vehicle "
        "must charge there; one that charges on a single phase tells the most.",
        epilog=WARNING,
    )
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    parser.add_argument("charger", metavar="CHARGER", help="its id")
    parser.add_argument(
        "--step", type=_step, default=STEP_MA, metavar="A", help="from 2 to 10 A; else 4 A"
    )
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="of an enforcer that may run")
    parser.add_argument("--state", type=Path, metavar="DIR", help=STATE_HELP)
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: it hangs where the document says; 1: it does not, or that cannot be told."""
    site = site_of(args)
    if isinstance(site, int):
        return site
    charger = next((each for each in site.chargers if each.id == args.charger), None)
    if charger is None:
        complain(f"there is no charger {args.charger!a} in {args.site}")
        return MISUSED
    try:
        counted = charger.switch is None and wears(_profile(charger))
        reason = asyncio.run(enforcer_here(args.runtime, counted=counted))
        if reason is not None:
            raise UnableError(f"refused: {reason}")
        found, answer = asyncio.run(_identify(args, site, charger))
    except (UnableError, UncountedError, DeviceError) as error:
        complain(str(error))
        if args.json:
            answer_json({"charger": charger.id, "error": str(error), "findings": []})
        return NO
    except asyncio.CancelledError:
        complain("ended early; what was in force is put back")
        return NO
    found.sort(key=lambda each: each.weight)
    if args.json:
        answer_json(_in_json(charger, found, answer))
    else:
        _say(charger, found)
    return FINE if _told(found) else NO


def _profile(charger: Charger) -> ChargerProfile:
    profile = profile_of(charger)
    assert isinstance(profile, ChargerProfile)
    return profile


def _told(found: list[Finding]) -> bool:
    wrong = any(each.weight is Weight.WRONG for each in found)
    return not wrong and any(each.code == "circuit" for each in found)


async def _identify(args: Namespace, site: Site, charger: Charger) -> tuple[list[Finding], Answer]:
    if charger.switch is not None:
        raise UnableError(f"{charger.id} has no bus: switch it by hand and look at the meters")
    if not site.source_ids:
        raise UnableError("the document has no meter and no clamp that could see it")
    profile = _profile(charger)
    work = asyncio.current_task()
    assert work is not None

    def end() -> None:
        """Once: a second signal must not end what puts back."""
        if not work.cancelling():
            work.cancel()

    for name in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(name, end)
    with wear_of(profile, args.state) as wear:
        return await _vary(args, site, charger, profile, Memory.of(wear, charger, profile))


async def _vary(
    args: Namespace, site: Site, charger: Charger, profile: ChargerProfile, memory: Memory
) -> tuple[list[Finding], Answer]:
    path = path_of(site, charger.circuit)
    async with Watch(site, charger.bus) as watch:
        look = Trial(charger.unit, profile, watch.bus, 0)
        await patiently(look.look)
        assert look.before is not None
        base_ma, tried_ma = _step_of(args.step, site, charger, profile, look.before, prove(site))
        upwards = tried_ma > base_ma
        lasts_s = len(CODE) * dwell_s(site, charger)
        complain(
            f"{charger.id}: {amperes_text(base_ma)} and {amperes_text(tried_ma)} A in turn, for "
            f"{lasts_s:.0f} s, {ROUNDS * lasts_s:.0f} s at most; Ctrl-C ends it and restores"
        )
        rise_ma = tried_ma - base_ma if upwards else 0
        await asyncio.sleep(window_s(site))

        def fits() -> str | None:
            return _over(site, charger, watch, rise_ma, path) if upwards else None

        course = await vary(
            charger,
            profile,
            watch,
            site,
            tried_ma,
            lambda course: answer_of(site, charger, course, tried_ma - base_ma).settled,
            fits,
            complain,
            memory,
        )
    answer = answer_of(site, charger, course, tried_ma - base_ma)
    return list(conclusions(site, charger, answer)), answer


def _step_of(
    step_ma: int,
    site: Site,
    charger: Charger,
    profile: ChargerProfile,
    sample: Sample,
    proof: Proof,
) -> tuple[int, int]:
    """What is in force, and what is tried beside it. Raises UnableError."""
    base_ma = in_force_ma(profile, sample)
    assert base_ma is not None  # Trial.look has seen it
    if vehicle(profile, sample) not in CHARGING:
        raise UnableError(f"cannot tell: no vehicle charges at {charger.id}")
    drawn_ma = most_ma(own_ma(profile, sample))
    if drawn_ma is not None and drawn_ma < DRAWS_MA:
        drawn = amperes_text(drawn_ma)
        raise UnableError(f"cannot tell: the vehicle at {charger.id} draws {drawn} A only")
    top_ma = base_ma if drawn_ma is None else min(base_ma, drawn_ma)
    lower_ma = (top_ma - step_ma) // charger.step_ma * charger.step_ma
    if lower_ma >= charger.least_ma:
        return base_ma, lower_ma
    higher_ma = (base_ma + step_ma) // charger.step_ma * charger.step_ma
    most = permitted_ma(site, charger, proof)
    if higher_ma <= most:
        return base_ma, higher_ma
    raise UnableError(
        f"cannot vary {charger.id}: {amperes_text(base_ma)} A is in force, its least is "
        f"{amperes_text(charger.least_ma)} A, and no more than {amperes_text(most)} A is proven "
        "to fit; try a smaller --step, or with the other chargers' fallbacks lower"
    )


def permitted_ma(site: Site, charger: Charger, proof: Proof) -> int:
    """What it may be told while all others are on their own: what the proof's sums leave free."""
    path = path_of(site, charger.circuit)
    sums = [each for each in proof.findings if each.circuit in path]
    if not sums or not all(each.passed for each in sums):
        return 0
    free_ma = min(each.allowed_ma - each.sum_ma for each in sums)
    most_ma = charger.alone_ma + free_ma * PPM // (PPM + charger.tolerance_ppm)
    ceiling_ma = charger.max_ma if charger.ceiling_ma is None else charger.ceiling_ma
    return min(most_ma, charger.max_ma, ceiling_ma)


def _over(
    site: Site, charger: Charger, watch: Watch, rise_ma: int, path: frozenset[str]
) -> str | None:
    """Why a step up may not be taken now: a meter above it shows no room, or nothing at all."""
    needs_ma = rise_ma * (PPM + charger.tolerance_ppm) // PPM
    seen = False
    sources: tuple[Meter | Clamp, ...] = (*site.meters, *site.clamps)
    for source in sources:
        if source.circuit not in path:
            continue
        rating_ma = next(c.rating_ma for c in site.circuits if c.id == source.circuit)
        shown = watch.level(source.id, window_s(site))
        for phase in range(3):
            ma = shown[phase]
            if ma is None:
                return f"no step up: {source.id} does not say what flows on {source.circuit}"
            seen = True
            if phase in charger.phases and ma + source.error_ma + needs_ma > rating_ma[phase]:
                return f"no step up: {source.circuit} carries {amperes_text(ma)} A on L{phase + 1}"
    return None if seen else "no step up: no meter above it is heard"


# What is told.


def _say(charger: Charger, found: list[Finding]) -> None:
    for each in found:
        for line in each.lines():
            say(line)
    if not found:
        say(f"{charger.id}: nothing can be told")


def _in_json(charger: Charger, found: list[Finding], answer: Answer) -> dict[str, Any]:
    phases = [None if each == NO_PHASE else f"L{each + 1}" for each in charger.phases]
    return {
        "charger": charger.id,
        "circuit": charger.circuit,
        "phases": phases,
        "terminals": None if answer.terminals is None else [t + 1 for t in answer.terminals],
        "sources": {
            each.source.id: {
                "circuit": each.source.circuit,
                "moved": [f"L{i + 1}" for i in each.moved],
                "unknown": [f"L{i + 1}" for i in sorted(each.open)],
                "ratio": [None if s is None else round(s.ratio, 3) for s in each.slopes],
                "error": [None if s is None else round(s.error, 3) for s in each.slopes],
            }
            for each in answer.seen
        },
        "findings": [each.as_json() for each in found],
    }


def _step(text: str) -> int:
    try:
        found = milliamps(float(text))
    except ValueError:
        found = 0
    if found not in STEPS_MA:
        raise ArgumentTypeError("a step is 2 to 10 A")
    return found
