"""Chargers that do not answer, cannot prove their fallback, or come back from a power cut."""

import pytest

from cext.rows import Rule
from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, flat

ROW = Charger(0, (0, 1, 2), settle_ns=S, lag_ns=0, fallback_ma=8000, power_on_ma=16_000)


class Bench:
    """Two chargers and a meter; time by hand."""

    def __init__(self, cap_ma: int = 60_000) -> None:
        site = Site([Circuit(-1, flat(cap_ma), flat(0))], [Meter(0, 0, 0, S, 100 * MS)], [ROW] * 2)
        self.door = Door(site)
        self.now_ns = 1000 * S
        self.silent: set[int] = set()
        self.in_force = [6000, 6000]
        self.lost: set[int] = set()  # takes no write for now

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.step()

    def step(self) -> None:
        self.now_ns += 100 * MS
        for index in {0, 1} - self.lost - self.silent:
            ordered = self.door.output(index).setpoint_ma
            self.in_force[index] = self.in_force[index] if ordered is None else ordered
        self.door.reading(0, self.now_ns, flat(sum(self.in_force)))
        for index in {0, 1} - self.silent:
            ma, out = self.in_force[index], self.door.output(index)
            self.door.report(index, self.now_ns, ma, flat(ma), "C", out.changed_tick)
        self.door.tick(self.now_ns)

    def order(self, index: int) -> int | None:
        out = self.door.output(index)
        return out.setpoint_ma


def test_the_others_do_not_wait_for_one_that_does_not_answer() -> None:
    one = Bench()
    one.silent = {1}
    one.run(9)
    assert (one.order(0), one.order(1)) == (28_000, None)
    assert not one.door.charger(1).unproven
    one.run(2)
    assert one.door.charger(1).unproven
    assert one.door.output(1).why.rule == Rule.UNPROVEN
    assert one.door.charger(1).draw_hi_ma == 32_000
    one.run(20)
    assert one.order(0) == 28_000, "what the other one may draw at most is not given away"
    one.silent = set()
    one.run(30)
    assert not one.door.charger(1).unproven
    assert one.order(1) == 30_000


def test_without_its_fallback_proven_a_charger_is_not_raised() -> None:
    one = Bench()
    one.door.kernel.prove(0, False)
    one.run(9.5)
    assert one.order(0) == 6000, "the lesser of the setpoint in force and the fail-safe setpoint"
    assert one.door.output(0).why.rule == Rule.UNPROVEN
    state = one.door.charger(0)
    assert (state.unproven, state.draw_hi_ma) == (False, 6000)
    one.run(1)
    state = one.door.charger(0)
    assert (state.unproven, state.draw_hi_ma) == (True, 32_000)
    one.run(30)
    assert (one.order(0), one.order(1)) == (6000, 28_000)
    one.door.kernel.prove(0, True)
    one.run(40)
    assert not one.door.charger(0).unproven
    assert one.order(0) == 30_000


def test_a_proof_that_is_lost_has_ten_seconds_and_raises_nothing_meanwhile() -> None:
    one = Bench(cap_ma=100_000)
    one.door.kernel.prove(0, True)
    one.run(5)
    before = one.order(0)
    assert before is not None and before < 32_000
    one.door.kernel.prove(0, False)
    one.run(9)
    assert (one.order(0), one.door.charger(0).unproven) == (before, False)
    one.run(2)
    assert (one.order(0), one.door.charger(0).unproven) == (before, True)


def test_an_unproven_charger_is_shed_like_any_other() -> None:
    one = Bench(cap_ma=60_000)
    one.run(20)
    one.door.kernel.prove(0, False)
    one.run(11)
    assert one.door.charger(0).unproven
    one.now_ns += 100 * MS
    one.door.reading(0, one.now_ns, flat(75_000))
    one.door.tick(one.now_ns)
    assert [one.order(0), one.order(1)] == [22_500, 22_500]


@pytest.mark.parametrize("proven", [None, True])
def test_whoever_cannot_tell_is_proven_by_its_answer(proven: bool | None) -> None:
    one = Bench()
    one.door.kernel.prove(0, proven)
    one.run(30)
    assert one.order(0) == 30_000
    assert not one.door.charger(0).unproven


def test_a_reboot_to_power_on_current_is_counted_at_the_next_report() -> None:
    """12 A were ordered, it comes back with 16 A: counted at once, until the order is in force."""
    one = Bench(cap_ma=24_000)
    one.run(30)
    assert (one.order(0), one.order(1)) == (12_000, 12_000)
    one.lost = {0}
    one.in_force[0] = ROW.power_on_ma
    one.step()
    assert one.door.charger(0).draw_hi_ma == 16_000
    assert (one.order(0) or 0) <= 12_000
    one.run(0.5)
    assert sum(one.order(i) or 0 for i in range(2)) <= 24_000
    one.lost = set()
    one.run(30)
    assert one.door.charger(0).draw_hi_ma == one.order(0) == 12_000


def test_an_unknown_charger_is_refused() -> None:
    with pytest.raises(IndexError):
        Bench().door.kernel.prove(2, True)
