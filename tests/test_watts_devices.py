"""Chargers that are commanded in watts: their profiles, and their driver over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT, Vehicle
from controller.__main__ import main
from controller.units import PPM
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.decode import decode, encode
from drivers.modbus import TcpLine
from drivers.setpoint import as_written_ma
from drivers.watts import seated, written_w
from hil.devices.alpitronic import NOMINAL_V, Alpitronic
from tests.aside import aside
from tests.documents import S
from tests.inwatts import HYC, PROFILE, charger_of
from tests.modbus_wire import Board
from tests.patience import until
from tests.test_profiles import change, load, said

# The profile.


@pytest.mark.parametrize(
    ("dotted", "value", "words"),
    [
        ("watts", None, "setpoint.min_a: is missing"),
        ("watts.efficiency_pct", 0, "watts.efficiency_pct"),
        ("watts.efficiency_pct", 101, "watts.efficiency_pct"),
        ("watts.power_factor", 0.4, "below one half"),
        ("watts.power_factor", 1.01, "watts.power_factor"),
        ("watts.pause_w", 5000, "must be below min_w"),
        ("watts.step_w", 0, "watts.step_w"),
        ("watts.zero", "off", "watts.zero"),
        ("watts.measures", None, "a power and the side that it measures, or neither"),
        ("watts.power", "voltage_dc", "needs voltage_dc in W, not V"),
        ("watts.evenly", False, "tells no phase's current"),
        ("watts.per", "phase", "tells no phase's current"),
        ("setpoint.min_a", 6, "has amperes where the profile has [watts]"),
        ("setpoint.applied", "current_dc", "needs current_dc in W, not A"),
        ("registers.setpoint.type", "float32", "must hold whole numbers"),
        ("connectors.stride", 0, "connectors.stride"),
    ],
)
def test_each_mistake_in_a_profile_is_named(dotted: str, value: Any, words: str) -> None:
    assert words in said(change(load(HYC), dotted, value))


def test_a_pause_must_fit_its_register() -> None:
    data = change(load(HYC), "registers.setpoint.scale", 100)
    assert "a whole number of its register's steps" in said(data)


def test_a_seated_profile_is_in_amperes_and_rounds_to_the_safe_side() -> None:
    told = seated(PROFILE)
    register = told.registers["setpoint"]
    for ma in (0, 7_217, 7_250, 100_000, 99_999, 313_131):
        stands = as_written_ma(told, ma)
        assert abs(ma - stands) <= 145
        assert written_w(told, ma) == max(1_547, ma * 3 * 230_940 // 10**8 * 100)
    assert encode(register, 0) == (0, 1_547), "a pause, and no end of the session"
    assert decode(register, (0, 1_547)) == decode(register, (0, 3)) == 0
    assert decode(register, (0, 1_548)) == 2_235, "rounded up"
    assert decode(told.registers["current_l2"], (0, 55_000)) == 86_289, "of the DC side, rounded up"


def test_each_connector_has_its_own_registers() -> None:
    second = seated(PROFILE, charger_of(connector=2))
    assert second.registers["setpoint"].addr == 200
    assert second.registers["current_l1"].addr == 204
    assert [block.start for block in second.blocks] == [200, 236, 200]


# The driver, over a socket.


class Station:
    """The rig's device behind a server, with a vehicle; the plant lives in real time."""

    def __init__(self, board: Board) -> None:
        row = PlantCharger(
            0, (0, 1, 2), 145_000, 0, 10_000, 60 * S,
            draws_ppm=1_052_632, shows_ppm=950_000,
        )  # fmt: skip
        self.board = board
        self.plant = Plant([ROOT], (row,), nominal_mv=230_940, seed=1)
        self.present()
        self.plant.plug(0, Car(200_000, 3, S // 20, energy_wh=60_000, taper_wh=0))
        self.device = Alpitronic(self.plant, 0, row, self.present)

    def present(self) -> int:
        now_ns = self.board.clock.now_ns()
        self.plant.advance(now_ns)
        return now_ns


def test_a_driver_writes_watts_and_reports_amperes() -> None:
    async def whole() -> None:
        board = Board()
        station = Station(board)
        server = station.device.serve()
        await server.open()
        line = TcpLine("127.0.0.1", server.port, 5, may_write=True)
        bus = Bus(line, board.clock)
        driver = ChargerDriver(charger_of(server.port), PROFILE, bus, board, True)
        running = asyncio.create_task(driver.run())
        try:
            order = board.command("bay-01", 101_355)

            def confirmed() -> bool:
                last = board.chargers[-1][1] if board.chargers else None
                return last is not None and last.written_tick == order.tick

            await until(confirmed)
            assert station.device.setpoint_w == 70_200, "of 70220, in steps of 100"
            report = board.chargers[-1][1]
            assert report.in_force_ma == 101_355, "what is written as 70200 W is that setpoint"
            await until(lambda: max(board.chargers[-1][1].current_ma or (0,)) > 100_000)
            shown_ma = board.chargers[-1][1].current_ma
            assert shown_ma is not None
            assert shown_ma == pytest.approx((101_326,) * 3, abs=30)
            assert board.chargers[-1][1].vehicle is Vehicle.C
            station.plant.set_voltage(900_000)
            station.device.feel(0.9)
            await until(lambda: station.plant.charger(0).current_ma[0] > 118_000)
            drawn_ma = station.plant.charger(0).current_ma[0]
            assert drawn_ma <= 101_355 * 1_204_679 // PPM, "more amperes, and not above the worst"
            pause = board.command("bay-01", 0)
            await until(lambda: board.chargers[-1][1].written_tick == pause.tick)
            assert station.device.setpoint_w == 1_547
            assert not station.device.ended, "told the small power, its session lives"
            assert board.chargers[-1][1].in_force_ma == 0
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            line.close()
            await server.close()

    asyncio.run(whole())


@asynccontextmanager
async def _served(station: Station) -> AsyncIterator[str]:
    server = station.device.serve()
    await server.open()
    yield server.url
    await server.close()


def test_read_tells_watts_and_set_takes_amperes_and_puts_back_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    station = Station(Board())
    station.device.write(16, 100, (60_000).to_bytes(4, "big"))
    with aside(_served(station)) as url:
        assert main(["read", "--json", HYC, url]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])["values"]
        assert told["in_force"] == {"value": 60_000, "unit": "W"}
        quick = ["--runtime", str(tmp_path), "--hold", "0.2"]
        assert main(["set", *quick, HYC, url, "100"]) == 0
        assert "100 A (69200 W of three phases at 400 V)" in capsys.readouterr().err
        assert main(["set", *quick, HYC, url, "5"]) == 2
        assert "7.217 to 1500 A" in capsys.readouterr().err
    assert station.device.writes == 3
    assert station.device.setpoint_w == 60_000, "what it was"
    assert not station.device.ended


def test_zero_watts_end_the_session_of_the_rigs_device() -> None:
    station = Station(Board())
    station.device.write(16, 100, (0).to_bytes(4, "big"))
    assert station.device.ended
    station.device.write(16, 100, (60_000).to_bytes(4, "big"))
    assert station.plant.charger(0).offered_ma == 0
    station.plant.unplug(0)
    station.device.write(16, 100, (60_000).to_bytes(4, "big"))
    assert station.plant.charger(0).offered_ma == int(60_000_000 / NOMINAL_V)
