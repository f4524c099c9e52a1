"""Chargers that take a write only now and then: what rises, who goes first, what is waited for."""

from itertools import pairwise
from typing import Any

import pytest

from cext.rows import Rule
from tests.door import Door, row_of
from tests.oracle.site import MS, ROTATIONS, Charger, Circuit, Meter, Pace, S, Site, flat
from tests.oracle.world import World

GAP = 5 * S
QUICK = Charger(0, (0, 1, 2), settle_ns=S, lag_ns=0, poll_ns=200 * MS, fallback_ma=16_000)
PACED = QUICK._replace(write_gap_ns=GAP)


class Bench:
    """Chargers below one meter that do as told, the paced ones once a gap; time by hand."""

    def __init__(
        self,
        *rows: Charger,
        cap_ma: int = 100_000,
        worst_ma: int = 60_000,
        step_ma: int | None = None,
        pace: Pace = Pace(),  # noqa: B008 - a tuple that nobody changes
    ) -> None:
        step = None if step_ma is None else flat(step_ma)
        circuit = Circuit(-1, flat(cap_ma), flat(worst_ma), base_step_ma=step)
        self.rows = rows
        self.door = Door(Site([circuit], [Meter(0, 0, 0, S, 100 * MS)], list(rows), pace=pace))
        self.now_ns = 1000 * S
        self.base_ma = 20_000
        self.in_force = [16_000] * len(rows)
        self.written = [0] * len(rows)
        self.free_ns = [0] * len(rows)
        self.deaf: set[int] = set()
        self.changes: list[tuple[int, int, int]] = []  # instant, charger, order

    def step(self) -> None:
        self.now_ns += 100 * MS
        for index, row in enumerate(self.rows):
            out = self.door.output(index)
            owed = out.setpoint_ma is not None and out.changed_tick != self.written[index]
            if owed and self.now_ns >= self.free_ns[index] and index not in self.deaf:
                self.in_force[index] = out.setpoint_ma or 0
                self.written[index] = out.changed_tick
                self.free_ns[index] = self.now_ns + row.write_gap_ns
        load = self.base_ma + sum(self.in_force)
        self.door.reading(0, self.now_ns, flat(load))
        for index, ma in enumerate(self.in_force):
            self.door.report(index, self.now_ns, ma, flat(ma), "C", self.written[index])
        before = self.orders()
        self.door.tick(self.now_ns)
        for index, (old, new) in enumerate(zip(before, self.orders(), strict=True)):
            if old != new:
                self.changes.append((self.now_ns, index, new))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.step()

    def orders(self) -> list[int]:
        return [self.door.output(index).setpoint_ma or 0 for index in range(len(self.rows))]


# -- up only where nothing needs it back --------------------------------------------------------


@pytest.mark.parametrize(
    ("step_ma", "highest"), [(None, 40_000), (0, 80_000), (20_000, 60_000), (60_000, 40_000)]
)
def test_a_paced_charger_leaves_room_for_a_step(step_ma: int | None, highest: int) -> None:
    """20 A of at most 60 A base load: the step must fit beside it, no more than the worst case."""
    one = Bench(PACED._replace(max_ma=100_000), step_ma=step_ma)
    one.run(90)
    assert one.orders() == [highest]
    rule = one.door.output(0).why.rule
    assert rule == (Rule.PACED if highest < 80_000 else Rule.CAP)
    one.base_ma += step_ma if step_ma is not None else 40_000
    one.base_ma = min(one.base_ma, 60_000)
    assert one.base_ma + one.in_force[0] <= 100_000, "through the whole gap"


def test_who_takes_a_write_at_once_needs_no_room_for_a_step() -> None:
    one = Bench(QUICK._replace(max_ma=100_000))
    one.run(90)
    assert one.orders() == [80_000]


def test_what_the_others_can_give_at_once_is_room() -> None:
    """Beside 32 A that could go at once, the paced one need not stay low for the step."""
    two = Bench(PACED, QUICK, cap_ma=100_000, worst_ma=60_000)
    two.run(90)
    assert two.orders() == [32_000, 32_000]


def test_rises_are_grouped_and_a_gap_apart() -> None:
    one = Bench(PACED._replace(max_ma=80_000), step_ma=0)
    one.run(120)
    rises = [(at, ma) for at, _, ma in one.changes]
    for (before, old), (at, new) in pairwise(rises):
        assert at - before >= GAP
        assert new - old >= 2000 or at - before >= 10 * S
    assert len(rises) <= 8
    assert one.orders() == [80_000]


# -- down ---------------------------------------------------------------------------------------


def test_a_net_excess_goes_at_once_and_is_corrected_when_the_paced_ones_followed() -> None:
    two = Bench(PACED, QUICK)
    two.run(90)
    two.base_ma = 60_000
    two.step()
    assert two.orders() == [32_000, 8000], "24 A, from the one who takes it at once"
    two.run(0.3)
    assert two.base_ma + sum(two.in_force) <= 100_000
    two.run(80)
    assert two.orders() == [20_000, 20_000], "and fair in the end"
    moved = [index for _, index, _ in two.changes[-4:]]
    assert moved.count(0) <= 2, "no gap is burnt"


def test_what_the_others_cannot_give_the_paced_ones_are_asked_for_in_the_same_tick() -> None:
    two = Bench(PACED, QUICK, step_ma=0)
    two.run(90)
    assert two.orders() == [32_000, 32_000]
    two.base_ma = 85_000
    two.step()
    assert two.orders() == [15_000, 0]


@pytest.mark.parametrize("late_s", [0, 4])
def test_credit_lasts_the_gap(late_s: int) -> None:
    """It may take a gap until the write is taken: until then nothing more goes."""
    one = Bench(PACED, PACED, step_ma=0)
    one.run(90)
    assert one.orders() == [32_000, 32_000]
    one.base_ma = 50_000
    one.free_ns = [one.now_ns + late_s * S + 200 * MS] * 2
    one.step()
    asked = one.orders()
    assert sum(asked) == 50_000
    for _ in range(late_s * 10 + 20):
        one.step()
        assert one.orders() == asked, "an order that waits for its gap is no excess"
        assert not one.door.charger(0).suspect
    assert one.base_ma + sum(one.in_force) <= 100_000


def test_an_order_that_never_shows_does_not_count_for_ever() -> None:
    one = Bench(PACED, QUICK._replace(max_ma=16_000), step_ma=0)
    one.run(90)
    one.deaf = {0}
    one.base_ma = 80_000
    one.run(3)
    assert not one.door.charger(0).suspect, "its gap may not be over"
    assert one.door.charger(0).draw_hi_ma >= 32_000
    one.run(8)
    assert one.door.charger(0).suspect


def test_a_paced_charger_is_not_stubborn_while_its_write_may_wait() -> None:
    one = Bench(PACED._replace(settle_ns=2 * S), step_ma=0)
    one.run(90)
    one.base_ma = 90_000
    one.free_ns = [one.now_ns + 5 * S]
    for _ in range(110):
        one.step()
        assert not one.door.charger(0).stubborn


# -- whole depots -------------------------------------------------------------------------------


def mixed(count: int, **site: Any) -> World:
    world = row_of(count, base_ma=60_000, cap_ma=320_000, charger=QUICK, **site)
    rows = [
        (QUICK if i % 2 else PACED)._replace(phases=ROTATIONS[i % 3], settle_ns=2 * S)
        for i in range(count)
    ]
    mixed_site = world.site._replace(chargers=rows)
    other = World(mixed_site, Door, seed=count)
    other.depot.devices = world.depot.devices
    for device, row in zip(other.depot.devices, rows, strict=True):
        device.row = row
        if device.car is not None:
            device.car.reaction_ns = min(device.car.reaction_ns, row.settle_ns)
    other.base(0, flat(60_000))
    return other


def test_a_mixed_depot_is_back_under_its_cap_without_waiting_for_a_gap() -> None:
    """What the quick ones can give is enough: nobody waits for a write gap."""
    world = mixed(12)
    world.run(90)
    world.base(0, flat(120_000))
    world.run(0.5 + 2.2)  # meter, tick, write; and the vehicles
    assert max(world.depot.load(0)) <= 320_000
    world.run(60)
    orders = [order or 0 for order in world.history[-1]]
    assert max(orders) - min(orders) <= 3000, "and fair in the end"


def test_a_mixed_depot_settles() -> None:
    world = mixed(12)
    world.run(90)
    world.base(0, flat(120_000))
    world.run(90)
    since = len(world.history)
    world.run(60)
    for index in range(12):
        seen = {orders[index] for orders in world.history[since:]}
        assert max(seen, default=0) - min(seen, default=0) <= 1000, index  # type: ignore[type-var,operator]
