"""Base load beyond what was declared: a reading that is lost must not give it back as room."""

from typing import Any

import pytest

from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, Pace, S, Site, flat
from tests.test_adopt import handed_over
from tests.test_lost_readings import Bays

RATING_MA = 200_000
DECLARED_MA = 60_000


class Scene:
    """One charger that obeys within a tick, one circuit, and whatever reads it."""

    def __init__(self, *meters: Meter, worst_ma: int = DECLARED_MA, **charger: Any) -> None:
        known = {"settle_ns": S, "lag_ns": 0, "fallback_ma": 32_000, **charger}
        self.row = Charger(0, (0, 1, 2), **known)
        rows = [Circuit(-1, flat(RATING_MA), flat(worst_ma))]
        self.door = Door(Site(rows, list(meters), [self.row], pace=Pace(dwell_ns=2 * S)))
        self.now_ns = 1000 * S
        self.base_ma = 0
        self.reads = set(range(len(meters)))
        self.orders: list[int] = []

    def run(self, seconds: float) -> int:
        """Ticks of 100 ms; the last order."""
        for _ in range(int(seconds * 10)):
            self.now_ns += 100 * MS
            out = self.door.output(0)
            told = 6000 if out.setpoint_ma is None else out.setpoint_ma
            for meter in self.reads:
                self.door.reading(meter, self.now_ns, flat(self.base_ma + told))
            shown = flat(told) if self.row.metered else None
            self.door.report(0, self.now_ns, told, shown, "C", out.changed_tick)
            self.door.tick(self.now_ns)
            self.orders.append(self.door.output(0).setpoint_ma or 0)
        return self.orders[-1]

    def base_hi(self) -> int:
        return int(self.door.circuit(0).base_hi_ma[0])


def signed(**keys: Any) -> Meter:
    return Meter(0, 500, 0, S, 100 * MS)._replace(**keys)


def clamp(**keys: Any) -> Meter:
    return signed(unsigned=True, **keys)


def over(base_ma: int, *meters: Meter, after_s: float = 20, **keys: Any) -> Scene:
    """It charges, until there is suddenly that much base load; and a while after."""
    scene = Scene(*meters, **keys)
    scene.run(60)
    scene.base_ma = base_ma
    scene.run(after_s)
    scene.orders.clear()
    return scene


@pytest.mark.parametrize("lost", ["it stops", "it stops, and another document comes"])
def test_a_clamp_that_is_lost_gives_back_no_room(lost: str) -> None:
    """It showed 210 A where 60 A are declared, and the charger was paused for it."""
    scene = over(210_000, clamp())
    assert scene.run(1) == 0
    scene.reads.clear()
    if "document" in lost:
        handed_over(scene.door, scene.door.site)
    assert scene.run(120) == 0 and max(scene.orders) == 0, "it rose because nobody looked any more"
    scene.reads.add(0)
    scene.base_ma = 20_000
    assert scene.run(30) == 32_000, "read again, it is as it is"


def test_what_nobody_trusts_any_more_gives_back_no_room_either() -> None:
    """A clamp shows 210 A where 60 A are declared, and freezes: that may be so still."""
    scene = over(210_000, clamp())
    assert scene.run(1) == 0
    scene.door.distrust(0, True)
    assert scene.run(60) == 0 and max(scene.orders) == 0
    scene.base_ma = 20_000
    scene.door.distrust(0, False)
    assert scene.run(30) == 32_000, "trusted and read again, it is as it is"


def test_a_clamp_alone_below_its_cap_gives_no_more_than_it_leaves() -> None:
    """190 A of 200 A are base load: 60 A are declared, and no magnitude proves more for good."""
    scene = over(190_000, clamp())
    assert scene.run(60) <= 10_000 and max(scene.orders) <= 10_000, "it went over and back"
    assert scene.base_hi() >= 190_000
    scene.reads.clear()
    scene.run(60)
    assert max(scene.orders) <= 10_000


def test_it_is_remembered_from_before_the_reduction_that_it_asked_for() -> None:
    """The last readings come while the charger's way down still hides how much was base load. (One
    alone may be a dying meter's last word.)"""
    for tenths in range(2, 25):
        scene = over(185_000, clamp(lag_ns=0), after_s=0)
        scene.run(tenths / 10)
        scene.reads.clear()
        scene.orders.clear()
        scene.run(20)
        assert scene.orders[-1] <= 15_000, f"lost {tenths / 10} s after the step"


def test_a_meter_lost_before_the_third_reading() -> None:
    """Two readings disprove nothing for good; what they showed is not forgotten for that."""
    scene = over(20_000, signed(poll_ns=S, max_age_ns=3 * S))
    scene.run(40)
    scene.base_ma = 210_000
    scene.run(0.2)
    assert scene.orders[-1] == 0
    scene.reads.clear()
    scene.run(60)
    assert scene.door.circuit(0).worst_base_ma == flat(DECLARED_MA)
    assert scene.orders[-1] == 0


def test_one_glitch_is_not_three_readings_because_another_meter_is_faster() -> None:
    """A slow meter shows one wrong value; while it is its newest, another is read five times."""
    slow, fast = signed(poll_ns=S, max_age_ns=3 * S), signed()
    scene = over(20_000, slow, fast)
    scene.run(20)
    scene.door.reading(0, scene.now_ns, flat(300_000))
    scene.reads = {1}
    scene.run(1)
    scene.reads = {0, 1}
    scene.run(5)
    assert scene.door.circuit(0).worst_base_ma == flat(DECLARED_MA)
    scene.base_ma = 100_000
    scene.run(5)
    assert scene.door.circuit(0).worst_base_ma > flat(90_000), "three of one meter in a row do"


@pytest.mark.parametrize("second", [(0, 80, 80, 80, 80, 80), (80, 80, 120, 80, 80, 80)])
def test_a_worst_case_that_was_proved_never_sinks_by_another_meters_proof(
    second: tuple[int, ...],
) -> None:
    """Nor where what it had begun to prove was less."""
    scene = over(20_000, signed(), signed())
    scene.run(20)
    worst = [DECLARED_MA]
    for first_ma, second_ma in zip((110, 110, 110, 80, 80, 80), second, strict=True):
        scene.now_ns += 100 * MS
        for meter, base_ma in enumerate((first_ma * 1000, second_ma * 1000)):
            scene.door.reading(meter, scene.now_ns, flat(base_ma + 32_000))
        scene.door.tick(scene.now_ns)
        worst.append(scene.door.circuit(0).worst_base_ma[0])
    assert worst == sorted(worst) and worst[-1] >= 109_000


def test_what_was_declared_holds_where_no_reading_said_otherwise() -> None:
    """Neither a ramp in the window nor a charger that measures nothing makes base load of draw."""
    for metered in (True, False):
        scene = over(50_000, signed(), metered=metered)
        scene.run(30)
        scene.reads.clear()
        scene.run(30)
        assert (scene.base_hi(), scene.orders[-1]) == (DECLARED_MA, 32_000)


def test_with_the_last_meter_gone_from_the_document_the_declaration_holds() -> None:
    scene = over(210_000, clamp())
    scene.reads.clear()
    handed_over(scene.door, scene.door.site._replace(meters=[]))
    scene.run(30)
    assert scene.base_hi() == DECLARED_MA


@pytest.mark.parametrize("meter", [signed(), clamp()], ids=["a meter", "a clamp"])
@pytest.mark.parametrize("declared_ma", [0, 20_000])
def test_beyond_the_declaration_a_step_of_the_base_load_still_fits(
    declared_ma: int, meter: Meter
) -> None:
    """Before a charger that takes no second write for half a minute."""
    circuit = Circuit(-1, flat(100_000), flat(declared_ma), base_step_ma=flat(15_000))
    bays = Bays(circuit, {"max_ma": 80_000, "write_gap_ns": 30 * S}, meter=meter)
    bays.base_ma = 40_000
    bays.run(400)
    assert 40_000 <= bays.order() <= 45_500, "what is proved is proved but for the meter's error"


def test_beyond_the_declaration_the_largest_step_is_what_was_declared_where_none_is_stated() -> (
    None
):
    circuit = Circuit(-1, flat(100_000), flat(20_000))
    bays = Bays(circuit, {"max_ma": 80_000, "write_gap_ns": 30 * S})
    bays.base_ma = 40_000
    bays.run(400)
    assert 35_000 <= bays.order() <= 40_000


@pytest.mark.parametrize("meter", [signed(), clamp()], ids=["a meter", "a clamp"])
def test_a_bus_bar_knows_base_load_that_nobody_declared(meter: Meter) -> None:
    circuit = Circuit(-1, flat(300_000), flat(10_000), busbar_ma=flat(100_000))
    bays = Bays(circuit, {"max_ma": 90_000}, meter=meter)
    bays.base_ma = 60_000
    bays.run(200)
    assert 35_000 <= bays.order() <= 40_500


@pytest.mark.parametrize("keys", [{"standby_ma": 200}, {"tolerance_ppm": 111_112}])
def test_what_reports_may_leave_out_is_no_base_load(keys: dict[str, int]) -> None:
    """The chargers' own consumption, or what a power is at a low voltage."""
    bays = Bays(Circuit(-1, flat(400_000), flat(0)), *[keys] * 20)
    if "standby_ma" in keys:
        bays.tells = lambda bay, drawn_ma: max(0, drawn_ma - 200)
    else:
        bays.tells = lambda bay, drawn_ma: drawn_ma * 9 // 10
        bays.wants = lambda bay, told_ma: told_ma * 10 // 9
    bays.run(600)
    assert bays.door.circuit(0).worst_base_ma == flat(0)
    assert bays.base_hi() == 100, "the meter's error"


def test_what_a_car_has_begun_to_draw_is_no_base_load() -> None:
    """The meter shows it a second and a half before its charger tells."""
    bays = Bays(Circuit(-1, flat(100_000), flat(0)), {"lag_ns": 2 * S})
    bays.wants = lambda bay, told_ma: 0
    bays.run(60)
    drew = [0, 0, 0]

    def told_late(_bay: int, drawn_ma: int) -> int:
        drew.append(drawn_ma)
        return drew[-4]

    bays.wants = lambda bay, told_ma: told_ma
    bays.tells = told_late
    shown = [0]
    for _ in range(60):
        bays.step()
        shown.append(bays.base_hi())
    assert bays.order() > 20_000 and max(shown) == 100, "the meter's error"
