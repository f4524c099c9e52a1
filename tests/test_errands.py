"""The drivers of a virtual depot's chargers do the same, tick for tick, as the same in Python."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import pytest

from cext.errands import Agenda, Errands
from cext.plant import Car, Plant
from controller.document.devices import Charger
from controller.hardware import build_plant
from controller.image import ChargerReport, Order
from controller.plant import EXCHANGE_NS, VirtualEnforcer
from controller.site import Site, load
from hil.profiles import StoryProfiles
from tests.test_virtual import begin, site

S = 1_000_000_000
MS = 1_000_000
SITES = Path(__file__).parents[1] / "hil" / "sites"


class PlainEnforcer(VirtualEnforcer):
    """As it is, but that its chargers' drivers are written down in Python."""

    def _drive(self, charger: Charger, index: int, begin_ns: int) -> None:
        self.agenda.at(begin_ns, PlainDriver(self, charger, index).poll)


class PlainDriver:
    """Reports each poll; writes what is new, was lost, or must be renewed."""

    def __init__(self, enforcer: VirtualEnforcer, charger: Charger, index: int) -> None:
        self.enforcer = enforcer
        self.charger = charger
        self.index = index
        fed_ns = (charger.fallback_delay_ns or 1 << 62) // 3
        self.look_ns = min(charger.poll_ns, fed_ns)
        self.refresh_ns = 1 << 62 if charger.facts.any_traffic else fed_ns
        self.next_poll_ns = self.next_write_ns = self.refresh_at_ns = 0
        enforcer.plant.set_write_gap(index, charger.facts.write_gap_ns)
        self.waiting = self.writing = self.owed = False
        self.written_ma: int | None = None
        self.in_force_ma: int | None = None
        self.written = (0, 0)  # tick of the last order acknowledged, and when
        self.written_before = 0
        enforcer.image.on_change(charger.id, self.wake)

    @property
    def now_ns(self) -> int:
        return self.enforcer.clock.at_ns

    def answers(self) -> bool:
        silent = self.charger.id in self.enforcer.silent
        return not silent and self.enforcer.plant.answers(self.index)

    def poll(self) -> None:
        self.enforcer.agenda.at(self.now_ns + self.look_ns, self.poll)
        if "io" in self.enforcer.stalled:
            return
        if self.now_ns >= self.next_poll_ns and self.answers():
            self.next_poll_ns = self.now_ns + self.charger.poll_ns
            self.report()
        if self.charger.facts.any_traffic and self.answers():
            valid_ns = self.enforcer.plant.charger(self.index).valid_ns
            if valid_ns and self.enforcer.image.order(self.charger.id):
                self.enforcer.plant.feed(self.index)
        lost = self.in_force_ma != self.written_ma
        if self.owed or lost or self.now_ns >= self.refresh_at_ns:
            self.write()

    def report(self) -> None:
        state = self.enforcer.plant.charger(self.index)
        tick, at_ns = self.written
        if at_ns > self.now_ns - EXCHANGE_NS:
            tick = self.written_before
        else:
            self.in_force_ma = state.offered_ma
        current_ma = state.current_ma if self.charger.facts.metered else None
        report = ChargerReport(self.now_ns, state.offered_ma, current_ma, state.vehicle, tick)
        self.enforcer.image.post_charger(self.charger.id, report)

    def wake(self) -> None:
        self.owed = True
        self.write()

    def write(self) -> None:
        if self.now_ns < self.next_write_ns:
            if not self.waiting:
                self.waiting = True
                self.enforcer.agenda.at(self.next_write_ns, self.gap_over)
            return
        order = self.enforcer.image.order(self.charger.id)
        if order is not None and not self.writing:
            self.writing = True
            self.enforcer.agenda.at(self.now_ns + EXCHANGE_NS, partial(self.arrive, order))

    def gap_over(self) -> None:
        self.waiting = False
        self.write()

    def arrive(self, order: Order) -> None:
        self.writing = False
        if not self.answers():
            return
        if not self.enforcer.plant.write_setpoint(self.index, order.ma):
            return
        self.next_write_ns = self.now_ns + self.charger.facts.write_gap_ns
        self.written_before, self.written = self.written[0], (order.tick, self.now_ns)
        self.written_ma = self.in_force_ma = order.ma
        self.refresh_at_ns = self.now_ns + self.refresh_ns
        newest = self.enforcer.image.order(self.charger.id)
        self.owed = newest is not None and newest.ma != order.ma
        if self.owed:
            self.write()


def day(kind: type[VirtualEnforcer], of: Site, seed: int) -> list[Any]:
    """Cars come and go, the load moves, chargers fall silent, threads stand still: all there is to
    see of it, four times a second."""
    rng = random.Random(seed)
    silent: set[str] = set()
    stalled: set[str] = set()
    plant = build_plant(of, seed)
    plant.advance(0)
    enforcer = kind(of, plant, 0, silent, stalled=stalled)
    seen: list[Any] = []
    for quarter in range(1, 4 * 60):
        happens(plant, of, rng, silent, stalled)
        enforcer.run_until(quarter * S // 4 + rng.randrange(3))
        seen.append([plant.charger(i) for i in range(len(of.chargers))])
        seen.append([enforcer.kernel.output(i) for i in range(len(of.chargers))])
        seen.append([enforcer.kernel.charger(i) for i in range(len(of.chargers))])
        seen.append((enforcer.kernel.ticks, plant.load(0), enforcer.image.turn.last_ns()))
    return seen


def happens(
    plant: Plant, of: Site, rng: random.Random, silent: set[str], stalled: set[str]
) -> None:
    bay = rng.randrange(len(of.chargers))
    match rng.randrange(16):
        case 0 | 1:
            wish_ma = rng.choice([9_000, 16_000, 32_000])
            plant.plug(bay, Car(wish_ma, rng.choice([1, 3]), S, rng.choice([50, 60_000]), 20))
        case 2:
            plant.unplug(bay)
        case 3 | 4:
            most_ma = of.circuits[0].rating_ma[0] // 2
            plant.set_base(0, (rng.randrange(most_ma),) * 3, rng.choice([0, 2000]))
        case 5:
            silent.add(of.chargers[bay].id)
        case 6 | 7:
            silent.clear()
        case 8:
            plant.power_cycle(bay)
        case 9 if rng.random() < 0.3:
            stalled.add(rng.choice(["io", "kernel"]))
        case _:
            stalled.clear()


def off_beat(of: Site) -> Site:
    """Polls that meet each moment of a write: while it is under way, and just after it."""
    chargers = [replace(each, poll_ns=each.poll_ns + 7 * MS) for each in of.chargers]
    return replace(of, chargers=tuple(chargers))


@pytest.mark.parametrize("beat", [lambda of: of, off_beat], ids=["on_beat", "off_beat"])
@pytest.mark.parametrize("name", ["twenty", "three_kinds", "paced", "switched", "twenty_unmetered"])
def test_every_driver_does_as_its_twin_in_python(name: str, beat: Callable[[Site], Site]) -> None:
    of = beat(load(SITES / f"{name}.toml", StoryProfiles()))
    for seed in (1, 2):
        quick, plain = day(VirtualEnforcer, of, seed), day(PlainEnforcer, of, seed)
        assert quick == plain
        assert len({str(each) for each in quick}) > 100  # something went on


# -- the agenda ---------------------------------------------------------------------------------


class Heap:
    """What an agenda is, in Python."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, Callable[[], None]]] = []
        self.number = 0

    def at(self, instant_ns: int, act: Callable[[], None]) -> None:
        self.number += 1
        heappush(self.entries, (instant_ns, self.number, act))

    def run_until(self, until_ns: int) -> None:
        while self.entries and self.entries[0][0] <= until_ns:
            heappop(self.entries)[2]()


def errands_of(agenda: Agenda | Heap, seed: int) -> list[int]:
    """A thousand errands, many at one instant, that enter others; the order in which they were
    run."""
    rng = random.Random(seed)
    done: list[int] = []

    def run(name: int) -> None:
        done.append(name)
        for _ in range(rng.choice([0, 0, 1, 2])):
            if len(done) < 1000:
                agenda.at(name % 97 + rng.randrange(300), partial(run, name + 1))

    for name in range(300):
        agenda.at(rng.randrange(50), partial(run, name))
    for until_ns in range(0, 2000, 7):
        agenda.run_until(until_ns)
    return done


@pytest.mark.parametrize("seed", range(5))
def test_an_agenda_runs_its_errands_in_the_order_of_time_and_entry(seed: int) -> None:
    went: list[int] = []
    done = errands_of(Agenda(went.append), seed)
    assert done == errands_of(Heap(), seed)
    assert len(done) >= 300 and went[-1] == 1995


def test_what_an_errand_raises_comes_out_and_the_rest_stays() -> None:
    agenda = Agenda(lambda now_ns: None)
    done: list[str] = []
    agenda.at(1, lambda: done.append(str(1 // 0)))
    agenda.at(2, lambda: done.append("later"))
    with pytest.raises(ZeroDivisionError):
        agenda.run_until(5)
    agenda.run_until(5)
    assert done == ["later"]


def test_a_driver_without_a_charger_is_refused() -> None:
    plant, enforcer = begin(site())
    errands = Errands(
        enforcer.kernel, plant, EXCHANGE_NS, lambda _: None, lambda *_: None, set(), set()
    )
    row = ("bay", (0, 1, 2), True, False, S, None, 0, 0)
    errands.drive(*row)
    errands.drive(*row)
    with pytest.raises(ValueError, match="no such charger"):
        errands.drive(*row)
    with pytest.raises(IndexError):
        errands.wake(2)
    with pytest.raises(IndexError):
        errands.wake(-1)
    other = Errands(
        enforcer.kernel, plant, EXCHANGE_NS, lambda _: None, lambda *_: None, set(), set()
    )
    with pytest.raises(ValueError, match="no phase 3"):
        other.drive("bay", (0, 1, 3), True, False, S, None, 0, 0)
