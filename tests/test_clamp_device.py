"""The rig's clamp writes what the driver reads: two hands, one format."""

from __future__ import annotations

from typing import Any

import pytest

from controller.hardware import build_plant
from controller.site import Site
from drivers.clamp import Fault, Frame, Kept, parse
from drivers.clampdriver import layout
from hil.devices.clamp import Clamp, Speech
from hil.faults.view import view
from tests.documents import clamp, site

FORMATS = ("rpict7v1", "rpict3v1", "rpict3t1", "emontx3", "emontx4")
LOAD_MA = (12_500, 250, 103_000)


def standing(**changes: Any) -> tuple[Site, Clamp]:
    """A clamp around a circuit that carries LOAD_MA."""
    of = site(clamp=[clamp(**changes)])
    plant = build_plant(of, seed=1)
    plant.advance(0)
    plant.set_base(0, LOAD_MA)
    plant.advance(1_000_000_000)
    return of, Clamp(plant, 0, lambda: 0, of.clamps[0])


def heard(of: Site, device: Clamp, lines: int = 1) -> list[Frame | Fault]:
    data = b"".join(device.says() for _ in range(lines))
    return parse(layout(of.clamps[0]), Kept(b"", skips=False), data)[1]


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_tells_the_truth(name: str) -> None:
    of, device = standing(format=name)
    found = heard(of, device, lines=4)
    assert len(found) == 4
    for frame in found:
        assert isinstance(frame, Frame)
        assert frame.current_ma == pytest.approx(LOAD_MA, abs=12)
    assert len({frame.text for frame in found if isinstance(frame, Frame)}) == 4, "never the same"


def test_wiring_and_ratio_are_the_documents() -> None:
    ct = {"channels": "7 1 2", "phases": "L2 L3 L1", "ratio": 2}
    of, device = standing(ct=ct)
    (frame,) = heard(of, device)
    assert isinstance(frame, Frame)
    assert frame.current_ma == pytest.approx((125, 51_500, 6_250), abs=6)


@pytest.mark.parametrize(
    ("speech", "faults"),
    [
        (Speech.TEXT, {Fault.STRANGE}),
        (Speech.NOISE, set()),  # not even the end of a line
        (Speech.NOTHING, set()),
    ],
)
def test_what_is_no_line_is_no_frame(speech: Speech, faults: set[Fault]) -> None:
    of, device = standing()
    device.speech = speech
    assert set(heard(of, device, lines=3)) == faults


def test_views() -> None:
    there = (10, 20, 30)
    assert view("true", 2)(there) == there
    assert view("reversed", 2)(there) == (-10, 20, 30)
    assert view("swapped", 2)(there) == (20, 10, 30)
    assert view("scaled", 0.5)(there) == (5, 10, 15)
    still = view("frozen", 2)
    assert [still(there), still((1, 2, 3))] == [there, there]
