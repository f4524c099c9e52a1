"""The rig's devices behave as their register maps say, seen by a plain Modbus client."""

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
from pymodbus.client import AsyncModbusTcpClient

from cext.plant import Car, Plant, PlantCharger
from cext.rows import NO_PHASE, ROOT
from hil.devices.alfen import Alfen
from hil.devices.em24 import Em24
from hil.devices.mbap import Server
from hil.devices.pdu import Manner

SECOND_NS = 1_000_000_000
CAR = Car(max_ma=16_000, phases=3, reaction_ns=SECOND_NS, energy_wh=60_000, taper_wh=0)
ROWS = (
    PlantCharger(0, (0, 1, 2), 32_000, 8_000, 6_000, 60 * SECOND_NS),
    PlantCharger(0, (1, NO_PHASE, NO_PHASE), 32_000, 8_000, 6_000, 60 * SECOND_NS),
)


class Depot:
    """One circuit, a three-phase and a one-phase charger, a meter, and time that leaps."""

    def __init__(self) -> None:
        self.plant = Plant([ROOT], ROWS, nominal_mv=230_000, seed=1)
        self.now_ns = 7 * SECOND_NS
        self.plant.set_meter(0, 0, 0)
        self.sockets = [Alfen(self.plant, i, row, self.present) for i, row in enumerate(ROWS)]
        self.meter = Em24(self.plant, 0, self.present)

    def present(self) -> int:
        self.plant.advance(self.now_ns)
        return self.now_ns

    def leap(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)


def asked(
    server: Callable[[Depot], Server],
    story: Callable[[Depot, AsyncModbusTcpClient], Awaitable[None]],
) -> None:
    """Tells a story to a client of one of the depot's servers."""

    async def whole() -> None:
        depot = Depot()
        device = server(depot)
        await device.open()
        client = AsyncModbusTcpClient("127.0.0.1", port=device.port, timeout=1, retries=0)
        try:
            await client.connect()
            await story(depot, client)
        finally:
            client.close()
            await device.close()

    asyncio.run(whole())


def of_socket(story: Callable[[Depot, AsyncModbusTcpClient], Awaitable[None]]) -> None:
    asked(lambda depot: depot.sockets[0].serve(), story)


def of_meter(story: Callable[[Depot, AsyncModbusTcpClient], Awaitable[None]]) -> None:
    asked(lambda depot: depot.meter.serve(), story)


async def words(client: AsyncModbusTcpClient, address: int, count: int) -> bytes:
    reply = await client.read_holding_registers(address, count=count)
    assert not reply.isError()
    return struct.pack(f">{count}H", *reply.registers)


async def number(client: AsyncModbusTcpClient, address: int, form: str = ">f") -> float:
    value: float = struct.unpack(form, await words(client, address, struct.calcsize(form) // 2))[0]
    return value


async def state(client: AsyncModbusTcpClient) -> str:
    return (await words(client, 1201, 5)).rstrip(b"\0").decode()


async def order(client: AsyncModbusTcpClient, ampere: float) -> int:
    """Writes a setpoint; the exception code, 0 when it was taken."""
    high, low = struct.unpack(">HH", struct.pack(">f", ampere))
    reply = await client.write_registers(1210, [high, low])
    return reply.exception_code if reply.isError() else 0


def test_a_socket_follows_its_setpoint_and_shows_it() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        assert await state(client) == "A"
        depot.plant.plug(0, CAR)
        assert await order(client, 10.0) == 0
        depot.leap(5)
        assert await state(client) == "C2"
        assert await number(client, 1206) == await number(client, 1210) == 10.0
        assert await number(client, 1214, ">H") == 1
        assert [await number(client, 320 + 2 * n) for n in range(3)] == [10.0] * 3
        assert await number(client, 344) == pytest.approx(3 * 10 * 230)
        assert await number(client, 306) == 230.0
        assert depot.sockets[0].writes == 1
        depot.leap(3600)
        assert await number(client, 374, ">d") > 0

    of_socket(story)


def test_a_setpoint_of_zero_pauses() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        depot.plant.plug(0, CAR)
        await order(client, 16.0)
        depot.leap(10)
        assert await number(client, 320) == 16.0
        await order(client, 0.0)
        depot.leap(10)
        assert await number(client, 320) == 0.0
        assert (await state(client))[1] == "1"  # the pilot offers nothing

    of_socket(story)


def test_the_validity_time_runs_down_to_the_safe_current_and_a_read_does_not_feed_it() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        await order(client, 16.0)
        assert await number(client, 1208, ">I") == 60
        depot.leap(59.5)
        assert await number(client, 1208, ">I") == 0
        assert await number(client, 1206) == 16.0
        depot.leap(1)
        assert await number(client, 1206) == await number(client, 1212) == 6.0
        assert await number(client, 1214, ">H") == 0
        assert await number(client, 1210) == 16.0  # still what was written
        await order(client, 16.0)
        assert await number(client, 1206) == 16.0
        assert await number(client, 1208, ">I") == 60

    of_socket(story)


def test_a_setpoint_is_not_kept_over_a_power_cut() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        await order(client, 16.0)
        depot.plant.power_cycle(0)
        depot.sockets[0].reboot()
        assert await number(client, 1206) == await number(client, 1210) == 8.0

    of_socket(story)


def test_what_a_socket_does_not_know_reads_as_ffff_words() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        assert await words(client, 312, 8) == b"\xff" * 16  # reserved
        assert not math.isnan(await number(client, 320))
        assert await words(client, 322, 4) == b"\xff" * 8  # terminals that are not wired
        assert await number(client, 1215, ">H") == 1

    asked(lambda depot: depot.sockets[1].serve(), story)


@pytest.mark.parametrize("ampere", [math.nan, math.inf, -1.0, 5000.0])
def test_a_setpoint_that_is_no_current_is_refused(ampere: float) -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        await order(client, 16.0)
        assert await order(client, ampere) == 3
        assert await number(client, 1206) == await number(client, 1210) == 16.0

    of_socket(story)


@pytest.mark.parametrize(
    ("address", "values", "code"),
    [
        (1210, [0x4120], 3),  # half a number
        (1210, [0x4120, 0, 0x4120, 0], 3),
        (1211, [0x4120, 0], 2),
        (1212, [0x4120, 0], 2),  # the safe current is set by the installer's app alone
        (306, [0, 0], 2),
        (5000, [0, 0], 2),
        (1215, [1], 3),  # phases do not switch here
    ],
)
def test_any_other_write_is_refused(address: int, values: list[int], code: int) -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        reply = await client.write_registers(address, values)
        assert reply.exception_code == code
        assert depot.sockets[0].writes == 0

    of_socket(story)


def test_half_a_setpoint_cannot_be_written_by_a_single_register_write() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        assert (await client.write_register(1210, 0x4120)).exception_code == 3

    of_socket(story)


def test_reads_outside_the_socket_map_are_refused() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        for address, count in ((305, 1), (345, 2), (373, 1), (1199, 2), (1216, 1)):
            reply = await client.read_holding_registers(address, count=count)
            assert reply.exception_code == 2
        assert (await client.read_input_registers(306, count=2)).exception_code == 1
        assert (await client.read_holding_registers(306, count=2, device_id=2)).exception_code == 11

    of_socket(story)


async def amps(client: AsyncModbusTcpClient, address: int, scale: float) -> list[float]:
    """Three int32, low word first."""
    raw = (await client.read_input_registers(address, count=6)).registers
    pairs = (raw[i] | raw[i + 1] << 16 for i in (0, 2, 4))
    return [(pair - (pair >> 31 << 32)) * scale for pair in pairs]


def test_a_meter_shows_low_words_first_and_the_direction_as_the_sign_of_power() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        depot.plant.set_base(0, (100_000, -7_000, 0))
        depot.leap(1)
        assert await amps(client, 12, 0.001) == pytest.approx([100, 7, 0])
        assert await amps(client, 18, 0.1) == pytest.approx([23_000, -1_610, 0])
        assert await amps(client, 0, 0.1) == pytest.approx([230] * 3)
        block = (await client.read_holding_registers(0, count=50)).registers
        assert (block[12], block[13]) == (100_000 & 0xFFFF, 1)
        assert (block[40] | block[41] << 16) == (23_000 - 1_610) * 10

    of_meter(story)


def test_a_meter_behind_transformers_shows_their_secondary_side() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        depot.plant.set_base(0, (100_000, 50_000, 0))
        depot.leap(1)
        assert await amps(client, 12, 0.001) == pytest.approx([0, 1, 2])
        assert await amps(client, 18, 0.1) == pytest.approx([0, -230, -460])

    def behind(depot: Depot) -> Server:
        return Em24(depot.plant, 0, depot.present, phases=(2, 1, 0), ratio=-50).serve()

    asked(behind, story)


def test_a_meter_tells_what_it_is_when_asked_for_that_alone() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        assert (await client.read_holding_registers(11, count=1)).registers == [1648]
        assert (await client.read_holding_registers(10, count=2)).registers[1] == 0

    of_meter(story)


def test_a_meter_loses_its_signs_when_its_application_is_another() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        depot.plant.set_base(0, (-7_000,) * 3)
        depot.leap(1)
        assert (await client.read_holding_registers(40960, count=1)).registers == [7]
        assert not (await client.write_register(40960, 0)).isError()
        assert await amps(client, 18, 0.1) == pytest.approx([1_610] * 3)
        assert (await client.write_register(40960, 8)).exception_code == 3
        assert not (await client.write_register(40960, 7)).isError()
        assert await amps(client, 18, 0.1) == pytest.approx([-1_610] * 3)

    of_meter(story)


def test_reads_outside_the_meter_map_are_refused() -> None:
    async def story(depot: Depot, client: AsyncModbusTcpClient) -> None:
        assert (await client.read_input_registers(0, count=51)).exception_code == 3
        assert (await client.read_input_registers(79, count=2)).exception_code == 2
        assert (await client.read_coils(0, count=1)).exception_code == 1
        assert (await client.write_registers(40960, [7])).exception_code == 1
        assert (await client.write_register(12, 7)).exception_code == 2

    of_meter(story)


# --- where they listen -------------------------------------------------------------------------


def test_a_device_without_power_keeps_its_port_from_everybody_else() -> None:
    async def story() -> None:
        server = Depot().meter.serve()
        await server.open()
        await server.behave(Manner.GONE)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        await server.behave(Manner.ANSWERS)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.transport.abort()
        await server.close()

    asyncio.run(story())
