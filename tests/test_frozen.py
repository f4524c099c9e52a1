"""Charger reports that stand still: what they prove, and how they are tried."""

from typing import Any

import pytest

from cext.rows import Rule
from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, Triple, flat
from tests.test_adopt import handed_over


class Bay:
    """One metered charger on a measured circuit; what it reports need not be what it draws."""

    def __init__(self, cap_ma: int = 100_000, worst_ma: int = 120_000, **charger: Any) -> None:
        known = {"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **charger}
        self.row = Charger(0, (0, 1, 2), **known)
        circuit = Circuit(-1, flat(cap_ma), flat(worst_ma))
        self.door = Door(Site([circuit], [Meter(0, 0, 0, S, 100 * MS)], [self.row]))
        self.now_ns = 1000 * S
        self.base_ma = 10_000
        self.wants: Triple = flat(16_000)
        self.stands: Triple | None = None  # what it reports whatever it draws
        self.noise_ma = 0
        self.holes = 0  # every so many reports tell no current
        self.said: list[tuple[int, int]] = []  # instant and order, at each change

    @property
    def order(self) -> int:
        return self.door.output(0).setpoint_ma or 0

    def step(self) -> None:
        """100 ms later."""
        self.now_ns += 100 * MS
        out = self.door.output(0)
        told = 16_000 if out.setpoint_ma is None else out.setpoint_ma
        first, second, third = (min(ma, told) for ma in self.wants)
        load = [self.base_ma + ma for ma in (first, second, third)]
        self.door.reading(0, self.now_ns, (load[0], load[1], load[2]))
        shown = self.stands or (first, second, third)
        if self.holes and self.now_ns // (100 * MS) % self.holes == 0:
            self.door.report(0, self.now_ns, told, None, "C", out.changed_tick)
            self.door.tick(self.now_ns)
            return
        if self.noise_ma:
            shown = (shown[0] + self.now_ns // (100 * MS) % 2 * self.noise_ma, *shown[1:])
        self.door.report(0, self.now_ns, told, shown, "C", out.changed_tick)
        self.door.tick(self.now_ns)
        if not self.said or self.said[-1][1] != self.order:
            self.said.append((self.now_ns, self.order))

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.step()

    def base_hi(self, phase: int = 0) -> int:
        return int(self.door.circuit(0).base_hi_ma[phase])

    def frozen(self) -> bool:
        return bool(self.door.charger(0).frozen)


def charging(seconds: float = 90, **keys: Any) -> Bay:
    bay = Bay(**keys)
    bay.run(seconds)
    return bay


def test_what_stands_still_is_believed_while_nothing_was_to_change_it() -> None:
    bay = charging()
    assert (bay.base_hi(), bay.frozen()) == (10_000, False)


@pytest.mark.parametrize(
    ("left_ma", "frozen", "why"),
    [
        (14_000, True, "it shows 16 A"),
        (15_600, True, "it shows 0.4 A more"),
        (15_700, False, "within three times its resolution"),
        (6000, True, "told its minimum"),
    ],
)
def test_unchanged_through_a_reduction_it_proves_nothing(
    left_ma: int, frozen: bool, why: str
) -> None:
    """The car obeys, its report does not: the reading falls, and nobody knows whose draw it was."""
    bay = charging()
    bay.stands = flat(16_000)
    bay.base_ma = 100_000 - left_ma
    bay.run(12)
    assert bay.order == left_ma
    assert bay.frozen() == frozen, why
    if frozen:
        assert bay.base_hi() >= bay.base_ma + bay.order, "its draw is read as base load"


@pytest.mark.parametrize("holes", [2, 8])
def test_a_report_without_a_current_does_not_make_the_frozen_one_good_again(holes: int) -> None:
    bay = charging()
    bay.holes, bay.stands, bay.base_ma = holes, flat(16_000), 90_000
    bay.run(20)
    assert bay.order < 15_000 and bay.frozen()
    bay.run(10)
    assert bay.frozen()


def test_not_yet_while_its_car_may_still_follow() -> None:
    bay = charging(settle_ns=6 * S)
    bay.stands = flat(16_000)
    bay.base_ma = 90_000
    bay.run(6)
    assert bay.order < 16_000 and not bay.frozen()


def test_it_is_believed_again_when_it_moves() -> None:
    bay = charging()
    bay.stands, bay.base_ma = flat(16_000), 88_000
    bay.run(12)
    assert bay.frozen()
    bay.stands = None
    bay.run(1)
    assert not bay.frozen()
    bay.run(10)
    assert bay.base_hi() == 88_000


def test_one_that_draws_less_than_it_may_is_not_suspected_for_it() -> None:
    """Lowered from 18 A to 17 A, it goes on drawing its 16 A."""
    bay = Bay(cap_ma=60_000)
    bay.run(90)
    assert bay.order == 18_000
    bay.base_ma = 43_000
    bay.run(40)
    assert bay.order < 18_000 and not bay.frozen() and bay.base_hi() == 43_000


def test_frozen_it_frees_no_phase_and_gives_back_no_share() -> None:
    bay = Bay()
    bay.wants = (16_000, 0, 0)
    bay.run(120)
    assert bay.order == 18_000, "it gives back what it does not use"
    assert bay.door.circuit(0).draw_hi_ma[1] == 0
    bay.stands, bay.base_ma = (16_000, 0, 0), 85_000
    while not bay.frozen():
        bay.step()
    assert bay.door.circuit(0).draw_hi_ma[1] >= bay.order
    bay.base_ma = 0
    bay.run(60)
    assert bay.order == 18_000, "and takes no more either, for a report that is wrong"
    bay.stands, bay.wants = None, flat(17_900)
    bay.run(60)
    assert not bay.frozen() and bay.order == 20_000, "it tells again, and draws more"


def test_after_five_minutes_it_is_probed_downwards_and_goes_back() -> None:
    bay = charging(290)
    before = len(bay.said)
    bay.run(60)
    (down_ns, low), (up_ns, back) = bay.said[before:]
    assert 15_000 <= low < back and back >= 17_500
    assert low + 300 < 16_000, "three times its resolution below what it shows"
    assert up_ns - down_ns <= 6 * S
    assert not bay.frozen()


def test_the_probe_says_why() -> None:
    bay = charging(290)
    rules = set()
    for _ in range(400):
        bay.step()
        rules.add(bay.door.output(0).why.rule)
    assert Rule.PROBE in rules


def test_the_probe_finds_what_does_not_move_and_does_not_try_again() -> None:
    bay = charging(60)
    bay.stands = flat(16_000)
    bay.run(240)
    bay.wants = flat(0)  # the car has stopped long since; the report has not
    before = len(bay.said)
    bay.run(900)
    changes = bay.said[before:]
    assert bay.frozen() and bay.base_hi() >= 10_000
    orders = [ma for _, ma in changes]
    assert orders[0] < 16_000 and orders == sorted(orders), "down once, and back up"


# -- what cannot be tried -----------------------------------------------------------------------


def single(shown_ma: int, **keys: Any) -> Bay:
    """A car that charges on one phase of three, and frees the others; its report stands still."""
    bay = Bay(**keys)
    bay.wants = (shown_ma, 0, 0)
    bay.run(120)
    return bay


@pytest.mark.parametrize(("cap_ma", "why"), [(60_000, "it may have 10 A"), (16_000, "its minimum")])
def test_what_no_setpoint_could_move_frees_no_phase_for_ever(cap_ma: int, why: str) -> None:
    bay = single(6000, cap_ma=cap_ma)
    assert bay.door.circuit(0).draw_hi_ma[1] == 0, "its car frees them"
    bay.run(250)
    assert bay.door.circuit(0).draw_hi_ma[1] >= 6000, why
    assert not bay.frozen(), "nothing has shown that"
    bay.wants = (5900, 0, 0)
    bay.run(33)
    assert bay.door.circuit(0).draw_hi_ma[1] == 0, "it has moved, and frees them anew"


def test_what_shows_less_than_it_may_draw_and_cannot_be_tried_is_no_number() -> None:
    bay = single(6000)
    assert bay.base_hi() == 10_000 and bay.order <= 10_000, "it gives back what it does not use"
    bay.run(250)
    assert bay.base_hi() >= 16_000, "its draw is read as base load"
    held = bay.order
    bay.run(120)
    assert bay.order == held, "and what it shows is no reason to take its share, or to give it more"
    bay.wants = (6100, 0, 0)
    bay.run(150)
    assert bay.base_hi() == 10_000 and bay.order <= 10_100


def test_what_draws_all_that_it_may_is_believed_at_its_minimum() -> None:
    """Where many have no more than their minimum, their reports all stand still and are right."""
    bay = Bay(cap_ma=16_000)
    bay.run(900)
    assert (bay.base_hi(), bay.order) == (10_000, 6000)


@pytest.mark.parametrize(("cap_ma", "write_gap_ns"), [(16_400, 0), (17_000, 5 * S)])
def test_close_above_its_minimum_it_is_tried_with_the_minimum(
    cap_ma: int, write_gap_ns: int
) -> None:
    """Less than a change that is otherwise worth a write: but it finds out what stands still."""
    bay = Bay(cap_ma=cap_ma, write_gap_ns=write_gap_ns, worst_ma=10_000)
    bay.run(200)
    shown = bay.order
    assert 6400 <= shown < 8000
    bay.stands = flat(shown)
    bay.wants = flat(0)
    bay.run(330)
    assert bay.frozen()
    assert min(ma for _, ma in bay.said[1:]) >= 6000


# -- nothing is built on one that is known to stand still ---------------------------------------


def test_nothing_is_credited_that_only_a_frozen_report_shows() -> None:
    """It stopped long ago and still shows 16 A: its part of an excess cannot come from it."""
    other = Charger(0, (0, 1, 2), settle_ns=S, lag_ns=0, fallback_ma=16_000)
    site = Site(
        [Circuit(-1, flat(100_000), flat(120_000))], [Meter(0, 0, 0, S, 100 * MS)], [other] * 2
    )
    door, now_ns, base_ma = Door(site), 1000 * S, 10_000
    orders: list[int | None] = [None, None]
    for tick in range(6000):
        now_ns += 100 * MS
        told = [16_000 if ma is None else ma for ma in orders]
        if tick == 5500:
            assert door.charger(0).frozen
            base_ma = 92_000
        truly = [0 if tick > 600 else min(16_000, told[0]), min(16_000 - tick % 2, told[1])]
        door.reading(0, now_ns, flat(base_ma + sum(truly)))
        for i, shown in enumerate(
            (flat(min(16_000, told[0]) if tick <= 600 else 16_000), flat(truly[1]))
        ):
            door.report(i, now_ns, told[i], shown, "C", door.output(i).changed_tick)
        door.tick(now_ns)
        orders = [door.output(i).setpoint_ma for i in (0, 1)]
        if tick == 5500:
            break
    assert orders[1] is not None
    assert orders[1] <= 8000, "all of the excess comes from who draws it"


def test_a_probe_ends_though_another_document_changed_what_it_would_show() -> None:
    bay = charging(290, resolution_ma=10)
    bay.stands = flat(16_000)
    while bay.door.output(0).why.rule != Rule.PROBE:
        bay.step()
    row = bay.row._replace(resolution_ma=1000)
    handed_over(bay.door, bay.door.site._replace(chargers=[row]))
    bay.stands = None
    bay.wants = flat(16_000)
    low = bay.order
    bay.stands = flat(16_000)
    bay.run(2)
    assert bay.order == low
    bay.run(12)
    assert bay.door.output(0).why.rule != Rule.PROBE or bay.order < low, "it waits for ever"


def test_nobody_is_probed_below_its_minimum() -> None:
    bay = Bay(cap_ma=16_000)
    bay.run(900)
    assert {ma for _, ma in bay.said[1:]} <= {6000, *range(6000, 32_001)}
    assert bay.order == 6000 and not bay.frozen()


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"noise_ma": 100}, "its report moves"),
        ({"wants": flat(0)}, "it draws nothing: there is nothing to doubt"),
    ],
)
def test_who_is_not_probed(keys: dict[str, Any], why: str) -> None:
    bay = Bay()
    for key, value in keys.items():
        setattr(bay, key, value)
    bay.run(120)
    before = len(bay.said)
    bay.run(600)
    rules = {bay.door.output(0).cause.rule}
    assert Rule.PROBE not in rules and len(bay.said) == before, why


def test_a_cap_that_falls_while_it_is_probed_is_obeyed_at_once() -> None:
    bay = charging(290)
    while bay.door.output(0).why.rule != Rule.PROBE:
        bay.step()
    bay.base_ma = 92_000
    bay.step()
    assert bay.order <= 8400, "less what the probe itself is to bring"


def test_coarse_reports_need_a_larger_step() -> None:
    row = Charger(0, (0, 1, 2))
    assert row.error_ma == 0
    bay = charging(290, resolution_ma=1000)
    before = len(bay.said)
    bay.run(60)
    assert bay.said[before][1] < 13_000
