"""The rig's wall boxes: only what feeds them feeds them, and a reboot forgets their watchdog."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from hil.devices.pdu import Code, RefusalError
from hil.devices.wallbox import FREE2MOVE, VESTEL, WEIDMUELLER, Model, Wallbox

S = 1_000_000_000
CAR = Car(max_ma=32_000, phases=3, reaction_ns=0, energy_wh=60_000, taper_wh=0)
ROW = PlantCharger(0, (0, 1, 2), 32_000, 32_000, 6_000, 10 * S)
MODELS = [VESTEL, FREE2MOVE, WEIDMUELLER]
ALL = pytest.mark.parametrize("model", MODELS, ids=["bit", "token", "time"])


class Time:
    def __init__(self, model: Model) -> None:
        self.now_ns = 7 * S
        self.plant = Plant([ROOT], [ROW], nominal_mv=230_000, seed=1)
        self.box = Wallbox(self.plant, 0, ROW, self.present, model.unit, model=model)
        self.plant.plug(0, CAR)

    def present(self) -> int:
        self.plant.advance(self.now_ns)
        return self.now_ns

    def leap(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        self.present()

    @property
    def offered_ma(self) -> int:
        self.present()
        return self.plant.charger(0).offered_ma

    def tell(self, ampere: int) -> None:
        place = self.box.model.setpoint
        raw = struct.pack(">H" if place.words == 1 else ">I", ampere * 1000 // place.per)
        self.box.write(16, place.address, raw)

    def feed(self) -> None:
        place = self.box.model.feed
        value = 10_000 if self.box.model.feed_value is None else self.box.model.feed_value
        self.box.write(16, place.address, struct.pack(">H" if place.words == 1 else ">I", value))


@ALL
def test_a_setpoint_does_not_feed_it(model: Model) -> None:
    time = Time(model)
    time.tell(16)
    time.feed()
    for _ in range(4):
        time.leap(3)
        time.tell(16)
    assert time.offered_ma == 6_000  # it fell back 10 s after it was fed


@ALL
def test_what_feeds_it_brings_nothing_back_before_it_is_told_again(model: Model) -> None:
    time = Time(model)
    time.tell(16)
    time.feed()
    time.leap(11)
    time.tell(20)
    assert time.offered_ma == 6_000
    time.feed()
    assert time.offered_ma == 6_000
    time.tell(16)
    assert time.offered_ma == 16_000
    time.leap(9)
    assert time.offered_ma == 16_000


@ALL
def test_without_power_it_forgets_its_watchdog(model: Model) -> None:
    time = Time(model)
    time.tell(16)
    time.feed()
    time.plant.power_cycle(0)
    time.box.reboot()
    time.leap(20)
    assert time.offered_ma == 32_000
    time.tell(8)
    time.leap(60)
    assert time.offered_ma == 8_000  # off: it stays where it was


def test_a_wrong_token_feeds_nothing() -> None:
    time = Time(FREE2MOVE)
    with pytest.raises(RefusalError) as refused:
        time.box.write(16, FREE2MOVE.feed.address, b"\x12\x34")
    assert refused.value.code is Code.ILLEGAL_VALUE
    assert time.box.feeds == 0


def test_one_that_is_not_enabled_offers_nothing() -> None:
    time = Time(FREE2MOVE)
    time.tell(16)
    assert FREE2MOVE.enable is not None
    time.box.write(16, FREE2MOVE.enable.address, b"\0\0")
    assert time.offered_ma == 0
    time.box.write(16, FREE2MOVE.enable.address, b"\0\1")
    assert time.offered_ma == 16_000


def test_it_shows_what_it_was_told_and_refuses_what_it_has_not() -> None:
    time = Time(replace(VESTEL))
    time.tell(13)
    assert time.box.read(3, 5004, 1) == b"\0\x0d"
    assert time.box.read(3, 2002, 1) == b"\0\x0a"
    with pytest.raises(RefusalError):
        time.box.read(4, 1008, 3)  # one value a request
