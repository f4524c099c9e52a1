"""The rig's RS-485 line and what hangs on it, seen by a plain Modbus client."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException

from cext.plant import Car, Plant, PlantCharger
from cext.rows import ROOT
from hil.devices import heidelberg
from hil.devices.heidelberg import Heidelberg
from hil.devices.pdu import Manner
from hil.devices.rs485 import Rs485, Slave, checksum
from hil.devices.sdm630 import Sdm630
from tests.serial_wire import crc

SECOND_NS = 1_000_000_000
CAR = Car(max_ma=16_000, phases=3, reaction_ns=SECOND_NS, energy_wh=60_000, taper_wh=0)
ROW = PlantCharger(0, (0, 1, 2), 16_000, 8_000, 6_000, 15 * SECOND_NS)
METER, FIRST, SECOND = 1, 2, 3


class Depot:
    """A circuit with its meter and two chargers, on one line; time leaps."""

    def __init__(self) -> None:
        self.plant = Plant([ROOT], (ROW, ROW), nominal_mv=230_000, seed=1)
        self.now_ns = 7 * SECOND_NS
        self.plant.set_meter(0, 0, 0)
        self.boxes = [Heidelberg(self.plant, i, ROW, self.present, i + 2) for i in (0, 1)]
        self.line = Rs485(115_200, "N", 1)
        self.meter = Slave(self.line, Sdm630(self.plant, 0, self.present, unit=METER), 0.001)
        self.slaves = [Slave(self.line, box, 0.001) for box in self.boxes]

    def present(self) -> int:
        self.plant.advance(self.now_ns)
        return self.now_ns

    def leap(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)


class Client:
    """Reads and writes; a refusal is its exception code, silence is None."""

    def __init__(self, line: Rs485, timeout_s: float) -> None:
        self._modbus = AsyncModbusSerialClient(
            str(line.port),
            baudrate=115_200,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,
        )

    async def open(self) -> None:
        await self._modbus.connect()

    def close(self) -> None:
        self._modbus.close()

    async def input(self, unit: int, address: int, count: int) -> list[int] | int | None:
        return await _said(self._modbus.read_input_registers(address, count=count, device_id=unit))

    async def holding(self, unit: int, address: int, count: int = 1) -> list[int] | int | None:
        return await _said(
            self._modbus.read_holding_registers(address, count=count, device_id=unit)
        )

    async def write(self, unit: int, address: int, value: int) -> list[int] | int | None:
        return await _said(self._modbus.write_register(address, value, device_id=unit))


async def _said(asked: Awaitable[object]) -> list[int] | int | None:
    try:
        reply = await asked
    except ModbusException:
        return None
    code: int = getattr(reply, "exception_code", 0)
    registers: list[int] = getattr(reply, "registers", [])
    return code or registers


Story = Callable[[Depot, Client], Awaitable[None]]


def told(story: Story, timeout_s: float = 5.0) -> None:
    async def whole() -> None:
        depot = Depot()
        depot.line.plug()
        client = Client(depot.line, timeout_s)
        try:
            await client.open()
            await story(depot, client)
        finally:
            client.close()
            depot.line.unplug()

    asyncio.run(whole())


def floats(words: list[int] | int | None) -> tuple[float, ...]:
    assert isinstance(words, list)
    return struct.unpack(f">{len(words) // 2}f", struct.pack(f">{len(words)}H", *words))


def test_its_checksum_is_that_of_modbus() -> None:
    assert checksum(b"\x01\x03\x00\x00\x00\x0a") == crc(b"\x01\x03\x00\x00\x00\x0a") == b"\xc5\xcd"


def test_the_meter_shows_magnitudes_and_directions() -> None:
    async def story(depot: Depot, client: Client) -> None:
        depot.plant.set_base(0, (10_500, -2_000, 0))
        depot.leap(1)
        values = floats(await client.input(METER, 0, 18))
        assert values == pytest.approx((230, 230, 230, 10.5, 2, 0, 2415, -460, 0))
        assert floats(await client.input(METER, 52, 2)) == pytest.approx((1955,))

    told(story)


@pytest.mark.parametrize(
    ("address", "count", "code"), [(1, 2, 3), (0, 3, 3), (0, 62, 3), (382, 2, 2)]
)
def test_the_meter_refuses_odd_long_and_strange_reads(address: int, count: int, code: int) -> None:
    async def story(_: Depot, client: Client) -> None:
        assert await client.input(METER, address, count) == code
        assert await client.holding(METER, 0, 2) == 1
        assert await client.write(METER, 0, 1) == 1

    told(story)


def test_a_wall_box_charges_as_it_is_told() -> None:
    async def story(depot: Depot, client: Client) -> None:
        depot.plant.plug(0, CAR)
        assert await client.write(FIRST, heidelberg.SETPOINT, 133) == [133]
        depot.leap(3)
        words = await client.input(FIRST, 4, 11)
        assert isinstance(words, list)
        assert words[:5] == [heidelberg.LAYOUT, 7, 133, 133, 133]
        assert words[6:] == [230, 230, 230, 1, 3 * 230 * 133 // 10]
        assert depot.plant.charger(0).offered_ma == 13_300
        assert await client.input(SECOND, 5, 1) == [3]
        assert depot.boxes[0].writes == 1

    told(story)


@pytest.mark.parametrize(
    ("register", "value", "code"),
    [
        (heidelberg.SETPOINT, 59, 3),
        (heidelberg.SETPOINT, 161, 3),
        (heidelberg.FAILSAFE, 1, 3),
        (heidelberg.STANDBY, 1, 3),
        (260, 0, 2),
    ],
)
def test_a_wall_box_refuses_what_its_registers_cannot_hold(
    register: int, value: int, code: int
) -> None:
    async def story(depot: Depot, client: Client) -> None:
        before = await client.holding(FIRST, 257, 6)
        assert await client.write(FIRST, register, value) == code
        assert await client.holding(FIRST, 257, 6) == before

    told(story)


def test_any_request_feeds_a_wall_box_and_only_a_setpoint_ends_its_fallback() -> None:
    async def story(depot: Depot, client: Client) -> None:
        await client.write(FIRST, heidelberg.SETPOINT, 160)
        for _ in range(3):
            depot.leap(14)
            assert await client.input(FIRST, 5, 1) == [3]
        assert depot.plant.charger(0).offered_ma == 16_000
        depot.leap(8)
        await client.input(SECOND, 5, 1)
        depot.leap(8)
        assert await client.holding(FIRST, heidelberg.SETPOINT) == [160]
        assert depot.plant.charger(0).offered_ma == 6_000
        await client.write(FIRST, heidelberg.FAILSAFE, 70)
        assert depot.plant.charger(0).offered_ma == 6_000
        await client.write(FIRST, heidelberg.SETPOINT, 160)
        assert depot.plant.charger(0).offered_ma == 16_000
        depot.leap(16)
        depot.present()
        assert depot.plant.charger(0).offered_ma == 7_000

    told(story)


def test_a_watchdog_that_is_off_lets_it_charge_on() -> None:
    async def story(depot: Depot, client: Client) -> None:
        await client.write(FIRST, heidelberg.SETPOINT, 160)
        await client.write(FIRST, heidelberg.WATCHDOG, 0)
        depot.leap(3600)
        depot.present()
        assert depot.plant.charger(0).offered_ma == 16_000
        await client.write(FIRST, heidelberg.WATCHDOG, 5_000)
        depot.leap(6)
        depot.present()
        assert depot.plant.charger(0).offered_ma == 6_000

    told(story)


def test_without_power_the_setpoint_is_lost_and_the_rest_is_kept() -> None:
    async def story(depot: Depot, client: Client) -> None:
        await client.write(FIRST, heidelberg.SETPOINT, 160)
        await client.write(FIRST, heidelberg.FAILSAFE, 0)
        depot.plant.power_cycle(0)
        depot.boxes[0].reboot()
        assert depot.plant.charger(0).offered_ma == 8_000
        assert await client.holding(FIRST, heidelberg.SETPOINT, 2) == [80, 0]
        depot.leap(16)
        depot.present()
        assert depot.plant.charger(0).offered_ma == 0  # its watchdog runs from the start

    told(story)


def test_one_that_is_locked_offers_nothing() -> None:
    async def story(depot: Depot, client: Client) -> None:
        await client.write(FIRST, heidelberg.LOCK, 0)
        assert depot.plant.charger(0).offered_ma == 0
        assert await client.input(FIRST, 13, 1) == [0]
        await client.write(FIRST, heidelberg.LOCK, 1)
        assert depot.plant.charger(0).offered_ma == 8_000

    told(story)


def test_where_standby_is_allowed_it_falls_asleep_until_a_vehicle_comes() -> None:
    async def story(depot: Depot, client: Client) -> None:
        await client.write(FIRST, heidelberg.STANDBY, 0)
        depot.leap(13 * 60)
        assert await client.input(FIRST, 5, 1) is None
        depot.plant.plug(0, CAR)
        depot.leap(3)
        assert await client.input(FIRST, 5, 1) == [7]

    told(story, timeout_s=0.1)


def test_requests_without_the_gap_it_needs_are_counted() -> None:
    async def story(depot: Depot, client: Client) -> None:
        depot.leap(0.2)
        await client.input(FIRST, 5, 1)
        assert depot.boxes[0].hurried == 0
        depot.leap(0.05)
        await client.input(FIRST, 5, 1)
        assert depot.boxes[0].hurried == 1

    told(story)


# The line.


def test_silence_slowness_and_a_unit_that_is_not_there() -> None:
    async def story(depot: Depot, client: Client) -> None:
        assert await client.input(9, 5, 1) is None
        await depot.slaves[0].behave(Manner.SILENT)
        assert await client.input(FIRST, 5, 1) is None
        assert await client.input(SECOND, 5, 1) == [3]
        await depot.slaves[0].behave(Manner.SLOW, 0.25)
        assert await client.input(FIRST, 5, 1) is None
        await asyncio.sleep(0.1)
        await depot.slaves[0].behave(Manner.ANSWERS)
        assert await client.input(FIRST, 5, 1) == [3]

    told(story, timeout_s=0.2)


def test_a_unit_may_answer_for_another() -> None:
    """The client refuses it: its unit is not the one that was asked."""

    async def story(depot: Depot, client: Client) -> None:
        depot.line.misrouted[FIRST] = SECOND
        assert await client.input(FIRST, 5, 1) is None
        assert depot.slaves[1].requests == 1
        depot.line.misrouted.clear()
        assert await client.input(FIRST, 5, 1) == [3]

    told(story, timeout_s=0.1)


async def heard_by(line: Rs485, data: bytes, wait_s: float) -> bytes:
    """What a master hears within `wait_s` of sending `data`."""
    client = Client(line, 1)
    await client.open()
    context: Any = client._modbus.ctx
    heard: list[bytes] = []
    context.data_received = heard.append
    context.transport.write(data)
    await asyncio.sleep(wait_s)
    client.close()
    return b"".join(heard)


def test_a_reply_takes_as_long_as_its_line_does() -> None:
    async def story() -> None:
        depot = Depot()
        line = Rs485(1200, "N", 1)
        Slave(line, depot.boxes[0], 0.0)
        line.plug()
        request = bytes((FIRST, 4, 0, 5, 0, 2))
        frame = request + crc(request)
        characters_s = (8 + 3.5 + 9) * 10 / 1200  # request, silence, reply
        assert await heard_by(line, frame, characters_s - 0.02) == b""
        line.unplug()

    asyncio.run(story())


def test_two_frames_without_silence_between_are_none() -> None:
    async def story() -> None:
        depot = Depot()
        depot.line.plug()
        request = bytes((FIRST, 4, 0, 5, 0, 2))
        frame = request + crc(request)
        assert await heard_by(depot.line, 2 * frame, 0.1) == b""
        assert (depot.line.frames, depot.line.spoilt) == (0, 1)
        assert len(await heard_by(depot.line, frame, 0.1)) == 9
        depot.line.unplug()

    asyncio.run(story())


def test_an_adapter_that_was_pulled_comes_back_at_its_path() -> None:
    async def story(depot: Depot, client: Client) -> None:
        assert await client.input(SECOND, 5, 1) == [3]
        client.close()
        depot.line.pull()
        assert not depot.line.port.exists()
        depot.line.plug()
        again = Client(depot.line, 5)
        await again.open()
        assert await again.input(SECOND, 5, 1) == [3]
        again.close()

    told(story)


def test_nothing_is_left_of_a_line_in_the_end() -> None:
    async def story() -> None:
        line = Rs485(19_200, "E", 1)
        line.plug()
        port = line.port
        assert line.url == f"rtu://{port}?baud=19200&parity=E&stop=1"
        line.unplug()
        line.unplug()
        assert not port.parent.exists()

    asyncio.run(story())
