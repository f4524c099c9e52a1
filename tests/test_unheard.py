"""Right after a start: who has not answered yet draws something, and a meter shows it."""

from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, Pace, S, Site, flat

TOLD, UNHEARD = 0, 1


def began(reading_ma: int, seconds: float = 4, more: int = 0) -> Door:
    """60 A, at most 10 A of them base load; two chargers of 32 A that tell no current, and `more`
    that do and draw 6 A. The second one does not answer. From the third second on that is read."""
    mute = Charger(0, (0, 1, 2), max_ma=32_000, fallback_ma=32_000, metered=False)
    metered = Charger(0, (0, 1, 2), max_ma=32_000, fallback_ma=6_000)
    chargers = [mute, mute, *[metered] * more]
    circuits = [Circuit(-1, flat(60_000), flat(10_000))]
    one = Door(Site(circuits, [Meter(0, 0, 0, S, 100 * MS)], chargers, pace=Pace()))
    for tick in range(int(seconds * 10)):
        now_ns = 1000 * S + tick * 100 * MS
        one.reading(0, now_ns, flat(reading_ma if tick >= 30 else 55_000))
        for index in (TOLD, *range(2, len(chargers))):
            out = one.output(index)
            told = 32_000 if out.setpoint_ma is None else out.setpoint_ma
            current = flat(6_000) if index > 1 else None
            one.report(index, now_ns, told, current, "C", out.changed_tick)
        one.tick(now_ns)
    return one


def test_who_was_not_heard_counts_at_its_most_where_the_meter_shows_an_excess() -> None:
    """25 A each would fit, but 70 A flow: 60 - 10 - 32 A are left to the one that listens."""
    assert began(reading_ma=70_000).output(TOLD).setpoint_ma == 18_000
    assert began(reading_ma=70_000, seconds=3.1).output(TOLD).setpoint_ma == 18_000


def test_nobody_is_lowered_for_who_only_has_not_answered() -> None:
    assert began(reading_ma=55_000).output(TOLD).setpoint_ma == 25_000


def test_those_who_tell_their_draw_give_first() -> None:
    """61 A flow, and each of four draws 6 A: that goes before anybody unmetered is asked for more
    than to come to its share, (60 - 10 A) / 6."""
    assert began(reading_ma=61_000, more=4).output(TOLD).setpoint_ma == 8_400
