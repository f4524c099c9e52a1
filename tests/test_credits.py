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
