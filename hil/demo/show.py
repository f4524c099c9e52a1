"""The demo's depot while it runs: what is done to it, and what came of it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from controller.status_report import StatusReport
from hil.cloud import Ask
from hil.demo.life import Life
from hil.demo.narrator import Narrator
from hil.demo.troubles import DIM, Trouble, troubles
from hil.faults.process import Child
from hil.rig import Rig
from hil.story.ratings import Ratings
from hil.story.truth import Truth

SOURCE = "cloud"
LIMITS_A = (340.0, 300.0, 325.0, 295.0)  # the network operator's, one after the other
LIMIT_EVERY_S, RENEW_EVERY_S, TTL_S = 25.0, 4.0, 12.0
LOOK_EVERY_S, ASK_EVERY_S = 0.05, 0.25
# Over a rating for at most: 1 s, the meter's lag, the slowest vehicle's reaction, and some
# slack for a busy machine. With the enforcer dead: the chargers' own delay instead of the 1 s.
REACTION_S = 5.0
REACTION_ALONE_S = 10.0
EVENTS = 200


class Show:
    """Moves the depot along and keeps what is worth knowing of it."""

    def __init__(self, rig: Rig, life: Life, truth: Truth) -> None:
        """The rig must be up."""
        depot = rig.depot
        self.rig = rig
        self.life = life
        self.troubles = troubles(rig, self._dim)
        self.report: StatusReport | None = None
        self.stale = True  # Loadkeeper gives no report now
        self.events: deque[str] = deque(maxlen=EVENTS)
        self.told = 0  # events so far
        self.ratings = Ratings(depot.plant, [circuit.rating_ma for circuit in depot.site.circuits])
        self._truth = truth
        self._narrator = Narrator(rig)
        self._began_ns = rig.present()
        self._seen: list[str] = []
        self._missed: list[str] = []
        self._deaths: list[str] = []
        self._rss_mb = {"enforcer": 0.0, "link": 0.0}  # the most so far

    @property
    def t_s(self) -> float:
        return (self.rig.present() - self._began_ns) / 1e9

    def tell(self, *sentences: str) -> None:
        self.events.extend(f"{self.t_s:7.1f} s  {sentence}" for sentence in sentences)
        self.told += len(sentences)

    async def switch(self, key: str) -> None:
        """Begins the trouble of a key, or ends it."""
        trouble = self.troubles[key]
        if trouble.on:
            await self._end(trouble)
            return
        trouble.on, trouble.began_s = True, self.t_s
        trouble.ends_s = None if trouble.lasts_s is None else self.t_s + trouble.lasts_s
        await trouble.fault.begin()
        self.tell(trouble.begins)

    def step(self) -> None:
        """The base load steps up, or down again."""
        self.life.step = not self.life.step
        self.tell(f"base load {'up' if self.life.step else 'down'} by 30 A")

    def _dim(self, active: bool) -> None:
        """The relay box's contact moves, and so does the true cap."""
        gear = self.rig.supplies.gear
        assert gear is not None
        gear.ask(DIM, active)
        (row,) = self.rig.depot.site.inputs
        self._truth.ask(row.source, row.steps[0].limit_ma if active else None)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for work in (self._live(), self._ask(), self._limit()):
                group.create_task(work)

    def result(self) -> dict[str, Any]:
        """What is printed in the end."""
        plant, circuits = self.rig.depot.plant, range(len(self.rig.depot.site.circuits))
        over = [plant.over(circuit) for circuit in circuits]
        return {
            "chargers": len(self.rig.sockets),
            "broker": self.rig.broker.kind,
            "seconds": round(self.t_s, 1),
            "worst_over_a": max(each.worst_ma for each in over) / 1000,
            "longest_over_s": round(max(each.longest_ns for each in over) / 1e9, 2),
            "worst_over_rating_a": self.ratings.worst_ma / 1000,
            "longest_over_rating_s": round(self.ratings.longest_ns / 1e9, 2),
            "energy_kwh": round(self.energy_kwh(), 3),
            "setpoint_writes": sum(socket.writes for socket in self.rig.sockets.values()),
            "faults_seen": len(self._seen),
            "faults": self._seen,
            "missed": self._missed,
            "died": self._deaths,
            **{f"{name}_rss_mb": round(most, 1) for name, most in self._rss_mb.items()},
        }

    def energy_kwh(self) -> float:
        chargers = range(len(self.rig.sockets))
        return sum(self.rig.depot.plant.charger(index).energy_mwh for index in chargers) / 1e6

    def went_well(self) -> bool:
        """Never above a rating or a cap for longer than it takes to react, no fault unnoticed, and
        nobody died unasked."""
        killed = any(name == "enforcer killed" for name in self._seen)
        allowed_s = REACTION_ALONE_S if killed else REACTION_S
        plant, circuits = self.rig.depot.plant, range(len(self.rig.depot.site.circuits))
        over_ns = max(plant.over(circuit).longest_ns for circuit in circuits)
        longest_ns = max(over_ns, self.ratings.longest_ns)
        return longest_ns / 1e9 <= allowed_s and not self._deaths and not self._missed

    def sent(self, ask: Ask) -> None:
        """The cloud published a limit; it holds if somebody was there to hear it."""
        if self.rig.hears_cloud and ask.limit_a is not None:
            first, second, third = (round(ampere * 1000) for ampere in ask.limit_a)
            limit_ma = first, second, third
            self._truth.publish(self.rig.present(), ask.source, limit_ma, int(ask.ttl_s * 1e9))

    async def _live(self) -> None:
        names = list(self.rig.sockets)
        plant = self.rig.depot.plant
        while True:
            now_ns = self.rig.present()
            self.life.go_on((now_ns - self._began_ns) / 1e9, names)
            for circuit, cap_ma in enumerate(self._truth.caps_ma(now_ns)):
                plant.set_cap(circuit, cap_ma)
            self.ratings.look(now_ns)
            self.tell(*self.life.happened, *self._narrator.true())
            self.life.happened.clear()
            for trouble in self.troubles.values():
                if trouble.on and trouble.ends_s is not None and self.t_s >= trouble.ends_s:
                    await self._end(trouble)
            await self._bury(self.rig.enforcer, self.rig.link)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _bury(self, *children: Child) -> None:
        """A process that ended unasked is told of, and started again as systemd would."""
        for child in children:
            if child.died:
                self._deaths.append(f"{child.name}: exit status {child.status}")
                self.tell(f"the {child.name} ended by itself with exit status {child.status}")
                await child.start()

    async def _end(self, trouble: Trouble) -> None:
        if self.t_s - trouble.began_s > trouble.within_s and trouble.name not in self._seen:
            self._missed.append(trouble.name)
        trouble.on, trouble.ends_s = False, None
        await trouble.fault.end()
        self.tell(trouble.ends)

    async def _ask(self) -> None:
        """Looks at Loadkeeper as `loadkeeper status` does."""
        while True:
            report = await self.rig.status()
            self.stale = report is None
            if report is not None:
                self.report = report
                self.tell(*self._narrator.believed(report))
            for trouble in self.troubles.values():
                if trouble.on and trouble.name not in self._seen and trouble.notices(report):
                    self._seen.append(trouble.name)
            for child in (self.rig.enforcer, self.rig.link):
                most_mb = max(self._rss_mb[child.name], child.resident_mb() or 0.0)
                self._rss_mb[child.name] = most_mb
            await asyncio.sleep(ASK_EVERY_S)

    async def _limit(self) -> None:
        """The network operator changes its mind from time to time."""
        assert self.rig.cloud is not None
        turn = 0
        while True:
            amps = LIMITS_A[turn % len(LIMITS_A)]
            circuit = self.rig.depot.site.circuits[0].id
            ask = Ask(SOURCE, circuit, (amps, amps, amps), TTL_S, reason="network operator")
            self.rig.cloud.hold(ask, RENEW_EVERY_S)
            turn += 1
            await asyncio.sleep(LIMIT_EVERY_S)
