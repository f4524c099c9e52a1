"""What is not read any more gives nobody more than it did while it was read."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.door import Door
from tests.oracle.site import MS, NEVER_PAUSED, Charger, Circuit, Meter, Pace, S, Site, flat


class Bays:
    """Alike chargers on one circuit with one source, half a second a step."""

    def __init__(
        self, circuit: Circuit, *chargers: dict[str, Any], meter: Meter | None = None, **pace: Any
    ) -> None:
        rows = [
            Charger(0, (0, 1, 2), **{"lag_ns": 0, "settle_ns": S, "poll_ns": S, **keys})
            for keys in chargers
        ]
        rows = [row._replace(fallback_ma=row.max_ma, max_age_ns=3 * S) for row in rows]
        source = meter or Meter(0, 100, 0, 3 * S, S)
        self.site = Site([circuit], [source], rows, pace=Pace(**{"dwell_ns": 2 * S, **pace}))
        self.door = Door(self.site)
        self.now_ns = 1000 * S
        self.base_ma = 0
        self.reads = True
        self.wants: Callable[[int, int], int] = lambda bay, told_ma: told_ma
        self.tells: Callable[[int, int], int | None] = lambda bay, drawn_ma: drawn_ma
        self.steps = 0

    def order(self, bay: int = 0) -> int:
        return self.door.output(bay).setpoint_ma or 0

    def orders(self) -> list[int]:
        return [self.order(bay) for bay in range(len(self.site.chargers))]

    def step(self) -> None:
        self.now_ns += S // 2
        self.steps += 1
        load_ma = self.base_ma
        for bay in range(len(self.site.chargers)):
            out = self.door.output(bay)
            told_ma = 6000 if out.setpoint_ma is None else out.setpoint_ma
            drawn_ma = self.wants(bay, told_ma)
            drawn_ma -= drawn_ma > 0 and (self.steps + bay) % 2  # no report stands still
            load_ma += drawn_ma
            told = self.tells(bay, drawn_ma)
            shown = None if told is None else flat(told)
            self.door.report(bay, self.now_ns, told_ma, shown, "C", out.changed_tick)
        if self.reads:
            self.door.reading(0, self.now_ns, flat(load_ma))
        self.door.tick(self.now_ns)

    def run(self, seconds: float) -> list[int]:
        """The highest order of each in that time."""
        most = [0] * len(self.site.chargers)
        for _ in range(int(seconds * 2)):
            self.step()
            most = [max(pair) for pair in zip(most, self.orders(), strict=True)]
        return most

    def base_hi(self) -> int:
        return int(self.door.circuit(0).base_hi_ma[0])


def test_a_meters_error_is_no_room_once_the_meter_is_lost() -> None:
    """A feeder for one charger, no base load declared, a large CT."""
    bays = Bays(Circuit(-1, flat(32_000), flat(0)), {}, meter=Meter(0, 6000, 0, 3 * S, S))
    assert bays.run(120) == [26_000], "nor is it while the meter is there, for a moment"
    assert bays.order() == 26_000
    bays.reads = False
    assert bays.run(120) == [26_000]


def test_a_current_that_is_not_told_any_more_raises_nobody() -> None:
    """A car takes 10 A of what it is offered; its charger's reports go on without a current."""
    bays = Bays(Circuit(-1, flat(100_000), flat(0)), {})
    bays.wants = lambda bay, told_ma: min(told_ma, 10_000)
    bays.run(400)
    held = bays.order()
    assert held < 13_000
    bays.tells = lambda bay, drawn_ma: None
    assert bays.run(300) == [held]
    bays.wants = lambda bay, told_ma: min(told_ma, 20_000)
    bays.tells = lambda bay, drawn_ma: drawn_ma
    bays.run(60)
    assert bays.order() > 20_000, "told again, it may grow"


def test_an_idle_one_whose_current_is_not_told_any_more_takes_nothing_from_the_others() -> None:
    bays = Bays(Circuit(-1, flat(20_000), flat(0)), {"may_pause": NEVER_PAUSED}, {})
    bays.wants = lambda bay, told_ma: told_ma if bay else 0
    bays.run(900)
    idle, other = bays.orders()
    assert idle == 6000 and other >= 13_000
    bays.tells = lambda bay, drawn_ma: drawn_ma if bay else None
    bays.run(300)
    assert bays.orders() == [idle, other]


@pytest.mark.parametrize("when", ["never told", "with another vehicle"])
def test_one_that_tells_no_current_has_its_share_all_the_same(when: str) -> None:
    """What the last vehicle showed says nothing of this one."""
    bays = Bays(Circuit(-1, flat(100_000), flat(0)), {})
    if when != "never told":
        bays.wants = lambda bay, told_ma: min(told_ma, 10_000)
        bays.run(400)
    bays.tells = lambda bay, drawn_ma: None
    bays.wants = lambda bay, told_ma: told_ma
    if when != "never told":
        for _ in range(20):
            bays.now_ns += S // 2
            bays.door.report(
                0, bays.now_ns, bays.order(), None, "A", bays.door.output(0).changed_tick
            )
            bays.door.reading(0, bays.now_ns, flat(0))
            bays.door.tick(bays.now_ns)
    bays.run(120)
    assert bays.order() == 32_000


# --- one wrong reading ------------------------------------------------------------------


@pytest.mark.parametrize("then", ["it dies", "it is distrusted", "it goes on, and dies"])
@pytest.mark.parametrize("unsigned", [False, True], ids=["a meter", "a clamp"])
def test_one_wrong_reading_stops_nobody_for_good(then: str, unsigned: bool) -> None:
    """The last word of a dying meter is often rubbish."""
    circuit = Circuit(-1, flat(100_000), flat(20_000))
    bays = Bays(circuit, {}, {}, meter=Meter(0, 100, 0, 3 * S, S, unsigned))
    bays.base_ma = 10_000
    bays.run(120)
    assert bays.orders() == [32_000, 32_000]
    bays.reads = False
    bays.step()
    bays.door.reading(0, bays.now_ns, flat(3_000_000))
    bays.step()
    assert max(bays.orders()) == 0, "down at once all the same"
    if then == "it is distrusted":
        bays.door.distrust(0, True)
    if then == "it goes on, and dies":
        bays.reads = True
        bays.run(3)
        bays.reads = False
    bays.run(300)
    assert (bays.base_hi(), bays.orders()) == (20_000, [32_000, 32_000])


def test_what_one_of_two_sources_showed_is_gone_with_it_and_the_others_word_stays() -> None:
    for showing, left_ma in ((0, 20_000), (1, 90_100)):
        circuit = Circuit(-1, flat(100_000), flat(20_000))
        bays = Bays(circuit, {"max_ma": 10_000}, meter=Meter(0, 100, 0, 3 * S, S, unsigned=True))
        bays.site.meters.append(bays.site.meters[0])
        bays.door = Door(bays.site)
        bays.base_ma = 10_000
        for _ in range(200):
            bays.step()
            bays.door.reading(1, bays.now_ns, flat(10_000 + bays.order()))
        bays.base_ma = 10_000 if showing else 90_000
        for _ in range(40):
            bays.step()
            bays.door.reading(1, bays.now_ns, flat((90_000 if showing else 10_000) + bays.order()))
        bays.door.distrust(0, True)
        bays.reads = False
        for _ in range(120):  # the other one goes on, and tells what there is
            bays.step()
            bays.door.reading(1, bays.now_ns, flat((90_000 if showing else 10_000) + bays.order()))
        bays.run(60)
        assert abs(bays.base_hi() - left_ma) <= 1000, showing


@pytest.mark.parametrize("seconds", [0.5, 1, 1.5, 2, 3, 4, 6])
def test_a_meter_lost_right_after_a_start_gives_back_no_room(seconds: float) -> None:
    """Before its readings reach as far back as reports may be late, nobody knows what they show."""
    bays = Bays(Circuit(-1, flat(100_000), flat(20_000)), {})
    bays.base_ma = 92_000
    bays.run(60)
    assert bays.order() <= 8000
    held = bays.order()
    bays.door = Door(bays.site)
    bays.wants = lambda bay, told_ma: min(told_ma, held)
    bays.run(seconds)
    bays.reads = False
    assert bays.run(120)[0] <= held
    bays.reads, bays.base_ma = True, 10_000
    bays.wants = lambda bay, told_ma: told_ma
    bays.run(60)
    assert bays.order() == 32_000, "read again, it is as it is"


def test_what_a_charger_drew_while_it_told_nothing_is_not_known() -> None:
    """It drew nothing for ten seconds, behind an open contactor say, and tells 16 A again: a slow
    meter shows the time in between, and nothing of that is the charger's."""
    charger = Charger(0, (0, 1, 2), max_ma=16_000, settle_ns=0, lag_ns=0, power_on_ma=16_000)
    site = Site(
        [Circuit(-1, flat(200_000), flat(100_000))],
        [Meter(0, 0, 2 * S, 3 * S, 100 * MS)],
        [charger],
    )
    door = Door(site)
    now_ns, flowed = 1000 * S, [0]
    for tick in range(1200):
        now_ns += 100 * MS
        out, gone = door.output(0), 700 <= tick < 800
        drawn = 0 if gone else min(16_000, out.setpoint_ma or 16_000)
        flowed.append(40_000 + drawn)
        door.reading(0, now_ns, flat(flowed[max(0, len(flowed) - 20)]))
        if not gone and tick % 5 == 0:
            door.report(0, now_ns, drawn, flat(drawn), "C", out.changed_tick)
        door.tick(now_ns)
        if tick > 100:
            assert door.circuit(0).base_hi_ma[0] >= 40_000, f"tick {tick}"
    assert door.circuit(0).base_hi_ma[0] == 40_000


@pytest.mark.parametrize("lost", [0, 1])
def test_one_of_two_meters_that_is_lost_frees_nothing_of_its_error(lost: int) -> None:
    """6 A and 0.1 A of error: with both read, 54 A of 60 fit."""
    charger = Charger(0, (0, 1, 2), max_ma=80_000, settle_ns=0, lag_ns=0, fallback_ma=16_000)
    meters = [Meter(0, error_ma, 0, S, 100 * MS) for error_ma in (6_000, 100)]
    door = Door(Site([Circuit(-1, flat(60_000), flat(60_000))], meters, [charger]))
    now_ns, orders = 1000 * S, []
    for tick in range(1200):
        now_ns += 100 * MS
        out = door.output(0)
        drawn = out.setpoint_ma or 0
        for meter in range(2):
            if tick < 900 or meter != lost:
                door.reading(meter, now_ns, flat(drawn))
        door.report(0, now_ns, drawn, flat(drawn), "C", out.changed_tick)
        door.tick(now_ns)
        orders.append(drawn)
    assert orders[899] > 50_000
    assert max(orders[900:]) <= orders[899]
