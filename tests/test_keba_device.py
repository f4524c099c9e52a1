"""The rig's KEBA behaves as its guide says."""

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from hil.devices.keba import ENABLE, FAILSAFE, SETPOINT, TIMEOUT, Keba
from hil.devices.pdu import answer

SECOND_NS = 1_000_000_000
CAR = Car(max_ma=16_000, phases=3, reaction_ns=SECOND_NS, energy_wh=60_000, taper_wh=0)
OFF = 0


class Scene:
    """One charger and a clock; requests as bytes, so that exceptions show."""

    def __init__(self, watchdog_s: int = 10) -> None:
        row = PlantCharger(0, (0, 1, 2), 32_000, 16_000, 6_000, watchdog_s * SECOND_NS)
        self.plant = Plant([ROOT], (row,), nominal_mv=230_000, seed=1)
        self.now_ns = 7 * SECOND_NS
        self.plant.advance(self.now_ns)
        self.keba = Keba(self.plant, 0, row, self.present)

    def present(self) -> int:
        self.plant.advance(self.now_ns)
        return self.now_ns

    def leap(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)
        self.present()

    def read(self, address: int, after_s: float = 0.5, count: int = 2) -> int:
        """The value; below 0: refused with this exception."""
        self.leap(after_s)
        reply = answer(self.keba, bytes((3, *address.to_bytes(2, "big"), 0, count)))
        return -reply[1] if reply[0] & 0x80 else int.from_bytes(reply[2:], "big")

    def write(self, address: int, value: int, after_s: float = 5.0) -> int:
        """0, or the exception."""
        self.leap(after_s)
        pdu = bytes((6, *address.to_bytes(2, "big"), *value.to_bytes(2, "big")))
        reply = answer(self.keba, pdu)
        return reply[1] if reply[0] & 0x80 else 0

    @property
    def offered_ma(self) -> int:
        return self.plant.charger(0).offered_ma


def test_one_value_a_read_and_not_twice_in_half_a_second() -> None:
    scene = Scene()
    assert scene.read(1000) == 1
    assert scene.read(1004, 0.49) == -6
    assert scene.read(1004, 0.01) == 1
    assert scene.read(1000, count=4) == -2
    assert scene.read(1001) == -2
    assert scene.keba.hurried == 1


def test_it_charges_as_it_is_told() -> None:
    scene = Scene()
    scene.plant.plug(0, CAR)
    assert scene.write(SETPOINT, 13_300) == 0
    scene.leap(3)
    shown = [scene.read(address) for address in (1000, 1004, 1008, 1010, 1012, 1020, 1100)]
    assert shown == [3, 7, 13_300, 13_300, 13_300, 3 * 13_300 * 230, 13_300]
    assert scene.write(SETPOINT, 0) == 0
    scene.leap(3)
    assert [scene.read(address) for address in (1000, 1008, 1100)] == [5, 0, 0]
    assert scene.write(SETPOINT, 20_000) == 0
    assert scene.write(ENABLE, 0) == 0
    assert scene.offered_ma == 0
    assert scene.keba.writes == 3


def test_a_write_within_five_seconds_of_another_is_acknowledged_and_lost() -> None:
    scene = Scene()
    assert scene.write(SETPOINT, 10_000) == 0
    assert scene.write(SETPOINT, 6_000, 4.99) == 0
    assert (scene.offered_ma, scene.keba.hurried) == (10_000, 1)
    assert scene.write(SETPOINT, 6_000, 0.01) == 0
    assert scene.offered_ma == 6_000


@pytest.mark.parametrize(
    ("address", "value", "code"),
    [
        (SETPOINT, 5_999, 3),
        (SETPOINT, 32_001, 3),
        (FAILSAFE, 1, 3),
        (TIMEOUT, 4, 3),
        (TIMEOUT, 601, 3),
        (ENABLE, 2, 3),
        (1100, 6_000, 2),
    ],
)
def test_what_its_registers_cannot_hold_is_refused(address: int, value: int, code: int) -> None:
    scene = Scene()
    assert scene.write(address, value) == code
    assert scene.offered_ma == 16_000
    assert scene.write(SETPOINT, 6_000, 0) == 0  # a refused write costs no time
    assert scene.offered_ma == 6_000


def test_any_request_feeds_its_watchdog_and_any_request_leaves_its_fallback() -> None:
    scene = Scene()
    scene.write(SETPOINT, 20_000)
    for _ in range(3):
        scene.read(1000, 9)
    assert scene.offered_ma == 20_000
    scene.leap(10)
    assert scene.offered_ma == 6_000
    assert scene.read(1100) == 20_000
    assert scene.offered_ma == 20_000


def test_as_delivered_its_watchdog_is_off_and_it_can_be_set() -> None:
    scene = Scene(watchdog_s=OFF)
    assert scene.read(1602) == 0
    scene.write(SETPOINT, 20_000)
    scene.leap(3600)
    assert scene.offered_ma == 20_000
    scene.write(FAILSAFE, 8_000)
    scene.write(TIMEOUT, 5)
    assert [scene.read(1600), scene.read(1602)] == [8_000, 5]
    scene.leap(5)
    assert scene.offered_ma == 8_000


def test_without_power_it_forgets_its_setpoint_and_that_it_has_a_watchdog() -> None:
    scene = Scene(watchdog_s=OFF)
    scene.write(FAILSAFE, 8_000)
    scene.write(TIMEOUT, 5)
    scene.write(SETPOINT, 6_000)
    scene.plant.power_cycle(0)
    scene.keba.reboot()
    scene.leap(60)
    assert scene.offered_ma == 16_000  # nobody feeds it, and nobody has armed it
    assert [scene.read(1100), scene.read(1600), scene.read(1602)] == [16_000, 0, 0]
    scene.leap(60)
    assert scene.offered_ma == 16_000
