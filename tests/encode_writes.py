"""What is written to devices, and what their states are called, as their documents have it.

Of each register that Loadkeeper writes: a value in its unit, and the request that must come of it,
made with struct alone. Of each state that a document names: which one of IEC 61851 it is.
"""

import struct
from dataclasses import dataclass

from tests.encode import packet


@dataclass(frozen=True)
class Written:
    register: str  # its name in the profile
    value: str  # in its unit
    request: bytes  # with unit, function and address


def one(register: str, value: str, unit: int, address: int, word: int) -> Written:
    return Written(register, value, packet(struct.pack(">BBHH", unit, 6, address, word)))


def many(register: str, value: str, unit: int, address: int, content: bytes) -> Written:
    head = struct.pack(">BBHHB", unit, 16, address, len(content) // 2, len(content))
    return Written(register, value, packet(head + content))


WRITTEN: dict[str, list[Written]] = {
    "alfen_eve": [  # float32, high word first, A
        many("setpoint", "13.3", 1, 1210, struct.pack(">f", 13.3)),
        many("setpoint", "0", 1, 1210, struct.pack(">f", 0.0)),
    ],
    "alpitronic_hyc": [  # uint32, high word first, W
        many("setpoint", "100000", 1, 100, struct.pack(">I", 100_000)),
        many("setpoint", "0", 1, 100, struct.pack(">I", 0)),
    ],
    "heidelberg_energy_control": [  # uint16: tenths of an ampere, ms
        one("setpoint", "13.3", 1, 261, 133),
        one("failsafe_current", "6", 1, 262, 60),
        one("watchdog_time", "15", 1, 257, 15_000),
        one("standby", "4", 1, 258, 4),
    ],
    "keba_p40": [  # uint16: mA, s
        one("setpoint", "40", 255, 5004, 40_000),
        one("failsafe_current_set", "40", 255, 5016, 40_000),
        one("failsafe_timeout_set", "600", 255, 5018, 600),
    ],
}


STATES: dict[str, str] = {  # its own code, and the state
    "alfen_eve": "A A  B1 B  B2 B  C1 C  C2 C  D1 D  D2 D  E E  F F",
    "alpitronic_hyc": "0 A  1 A  2 B  3 C  4 B  5 B  6 B  7 A  8 F  9 F  10 E  11 F",
    "heidelberg_energy_control": "2 A  3 A  4 B  5 B  6 B  7 C  8 C  9 E  10 F  11 E",
    "keba_p40": "0 B  1 B  2 B  3 C  4 E  5 B",  # B: the cable tells whether it is A
}


def document(name: str) -> str:
    """The part of a capture file that shows both."""
    words = STATES.get(name, "").split()
    lines = ["", "[codes]"] if words else []
    lines += [f'{code} = "{state}"' for code, state in zip(words[::2], words[1::2], strict=True)]
    for each in WRITTEN.get(name, ()):
        lines += ["", "[[write]]", f'register = "{each.register}"', f'value = "{each.value}"']
        lines += [f'request = "{each.request.hex()}"']
    return "\n".join([*lines, ""]) if lines else ""
