"""A depot to look at: real devices' protocols, both processes, a real broker, lively vehicles."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import termios
import tomllib
import tty
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from controller import site as sites
from controller.commands.output import answer_json, complain, say
from controller.hardware import build_plant, hardware
from drivers.library import library
from hil.broker import KINDS, BrokerError, Kind, choose
from hil.demo.life import Life
from hil.demo.scene import BASE_KEY, QUIT_KEY, scene
from hil.demo.show import Show
from hil.demo.view import picture
from hil.rig import Depot, Rig, RigError
from hil.story.script import SITES
from hil.story.truth import Truth

HEADLESS_S = 20.0
FRAME_S = 0.25
METER_LAG_NS = 100_000_000
# Without a viewer the demo breaks things by itself: seconds into each half minute, and a key.
SCRIPT = (
    *((2.0, "m"), (5.5, "m"), (6.0, "a"), (9.5, "a"), (10.0, "k")),
    *((19.0, "c"), (22.5, "c"), (23.0, "b"), (25.0, "l")),
)
SCRIPT_S, SCRIPT_NEEDS_S = 32.0, 24.0


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("demo", help="a live depot, with faults to cause")
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="run so long without a screen, then sum up"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument(
        "--broker",
        choices=KINDS,
        help="by default mosquitto, where there is one",
    )


def run(args: Namespace) -> int:
    """0: the depot stayed under its ratings as it must and nobody died; 1: it did not."""
    seconds: float | None = args.seconds
    if seconds is None and (args.json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        seconds = HEADLESS_S
        say(f"There is no terminal to draw on: {seconds:g} s without a screen.")
    try:
        return asyncio.run(_demo(seconds, args.json, args.broker or choose()))
    except (RigError, BrokerError) as error:
        complain(str(error))
        return 1


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 1 to 86400")
    return seconds


async def _demo(seconds: float | None, as_json: bool, broker: Kind) -> int:
    depot = _depot()
    say(
        f"Bringing up {len(depot.rows)} chargers, {len(depot.site.meters)} meters, a broker "
        f"({broker}), the enforcer and the link …"
    )
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        async with Rig(depot, Path(directory), broker=broker) as rig:
            life = Life(depot.plant, len(depot.rows), root=0)
            show = Show(rig, life, Truth(depot.site))
            assert rig.cloud is not None
            rig.cloud.on_sent = show.sent
            await _until_ended(show, _play(show, seconds) if seconds else _watch(show))
            result, well = show.result(), show.went_well()
            if not well:
                complain(rig.last_words())
    if as_json:
        answer_json(result)
    else:
        for line in _summary(result):
            say(line)
    return 0 if well else 1


def _summary(result: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{result['chargers']} chargers gave {result['energy_kwh']:.2f} kWh in "
        f"{result['seconds']:.0f} s; {result['setpoint_writes']} setpoints were written."
    )
    for what in ("cap", "rating"):
        suffix = "" if what == "cap" else "_rating"
        worst_a, longest_s = result[f"worst_over{suffix}_a"], result[f"longest_over{suffix}_s"]
        how = f"by {worst_a:.1f} A at most, {longest_s:.1f} s at a stretch" if worst_a else "never"
        yield f"Above a {what}: {how}."
    yield f"Faults that Loadkeeper noticed: {', '.join(result['faults']) or 'none'}."
    for missed in result["missed"]:
        yield f"Not noticed: {missed}."
    for death in result["died"]:
        yield f"Ended unasked: {death}."
    used = (result["enforcer_rss_mb"], result["link_rss_mb"])
    yield "At most {:.0f} MB were used by the enforcer, {:.0f} MB by the link.".format(*used)


def _depot() -> Depot:
    """The demo's site with a plant that is as the site says."""
    path = SITES / "demo.toml"
    site = sites.load(path, library())
    rows = hardware(site)
    plant = build_plant(site, seed=1, chargers=rows)
    plant.set_meter(0, lag_ns=METER_LAG_NS, refresh_ns=METER_LAG_NS)
    return Depot(site, tomllib.loads(path.read_text(encoding="utf-8")), plant, rows)


async def _until_ended(show: Show, viewer: Coroutine[None, None, None]) -> None:
    """Runs until the viewer has seen enough, or somebody asks us to end."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked.set)
    depot, viewing, ending = (
        asyncio.ensure_future(each) for each in (show.run(), viewer, asked.wait())
    )
    tasks = (depot, viewing, ending)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # what went wrong in it goes wrong here
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _play(show: Show, seconds: float) -> None:
    """Without a screen: events as lines, faults by a script."""
    told = 0
    script = list(_script(seconds))
    while (t_s := show.t_s) < seconds:
        while script and t_s >= script[0][0]:
            await _press(show, script.pop(0)[1])
        for event in list(show.events)[told - show.told :] if show.told > told else ():
            say(event)
        told = show.told
        sys.stdout.flush()
        await asyncio.sleep(FRAME_S)


def _script(seconds: float) -> Iterator[tuple[float, str]]:
    """Faults as long as there is time for them; none in a run too short for a sequence."""
    begin_s = 0.0
    while seconds - begin_s >= SCRIPT_NEEDS_S:
        yield from ((begin_s + at_s, key) for at_s, key in SCRIPT)
        begin_s += SCRIPT_S


async def _watch(show: Show) -> None:
    """With a screen, until `q`."""
    console = Console()
    with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(picture(scene(show), *console.size), refresh=True)
            try:
                async with asyncio.timeout(FRAME_S):
                    key = await keys.get()
            except TimeoutError:
                continue
            if key == QUIT_KEY:
                return
            await _press(show, key)


async def _press(show: Show, key: str) -> None:
    if key == BASE_KEY:
        show.step()
    elif key in show.troubles:
        await show.switch(key)


@contextmanager
def _keys() -> Iterator[asyncio.Queue[str]]:
    """Single keys as they are pressed; the terminal is given back as it was."""
    fd = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    keys: asyncio.Queue[str] = asyncio.Queue()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)

    def take() -> None:
        for key in os.read(fd, 64).decode("latin-1"):
            keys.put_nowait(key)

    loop.add_reader(fd, take)
    try:
        yield keys
    finally:
        loop.remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
