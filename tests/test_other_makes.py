"""Our lines against Modbus servers of three other makes: libmodbus (TCP and RTU), pyModbusTCP, and
pymodbus, whose serial server speaks ASCII."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import shutil
import struct
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pyModbusTCP.server import DataBank, ModbusServer

from controller.clock import MonotonicClock
from controller.document.buses import SerialAddress
from drivers.bus import Bus
from drivers.device import DeviceError, IllegalAddressError, Line, NoReplyError, Rank, Request
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.reader import Reader
from drivers.serialline import SerialLine
from tests import libmodbus
from tests.libmodbus import LIBRARY, held

ROOT = Path(__file__).parents[1]
UNIT = 17
BAUD = 19_200


def need_libmodbus() -> None:
    """Skips where it is not installed; where it could have been, that is a failure in CI."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        why = f"{LIBRARY} is not here (Debian: libmodbus5): {error}"
        if os.environ.get("CI") == "true" and os.getuid() == 0 and shutil.which("apt-get"):
            pytest.fail(why)
        pytest.skip(why)


@contextmanager
def server(*words: str) -> Iterator[str]:
    """Where it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.libmodbus", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Two serial ports: what goes into one comes out of the other."""
    pairs = [os.openpty() for _ in range(2)]
    (here, _), (there, _) = pairs
    stop, stopped = os.pipe()
    for _, terminal in pairs:
        tty.setraw(terminal)

    def carry() -> None:
        while True:
            ready, _, _ = select.select([here, there, stop], [], [])
            if stop in ready:
                return
            for one, other in ((here, there), (there, here)):
                if one in ready:
                    os.write(other, os.read(one, 4096))

    carrier = threading.Thread(target=carry)
    carrier.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.write(stopped, b"x")
        carrier.join()
        for fd in (*pairs[0], *pairs[1], stop, stopped):
            os.close(fd)


@contextmanager
def libmodbus_tcp() -> Iterator[Line]:
    need_libmodbus()
    with server("tcp") as url:
        yield TcpLine("127.0.0.1", int(url.rpartition(":")[2]), 5.0, may_write=True)


@contextmanager
def libmodbus_rtu() -> Iterator[Line]:
    need_libmodbus()
    with null_modem() as (ours, theirs), server("rtu", theirs, str(BAUD), str(UNIT)):
        yield SerialLine(SerialAddress(ours, BAUD, "N", 1), 0.5, may_write=True)


@contextmanager
def pymodbustcp() -> Iterator[Line]:
    size = libmodbus.SIZE
    bank = DataBank(coils_size=size, d_inputs_size=size, h_regs_size=size, i_regs_size=size)
    bank.set_coils(0, [bool(held(1, each)) for each in range(size)])
    bank.set_discrete_inputs(0, [bool(held(2, each)) for each in range(size)])
    bank.set_holding_registers(0, [held(3, each) for each in range(size)])
    bank.set_input_registers(0, [held(4, each) for each in range(size)])
    serving = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank)
    serving.start()
    try:
        port = serving._service.socket.getsockname()[1]
        yield TcpLine("127.0.0.1", port, 5.0, may_write=True)
    finally:
        serving.stop()


@contextmanager
def pymodbus_ascii() -> Iterator[Line]:
    size = libmodbus.SIZE
    bits, words = DataType.BITS, DataType.REGISTERS
    coils, inputs = (
        [SimData(0, values=[bool(held(kind, each)) for each in range(size)], datatype=bits)]
        for kind in (1, 2)
    )
    holding, read_only = (
        [SimData(0, values=[held(kind, each) for each in range(size)], datatype=words)]
        for kind in (3, 4)
    )
    device = SimDevice(UNIT, simdata=(coils, inputs, holding, read_only))
    loop = asyncio.new_event_loop()

    async def serving(port: str) -> ModbusSerialServer:
        server = ModbusSerialServer(device, framer=FramerType.ASCII, port=port, baudrate=BAUD)
        await server.serve_forever(background=True)
        return server

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with null_modem() as (ours, theirs):
        server = asyncio.run_coroutine_threadsafe(serving(theirs), loop).result(10)
        try:
            yield SerialLine(SerialAddress(ours, BAUD, "N", 1, "ascii", 7), 1.0, may_write=True)
        finally:
            shutdown = server.shutdown()  # type: ignore[no-untyped-call]
            asyncio.run_coroutine_threadsafe(shutdown, loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


MAKES = [libmodbus_tcp, libmodbus_rtu, pymodbustcp, pymodbus_ascii]
Make = Callable[[], AbstractContextManager[Line]]


def _same(request: Request) -> Request:
    return request


def asked(line: Line, *requests: Request) -> list[tuple[int, ...] | DeviceError | None]:
    """What came of each, one after the other."""

    async def whole() -> list[tuple[int, ...] | DeviceError | None]:
        found: list[tuple[int, ...] | DeviceError | None] = []
        try:
            for request in requests:
                try:
                    found.append(await line.exchange(partial(_same, request)))
                except DeviceError as error:
                    found.append(error)
        finally:
            line.close()
        return found

    return asyncio.run(whole())


def read(fc: int, address: int, count: int, unit: int = UNIT) -> Request:
    return Request("device", unit, fc, address, count)


@pytest.mark.parametrize("make", MAKES)
def test_reads_mean_what_they_say(make: Make) -> None:
    wanted = [
        (fc, address, count)
        for fc in (1, 2, 3, 4)
        for address, count in ((0, 1), (3, 9), (100, 60), (875, 125))
    ]
    with make() as line:
        found = asked(line, *(read(*each) for each in wanted))
    assert found == [
        tuple(held(fc, each) for each in range(address, address + count))
        for fc, address, count in wanted
    ]


@pytest.mark.parametrize("make", MAKES)
def test_writes_arrive(make: Make) -> None:
    with make() as line:
        found = asked(
            line,
            Request("device", UNIT, 6, 5, 1, (0xBEEF,)),
            Request("device", UNIT, 16, 6, 3, (1, 2, 65535)),
            Request("device", UNIT, 5, 8, 1, (1,)),
            Request("device", UNIT, 5, 9, 1, (0,)),
            read(3, 5, 4),
            read(1, 8, 2),
        )
    assert found == [(), (), (), (), (0xBEEF, 1, 2, 65535), (1, 0)]


@pytest.mark.parametrize("make", MAKES)
def test_what_it_does_not_have_is_refused_and_the_next_answer_is_right(make: Make) -> None:
    with make() as line:
        found = asked(
            line,
            read(3, libmodbus.SIZE - 1, 2),
            read(4, 50_000, 1),
            Request("device", UNIT, 6, libmodbus.SIZE, 1, (1,)),
            read(3, libmodbus.SIZE - 1, 1),
        )
    assert [type(each) for each in found[:3]] == [IllegalAddressError] * 3
    assert found[3] == (held(3, libmodbus.SIZE - 1),)


def test_another_unit_stays_silent_and_costs_a_time_out() -> None:
    """Two of this make: it takes the next request on the line for that unit's answer."""
    with libmodbus_rtu() as line:
        found = asked(line, read(3, 1, 2, unit=UNIT + 1), read(3, 1, 3), read(3, 1, 4))
    assert [type(each) for each in found[:2]] == [NoReplyError] * 2
    assert found[2] == tuple(held(3, each) for each in (1, 2, 3, 4))


@pytest.mark.parametrize("make", MAKES)
def test_a_meters_profile_is_read_from_it(make: Make) -> None:
    """Through bus, reader and profile, with floats that stand in its holding registers."""
    profile = library().meter_profile("eastron_sdm630_v2").model_copy(update={"gap_ns": 0})
    values = {6: 12.5, 8: -3.25, 10: 0.0}
    words = {
        address: struct.unpack(">HH", struct.pack(">f", value)) for address, value in values.items()
    }
    registers = {
        name: each.model_copy(update={"fc": 3})
        for name, each in profile.registers.items()
        if each.addr < 18
    }
    block = profile.blocks[0].model_copy(update={"fc": 3})
    profile = profile.model_copy(update={"registers": registers, "blocks": (block,)})
    writes = [Request("device", UNIT, 16, address, 2, each) for address, each in words.items()]

    async def whole(line: Line) -> dict[str, object]:
        try:
            for request in writes:
                await line.exchange(partial(_same, request))
            bus = Bus(line, MonotonicClock())
            sample = await Reader("meter", UNIT, profile, bus, Rank.METER).read()
            return dict(sample.values)
        finally:
            line.close()

    with make() as line:
        found = asyncio.run(whole(line))
    names = ("current_l1", "current_l2", "current_l3")
    assert [found[name] for name in names] == [12_500, -3_250, 0]
