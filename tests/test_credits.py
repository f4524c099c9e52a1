"""What is ordered and does not show yet takes off from an excess: by each source's own lag."""

from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, Pace, S, Site, flat

QUICK, SLOW = 0, 1


class Scene:
    """One charger that obeys at once, a quick meter and one that lags by two seconds; 100 A."""

    def __init__(self) -> None:
        charger = Charger(0, (0, 1, 2), max_ma=80_000, settle_ns=0, lag_ns=0, fallback_ma=16_000)
        meters = [Meter(0, 0, 0, S, 100 * MS), Meter(0, 0, 2 * S, 3 * S, 100 * MS)]
        site = Site(
            [Circuit(-1, flat(100_000), flat(90_000))], meters, [charger], pace=Pace(dwell_ns=0)
        )
        self.door = Door(site)
        self.now_ns = 1000 * S
        self.flowed: list[int] = []

    def order(self) -> int:
        return self.door.output(0).setpoint_ma or 0

    def live(self, seconds: float, base_ma: int) -> int:
        for _ in range(int(seconds * 10)):
            self.now_ns += 100 * MS
            out = self.door.output(0)
            drawn = min(80_000, 16_000 if out.setpoint_ma is None else out.setpoint_ma)
            self.flowed.append(base_ma + drawn)
            before = self.flowed[-21] if len(self.flowed) > 20 else self.flowed[0]
            self.door.reading(QUICK, self.now_ns, flat(self.flowed[-1]))
            self.door.reading(SLOW, self.now_ns, flat(before))
            self.door.report(0, self.now_ns, drawn, flat(drawn), "C", out.changed_tick)
            self.door.tick(self.now_ns)
        return self.order()


def test_a_slow_meter_lends_the_quick_one_no_credits() -> None:
    """It went from 70 to 50 A for a step of base load, and a second later comes the next: the slow
    meter has yet to show the first reduction, the quick one showed it long ago."""
    one = Scene()
    assert one.live(60, 30_000) == 70_000
    assert one.live(0.1, 50_000) == 50_000
    assert one.live(1, 50_000) == 50_000
    assert one.live(0.1, 65_000) == 35_000, "15 A more must go, and go at once"


def test_nothing_goes_twice_while_the_slow_meter_shows_the_old_flow() -> None:
    one = Scene()
    one.live(60, 30_000)
    orders = [one.live(0.1, 50_000) for _ in range(30)]
    assert set(orders) == {50_000}


def test_an_order_that_does_not_show_in_time_is_credited_no_longer() -> None:
    """One of two does not obey, and its reports are too slow to tell: the meter is not."""
    row = Charger(0, (0, 1, 2), max_ma=80_000, settle_ns=S, lag_ns=0, fallback_ma=16_000)
    slow = row._replace(lag_ns=5 * S, poll_ns=5 * S, max_age_ns=20 * S)
    circuit, meter = Circuit(-1, flat(60_000), flat(60_000)), Meter(0, 0, 0, S, 100 * MS)
    door = Door(Site([circuit], [meter], [slow, row], pace=Pace(dwell_ns=0)))
    draws, base_ma, orders = [16_000, 16_000], 0, [0, 0]
    for tenth in range(1, 640):
        now_ns = 1000 * S + tenth * 100 * MS
        base_ma = 10_000 if tenth > 600 else 0
        outs = [door.output(bay) for bay in range(2)]
        told = [16_000 if out.setpoint_ma is None else out.setpoint_ma for out in outs]
        draws = [draws[0] if base_ma else told[0], told[1]]
        door.reading(0, now_ns, flat(base_ma + sum(draws)))
        for bay in range(2):
            if bay or tenth % 50 == 0:
                door.report(bay, now_ns, told[bay], flat(draws[bay]), "C", outs[bay].changed_tick)
        door.tick(now_ns)
        orders = [door.output(bay).setpoint_ma or 0 for bay in range(2)]
        if tenth == 602:
            assert 49_000 <= sum(orders) <= 50_000, "what the step asks for"
        if tenth == 620:
            assert sum(orders) < 46_000, "two seconds later others have come down in its place"
