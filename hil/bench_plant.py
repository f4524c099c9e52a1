"""The bench `plant`: a story in virtual time, in this process, repeatable by its seed.

The cloud, its broker, and how long processes take to start are imitated here. What a limit
message must be is checked by the same code as in the enforcer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from cext.errands import Agenda
from cext.plant import Plant
from controller.facts import Profiles
from controller.guard.guard import Verdict
from controller.hardware import killed, let_go
from controller.limits import Lease
from controller.plant import UTC_BEGIN_NS, VirtualEnforcer
from controller.site import Site
from hil.contacts import Contacts
from hil.faults.view import View, view
from hil.service import RESTART_S
from hil.stage import SAMPLE_S, Outcome, Stage, nanoseconds
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
    Limit,
    MeterBack,
    MeterShows,
    MeterSilent,
    Weld,
    WireBroken,
    WireMended,
)
from hil.story.line_events import BrokerIll, Connection, ConverterIll, Misrouted, SerialLine
from hil.story.mishaps import silenced
from hil.story.script import Story, chosen
from hil.story.words import Event

CONNECT_NS = 300_000_000  # from a way to the broker until the session's nonce is known
LEAVE_NS = 6_000_000_000  # from SIGTERM until the last orders are seen in force
LOOK_NS = 100_000_000  # a contact is looked at this often
START_NS = 1_000_000_000  # from a process's start until it is at work


def run(story: Story, profiles: Profiles) -> Outcome:
    """Tells the story to its end. Raises StoryError, DocumentError."""
    return PlantBench(Stage(story, profiles)).run()


def run_all(stories: Sequence[Story], profiles: Profiles) -> Iterator[Outcome]:
    """One after the other: nothing here takes long."""
    return (run(story, profiles) for story in stories)


class PlantBench:
    """One run of a story, from 0 ns."""

    def __init__(self, stage: Stage, *, guarded: bool = True) -> None:
        """`guarded`: a guard judges every decision; that it disputes none is expected."""
        self.stage = stage
        self.disputes: list[Verdict] = []
        self._guarded = guarded
        self.enforcer: VirtualEnforcer | None = None
        self.now_ns = 0
        self.agenda = Agenda(self._go_on)
        self._silent: set[str] = set()
        self._shows: dict[str, View] = {}
        self._leases: dict[str, Lease] = {}
        self._stalled: set[str] = set()
        self._fed_ns: int | None = None  # systemd's watchdog, once the enforcer is at work
        self._cloud = VirtualCloud(self)
        self._contacts = Contacts(stage.site.inputs)

    def run(self) -> Outcome:
        self.begin()
        self.run_until(nanoseconds(self.stage.story.duration_s))
        outcome = self.stage.outcome("plant")
        for verdict in self.disputes[:1]:
            more = len(self.disputes) - 1
            outcome.disputed = (
                f"at {verdict.now_ns / 1e9:.3f} s, and {more} more: {verdict.disputes}"
            )
        return outcome

    def begin(self) -> None:
        """The story's first instant, and all that is to happen put down."""
        story = self.stage.story
        let_go(self.stage.site, self.stage.plant)
        self.stage.begin(0)
        self._start_enforcer()
        self._cloud.open_session()
        for event in story.events():
            self.agenda.at(nanoseconds(event.t_s), partial(self._happens, event))
        if self.stage.site.inputs:
            self._look_at_contacts()
        for i in range(1, round(story.duration_s / SAMPLE_S) + 1):
            self.agenda.at(nanoseconds(i * SAMPLE_S), self._sample)

    def run_until(self, until_ns: int) -> None:
        self.agenda.run_until(until_ns)

    def _go_on(self, now_ns: int) -> None:
        self.now_ns = now_ns
        if self.enforcer is not None:
            self.enforcer.run_until(now_ns)
        self.stage.plant.advance(now_ns)

    def _sample(self) -> None:
        self._watch()
        self.stage.sample(self.now_ns)

    def _look_at_contacts(self) -> None:
        """What the driver of a contact does: renews what its source asks for, while still."""
        self.agenda.at(self.now_ns + LOOK_NS, self._look_at_contacts)
        for row in self._contacts:
            if self.enforcer is not None:
                asked = self._contacts.asked(row.id).limit_ma
                self.enforcer.limits.take_contact(row.id, self.now_ns, asked)

    def _on_pins(self, event: Event) -> bool:
        """Does what happens to contacts; False for everything else."""
        match event:
            case Contact(input=contact, active=active, percent=percent):
                self._contacts.ask(contact, active, percent)
            case WireBroken(pin=pin) if pin in self._contacts:
                self._contacts.break_wire(pin, True)
            case WireMended(pin=pin) if pin in self._contacts:
                self._contacts.break_wire(pin, False)
            case _:
                return False
        for row in self._contacts:
            self.stage.dims(row.id, self._contacts.asked(row.id).limit_ma)
        return True

    def _happens(self, event: Event) -> None:
        done = self.stage.happens(event) or self._to_processes(event)
        if done or self._is_measured(event) or self._on_pins(event):
            return
        match event:
            case Limit():
                self._cloud.hold(event)
            case CloudCut():
                self._cloud.lose("cloud")
            case CloudBack():
                self._cloud.regain("cloud")
            case ChargerSilent(charger=charger):
                self._silent.update(self._ids(charger))
            case ChargerBack(charger=charger):
                self._silent.difference_update(self._ids(charger))
            case Weld(contactor=contactor):
                self.stage.plant.set_welded(self.stage.contactors.index(contactor), True)
            case BrokerIll(for_s=for_s):
                self._cloud.lose("broker")
                self._after(for_s, partial(self._cloud.regain, "broker"))
            case SerialLine() | Misrouted() | ConverterIll() | Connection():
                silent = silenced(event, self.stage)
                self._silent.update(silent)
                self._after(event.for_s, partial(self._silent.difference_update, silent))
            case _:
                raise TypeError(f"this bench cannot do {type(event).__name__}")

    def _to_processes(self, event: Event) -> bool:
        """Does what happens to the product's own processes; False for everything else."""
        match event:
            case Kill():
                self._kill(event.process, event.restart_after_s)
            case Leave():
                self._leave(event)
            case CrashLoop():
                self._crash(event, event.times)
            case Stall(thread=thread):
                self._stall({thread}, event.for_s)
            case Stop(process="enforcer"):
                self._stall({"kernel", "io"}, event.for_s)
            case _:
                return False
        return True

    def _is_measured(self, event: Event) -> bool:
        """Whether it happens to a meter or clamp; one that sends no lines is as good as silent."""
        match event:
            case MeterSilent(meter=source) | ClampSilent(clamp=source):
                self._silent.add(source)
            case ClampUnplugged(clamp=source) | ClampText(clamp=source) | ClampNoise(clamp=source):
                self._silent.add(source)
            case MeterBack(meter=source) | ClampBack(clamp=source):
                self._silent.discard(source)
            case MeterShows(meter=source) | ClampShows(clamp=source):
                self._shows[source] = view(event.how, event.scale)
            case _:
                return False
        return True

    def _after(self, for_s: float, act: Callable[[], None]) -> None:
        self.agenda.at(self.now_ns + nanoseconds(for_s), act)

    def _ids(self, patterns: Sequence[str]) -> list[str]:
        return [self.stage.chargers[index] for index in chosen(patterns, self.stage.chargers)]

    def _kill(
        self,
        process: str,
        restart_after_s: float | None,
        end: Callable[[Site, Plant], None] = killed,
    ) -> None:
        """`end`: what its pins do then."""
        self._cloud.lose(process)
        if process == "enforcer" and self.enforcer is not None:
            self._leases = self.enforcer.limits.leases
            self.enforcer = None
            end(self.stage.site, self.stage.plant)
            self._stalled.clear()
        if restart_after_s is not None:
            works_ns = self.now_ns + nanoseconds(restart_after_s) + START_NS
            self.agenda.at(works_ns, partial(self._restarted, process))

    def _crash(self, event: CrashLoop, times: int) -> None:
        self._kill("enforcer", event.restart_after_s)
        if times > 1:
            next_ns = self.now_ns + nanoseconds(event.restart_after_s + event.lives_s)
            self.agenda.at(next_ns, partial(self._crash, event, times - 1))

    def _leave(self, event: Leave) -> None:
        """As the enforcer does: the last orders go out, and when they are in force it ends."""
        if self.enforcer is not None:
            self.enforcer.kernel.leave()
            ends_ns = self.now_ns + LEAVE_NS
            self.agenda.at(ends_ns, partial(self._kill, "enforcer", event.restart_after_s, let_go))

    def _stall(self, threads: set[str], for_s: float) -> None:
        self._stalled |= threads
        self.agenda.at(self.now_ns + nanoseconds(for_s), partial(self._go_free, threads))

    def _go_free(self, threads: set[str]) -> None:
        self._stalled -= threads

    def _restarted(self, process: str) -> None:
        if process == "enforcer":
            self.stage.trace.restarts_s.append(self.now_ns / 1e9)
            self._start_enforcer()
        self._cloud.regain(process)

    def _start_enforcer(self) -> None:
        self.enforcer = VirtualEnforcer(
            self.stage.site,
            self.stage.plant,
            self.now_ns,
            self._silent,
            self._leases,
            self._stalled,
            shows=self._shows,
            disputed=self.disputes.append if self._guarded else None,
        )
        self._fed_ns = None
        self.enforcer.image.turn.fed(self._feed)

    def _feed(self) -> None:
        self._fed_ns = self.now_ns

    def _watch(self) -> None:
        """Does to the enforcer what systemd does to one that was not fed."""
        watchdog_s = self.stage.story.watchdog_s
        if watchdog_s is None or self.enforcer is None or self._fed_ns is None:
            return
        if self.now_ns - self._fed_ns > nanoseconds(watchdog_s):
            self._kill("enforcer", RESTART_S)


class VirtualCloud:
    """Publishes limits to the link's present session, as long as there is one."""

    def __init__(self, bench: PlantBench) -> None:
        self._bench = bench
        self._away: set[str] = set()  # what stands between cloud and enforcer
        self._nonce: str | None = None
        self._held: dict[str, Limit] = {}  # by source, what is still to be published
        self._sequence = 0

    def hold(self, limit: Limit) -> None:
        """Publishes it now, or when there is a session; and again, if it is to be renewed."""
        self._held[limit.source] = limit
        self._publish(limit)

    def lose(self, what: str) -> None:
        self._away.add(what)
        self._nonce = None
        if self._bench.enforcer is not None:
            self._bench.enforcer.limits.open_session(None)

    def regain(self, what: str) -> None:
        self._away.discard(what)
        self._bench.agenda.at(self._bench.now_ns + CONNECT_NS, self.open_session)

    def open_session(self) -> None:
        """A new nonce; what went to the old one may be lost, so all is published anew."""
        if self._away or self._nonce is not None or self._bench.enforcer is None:
            return
        self._nonce = f"session at {self._bench.now_ns}"
        self._bench.enforcer.limits.open_session(self._nonce)
        for limit in list(self._held.values()):
            self._publish(limit)

    def _publish(self, limit: Limit) -> None:
        bench = self._bench
        if self._nonce is None or bench.enforcer is None:
            return
        self._sequence += 1
        bench.stage.publish(bench.now_ns, limit)
        bench.enforcer.limits.receive(limit.source, self._message(limit))
        if limit.every_s is None:
            del self._held[limit.source]
        else:
            again_ns = bench.now_ns + nanoseconds(limit.every_s)
            bench.agenda.at(again_ns, partial(self._renew, limit, self._nonce))

    def _renew(self, limit: Limit, nonce: str) -> None:
        if self._nonce == nonce and self._held.get(limit.source) is limit:
            self._publish(limit)

    def _message(self, limit: Limit) -> str:
        sources = {source.id: source for source in self._bench.stage.site.limit_sources}
        message = {
            "nonce": self._nonce,
            "epoch": 1,
            "sequence": self._sequence,
            "circuit": sources[limit.source].circuit,
            "amps": "unlimited" if limit.limit_a is None else limit.limit_a,
            "ttl_s": limit.ttl_s,
            "reason": limit.reason,
        }
        if limit.until_s is not None:
            now_s = (UTC_BEGIN_NS + self._bench.now_ns) / 10**9
            until = datetime.fromtimestamp(now_s, UTC) + timedelta(seconds=limit.until_s)
            message["until"] = until.isoformat()
        return json.dumps(message)
