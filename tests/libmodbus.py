"""A server made of libmodbus, another make's: python -m tests.libmodbus tcp | rtu PORT BAUD UNIT.

It says its address in one line, and then answers until its standard input ends. Each register and
each coil holds what `held()` says.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import sys
from contextlib import closing

LIBRARY = "libmodbus.so.5"
SIZE = 1000  # registers and bits of each kind, from 0
_FRAME_BYTES = 260


class Mapping(ctypes.Structure):
    """`modbus_mapping_t` of libmodbus 3.1."""

    _fields_ = (
        ("nb_bits", ctypes.c_int),
        ("start_bits", ctypes.c_int),
        ("nb_input_bits", ctypes.c_int),
        ("start_input_bits", ctypes.c_int),
        ("nb_input_registers", ctypes.c_int),
        ("start_input_registers", ctypes.c_int),
        ("nb_registers", ctypes.c_int),
        ("start_registers", ctypes.c_int),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    )


def held(kind: int, address: int) -> int:
    """What stands in a place, by the function that reads it."""
    return (7 * address + kind) % 3 % 2 if kind in (1, 2) else (kind << 12 | address) & 0xFFFF


class Library:
    """The functions that are used, with their types."""

    def __init__(self) -> None:
        """Raises OSError where it is not installed."""
        self._lib = lib = ctypes.CDLL(LIBRARY, use_errno=True)
        lib.modbus_new_tcp.restype = lib.modbus_new_rtu.restype = ctypes.c_void_p
        lib.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
        self.mapping = lib.modbus_mapping_new(SIZE, SIZE, SIZE, SIZE)
        for address in range(SIZE):
            self.mapping.contents.tab_bits[address] = held(1, address)
            self.mapping.contents.tab_input_bits[address] = held(2, address)
            self.mapping.contents.tab_registers[address] = held(3, address)
            self.mapping.contents.tab_input_registers[address] = held(4, address)

    def tcp(self) -> None:
        """One master after the other."""
        context = ctypes.c_void_p(self._lib.modbus_new_tcp(b"127.0.0.1", 0))
        listening = self._lib.modbus_tcp_listen(context, 1)
        with closing(socket.socket(fileno=os.dup(listening))) as seen:
            _tell(f"tcp://127.0.0.1:{seen.getsockname()[1]}")
        fd = ctypes.c_int(listening)
        while _readable(listening):
            accepted = self._lib.modbus_tcp_accept(context, ctypes.byref(fd))
            while _readable(accepted) and self._answer(context):
                pass
            os.close(accepted)

    def rtu(self, port: str, baud: int, unit: int) -> None:
        device, parity = port.encode(), ctypes.c_char(b"N")
        context = ctypes.c_void_p(self._lib.modbus_new_rtu(device, baud, parity, 8, 1))
        self._lib.modbus_set_slave(context, unit)
        if self._lib.modbus_connect(context) < 0:
            sys.exit(os.strerror(ctypes.get_errno()))
        _tell(port)
        while _readable(self._lib.modbus_get_socket(context)):
            self._answer(context)

    def _answer(self, context: ctypes.c_void_p) -> bool:
        """False when the master has gone."""
        query = ctypes.create_string_buffer(_FRAME_BYTES)
        length = self._lib.modbus_receive(context, query)
        if length > 0:
            self._lib.modbus_reply(context, query, length, self.mapping)
        return bool(length >= 0)


def _readable(fd: int) -> bool:
    """Waits; False when standard input has ended."""
    ready, _, _ = select.select([fd, sys.stdin], [], [])
    return sys.stdin not in ready


def _tell(where: str) -> None:
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tcp"]:
            Library().tcp()
        case ["rtu", port, baud, unit]:
            Library().rtu(port, int(baud), int(unit))
