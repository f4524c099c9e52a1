"""The bench `rig`: a story in real time, with real processes, protocols and a real broker.

Judged, as on every bench, by the truth of the plant.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from controller.facts import Profiles
from hil.broker import BrokerError
from hil.canary import Canary
from hil.cloud import Ask
from hil.devices.clamp import Speech
from hil.devices.pdu import Manner
from hil.faults import Fault
from hil.faults.device import DeviceFault
from hil.faults.process import PauseFault, ProcessFault
from hil.faults.proxy import LineFault
from hil.faults.thread import ThreadFault
from hil.faults.view import view
from hil.rig import Depot, Rig, RigError
from hil.stage import NS_PER_S, Outcome, Stage
from hil.story.gateway_events import CrashLoop, Kill, Leave, Stall, Stop
from hil.story.happenings import (
    ChargerBack,
    ChargerSilent,
    ClampBack,
    ClampNoise,
    ClampShows,
    ClampSilent,
    ClampText,
    ClampUnplugged,
    CloudBack,
    CloudCut,
    Contact,
    Desired,
    Limit,
    MeterBack,
    MeterShows,
    MeterSilent,
    PowerCycle,
    Prooftest,
    Voltage,
    Weld,
    WireBroken,
    WireMended,
)
from hil.story.mishaps import Mishap, fault_of, proxied
from hil.story.replayed import BLACKBOX, unlike, up_s
from hil.story.script import Story, chosen
from hil.story.telling import concluded, ends_in_order, retold, tell_all
from hil.story.words import Event

SAMPLE_EVERY_S = 0.015
LEAVES_WITHIN_S = 12.0
SPEECH: dict[type[Event], Speech] = {
    ClampSilent: Speech.NOTHING,
    ClampText: Speech.TEXT,
    ClampNoise: Speech.NOISE,
}


def run(story: Story, profiles: Profiles) -> Outcome:
    """Tells the story in real time. Raises StoryError, DocumentError."""
    return retold(_once, story, profiles)


def run_all(stories: Sequence[Story], profiles: Profiles) -> Iterator[Outcome]:
    """Tells many at a time, each in a process of its own; outcomes in the stories' order."""
    return tell_all(_once, stories, profiles)


def _once(story: Story, profiles: Profiles) -> Outcome:
    return asyncio.run(_tell(Stage(story, profiles)))


async def _tell(stage: Stage) -> Outcome:
    """Once, from bringing everything up to the end of all processes."""
    ends_in_order()
    directory = Path(tempfile.mkdtemp(prefix="lk-"))
    canary = Canary()
    broken = last_words = ""
    try:
        depot = Depot(stage.site, stage.document, stage.plant, tuple(stage.rows))
        async with Rig(depot, directory, stage.story.watchdog_s, proxied=proxied(stage)) as rig:
            with canary:
                broken = await RigBench(stage, rig).run()
        last_words = rig.last_words()
        broken = broken or unlike(rig.state / BLACKBOX, up_s(stage.story))
    except (RigError, BrokerError) as error:
        broken = str(error)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return concluded(stage, "rig", directory, canary, broken, last_words)


class RigBench:
    """One run of a story on a rig that is up."""

    def __init__(self, stage: Stage, rig: Rig) -> None:
        assert rig.line is not None
        assert rig.cloud is not None
        self._stage = stage
        self._rig = rig
        self._begin_ns = 0
        self._held: dict[str, Limit] = {}
        self._cloud = rig.cloud
        self._cloud.on_sent = self._sent
        self._cut = LineFault(rig.line)
        rig.service.on_restart = self._restarted

    async def run(self) -> str:
        """To the end, or until a process ends unasked: then what is to be told of it."""
        self._begin_ns = time.monotonic_ns()
        self._stage.begin(self._begin_ns)
        happening = asyncio.ensure_future(self._all_happens())
        try:
            while True:
                self._stage.sample(time.monotonic_ns())
                if self._t_s >= self._stage.story.duration_s:
                    return "\n".join(self._rig.installer.unmet)
                if happening.done():
                    happening.result()
                for child in (self._rig.enforcer, self._rig.link):
                    if child.died:
                        return (
                            f"the {child.name} ended by itself at {self._t_s:.1f} s with exit "
                            f"status {child.status}\n{child.tail()}"
                        )
                await asyncio.sleep(SAMPLE_EVERY_S)
        finally:
            happening.cancel()
            await asyncio.gather(happening, return_exceptions=True)

    @property
    def _t_s(self) -> float:
        return (time.monotonic_ns() - self._begin_ns) / NS_PER_S

    async def _all_happens(self) -> None:
        async with asyncio.TaskGroup() as group:
            for event in self._stage.story.events():
                await asyncio.sleep(event.t_s - self._t_s)
                await self._happens(event, group)

    def _sent(self, ask: Ask) -> None:
        """A limit counts from now if there was somebody to hear it."""
        if self._rig.hears_cloud:
            self._stage.publish(time.monotonic_ns(), self._held[ask.source])

    async def _happens(self, event: Event, group: asyncio.TaskGroup) -> None:
        self._stage.plant.advance(time.monotonic_ns())
        if self._on_pins(event):
            return
        if self._stage.happens(event):
            self._reboot(event)
            return
        if self._goes_wrong(event, group):
            return
        if await self._is_measured(event) or await self._to_processes(event, group):
            return
        match event:
            case Limit():
                self._hold(event)
            case Desired():
                publishing = self._rig.installer.publish(event, self._rig.written, self._cloud)
                group.create_task(publishing)
            case Prooftest():
                group.create_task(self._rig.installer.test(event, self._rig.runtime))
            case CloudCut() | CloudBack():
                await (self._cut.begin() if isinstance(event, CloudCut) else self._cut.end())
            case ChargerSilent(charger=charger):
                await asyncio.gather(*(self._silence(id_).begin() for id_ in self._ids(charger)))
            case ChargerBack(charger=charger):
                await asyncio.gather(*(self._silence(id_).end() for id_ in self._ids(charger)))
            case _:
                raise TypeError(f"this bench cannot do {type(event).__name__}")

    async def _is_measured(self, event: Event) -> bool:
        """Whether it happens to a meter or clamp."""
        rig = self._rig
        match event:
            case MeterSilent(meter=meter):
                await self._silence(meter).begin()
            case MeterBack(meter=meter):
                await self._silence(meter).end()
            case MeterShows(meter=meter, how=how, scale=scale):
                rig.meter_devices[meter].view = view(how, scale)
            case ClampShows(clamp=clamp, how=how, scale=scale):
                rig.clamps[clamp].view = view(how, scale)
            case ClampUnplugged(clamp=clamp):
                rig.clamps[clamp].line.pull()
            case ClampSilent(clamp=clamp) | ClampText(clamp=clamp) | ClampNoise(clamp=clamp):
                rig.clamps[clamp].speech = SPEECH[type(event)]
            case ClampBack(clamp=clamp):
                rig.clamps[clamp].speech = Speech.LINES
                rig.clamps[clamp].line.plug()
            case _:
                return False
        return True

    async def _to_processes(self, event: Event, group: asyncio.TaskGroup) -> bool:
        """Does what happens to the product's own processes; False for everything else."""
        match event:
            case Kill():
                await self._kill(event, group)
            case Leave():
                group.create_task(self._leave(event))
            case CrashLoop():
                group.create_task(self._crash(event))
            case Stall():
                fault: Fault = ThreadFault(self._rig.enforcer, event.thread)
                group.create_task(_lasting(event.for_s, fault))
            case Stop():
                ours = event.process == "enforcer"
                child = self._rig.enforcer if ours else self._rig.link
                group.create_task(_lasting(event.for_s, PauseFault(child)))
            case _:
                return False
        return True

    def _on_pins(self, event: Event) -> bool:
        """Does what happens to contactors and contacts; False for everything else."""
        gear = self._rig.supplies.gear
        if gear is None:
            return False
        match event:
            case Weld(contactor=contactor):
                gear.weld(contactor)
            case Contact(input=contact, active=active, percent=percent):
                gear.ask(contact, active, percent)
            case WireBroken(pin=pin):
                gear.break_wire(pin, True)
            case WireMended(pin=pin):
                gear.break_wire(pin, False)
            case _:
                return False
        for row in self._stage.site.inputs:
            self._stage.dims(row.id, gear.asked(row.id))
        return True

    def _reboot(self, event: Event) -> None:
        """The plant knows when a charger is without power; its registers must, too."""
        for id_ in self._ids(event.charger) if isinstance(event, PowerCycle) else ():
            self._rig.sockets[id_].reboot()
        if isinstance(event, Voltage):
            for device in self._rig.sockets.values():
                device.feel(event.percent / 100)

    def _goes_wrong(self, event: Event, group: asyncio.TaskGroup) -> bool:
        """Does what happens on lines and to the broker; False for everything else."""
        if not isinstance(event, Mishap):
            return False
        group.create_task(_lasting(event.for_s, fault_of(event, self._rig, self._stage)))
        return True

    def _ids(self, patterns: Sequence[str]) -> list[str]:
        return [self._stage.chargers[index] for index in chosen(patterns, self._stage.chargers)]

    def _hold(self, limit: Limit) -> None:
        circuits = {source.id: source.circuit for source in self._stage.site.limit_sources}
        self._held[limit.source] = limit
        ask = Ask(
            limit.source,
            circuits[limit.source],
            limit.limit_a,
            limit.ttl_s,
            limit.until_s,
            limit.reason,
        )
        self._cloud.hold(ask, limit.every_s)

    def _silence(self, device: str) -> Fault:
        servers = {**self._rig.meters, **self._rig.chargers}
        return DeviceFault(servers[device], Manner.SILENT)

    async def _kill(self, event: Kill, group: asyncio.TaskGroup) -> None:
        ours = event.process == "enforcer"
        fault = ProcessFault(self._rig.enforcer if ours else self._rig.link)
        await fault.begin()
        if event.restart_after_s is None:
            return
        after_s = event.restart_after_s
        group.create_task(self._start(after_s) if ours else _later(after_s, fault))

    async def _start(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._rig.enforcer.start()
        self._restarted()

    async def _leave(self, event: Leave) -> None:
        await self._rig.enforcer.stop(LEAVES_WITHIN_S)
        if event.restart_after_s is not None:
            await self._start(event.restart_after_s)

    async def _crash(self, event: CrashLoop) -> None:
        for _ in range(event.times):
            await self._rig.enforcer.kill()
            await self._start(event.restart_after_s)
            await asyncio.sleep(event.lives_s)

    def _restarted(self) -> None:
        self._stage.trace.restarts_s.append(self._t_s)


async def _lasting(for_s: float, fault: Fault) -> None:
    """From now on for so long, or until the story ends."""
    try:
        await fault.begin()
        await asyncio.sleep(for_s)
    finally:
        await fault.end()


async def _later(after_s: float, fault: Fault) -> None:
    await asyncio.sleep(after_s)
    await fault.end()
