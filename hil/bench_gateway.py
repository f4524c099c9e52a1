"""The bench `gateway`: a story with the product as it is installed, under a systemd of its own.

Devices, broker and back office are the rig's, each in a network of its own; the truth is the
plant's. What install.sh makes of a fresh Debian is made once for all stories of a run; each story
then has that machine to itself, gives it its site document and boots it.

Needs root on Linux, and says what else is missing.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from controller.facts import Profiles
from hil.bench_rig import RigBench
from hil.broker import BrokerError
from hil.canary import Canary
from hil.gateway import cgroup
from hil.gateway.bundle import BundleError, Bundles, bundles
from hil.gateway.container import Container, ContainerError, until
from hil.gateway.network import NetworkError
from hil.gateway.probing import probe
from hil.gateway.rig import RIG, SETUP, Gateway, Installed
from hil.making import roots
from hil.rig import Depot, RigError
from hil.stage import Outcome, Stage
from hil.story.gateway_events import (
    Command,
    CrashLoop,
    Install,
    PowerCut,
    PowerOff,
    Probe,
    Stall,
    Stop,
    UnitIs,
)
from hil.story.script import Problem, Story, StoryError
from hil.story.telling import concluded, ends_in_order, retold, tell_all
from hil.story.words import Event

SUITE = "bookworm"
PYTHON = "3.11"  # its own
PACKAGES = ("dbus", "iproute2", "kmod", "procps", "python3", "python3-venv", "systemd-sysv", "udev")
AT_ONCE = 6  # stories; most of the time a machine of theirs does nothing
COMES_BACK_WITHIN_S = 15.0
SAFE_WITHIN_S = 20.0
FAILURES = (RigError, BrokerError, ContainerError, NetworkError, roots.RootError, BundleError)


def missing() -> list[str]:
    """What this machine lacks for the bench; empty where it has what it takes."""
    lacks = roots.missing(roots.HOSTS.get(platform.machine(), "amd64"))
    wanted = {"systemd-nspawn": "systemd-container", "nsenter": "util-linux", "ip": "iproute2"}
    search = "/usr/sbin:/sbin:/usr/bin:/bin"
    for program, package in wanted.items():
        if shutil.which(program, path=search) is None:
            lacks.append(f"{program} (apt-get install {package})")
    return lacks


def run_all(stories: Sequence[Story], profiles: Profiles) -> Iterator[Outcome]:
    """Tells stories some at a time, each in a process of its own; outcomes in their order."""
    with installed() as machine:
        yield from tell_all(partial(_once, machine), stories, profiles, AT_ONCE)


def run(story: Story, profiles: Profiles) -> Outcome:
    """Tells the story in real time. Raises StoryError, DocumentError."""
    with installed() as machine:
        return retold(partial(_once, machine), story, profiles)


@contextmanager
def installed() -> Iterator[Installed]:
    """A Debian in which the documented installation has been done, offline, without a site.

    Raises StoryError with what is missing, or with what failed.
    """
    if lacks := missing():
        problem = f"cannot be had on this machine, which lacks {'; '.join(lacks)}"
        raise StoryError("gateway", [Problem("the gateway bench", problem)])
    cgroup.sweep()
    directory = Path(tempfile.mkdtemp(prefix="lk-"))
    try:
        root = roots.root(SUITE, roots.host_arch(), PACKAGES)
        made = bundles(PYTHON)
        layer = roots.Layer(root, directory / "installed")
        asyncio.run(_install(layer, made, directory))
        yield Installed((layer.upper, root), made)
    except FAILURES as error:
        raise StoryError("gateway", [Problem("the gateway bench", str(error))]) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _install(layer: roots.Layer, made: Bundles, directory: Path) -> None:
    """Boots a bare Debian, and does in it what docs/install.md says."""
    binds = {str(folder): f"{RIG}/{name}" for name, folder in made.folders}
    container = Container(layer, None, binds, directory)
    try:
        await container.boot()
        await container.settled()
        words = ("sh", f"{RIG}/bundle/install.sh", "--wheels", f"{RIG}/wheels")
        said = await container.run(*words, within_s=300.0)
        if said.status != 0:
            raise RigError(f"install.sh ended with {said.status}\n{said.out}")
        await container.power_off()
    finally:
        await container.cut()


def _once(machine: Installed, story: Story, profiles: Profiles) -> Outcome:
    return asyncio.run(_tell(machine, Stage(story, profiles)))


async def _tell(machine: Installed, stage: Stage) -> Outcome:
    """Once, from bringing everything up to the end of all processes."""
    ends_in_order()
    directory = Path(tempfile.mkdtemp(prefix="lk-"))
    canary = Canary()
    broken = last_words = ""
    measured: Mapping[str, float] = {}
    try:
        depot = Depot(stage.site, stage.document, stage.plant, tuple(stage.rows))
        gateway = Gateway(depot, directory, machine)
        try:
            async with gateway:
                with canary:
                    bench = GatewayBench(stage, gateway)
                    broken = await bench.run()
                    measured = bench.measured
        finally:
            last_words = gateway.last_words()
    except FAILURES as error:
        broken = str(error)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    outcome = concluded(stage, "gateway", directory, canary, broken, last_words)
    outcome.measured |= measured
    return outcome


class GatewayBench(RigBench):
    """One run of a story on a gateway that is up."""

    def __init__(self, stage: Stage, gateway: Gateway) -> None:
        super().__init__(stage, gateway)
        self.measured: dict[str, float] = {}
        self._gateway = gateway
        self._alone_ma = [row.fallback_ma for row in stage.rows]
        gateway.on_started = self._restarted

    async def _happens(self, event: Event, group: asyncio.TaskGroup) -> None:
        container = self._gateway.container
        match event:
            case PowerCut():
                await container.cut()
                group.create_task(self._boot(event.boot_after_s))
            case PowerOff():
                group.create_task(self._power_off(event))
            case Install():
                group.create_task(self._install(event))
            case Command():
                said = await container.run(*event.words)
                if said.status != 0:
                    words = " ".join(event.words)
                    self._unmet(f"{words} ended with {said.status}: {said.out}")
            case UnitIs():
                unit = self._gateway.units[event.unit].unit
                state = (await container.properties(unit, "ActiveState"))["ActiveState"]
                if state != event.state:
                    self._unmet(f"at {event.t_s:g} s {unit} is {state}, not {event.state}")
            case Probe():
                group.create_task(self._probe(event))
            case _:
                if isinstance(event, Stall | Stop) and getattr(event, "process", "") != "link":
                    group.create_task(self._back_to_safe())
                await super()._happens(event, group)

    def _unmet(self, what: str) -> None:
        self._gateway.installer.unmet.append(what)

    async def _crash(self, event: CrashLoop) -> None:
        """Its systemd starts it again, until it has had enough of it."""
        for _ in range(event.times):
            try:
                await until(lambda: self._gateway.enforcer.running, COMES_BACK_WITHIN_S)
            except TimeoutError:
                return
            await asyncio.sleep(event.lives_s)
            await self._gateway.enforcer.kill()
            await asyncio.sleep(event.restart_after_s)

    async def _power_off(self, event: PowerOff) -> None:
        began_s = time.monotonic()
        await self._gateway.container.power_off()
        self._note("power_off_s", time.monotonic() - began_s)
        await self._boot(event.boot_after_s)

    async def _boot(self, after_s: float | None) -> None:
        """And measures how long it takes, from nspawn's start."""
        if after_s is None:
            return
        await asyncio.sleep(after_s)
        began_s, written = time.monotonic(), self._gateway.writes()
        await self._gateway.boot()
        first = asyncio.ensure_future(self._gateway.first_written(written, SAFE_WITHIN_S))
        try:
            all_s = await self._gateway.all_written(written, SAFE_WITHIN_S)
        except TimeoutError:
            self._unmet(f"not all chargers were told anything within {SAFE_WITHIN_S:g} s of a boot")
            return
        finally:
            first_s = (await asyncio.gather(first, return_exceptions=True))[0]
        unit = self._gateway.units["enforcer"].unit
        names = ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
        found = await self._gateway.container.properties(unit, *names)
        started_s, ready_s = (int(found[name]) / 1e6 for name in names)
        self._note("boot_s", started_s - began_s)
        self._note("ready_s", ready_s - began_s)
        if isinstance(first_s, float):
            self._note("first_setpoint_s", first_s - began_s)
        self._note("all_setpoints_s", all_s - began_s)

    async def _back_to_safe(self) -> None:
        """From now, when the enforcer hangs, until each charger has heard a new one and offers no
        more than what it does alone."""
        began_s, hung = time.monotonic(), self._gateway.enforcer.pid
        try:
            await until(lambda: self._gateway.enforcer.pid not in (hung, None), SAFE_WITHIN_S)
            await self._gateway.all_written(self._gateway.writes(), SAFE_WITHIN_S)
            await until(self._all_safe, SAFE_WITHIN_S)
        except TimeoutError:
            self._unmet(f"not safe again within {SAFE_WITHIN_S:g} s of a hang")
            return
        self._note("hang_to_safe_s", time.monotonic() - began_s)

    def _all_safe(self) -> bool:
        self._gateway.present()
        plant = self._gateway.depot.plant
        return all(
            plant.charger(index).offered_ma <= alone_ma
            for index, alone_ma in enumerate(self._alone_ma)
        )

    def _note(self, name: str, value_s: float) -> None:
        """The longest counts."""
        self.measured[name] = max(self.measured.get(name, 0.0), round(value_s, 3))

    async def _install(self, event: Install) -> None:
        began_s = time.monotonic()
        if event.version == "back":
            said = await self._gateway.install(SETUP, "--back")
        else:
            script = f"{RIG}/{event.version}/install.sh"
            said = await self._gateway.install(script, "--wheels", f"{RIG}/wheels")
        self._note(f"install_{event.version}_s", time.monotonic() - began_s)
        if (said.status == 0) != (event.ends == "in_force"):
            self._unmet(f"install.sh ({event.version}) ended with {said.status}\n{said.out}")

    async def _probe(self, event: Probe) -> None:
        for problem in await probe(self._gateway, event.unit):
            self._unmet(problem)
