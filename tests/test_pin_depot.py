"""A whole site with pins: its drivers, its turns, and what is told of them."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.commands import status
from controller.enforcer import Depot, Enforcer
from controller.image import Image
from controller.places import Places
from controller.site import Site, parse
from controller.tables import Tables
from drivers.depot import build
from drivers.device import PinError
from drivers.library import library
from drivers.pins import pins_of
from drivers.relay import HealthRelayDriver
from tests.documents import circuit
from tests.linked import DOCUMENT
from tests.modbus_wire import Board
from tests.patience import until
from tests.pinned import PLAIN, Bench, Running, installed, told

__all__ = ["installed"]


# --- a whole site ------------------------------------------------------------------------------


def depot(**pins: Any) -> Site:
    charger = {"circuit": "grid", "profile": "alfen_eve", "max_a": 32, "fallback_a": 6}
    document = {
        "schema": 1,
        "site": {"id": "depot"},
        "circuit": [circuit("grid")],
        "charger": [{**charger, "id": "bay", "bus": "tcp://192.0.2.1"}],
        "limit_source": [
            {
                "id": "dso",
                "circuit": "grid",
                "kind": "grid",
                "lease_s": 2,
                "failsafe_a": 50,
            }
        ],
        "gpio": {"factory": "mock"},
        **pins,
    }
    return parse(document, library())


OUTPUTS = [
    {"id": "row", "pin": 17, "drops": "grid", "feedback_pin": 27, "feedback": "normally_closed"},
    {"id": "health", "kind": "health", "pin": 22, "drops": "grid", "release_s": 5},
]
DIM = {"id": "dim", "pin": 23, "source": "dso", "limit_a": 16, "active": "open"}


def test_a_sites_drivers_stand_after_its_chargers(installed: dict[str, str]) -> None:
    drivers = build(depot(output=OUTPUTS, input=[DIM]), Board(), write=True)
    assert [each.id for each in drivers] == ["bay", "row", "health", "dim"]


def test_the_health_relay_is_pulsed_by_completed_turns_and_by_nothing_else(
    installed: dict[str, str],
) -> None:
    async def whole() -> None:
        board = Board()
        drivers = build(depot(output=OUTPUTS, input=[DIM]), board, write=True)
        relay = next(each for each in drivers if isinstance(each, HealthRelayDriver))
        mirror = pins_of("mock")._factory.pin(27)
        mirror.drive_low()
        async with Running(*drivers[1:]):  # the contactor takes part in turns
            await until(lambda: relay._pulsed_ns is not None)
            first = relay._pulsed_ns
            await until(lambda: relay._pulsed_ns != first)
            board.turn.stall()
            await until(lambda: not board.turn.fresh)
            last = relay._pulsed_ns
            await asyncio.sleep(0.2)
            assert relay._pulsed_ns == last

    asyncio.run(whole())


def test_a_site_that_is_only_observed_has_none_of_its_outputs_driven(
    installed: dict[str, str],
) -> None:
    async def whole() -> None:
        board = Board()
        drivers = build(depot(output=OUTPUTS, input=[DIM]), board, write=False)[1:]
        board.switch("row", closed=True)
        async with Running(*drivers):
            await until(lambda: board.inputs)
            await until(lambda: board.contacts)
            await until(lambda: board.turn.fresh)
            board_pins = pins_of("mock")._factory
            assert [board_pins.pin(pin).function for pin in (17, 22)] == ["input", "input"]

    asyncio.run(whole())


def wire(pin: int) -> bool:
    return bool(pins_of("mock")._factory.pin(pin).state)


def test_completed_turns_pulse_the_health_relay_and_nothing_else_does(
    installed: dict[str, str],
) -> None:
    async def story() -> None:
        board = Board()
        drivers = build(depot(output=OUTPUTS, input=[DIM]), board, write=True)[1:]
        relay = next(each for each in drivers if each.id == "health")
        levels = pins_of("mock")._factory.pin(22).states
        async with Running(*drivers):
            await until(lambda: len(levels) > 4)  # each change is one entry
            assert relay.health().online
            board.turn.stall()
            await asyncio.sleep(0.1)
            seen = len(levels)
            await asyncio.sleep(0.3)
            assert len(levels) == seen  # no decision, no turn, no pulse
            board.turn.go_on()
            await until(lambda: len(levels) > seen)

    asyncio.run(story())


def test_a_contactor_takes_each_decision_also_with_a_pin_that_fails() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.contactor(PLAIN)
        turn = bench.board.turn
        async with Running(driver):
            await until(lambda: driver.health().online)
            bench.factory.pin(17).function = "input"
            await until(lambda: not driver.health().online)
            failed_ns = bench.board.clock.now_ns()
            await until(lambda: (turn.last_ns() or 0) > failed_ns)
        assert turn.missing() == []

    told(story)


def test_when_one_pin_cannot_be_had_all_are_let_go(installed: dict[str, str]) -> None:
    pins = pins_of("mock")
    taken = pins.output("other", 23, rest=False)
    with pytest.raises(PinError, match=r"dim \(GPIO23\): is in use"):
        build(depot(output=OUTPUTS, input=[DIM]), Board(), write=True)
    taken.close()
    assert len(build(depot(output=OUTPUTS, input=[DIM]), Board(), write=True)) == 4


def test_run_refuses_a_pin_factory_that_cannot_be_had(
    installed: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.json"
    written = {**DOCUMENT, "gpio": {"factory": "lgpoi"}, "output": OUTPUTS}
    path.write_text(json.dumps(written))
    assert main(["run", str(path), "--runtime", str(tmp_path), "--state", str(tmp_path)]) == 1
    assert 'not started: gpio.factory "lgpoi": there is no such' in capsys.readouterr().err


# --- what is told of them ----------------------------------------------------------------------


class Wall:
    def utc_ns(self) -> int:
        return 0

    def trusted(self) -> bool:
        return False


def test_status_and_log_tell_of_pins_by_their_names(
    installed: dict[str, str], tmp_path: Path
) -> None:
    """The enforcer's own parts around a mock board."""
    named = [OUTPUTS[0] | {"name": "Row A"}, OUTPUTS[1]]
    site = depot(output=named, input=[DIM])

    async def whole() -> None:
        clock = MonotonicClock()
        tables = Tables.of(site)
        kernel = tables.build_kernel()
        image = Image(tables, kernel, clock)
        drivers = build(site, image, write=True)
        made = Depot(site, tables, kernel, Still(), image, drivers, "control")
        places = Places(tmp_path / "r", tmp_path / "s")
        enforcer = Enforcer(made, places, clock, Wall(), "boot")
        board = pins_of("mock")
        relay = next(each for each in drivers if isinstance(each, HealthRelayDriver))

        def tick() -> None:
            kernel.tick(clock.now_ns())

        def states() -> list[tuple[str, str, str | None]]:
            tick()
            return [(pin.id, pin.state, pin.contact) for pin in enforcer.report().pins]

        assert states() == [
            ("row", "open", None),
            ("health", "dropped", None),
            ("dim", "?", None),
        ]
        mirror = board._factory.pin(27)
        mirror.drive_low()
        async with Running(*drivers[1:]):
            await until(lambda: ("dim", "dims", None) in states())
            relay.pulse()
            await until(lambda: states()[0][2] == "open")
            assert states()[:2] == [("row", "verified open", "open"), ("health", "holds", None)]
            board._factory.pin(23).drive_low()
            await until(lambda: ("dim", "rests", None) in states())
        screen = "\n".join(status.screen(enforcer.report()))
        assert re.search(r"GPIO17 +Row A +grid +verified open, contact open +\w", screen)
        assert re.search(r"GPIO23 +dim +dso +rests", screen)

    asyncio.run(whole())


class Still:
    """No kernel thread: the test ticks."""

    changed_fd = -1
    ticked_fd = -1
    granted = None
    worst_late_ns = 0

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass
