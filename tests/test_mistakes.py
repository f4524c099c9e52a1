"""Seeded wiring mistakes: each found by the commands, as processes on real sockets and terminals.

The list stands in docs/commissioning.md. A depot without a mistake is found in order.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.library import library
from hil.devices.sdm630 import Sdm630
from hil.premises import CARS, Document, Mistake, Premises, Rows, Told, of
from tests.patience import until

pytestmark = pytest.mark.rig

LOOKS = ("--looks", "4")


Act = Callable[[Premises], Awaitable[Told]]


def at(mistake: Mistake, directory: Path, act: Act, cars: Mapping[str, int] = CARS) -> Told:
    async def whole() -> Told:
        async with Premises(directory, library(), mistake, cars) as there:
            return await act(there)

    return asyncio.run(whole())


def checked(there: Premises) -> Awaitable[Told]:
    return there.check(*LOOKS)


def found(told: Told, weight: str = "wrong", kind: str = "live") -> dict[str, dict[str, Any]]:
    """By device and kind."""
    return {
        f"{each['about']}: {each['code']}": each
        for each in told.answer[kind]
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


def watchdog_off(rows: Rows) -> None:
    rows[3] = rows[3]._replace(watchdog_ns=0)


def test_a_watchdog_that_is_off_is_told_with_who_will_set_it(tmp_path: Path) -> None:
    told = at(Mistake("watchdog off", hardware=watchdog_off), tmp_path, checked)
    unarmed = found(told, "doubt")["b2: unarmed"]
    assert "its watchdog is off" in unarmed["what"]
    assert "the enforcer writes it" in unarmed["mend"]


# A scan says who is there.


def test_scan_finds_the_unit_that_a_charger_really_has(tmp_path: Path) -> None:
    async def scanned(there: Premises) -> Told:
        url = next(iter(there.lines.values())).url
        return await there.scan(url, "--units", "3-8")

    told = at(Mistake("wrong unit", written=other_unit), tmp_path, scanned)
    assert told.status == 0, told.text
    units = {each["unit"]: each["candidates"] for each in told.answer["scans"][0]["found"]}
    assert set(units) == {3, 7}
    assert units[3] == ["heidelberg_energy_control"]
    assert "eastron_sdm630_v2" in units[7]  # and its sisters, which read alike
    assert "eastron_sdm120" not in units[7]  # of one phase only


def test_scan_finds_the_settings_that_a_line_really_has(tmp_path: Path) -> None:
    """The document says 9600 baud without parity; the devices have 19 200 and an even one."""

    async def scanned(there: Premises) -> Told:
        url = next(iter(there.lines.values())).url
        wrong = url.replace("baud=19200&parity=E", "baud=9600&parity=N")
        return await there.scan(wrong, "--units", "3", "--settings", "--timeout", "0.2")

    told = at(Mistake("serial settings"), tmp_path, scanned)
    assert told.status == 0, told.text
    heard = [each["url"].partition("?")[2] for each in told.answer["scans"] if each["found"]]
    assert "baud=19200&parity=E&stop=1" in heard
    assert not any("baud=9600" in each or "stop=2" in each for each in heard)


# What only varying a charger tells.


def on_the_other_row(written: Document) -> None:
    of(written, "charger", "a2")["circuit"] = "row-b"


def rotated(wired: Document) -> None:
    """Charger a2 alone: out of the row's common entry."""
    row = next(entry for entry in wired["charger"] if entry["id"] == "a{n}")
    other = {**row, "id": "a2", "bus": "tcp://192.0.2.22:502", "phases": "L2 L3 L1"}
    del other["count"]
    row["count"] = 1
    wired["charger"].insert(1, other)


def exchanged(written: Document) -> None:
    first, second = of(written, "charger", "a1"), of(written, "charger", "b1")
    first["bus"], second["bus"] = second["bus"], first["bus"]


@pytest.mark.parametrize(
    ("mistake", "charger", "finding", "words"),
    [
        (Mistake("on another circuit", written=on_the_other_row), "a2", "a2: circuit", "row-a"),
        (Mistake("phases rotated", wired=rotated), "a2", "a2: phases", 'phases = "L2 L3 L1"'),
        (Mistake("addresses exchanged", written=exchanged), "a1", "a1: circuit", "exchange their"),
        (Mistake("CT reversed", wired=reversed_ct), "a2", "row-a-meter: ct_reversed", "true"),
        (Mistake("CTs swapped", wired=swapped_cts), "a2", "row-a-meter: ct_phases", "change over"),
    ],
    ids=lambda value: value.name.replace(" ", "-") if isinstance(value, Mistake) else "",
)
def test_identify_finds_it_and_says_what_to_mend(
    tmp_path: Path, mistake: Mistake, charger: str, finding: str, words: str
) -> None:
    told = at(mistake, tmp_path, lambda there: there.identify(charger))
    assert told.status == 1, told.text
    wrong = found(told, kind="findings")
    assert finding in wrong, told.text
    assert words in wrong[finding]["mend"]


def test_identify_puts_back_what_was_in_force(tmp_path: Path) -> None:
    """And a base load that moves all the time deceives nobody."""
    offered: list[int] = []

    async def identified(there: Premises) -> Told:
        async def unrest() -> None:
            for k in range(1000):
                there.present()
                there.depot.plant.set_base(0, (9_000 + 4_000 * (k % 2), 8_000, 14_000), 300)
                await asyncio.sleep(3.7)

        moving = asyncio.create_task(unrest())
        told = await there.identify("b1")
        moving.cancel()
        there.present()
        offered.append(there.depot.plant.charger(2).offered_ma)
        return told

    told = at(Mistake("none"), tmp_path, identified)
    assert found(told, kind="findings") == {}, told.text
    row = told.answer["sources"]["row-b-meter"]
    assert row["moved"] == ["L1", "L2", "L3"]
    main = told.answer["sources"]["main-meter"]
    assert set(main["moved"]) | set(main["unknown"]) == {"L1", "L2", "L3"}
    assert offered == [6_000]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_identify_that_is_interrupted_puts_back_what_was_in_force(
    tmp_path: Path, how: signal.Signals
) -> None:
    offered: list[int] = []

    async def interrupted(there: Premises) -> Told:
        def offers() -> int:
            there.present()
            return there.depot.plant.charger(0).offered_ma

        words = ("identify", str(there.site_file), "a1", "--runtime", str(there.runtime))
        process = await there.begun(*words)
        await until(lambda: offers() == 10_000, within_s=60)
        process.send_signal(how)
        told = await there.heard(process, 60)
        offered.append(offers())
        return told

    told = at(Mistake("none"), tmp_path, interrupted)
    assert told.status == 1
    assert "what was in force is put back" in told.text
    assert offered == [6_000]


def test_identify_without_a_vehicle_cannot_tell_and_writes_nothing(tmp_path: Path) -> None:
    writes: list[int] = []

    async def identified(there: Premises) -> Told:
        told = await there.identify("a1")
        writes.append(there.sockets["a1"].writes)
        return told

    told = at(Mistake("none"), tmp_path, identified, cars={})
    assert told.status == 1
    assert "no vehicle charges at a1" in told.answer["error"]
    assert writes == [0]


# Contactors, which only a flag switches.


def with_contactor(wired: Document) -> None:
    wired["gpio"] = {"factory": "lgpio", "pins_fall": True}
    wired["output"] = [
        {
            **{"id": "b1-contactor", "charger": "b1", "pin": 17, "feedback_pin": 12},
            **{"feedback": "normally_closed", "opens_s": 0.2},
        }
    ]


def inverted(written: Document) -> None:
    of(written, "output", "b1-contactor")["feedback"] = "normally_open"


def test_a_contactor_that_follows_is_in_order(tmp_path: Path) -> None:
    async def asked(there: Premises) -> Told:
        return await there.check(*LOOKS, "--contactors")

    told = at(Mistake("none", wired=with_contactor), tmp_path, asked)
    assert "b1-contactor: contactor" in found(told, "fine"), told.text
    assert "b1: unsupplied" in found(told, "unseen")


def test_an_inverted_feedback_is_found(tmp_path: Path) -> None:
    async def asked(there: Premises) -> Told:
        return await there.check(*LOOKS, "--contactors")

    mistake = Mistake("feedback inverted", wired=with_contactor, written=inverted)
    told = at(mistake, tmp_path, asked)
    wrong = found(told)
    assert told.status == 1
    assert 'feedback = "normally_closed"' in wrong["b1-contactor: contactor"]["mend"], told.text


def test_without_the_flag_nothing_is_switched(tmp_path: Path) -> None:
    moved: list[dict[int, float]] = []

    async def asked(there: Premises) -> Told:
        told = await there.check(*LOOKS)
        moved.append(dict(there.supplies.board.moved_s))
        return told

    told = at(Mistake("none", wired=with_contactor), tmp_path, asked)
    assert "contactors: contactor" in found(told, "unseen"), told.text
    assert moved == [{}]


# The report, and devices that are others than before.


def test_a_report_is_written_and_a_replaced_device_keeps_its_place(tmp_path: Path) -> None:
    report = tmp_path / "commissioning"
    told: list[Told] = []

    async def twice(there: Premises) -> Told:
        words = (*LOOKS, "--report", str(report), "--by", "A. Fitter")
        told.append(await there.check(*words))
        meter = there.meter_devices["row-a-meter"]
        assert isinstance(meter, Sdm630)
        meter.serial += 1
        told.append(await there.check(*words))
        return told[-1]

    at(Mistake("none"), tmp_path, twice)
    first, second = told
    assert first.status == 0, first.text
    assert second.status == 0, second.text  # to look at, and nothing to mend
    assert "row-a-meter: replaced" in found(second, "doubt")
    written = json.loads(report.with_suffix(".json").read_text())
    assert written["by"] == "A. Fitter"
    assert len(written["history"]) == 2
    device = written["devices"]["row-a-meter"]
    assert device["serial"] == str(Sdm630.serial + 1)
    assert [was["serial"] for was in device["before"]] == [str(Sdm630.serial)]
    text = report.with_suffix(".md").read_text()
    assert second.answer["installation_hash"] in text
    assert str(Sdm630.serial + 1) in text
    assert "| unattended | transformer | L1 | 65.12 | 125 |" in text
