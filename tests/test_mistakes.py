"""Seeded wiring mistakes: each found by the commands, as processes on real sockets and terminals.

The list stands in docs/commissioning.md. A depot without a mistake is found in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.library import library
from hil.devices.sdm630 import Sdm630
from hil.premises import Document, Mistake, Premises, Rows, Told, of

pytestmark = pytest.mark.rig

LOOKS = ("--looks", "4")


def at(
    mistake: Mistake, directory: Path, act: Callable[[Premises], Awaitable[Told]], **cars: int
) -> Told:
    async def whole() -> Told:
        async with Premises(
            directory, library(), mistake, **({"cars": cars} if cars else {})
        ) as there:
            return await act(there)

    return asyncio.run(whole())


def checked(there: Premises) -> Awaitable[Told]:
    return there.check(*LOOKS)


def found(told: Told, weight: str = "wrong") -> dict[str, dict[str, Any]]:
    """By device and kind."""
    return {
        f"{each['about']}: {each['code']}": each
        for each in told.answer["live"]
        if each["weight"] == weight
    }


def test_a_depot_without_a_mistake_is_in_order(tmp_path: Path) -> None:
    told = at(Mistake("none"), tmp_path, checked)
    assert told.status == 0, told.text
    assert {each["weight"] for each in told.answer["live"]} == {"fine"}
    assert told.answer["devices"]["row-a-meter"]["serial"] == str(Sdm630.serial)


def reversed_ct(wired: Document) -> None:
    of(wired, "meter", "row-a-meter")["ct"] = {"reversed": True}


def swapped_cts(wired: Document) -> None:
    of(wired, "meter", "row-a-meter")["ct"] = {"phases": "L2 L1 L3"}


def other_cts(wired: Document) -> None:
    of(wired, "meter", "row-b-meter")["ct"] = {"ratio": 2}


def clamp_elsewhere(wired: Document) -> None:
    of(wired, "clamp", "clamp")["circuit"] = "row-a"


def words_exchanged(there: Premises) -> None:
    device = there.meter_devices["row-a-meter"]
    assert isinstance(device, Sdm630)
    device.low_first = True


def other_unit(written: Document) -> None:
    of(written, "charger", "b2")["unit"] = 4


def safe_current(rows: Rows) -> None:
    rows[0] = rows[0]._replace(fallback_ma=10_000)


def other_stop_bits(written: Document) -> None:
    for bus in written["bus"]:
        bus["url"] = bus["url"].replace("parity=E&stop=1", "parity=N&stop=2")


@pytest.mark.parametrize(
    ("mistake", "finding", "words"),
    [
        (Mistake("CT reversed", wired=reversed_ct), "row-a-meter: ct_reversed", "reversed = true"),
        (
            Mistake("CTs on other phases", wired=swapped_cts),
            "row-a-meter: ct_phases",
            'phases = "L2 L1 L3"',
        ),
        (Mistake("other CTs", wired=other_cts), "row-b-meter: ct_ratio", "ratio = 2"),
        (
            Mistake("clamp on another feeder", wired=clamp_elsewhere),
            "clamp: other_feeder",
            "it sits on row-a",
        ),
        (
            Mistake("words exchanged", device=words_exchanged),
            "row-a-meter: word_order",
            "word_order",
        ),
        (Mistake("wrong unit", written=other_unit), "b2: silent", "loadkeeper scan"),
        (
            Mistake("fallback not as documented", hardware=safe_current),
            "a1: fallback",
            "declare what it does",
        ),
        (Mistake("serial settings", written=other_stop_bits), "b2: silent", "--settings"),
    ],
    ids=lambda value: value.name.replace(" ", "-") if isinstance(value, Mistake) else "",
)
def test_check_live_finds_it_and_says_what_to_mend(
    tmp_path: Path, mistake: Mistake, finding: str, words: str
) -> None:
    told = at(mistake, tmp_path, checked)
    assert told.status == 1, told.text
    wrong = found(told)
    assert finding in wrong, told.text
    assert words in wrong[finding]["mend"]
