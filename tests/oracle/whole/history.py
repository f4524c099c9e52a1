"""What happens in a random depot, all of it from one seed; every delay as the rows declare."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Protocol

from tests.oracle.depot import Car, Depot
from tests.oracle.site import MS, S, Site, Triple, flat, plus
from tests.oracle.whole.draw import Report

START_NS = 1000 * S
WRITE_NS = 200 * MS
FOR_EVER_NS = 10**6 * S
QUIET = ("base", "want", "limit", "plug", "nothing")
DOUBT = (
    *QUIET,
    "meter",
    "distrust",
    "silence",
    "power",
    "prove",
    "late",
    "stick",
    "latch",
    "stall",
)


class Both(Protocol):
    """Whoever hears what happens: controller and model."""

    def reading(self, source: int, at_ns: int, current_ma: Triple) -> None: ...
    def distrust(self, source: int, distrusted: bool) -> None: ...
    def report(self, charger: int, report: Report) -> None: ...
    def limit(self, slot: int, ma: Triple | None, until_ns: int, alive_ns: int) -> None: ...
    def prove(self, charger: int, proven: bool | None) -> None: ...
    def latch(self, on: bool) -> None: ...
    def tick(self, now_ns: int) -> None: ...
    def order(self, charger: int) -> tuple[int, int] | None:
        """The setpoint and the tick that last changed it."""


class History:
    """Runs a depot against both, event by event."""

    def __init__(self, site: Site, both: Both, seed: int, kinds: tuple[str, ...]) -> None:
        self.rng = random.Random(seed)
        self.site, self.both, self.kinds = site, both, kinds
        self.depot = Depot(site, self.rng)
        self.now_ns = START_NS
        self.told: list[str] = []  # in words, for whoever reads a failure
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._dead: set[int] = set()
        self._distrusted: set[int] = set()
        self._doubted: set[int] = set()
        self._writing: set[int] = set()
        self._shown: list[tuple[int, int, Triple]] = []  # what sources showed lately
        self._latched = False
        self._stalled_ns = 0
        for index, row in enumerate(site.chargers):
            device = self.depot.devices[index]
            device.offer(self.now_ns, self.rng.choice([0, row.fallback_ma, row.max_ma]))
            if self.rng.random() < 0.8:
                device.car = self._car(index)
            self._after(self.rng.randrange(row.poll_ns), self._poller(index))
        for circuit in range(len(site.circuits)):
            self._base(circuit)
        for index, meter in enumerate(site.meters):
            self._after(self.rng.randrange(meter.poll_ns), self._sampler(index))
        for slot in range(len(site.slots)):
            if self.rng.random() < 0.8:
                self._limit(slot, None, FOR_EVER_NS, FOR_EVER_NS)
        self._after(self.rng.randrange(100 * MS), self._tick)

    def run(self, ticks: int, happens_s: int = 6) -> None:
        self._left = ticks
        self._after(20 * S, lambda: self._happen(happens_s))
        while self._left:
            self.now_ns, _, what = heapq.heappop(self._heap)
            self.depot.follow(self.now_ns)
            what()

    def _after(self, delay_ns: int, what: Callable[[], None]) -> None:
        """No two things happen at one instant."""
        odd = self.rng.randrange(1, 1000)
        heapq.heappush(self._heap, (self.now_ns + delay_ns + odd, next(self._count), what))

    def _say(self, what: str) -> None:
        self.told.append(f"{(self.now_ns - START_NS) / S:8.3f} s  {what}")

    # -- what happens --------------------------------------------------------------------------

    def _happen(self, often_s: int) -> None:
        self._after(self.rng.randrange(often_s * S), lambda: self._happen(often_s))
        kind = self.rng.choice(self.kinds)
        charger = self.rng.randrange(len(self.site.chargers))
        device = self.depot.devices[charger]
        if kind == "base":
            self._base(self.rng.randrange(len(self.site.circuits)))
        elif kind == "want" and device.car:
            device.car.want_ma = self.rng.choice([0, 7000, 16_000, 40_000])
            self._say(f"vehicle at charger {charger} wants {device.car.want_ma}")
        elif kind == "plug":
            device.car = None if device.car else self._car(charger)
            self._say(f"charger {charger}: {device.car}")
        elif kind == "limit" and self.site.slots:
            slot = self.rng.randrange(len(self.site.slots))
            ma = None if self.rng.random() < 0.3 else flat(self.rng.randrange(120_000))
            until, alive = (self.rng.choice([4 * S, 20 * S, FOR_EVER_NS]) for _ in "ab")
            self._limit(slot, ma, until, alive)
        else:
            self._break(kind, charger)

    def _break(self, kind: str, charger: int) -> None:
        device = self.depot.devices[charger]
        if kind in ("meter", "distrust") and self.site.meters:
            meter = self.rng.randrange(len(self.site.meters))
            if kind == "meter":
                self._dead ^= {meter}
                self._say(f"source {meter} silent: {meter in self._dead}")
            else:
                self._distrusted ^= {meter}
                self.both.distrust(meter, meter in self._distrusted)
                self._say(f"source {meter} distrusted: {meter in self._distrusted}")
        elif kind == "silence":
            device.online = not device.online
            self._say(f"charger {charger} answers: {device.online}")
        elif kind == "power":
            device.offer(self.now_ns, device.row.power_on_ma)
            self._say(f"charger {charger} starts anew at {device.row.power_on_ma}")
        elif kind == "late" and self._shown:
            index, at_ns, seen = self.rng.choice(self._shown)
            if any(at_ns < other_ns for other, other_ns, _ in self._shown if other == index):
                self.both.reading(index, at_ns, plus(seen, flat(-9000)))
                self._say(f"source {index} repeats what it showed, and less")
        elif kind == "stick":
            drawn = max(device.current_ma())
            device.stuck_ma = None if device.stuck_ma or drawn < 6000 else drawn
            self._say(f"charger {charger} goes on drawing {device.stuck_ma}")
        elif kind == "latch":
            self._latched = not self._latched
            self.both.latch(self._latched)
            self._say(f"latched: {self._latched}")
        elif kind == "stall":
            self._stalled_ns = self.rng.choice([1, 3]) * S
            self._say(f"nobody ticks for {self._stalled_ns / S:.0f} s")
        elif kind == "prove":
            self._doubted ^= {charger}
            proven = charger not in self._doubted
            self.both.prove(charger, proven)
            self._say(f"charger {charger} proven: {proven}")

    def _car(self, charger: int) -> Car:
        row = self.site.chargers[charger]
        return Car(
            want_ma=self.rng.choice([10_000, 16_000, 40_000, 40_000]),
            terminals=self.rng.choice([1, 3, 3]),
            reaction_ns=self.rng.randint(row.settle_ns // 5, row.settle_ns * 4 // 5),
            gain_ppm=self.rng.choice([1_000_000, self.rng.randint(950_000, 1_030_000)]),
        )

    def _base(self, circuit: int) -> None:
        room, own = self.depot.room(circuit), self.depot.own_base[circuit]
        new = [self.rng.randint(0, has + max(0, free)) for has, free in zip(own, room, strict=True)]
        self.depot.own_base[circuit] = new[0], new[1], new[2]
        self._say(f"base load of circuit {circuit} is {new}")

    def _limit(self, slot: int, ma: Triple | None, for_ns: int, alive_ns: int) -> None:
        odd = self.rng.randrange(1, 1000)
        self.both.limit(slot, ma, self.now_ns + for_ns + odd, self.now_ns + alive_ns + odd)
        self._say(f"limit {slot} is {ma} for {for_ns / S:.0f} s, lease {alive_ns / S:.0f} s")

    # -- the wires -----------------------------------------------------------------------------

    def _sampler(self, index: int) -> Callable[[], None]:
        meter = self.site.meters[index]

        def show(seen: Triple) -> None:
            self._shown = [*self._shown[-9:], (index, self.now_ns, seen)]
            self.both.reading(index, self.now_ns, seen)

        def sample() -> None:
            error = [self.rng.randint(-meter.error_ma, meter.error_ma) for _ in range(3)]
            seen = plus(self.depot.load(meter.circuit), (error[0], error[1], error[2]))
            if index not in self._dead:
                delay_ns = self.rng.randint(meter.lag_ns // 2, max(1, meter.lag_ns - 2000))
                self._after(delay_ns if meter.lag_ns > 4000 else 0, lambda: show(seen))
            self._after(meter.poll_ns, sample)

        return sample

    def _poller(self, index: int) -> Callable[[], None]:
        row, device = self.site.chargers[index], self.depot.devices[index]

        def poll() -> None:
            self._after(row.poll_ns, poll)
            if not device.online:
                if self.now_ns - device.contact_ns > 5 * S:
                    device.offer(self.now_ns, row.fallback_ma)
                return
            device.contact_ns = self.now_ns
            error = row.error_ma
            amps = [
                max(0, ma + self.rng.randint(-error, error)) if ma else 0
                for ma in device.current_ma()
            ]
            told = (amps[0], amps[1], amps[2]) if row.metered else None
            offered, vehicle, written = device.offered_ma, device.vehicle(), device.acknowledged

            def arrive() -> None:
                self.both.report(index, Report(self.now_ns, offered, told, vehicle, written))

            most = min(row.lag_ns, row.poll_ns // 2)
            self._after(self.rng.randrange(most - 2000) if most > 4000 else 0, arrive)

        return poll

    def _write(self, index: int) -> None:
        """Hands the newest order over, one at a time, when the device takes one."""
        device, order = self.depot.devices[index], self.both.order(index)
        if order is None or index in self._writing or not device.online:
            return
        ma, tick = order
        if device.acknowledged == tick and device.offered_ma == ma:
            return
        self._writing.add(index)
        waits = max(0, device.next_write_ns - self.now_ns)

        def effect() -> None:
            newest = self.both.order(index) or (ma, tick)
            device.next_write_ns = self.now_ns + device.row.write_gap_ns + WRITE_NS
            device.offer(self.now_ns, newest[0])
            self._after(self.rng.randrange(WRITE_NS // 2), lambda: acknowledge(newest[1]))

        def acknowledge(done: int) -> None:
            self._writing.discard(index)
            device.acknowledged = done

        self._after(waits + self.rng.randrange(WRITE_NS // 2), effect)

    def _tick(self) -> None:
        self._left -= 1
        self._after(self.rng.choice([100, 300, 300, 500, 900]) * MS + self._stalled_ns, self._tick)
        self._stalled_ns = 0
        self.both.tick(self.now_ns)
        for charger in range(len(self.site.chargers)):
            self._write(charger)
