"""What a charger is told next, decided without a line: a table of moments, and what goes out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from controller.image import Order
from controller.units import NS_PER_S
from drivers.chargerparts import Endurance
from drivers.chargerprofile import ChargerProfile
from drivers.device import Rank
from drivers.library import parse
from drivers.reader import Sample
from drivers.report import in_force_ma
from drivers.telling import Telling, Then
from drivers.wear import DAY_S, Wear
from tests.driven import charger
from tests.test_charger_format import COIL, LIFE, SHOWN, made, merged
from tests.test_fed_chargers import FED

A_DAY = 20
BUDGET = Endurance(registers=("setpoint",), writes_a_day=A_DAY, writes=10_000)
LONGEST_S = DAY_S // A_DAY


def worn(profile: ChargerProfile | None = None, *names: str) -> ChargerProfile:
    budget = BUDGET if not names else BUDGET.model_copy(update={"registers": names})
    return (profile or made()).model_copy(update={"endurance": budget})


class Desk:
    """One charger's telling, and the time that goes by."""

    def __init__(self, profile: ChargerProfile, **changes: Any) -> None:
        self.ns = 100 * NS_PER_S
        self.profile = profile
        its = charger(502, profile=profile.name, facts=profile.facts)
        delay_ns = 20 * NS_PER_S if profile.watchdog.runs else None
        its = replace(its, **({"settle_ns": 0, "fallback_delay_ns": delay_ns} | changes))
        self.its = its
        self.wear = Wear(lambda: self.ns)
        self.telling = Telling(its, profile, lambda: self.ns, self.wear)
        self.order = self.ordered(10_000)
        self.written: list[tuple[float, int, int]] = []  # seconds since the start, where, what

    def ordered(self, ma: int) -> Order:
        self.order = Order(ma, self.ns, 1 << 62)
        return self.order

    def offered(self) -> tuple[int, int] | None:
        made = self.telling.next(self.order, self.ns, fresh=True, silent=False)
        return None if made is None else (made.address, made.words[0])

    def writes(self) -> list[tuple[int, int]]:
        """All that goes out at this moment, each acknowledged."""
        found: list[tuple[int, int]] = []
        while (offered := self.offered()) is not None:
            found.append(offered)
            self.written.append((self.ns / NS_PER_S - 100, *offered))
            self.telling.left()
            if self.telling.acknowledged(self.ns) is not Then.MORE:
                break
        return found

    def refused(self) -> tuple[int, int] | None:
        """What goes out at this moment, and is refused."""
        offered = self.offered()
        if offered is not None:
            self.telling.left()
            self.telling.refused(self.ns)
            self.telling.drop()
        return offered

    def shows(self, ma: int, **more: int | None) -> None:
        """A report, in which its setpoint's register is so much."""
        sample = Sample(self.ns, {**SHOWN, "setpoint": ma, **more})
        standing, taken = self.telling.standing, self.telling.standing.taken
        self.telling.report(sample)
        lapsed = standing.lapse.possible
        standing.in_force_ma = in_force_ma(self.profile, sample, lapsed, self.its.alone_ma)
        if taken is not None:
            standing.compare(taken, sample)

    def lives(self, seconds: float, shows: int, step_s: float = 0.5) -> list[float]:
        """Reports twice a second; when it was written, counted from now."""
        begun, before = self.ns, len(self.written)
        while self.ns < begun + seconds * NS_PER_S:
            self.shows(shows)
            self.writes()
            self.ns += round(step_s * NS_PER_S)
        return [at - begun / NS_PER_S + 100 for at, *_ in self.written[before:]]


# A charger that takes an order and shows another current.


def test_where_nothing_wears_out_what_is_astray_is_written_each_second() -> None:
    desk = Desk(made())
    desk.writes()
    assert len(desk.lives(60, shows=16_000)) >= 59


def test_one_that_wears_out_is_told_again_less_and_less_often() -> None:
    desk = Desk(worn())
    desk.writes()
    at_s = desk.lives(3600, shows=16_000)
    assert at_s[0] <= 1.5  # the first time as soon as anywhere
    gaps = [round(after - before) for before, after in pairwise(at_s)]
    assert gaps == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    day = desk.lives(10 * DAY_S, shows=16_000, step_s=60)
    assert len(day) <= 10 * A_DAY + 2  # no more than its memory bears, for ever


def test_a_lower_order_never_waits_and_is_repeated_soon_again() -> None:
    desk = Desk(worn())
    desk.writes()
    desk.lives(3600, shows=16_000)
    desk.ordered(8_000)
    assert desk.writes() == [(3, 8)]
    desk.shows(16_000)
    desk.ns += NS_PER_S
    assert desk.writes() == [(3, 8)]


def test_more_than_it_ever_showed_is_answered_at_once() -> None:
    """It was without power, perhaps, while it was left alone with what it had shown before."""
    desk = Desk(worn())
    desk.writes()
    desk.lives(600, shows=16_000)
    assert desk.lives(60, shows=16_000) == []
    assert desk.lives(1, shows=32_000) == [0]
    assert desk.lives(60, shows=16_000) != []
    desk.lives(600, shows=16_000)
    assert desk.lives(60, shows=32_000) == []  # it has shown that before


def test_one_that_comes_and_goes_is_lowered_each_time_and_raised_seldom() -> None:
    """It may have been without power each time."""
    desk = Desk(worn())
    desk.writes()
    for _ in range(30):
        desk.lives(1, shows=10_000)
        assert len(desk.lives(1, shows=32_000)) == 1
    before = len(desk.written)
    for _ in range(1800):
        desk.lives(1, shows=10_000)
        desk.lives(1, shows=6_000)
    assert len(desk.written) - before < 16


@pytest.mark.parametrize("right_s", [1, 300])
def test_one_that_never_followed_and_does_is_lowered_at_once_when_it_permits_more(
    right_s: float,
) -> None:
    """After half an hour of repeats; and it has shown as much before."""
    desk = Desk(worn())
    desk.writes()
    desk.lives(2000, shows=16_000)
    desk.lives(right_s, shows=10_000)
    assert desk.lives(2, shows=16_000)[0] == 0


def test_the_same_order_anew_is_no_repeat_that_did_not_help() -> None:
    desk = Desk(worn())
    desk.writes()
    desk.lives(2, shows=6_000)
    for _ in range(12):
        desk.ordered(10_000)
        desk.lives(2, shows=10_000)
    assert desk.lives(4, shows=6_000)[0] == 0


def test_one_that_did_as_told_for_a_while_is_told_at_once_again() -> None:
    desk = Desk(worn())
    desk.writes()
    for _ in range(20):  # it loses its power now and then
        desk.lives(300, shows=10_000)
        assert desk.lives(2, shows=32_000)[0] == 0


def test_what_enables_it_may_be_what_wears_out() -> None:
    desk = Desk(worn(made(setpoint={"zero": "refused"}, enable=COIL), "coil"))
    desk.writes()
    assert len(desk.lives(600, shows=16_000)) <= 2 * 10  # the coil as well


def test_a_line_that_is_too_slow_for_its_watchdog_wears_nothing_out() -> None:
    """Else it would be told again each time that it may have fallen back, as it counts anyway."""
    desk = Desk(worn(made(watchdog=FED)), fallback_delay_ns=NS_PER_S)
    for _ in range(1800):  # an hour, in turns of two seconds
        desk.shows(10_000, timeout=1_000, fallback=16_000)
        desk.writes()
        desk.writes()
        desk.ns += 2 * NS_PER_S
    told = [at for at, address, _ in desk.written if address == 3]
    assert len(told) <= 14
    assert desk.telling.standing.lapse.possible


# A charger that refuses.


def test_a_refused_order_is_tried_again_after_pauses_that_double_to_a_bound() -> None:
    desk, at_s = Desk(made()), []
    for _ in range(2000):  # 20 s of turns
        if desk.refused() is not None:
            at_s.append(desk.ns / NS_PER_S - 100)
        desk.ns += NS_PER_S // 100
    gaps = [round(after - before, 1) for before, after in pairwise(at_s)]
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, *[3.0] * (len(gaps) - 5)]
    assert len(gaps) >= 9


def test_a_lower_order_than_was_refused_never_waits() -> None:
    desk = Desk(made())
    for ma in (10_000, 9_000, 6_000, 0):
        desk.ordered(ma)
        assert desk.refused() == (3, ma // 1000)
        assert desk.refused() is None
    for ma in (6_000, 9_000):  # nor is more of them a way around the pause
        desk.ordered(ma)
        assert desk.refused() is None


def test_another_reduction_than_was_refused_never_waits_either() -> None:
    """It may not take a pause, and take less than it has."""
    desk = Desk(made())
    desk.ordered(20_000)
    desk.writes()
    desk.ordered(0)
    assert desk.refused() == (3, 0)
    desk.ordered(6_000)
    assert desk.writes() == [(3, 6)]


def test_a_rise_waits_whatever_it_is() -> None:
    desk = Desk(made())
    desk.writes()
    for ma in (12_000, 13_000, 32_000):
        desk.ordered(ma)
        assert desk.refused() == ((3, 12) if ma == 12_000 else None)


def test_one_that_wears_out_is_not_tried_each_three_seconds_for_ever() -> None:
    desk, at_s = Desk(worn()), []
    desk.shows(6_000)
    for _ in range(6000):  # 10 minutes
        if desk.refused() is not None:
            at_s.append(desk.ns / NS_PER_S)
        desk.ns += NS_PER_S // 10
    assert len(at_s) <= 20
    assert max(after - before for before, after in pairwise(at_s)) <= 60.1


@pytest.mark.parametrize("shown_ma", [16_000, None])
def test_what_lowers_it_or_may_waits_no_longer_where_it_wears_out(shown_ma: int | None) -> None:
    """A charger that is busy for a while, and one of which nothing is known yet."""
    desk, at_s = Desk(worn()), list[float]()
    if shown_ma is not None:
        desk.ordered(shown_ma)
        desk.writes()
        desk.shows(shown_ma)
        desk.ordered(6_000)
    for _ in range(600):  # a minute
        if desk.refused() is not None:
            at_s.append(desk.ns / NS_PER_S)
        desk.ns += NS_PER_S // 10
    assert max(after - before for before, after in pairwise(at_s)) <= 3.1
    desk.ns += 3 * NS_PER_S
    assert desk.writes() != []


def of_two_writes() -> ChargerProfile:
    return made(setpoint={"zero": "refused"}, enable=COIL)


def refuses_the_second(desk: Desk, seconds: float, *, never: bool) -> list[float]:
    """When it took the first write of its order, and refused the other."""
    at_s = []
    for _ in range(round(seconds * 100)):
        if desk.offered() is not None:
            at_s.append(desk.ns / NS_PER_S)
            desk.telling.left()
            assert desk.telling.acknowledged(desk.ns) is Then.MORE
            assert desk.offered() == (400, 1)
            desk.telling.left(stored=not never)
            desk.telling.refused(desk.ns, never=never)
            desk.telling.drop()
        desk.ns += NS_PER_S // 100
    return [round(after - before, 1) for before, after in pairwise(at_s)]


@pytest.mark.parametrize("never", [True, False])
def test_one_that_refuses_the_second_write_of_an_order_is_tried_after_pauses_too(
    never: bool,
) -> None:
    gaps = refuses_the_second(Desk(of_two_writes()), 20, never=never)
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, *[3.0] * (len(gaps) - 5)]
    assert len(gaps) >= 9


@pytest.mark.parametrize(("never", "longest_s"), [(True, 60), (False, 3)])
def test_what_is_refused_for_good_is_not_half_written_each_three_seconds(
    never: bool, longest_s: int
) -> None:
    """The first write wears its memory out each time, and lowers it no more than it did."""
    gaps = refuses_the_second(Desk(worn(of_two_writes())), 300, never=never)
    assert max(gaps) == longest_s


def test_a_lower_order_than_was_refused_in_part_never_waits() -> None:
    desk = Desk(worn(of_two_writes()))
    refuses_the_second(desk, 200, never=True)
    desk.ordered(8_000)
    assert desk.writes() == [(3, 8), (400, 1)]


@pytest.mark.parametrize(("surely", "counted"), [(True, 0), (False, 1)])
def test_what_it_surely_did_not_take_wears_nothing_out(surely: bool, counted: int) -> None:
    desk = Desk(worn())
    desk.offered()
    desk.telling.left(stored=not surely)
    assert desk.telling.memory.written("setpoint") == counted


def test_what_was_taken_ends_the_pause() -> None:
    desk = Desk(made())
    for _ in range(100):
        desk.refused()
        desk.ns += NS_PER_S // 10
    desk.ns += 3 * NS_PER_S
    assert desk.writes() == [(3, 10)]
    desk.ordered(9_000)
    assert desk.refused() == (3, 9)
    desk.ns += NS_PER_S // 10
    assert desk.writes() == [(3, 9)]


def test_one_that_refuses_to_be_lowered_is_not_kept_alive() -> None:
    desk = Desk(made(watchdog=FED))
    assert desk.writes() == [(3, 10)]
    assert desk.writes() == [(10, 1)]
    desk.ordered(6_000)
    for _ in range(600):
        assert desk.refused() in ((3, 6), None)
        desk.ns += NS_PER_S // 10


def test_one_that_refuses_to_be_raised_is() -> None:
    desk, fed = Desk(made(watchdog=FED)), 0
    desk.writes()
    desk.writes()
    desk.shows(10_000, timeout=20_000)
    desk.ordered(16_000)
    assert desk.telling.rank(desk.order) is Rank.INCREASE
    for _ in range(600):
        offered = desk.offered()
        if offered == (10, 1):
            fed += 1
            desk.writes()
        else:
            assert desk.refused() in ((3, 16), None)
        desk.shows(10_000, timeout=20_000)
        desk.ns += NS_PER_S // 10
    assert fed >= 10


def test_a_refused_feed_is_tried_again_after_pauses_too() -> None:
    desk = Desk(made(watchdog=LIFE))
    assert desk.writes() == [(3, 10)]
    tried = 0
    for _ in range(1000):  # 10 s
        tried += desk.refused() is not None
        desk.ns += NS_PER_S // 100
    assert 5 <= tried <= 10


# What feeds it, where that is its time.


REWRITES: dict[str, Any] = {"kind": "timeout_rewrite", "timeout_s": 60, "timeout_set": "timeout"}


def rewriting() -> ChargerProfile:
    return made(watchdog=REWRITES | {"timeout": "timeout", "fallback": "fallback"})


@pytest.mark.parametrize(("reads_s", "fed_s"), [(10, 10), (90, 60)])
def test_where_nothing_is_declared_its_time_is_never_prolonged(reads_s: int, fed_s: int) -> None:
    """By its installer, perhaps, who has told nobody."""
    desk = Desk(rewriting(), fallback_delay_ns=None)
    desk.shows(10_000, timeout=reads_s * 1000)
    desk.writes()
    assert desk.writes() == [(8, fed_s)]


def test_a_time_that_it_does_not_tell_is_not_written_over() -> None:
    desk = Desk(rewriting(), fallback_delay_ns=None)
    desk.shows(10_000, timeout=None)
    desk.writes()
    assert desk.writes() == []
    desk.shows(10_000, timeout=10_000)
    assert desk.writes() == [(8, 10)]


def test_one_that_is_programmed_is_fed_with_what_was_declared() -> None:
    desk = Desk(rewriting(), set_delay_ns=30 * NS_PER_S, fallback_delay_ns=30 * NS_PER_S)
    desk.shows(10_000, timeout=10_000)
    desk.writes()
    assert desk.writes() == [(8, 30)]


def timed(scale: float, timeout_s: float) -> ChargerProfile:
    """Fed by a time that cannot be read, in such steps."""
    data = merged({"watchdog": REWRITES | {"fallback_unknown": True, "timeout_s": timeout_s}})
    data["registers"]["timeout"]["scale"] = scale
    profile = parse(data, "it")
    assert isinstance(profile, ChargerProfile)
    return profile


def test_a_declared_time_that_its_register_cannot_hold_is_written_as_far_as_it_can() -> None:
    """The installer has set it in the device, by other means: nobody compared it at load."""
    desk = Desk(timed(0.001, 60), fallback_delay_ns=3600 * NS_PER_S)
    desk.shows(10_000)
    desk.writes()
    assert desk.writes() == [(8, 65_535)]


def test_what_feeds_it_never_switches_it_off() -> None:
    """20 s in minutes would be 0: rather it falls back."""
    desk = Desk(timed(60, 60), fallback_delay_ns=20 * NS_PER_S)
    desk.shows(10_000)
    desk.writes()
    assert desk.writes() == []


def test_of_a_time_that_cannot_be_read_what_is_delivered_feeds_it() -> None:
    desk = Desk(made(watchdog=REWRITES | {"fallback_unknown": True}), fallback_delay_ns=None)
    desk.shows(10_000)
    desk.writes()
    assert desk.writes() == [(8, 60)]


SHOWS_TIME = LIFE | {"timeout": "timeout", "fallback": "fallback"}


@pytest.mark.parametrize("declared_s", [60, None])
@pytest.mark.parametrize("profile", [rewriting(), made(watchdog=SHOWS_TIME)], ids=["time", "bit"])
def test_one_whose_time_is_shorter_than_declared_is_fed_as_often_as_it_shows(
    profile: ChargerProfile, declared_s: int | None
) -> None:
    desk = Desk(profile, fallback_delay_ns=None if declared_s is None else declared_s * NS_PER_S)
    for _ in range(1000):
        desk.shows(10_000, timeout=10_000)
        desk.writes()
        desk.ns += NS_PER_S // 10
    fed = [at for at, address, _ in desk.written if address != 3]
    assert max(after - before for before, after in pairwise(fed)) <= 2.7
    assert len(desk.written) - len(fed) <= 2  # and it is not told again and again


def test_a_time_that_was_shorter_for_a_while_is_not_for_ever() -> None:
    desk = Desk(made(watchdog=SHOWS_TIME), fallback_delay_ns=60 * NS_PER_S)
    for timeout_s, most in ((10, 45), (60, 8)):
        before = len(desk.written)
        for _ in range(1000):
            desk.shows(10_000, timeout=timeout_s * 1000)
            desk.writes()
            desk.ns += NS_PER_S // 10
        assert most // 2 <= len(desk.written) - before <= most


def test_one_that_is_off_as_delivered_and_was_armed_by_hand_is_fed() -> None:
    watchdog = REWRITES | {"timeout_s": 0, "timeout": "timeout", "fallback": "fallback"}
    desk = Desk(made(watchdog=watchdog), fallback_delay_ns=None)
    for _ in range(1200):
        desk.shows(10_000, timeout=30_000)
        desk.writes()
        desk.ns += NS_PER_S // 10
    assert [what for _, *what in desk.written].count([8, 30]) >= 15


@pytest.mark.parametrize("profile", [made(), worn()], ids=["plain", "worn"])
def test_the_first_reduction_goes_out_at_once_whatever_happened_before(
    profile: ChargerProfile,
) -> None:
    desk = Desk(profile)
    desk.writes()
    desk.lives(100, shows=16_000)
    desk.ordered(20_000)
    for _ in range(5):
        desk.refused()
        desk.ns += 4 * NS_PER_S
    desk.ordered(6_000)
    assert desk.writes() == [(3, 6)]
