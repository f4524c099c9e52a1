"""The imbalance limit: one-phase chargers on the high phase, and nobody else, are held back."""

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.rows import BY_RATING, Pause, Rule
from tests.examples import depots
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, Triple, flat
from tests.test_rules import Bench

THREE = (0, 1, 2)
L1, L2, L3 = (0, -1, -1), (1, -1, -1), (2, -1, -1)
LIMIT = 20_000


class Street(Bench):
    """Chargers whose cars want something, on some of the phases that they could have."""

    def __init__(self, circuits: list[Circuit], chargers: list[Charger]) -> None:
        meters = [Meter(0, 0, 0, S, 100 * MS)]
        super().__init__(Site(circuits, meters, chargers))
        self.wants = [32_000] * len(chargers)
        self.car = [{p for p in row.phases if p >= 0} for row in chargers]
        self.noise = random.Random(1)
        self.wavers_ma = 0
        self.silent: set[int] = set()
        self.stuck: dict[int, int] = {}
        self.told: list[list[int]] = [[] for _ in chargers]

    def drawn(self, index: int) -> Triple:
        told = self.door.output(index).setpoint_ma or 0
        ma = self.stuck.get(index, min(told, self.wants[index]))
        if ma and self.wavers_ma:
            ma = max(0, ma - self.noise.randrange(self.wavers_ma))
        on = self.car[index]
        return (ma if 0 in on else 0, ma if 1 in on else 0, ma if 2 in on else 0)

    def live(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.now_ns += 100 * MS
            drawn = [self.drawn(i) for i in range(len(self.wants))]
            self.door.reading(
                0,
                self.now_ns,
                (sum(d[0] for d in drawn), sum(d[1] for d in drawn), sum(d[2] for d in drawn)),
            )
            for index, amps in enumerate(drawn):
                out = self.door.output(index)
                if index in self.silent:
                    continue
                state = "A" if not self.wants[index] else "C" if max(amps) else "B"
                self.door.report(
                    index, self.now_ns, out.setpoint_ma or 0, amps, state, out.changed_tick
                )
            self.door.tick(self.now_ns)
            for index, orders in enumerate(self.told):
                orders.append(self.door.output(index).setpoint_ma or 0)

    def turns(self, since: int = 0) -> int:
        """How often one of them changed its direction."""
        count = 0
        for orders in self.told:
            moves = [b - a for a, b in pairwise(orders[since:]) if a != b]
            count = max(count, sum((a > 0) != (b > 0) for a, b in pairwise(moves)))
        return count


def row(phases: Triple, **keys: Any) -> Charger:
    return Charger(
        keys.pop("circuit", 0),
        phases,
        **{"settle_ns": S, "lag_ns": 0, "fallback_ma": 16_000, **keys},
    )


def street(*chargers: Charger, limit_ma: int | None = LIMIT, cap_ma: int = 200_000) -> Street:
    return Street([Circuit(-1, flat(cap_ma), flat(0), imbalance_ma=limit_ma)], list(chargers))


def test_alone_on_its_phase_it_has_no_more_than_the_limit() -> None:
    one = street(row(L2))
    one.live(60)
    assert one.orders() == [LIMIT]
    why = one.door.output(0).why
    assert (why.rule, why.circuit, why.phase, why.slot) == (Rule.IMBALANCE, 0, 1, BY_RATING)


def test_without_a_limit_it_has_all() -> None:
    one = street(row(L2), limit_ma=None)
    one.live(60)
    assert one.orders() == [32_000]


def test_who_draws_on_the_other_phases_evens_it_out() -> None:
    one = street(row(L1), row(L2), row(L3))
    one.live(60)
    assert one.orders() == [32_000] * 3


def test_what_is_permitted_and_not_drawn_evens_nothing_out() -> None:
    one = street(row(L1), row(L2), row(L3))
    one.wants = [32_000, 32_000, 0]
    one.live(60)
    assert one.orders()[:2] == [LIMIT] * 2


def test_three_phases_neither_lift_nor_even_out() -> None:
    one = street(row(L1), row(THREE), row(THREE))
    one.live(60)
    assert one.orders() == [LIMIT, 32_000, 32_000]


def test_when_the_others_leave_it_comes_down_calmly() -> None:
    one = street(row(L1), row(L2), row(L3))
    one.live(60)
    one.wants[2] = 0
    one.live(5)
    assert one.orders()[:2] == [32_000] * 2
    one.live(30)
    assert one.orders()[:2] == [LIMIT] * 2


def test_they_share_what_the_phase_may_have() -> None:
    one = street(row(L1), row(L1, weight=2), row(THREE))
    one.live(60)
    orders = [order or 0 for order in one.orders()]
    assert sum(orders[:2]) <= LIMIT
    assert orders == [6600, 13_300, 32_000]


def test_who_has_no_minimum_left_waits() -> None:
    one = street(*[row(L1)] * 4)
    one.live(120)
    assert sorted(order or 0 for order in one.orders()) == [0, 6600, 6600, 6600]
    assert one.turns(600) == 0


def test_two_phases_count_and_are_not_lowered() -> None:
    one = street(row((0, 1, -1)), row(L1))
    one.live(60)
    assert one.orders() == [32_000, 0]


def test_a_car_on_one_phase_of_three_is_found_out() -> None:
    one = street(row((2, 0, 1)))
    one.car = [{2}]
    one.live(25)
    assert one.orders() == [32_000]
    one.live(60)
    assert one.orders() == [LIMIT]


def test_one_that_had_to_stop_for_it_does_not_begin_again_and_again() -> None:
    """What says that it draws on one phase is gone with its draw; it is remembered."""
    one = street(row(THREE), limit_ma=5000)
    one.car = [{0}]
    one.live(120)
    assert one.orders() == [0]
    one.live(240)
    assert one.orders() == [0]
    assert one.turns() == 1
    one.wants[0] = 0
    one.live(2)
    one.wants[0] = 32_000
    one.car = [{0, 1, 2}]
    one.live(60)
    assert one.orders() == [32_000]


@pytest.mark.parametrize("wavers_ma", [300, 900])
def test_what_wavers_moves_nobody_for_ever(wavers_ma: int) -> None:
    """Two on L1 whose minima fit only beside what another one draws on L2 and L3."""
    one = street(row(L1), row(L1), row(L2), row(L3), limit_ma=6000)
    one.wants = [32_000, 32_000, 6500, 6500]
    one.live(60)
    one.wavers_ma = wavers_ma
    one.live(120)
    since = len(one.told[0])
    one.live(240)
    assert one.turns(since) <= 2


def test_a_limit_of_zero_stops_who_draws_on_one_phase() -> None:
    one = street(row(L1), row(THREE), limit_ma=0)
    one.live(60)
    assert one.orders() == [0, 32_000]


def test_it_lowers_nothing_below_what_may_never_be_paused() -> None:
    one = street(row(L1, may_pause=Pause.NEVER), limit_ma=0)
    one.live(60)
    assert one.orders() == [6000]


def test_a_silent_one_takes_its_own_part_of_the_phase_and_no_more() -> None:
    """It may be drawing 32 A, more than the limit: caps count that. Nobody stops for it."""
    one = street(*[row(L1, fallback_ma=32_000)] * 3)
    one.live(60)
    assert one.orders() == [6600] * 3
    one.silent = {1}
    one.live(60)
    assert min(one.orders()[0] or 0, one.orders()[2] or 0) >= 6600
    one.live(1200)
    assert min(one.orders()[0] or 0, one.orders()[2] or 0) >= 6600


def test_a_stubborn_one_takes_its_own_part_of_the_phase_and_no_more() -> None:
    one = street(*[row(L1, fallback_ma=32_000)] * 3)
    one.live(60)
    one.stuck = {1: 30_000}
    one.live(60)
    assert one.door.charger(1).stubborn
    assert min(one.orders()[0] or 0, one.orders()[2] or 0) >= 6600


def test_nobody_waits_behind_one_that_the_limit_leaves_nothing() -> None:
    """The first draws on two phases and lifts L1 all it may be. The second is overdue and can have
    nothing; the third, of the class that goes first, has the row's only minimum."""
    rows = [
        row((0, 1, -1)),
        row(L1, circuit=1, class_rank=1, class_wait_ns=60 * S),
        row(THREE, circuit=1),
    ]
    circuits = [
        Circuit(-1, flat(200_000), flat(0), imbalance_ma=LIMIT),
        Circuit(0, flat(7000), flat(0)),
    ]
    one = Street(circuits, rows)
    one.live(120)
    assert one.orders() == [32_000, 0, 7000]
    assert one.door.charger(1).overdue
    assert one.door.output(1).why.rule is Rule.IMBALANCE
    one.wants[0] = 0
    one.live(120)
    assert one.orders() == [0, 7000, 0], "now it may, and it has waited longest"


@depots(25)
@given(seed=st.integers(0, 2**32))
def test_in_any_street_who_is_sick_stops_nobody(seed: int) -> None:
    """All on one phase, some fall silent or disobey: of the others no fewer charge than the limit
    has minima for, the sick ones counted as any other."""
    rng = random.Random(seed)
    limit_ma = rng.choice([12_000, 20_000, 30_000])
    rows = [
        row(
            L1,
            fallback_ma=rng.choice([0, 6000, 32_000]),
            power_on_ma=rng.choice([0, 32_000]),
            step_ma=rng.choice([1, 100, 1000]),
            metered=rng.random() < 0.8,
        )
        for _ in range(rng.randrange(2, 6))
    ]
    one = street(*rows, limit_ma=limit_ma)
    one.live(rng.choice([0, 60]))
    sick = set(rng.sample(range(len(rows)), rng.randrange(1, len(rows))))
    if rng.random() < 0.6:
        one.silent = sick
    else:
        one.stuck = dict.fromkeys(sick, rng.choice([12_000, 32_000]))
    one.live(100)
    healthy = [order or 0 for i, order in enumerate(one.orders()) if i not in sick]
    room = limit_ma // 6000 - len(sick)
    assert sum(order > 0 for order in healthy) >= min(len(healthy), room)


@depots(40)
@given(seed=st.integers(0, 2**32))
def test_in_any_street_who_waits_has_no_room(seed: int) -> None:
    """Nobody who may have it is refused a minimum that is left over, whoever goes before."""
    rng = random.Random(seed)
    caps = [rng.randrange(12_000, 60_000), rng.randrange(6000, 40_000)]
    rows = [
        row(
            rng.choice([L1, L1, L2, L3, THREE, THREE, (1, 2, -1)]),
            circuit=rng.randrange(2),
            class_rank=rng.choice([0, 0, 1]),
            class_wait_ns=rng.choice([None, 20 * S, 60 * S]),
        )
        for _ in range(rng.randrange(2, 8))
    ]
    limit_ma = rng.choice([6000, 10_000, 20_000])
    one = Street(
        [
            Circuit(-1, flat(caps[0]), flat(0), imbalance_ma=limit_ma),
            Circuit(0, flat(caps[1]), flat(0)),
        ],
        rows,
    )
    one.wants = [rng.choice([0, 32_000, 32_000]) for _ in rows]
    one.live(150)
    drawn = [one.drawn(i) for i in range(len(rows))]
    for i, waits in enumerate(rows):
        if one.orders()[i] or not one.wants[i] or waits.phases != THREE:
            continue
        full = [
            cap - sum(drawn[k][phase] for k in one.site.below(circuit)) < 6000
            for circuit, cap in enumerate(caps)
            if circuit <= waits.circuit
            for phase in range(3)
        ]
        assert any(full), (i, one.orders())


@depots(25)
@given(seed=st.integers(0, 2**32))
def test_any_street_keeps_every_limit_and_nobody_gets_more(seed: int) -> None:
    rng = random.Random(seed)
    limits = [rng.choice([None, 10_000, 20_000]), rng.choice([0, 8000, 20_000])]
    rows = [
        row(
            rng.choice([L1, L1, L2, L3, THREE, (1, 2, -1)]),
            circuit=rng.randrange(2),
            weight=rng.choice([1, 1, 3]),
            class_rank=rng.choice([0, 0, 1]),
            step_ma=rng.choice([1, 100, 1000]),
            metered=rng.random() < 0.8,
        )
        for _ in range(rng.randrange(1, 8))
    ]

    def told(bounds: list[int | None]) -> Street:
        circuits = [
            Circuit(parent, flat(300_000), flat(0), imbalance_ma=limit_ma)
            for parent, limit_ma in zip((-1, 0), bounds, strict=True)
        ]
        one = Street(circuits, rows)
        one.live(100)
        return one

    limited, free = told(limits), told([None, None])
    assert all((a or 0) <= (b or 0) for a, b in zip(limited.orders(), free.orders(), strict=True))
    for circuit, limit_ma in enumerate(limits):
        below = [i for i in limited.site.below(circuit) if rows[i].phases != THREE]
        amps = [sum(limited.drawn(i)[phase] for i in below) for phase in range(3)]
        for phase in range(3):
            alone = [i for i in below if rows[i].phases == (phase, -1, -1)]
            if limit_ma is not None and amps[phase] - min(amps) > limit_ma:
                assert [limited.drawn(i)[phase] for i in alone if limited.drawn(i)[phase]] == []


def nested(seed: int | None) -> Street:
    """One-phase chargers of different minima below two limits; None: six whose phases hang together
    so that each that stops takes room from the others, and each that comes back, too."""
    rng = random.Random(seed)
    limits, rows = [10_000, 12_000], []
    if seed is None:
        kinds = [(L2, 6000, 1), (L1, 8000, 1), (L1, 10_000, 0)]
        kinds += [(L1, 14_000, 0), (L3, 8000, 1), (L2, 6000, 0)]
    else:
        limits = [rng.choice([5000, 8000, 10_000, 16_000]), rng.choice([7000, 12_000])]
        kinds = [
            (rng.choice([L1, L2, L3]), rng.choice([6000, 8000, 10_000, 14_000]), rng.randrange(2))
            for _ in range(rng.randrange(4, 9))
        ]
    for phases, min_ma, circuit in kinds:
        rows.append(row(phases, min_ma=min_ma, circuit=circuit))
    circuits = [
        Circuit(parent, flat(500_000), flat(0), imbalance_ma=limit_ma)
        for parent, limit_ma in zip((-1, 0), limits, strict=True)
    ]
    return Street(circuits, rows)


def switched(told: list[int]) -> int:
    return sum((a > 0) != (b > 0) for a, b in pairwise(told))


def test_who_was_switched_off_twice_stays_off_until_the_turn_has_passed() -> None:
    one = nested(None)
    one.wavers_ma = 2
    one.live(60)
    since, over = len(one.told[0]), 0
    turns = 1 + 600 * S // one.site.pace.turn_ns
    for _ in range(600):
        one.live(1)
        amps = [sum(one.drawn(i)[phase] for i in range(6)) for phase in range(3)]
        over += max(amps) - min(amps) > 10_000 + 1000
    assert max(switched(told[since:]) for told in one.told) <= 4 * turns
    assert over < 60, "followed at the calm pace, and not again and again"


@depots(15)
@given(seed=st.integers(0, 2**32))
def test_in_any_street_nobody_is_switched_on_and_off(seed: int) -> None:
    one = nested(seed)
    one.wavers_ma = 2
    one.live(60)
    since = len(one.told[0])
    one.live(300)
    turns = 2 + 300 * S // one.site.pace.turn_ns
    assert max(switched(told[since:]) for told in one.told) <= 4 * turns
