"""The rig's charger with a coil, seen by a plain Modbus client and by its driver's profile."""

from __future__ import annotations

import asyncio
import struct

from pymodbus.client import AsyncModbusTcpClient

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from controller.clock import MonotonicClock
from drivers.bus import Bus
from drivers.device import Rank
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.reader import Reader
from drivers.setpoint import writes_of
from hil.devices.coiled import Coiled

S = 1_000_000_000
ROW = PlantCharger(0, (0, 1, 2), 32_000, 16_000, 16_000, 0)
UNIT = 180


class Depot:
    def __init__(self) -> None:
        self.plant = Plant([ROOT], (ROW,), nominal_mv=230_000, seed=1)
        self.plant.set_meter(0, 0, 0)
        self.now_ns = 7 * S
        self.box = Coiled(self.plant, 0, ROW, self.present, UNIT)
        self.plant.plug(0, Car(32_000, 3, S // 20, energy_wh=60_000, taper_wh=0))

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


def test_its_coil_and_its_setpoint_say_what_it_offers() -> None:
    depot = Depot()

    async def whole() -> None:
        server = depot.box.serve()
        await server.open()
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0)
        await client.connect()
        try:
            await client.write_register(300, 10, device_id=UNIT)
            await client.write_coil(400, True, device_id=UNIT)
            assert depot.offered_ma == 10_000
            await client.write_register(300, 0, device_id=UNIT)
            assert depot.offered_ma == 10_000, "its setpoint alone stops nothing"
            await client.write_coil(400, False, device_id=UNIT)
            assert depot.offered_ma == 0
            read = await client.read_coils(400, count=1, device_id=UNIT)
            assert read.bits[0] is False
            await client.write_register(300, 12, device_id=UNIT)
            assert depot.offered_ma == 0, "nor does it start anything"
            await client.write_coil(400, True, device_id=UNIT)
            depot.leap(3)
            measured = await client.read_input_registers(114, count=2, device_id=UNIT)
            low, high = measured.registers
            assert struct.unpack(">i", struct.pack(">HH", high, low))[0] == 12_000
            assert (await client.read_coils(401, count=1, device_id=UNIT)).isError()
            assert (await client.read_coils(400, count=2, device_id=UNIT)).isError()
            depot.box.reboot()
            assert (await client.read_coils(400, count=1, device_id=UNIT)).bits[0] is True
            assert depot.box.switched == [True, False, True]
        finally:
            client.close()
            await server.close()

    asyncio.run(whole())


def test_its_profile_tells_it_and_reads_it() -> None:
    depot = Depot()
    profile = library().charger_profile("phoenix_em_cp_pp_eth")

    async def whole() -> None:
        server = depot.box.serve()
        await server.open()
        line = TcpLine("127.0.0.1", server.port, 5, may_write=True)
        reader = Reader("box", UNIT, profile, Bus(line, MonotonicClock()), Rank.CHARGER)
        try:
            for ma, offered_ma in ((14_000, 14_000), (0, 0), (9_000, 9_000)):
                for request in writes_of("box", UNIT, profile, ma):
                    await line.exchange(lambda each=request: each)  # type: ignore[misc]
                assert depot.offered_ma == offered_ma
                depot.leap(3)
                values = (await reader.read()).values
                assert values["enable"] == (1 if ma else 0)
                assert values["current_l2"] == offered_ma
                assert values["state"] == ("C" if ma else "B")
            assert values["voltage_l1"] == 230_000
        finally:
            line.close()
            await server.close()

    asyncio.run(whole())
