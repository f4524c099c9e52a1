"""Makes the captured exchanges in tests/captures/, from register facts, with struct alone.

It shares nothing with the decoder that is tested against them: addresses, types, word orders and
scales stand here a second time, as the devices' documents have them. `python -m
tests.encode_meters` writes the files; a test compares.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CAPTURES = Path(__file__).parent / "captures"


@dataclass(frozen=True)
class Exchange:
    request: bytes
    reply: bytes


@dataclass(frozen=True)
class Case:
    """A device in some state: what is asked, what it answers, what that means."""

    why: str
    exchanges: Sequence[Exchange]
    expect: str  # names and values in turn, as people write them; "-" where unknown


def read(unit: int, function: int, address: int, content: bytes) -> Exchange:
    """A read of as many registers as `content` fills, and its reply."""
    request = struct.pack(">BBHH", unit, function, address, len(content) // 2)
    reply = struct.pack(">BBB", unit, function, len(content)) + content
    return Exchange(packet(request), packet(reply))


def packet(adu: bytes, transaction: int = 0) -> bytes:
    return struct.pack(">HHH", transaction, 0, len(adu)) + adu


# Carlo Gavazzi EM24 Ethernet: int32 low word first; V and W in tenths, A in thousandths.

EM24_OVERFLOW = 0x7FFFFFFF


def low_first(*values: int) -> bytes:
    """int32, low word at the lower address."""
    raw = (struct.pack(">i", value) for value in values)
    return b"".join(word[2:] + word[:2] for word in raw)


def em24_block(
    volts: Sequence[int],
    milliamps: Sequence[int],
    tenth_watts: Sequence[int],
    total: int,
    factors: Sequence[int],
) -> bytes:
    """Registers 0 to 49."""
    line_to_line = low_first(3984, 3985, 3986)  # 6 to 11
    between = low_first(*range(24, 40, 2))  # 24 to 39: VA, var and means, not read
    rest = low_first(42, 44)  # 42 to 45
    return (
        low_first(*volts)
        + line_to_line
        + low_first(*milliamps)
        + low_first(*tenth_watts)
        + between
        + low_first(total)
        + rest
        + struct.pack(">3hh", *factors, 990)
    )


def em24(why: str, block: bytes, expect: str) -> Case:
    return Case(
        why,
        [
            read(1, 3, 11, struct.pack(">H", 1651)),
            read(1, 3, 40960, struct.pack(">H", 7)),
            read(1, 4, 0, block),
        ],
        expect,
    )


EM24 = [
    em24(
        "import on L1 and L3, export on L2; the current shows no sign",
        em24_block(
            [2301, 2299, 2305],
            [70_123, 5_000, 250],
            [161000, -11495, 461],
            149966,
            [998, -1000, 800],
        ),
        """
        voltage_l1 230.1  voltage_l2 229.9  voltage_l3 230.5  current_l1 70.123
        current_l2 5  current_l3 0.25  power_l1 16100  power_l2 -1149.5
        power_l3 46.1  power_total 14996.6  power_factor_l1 0.998
        power_factor_l2 -1  power_factor_l3 0.8
        power_factor_total 0.99  signed_l1 70.123  signed_l2 -5
        signed_l3 0.25
        """,
    ),
    em24(
        "a reactive current beside a little export counts as that export alone",
        em24_block(
            [2300, 2300, 2300], [10_000, 65_536, 131_071], [-230, 23, 0], -207, [-100, 1, 0]
        ),
        """
        voltage_l1 230  voltage_l2 230  voltage_l3 230  current_l1 10
        current_l2 65.536  current_l3 131.071  power_l1 -23  power_l2 2.3
        power_l3 0  power_total -20.7  power_factor_l1 -0.1  power_factor_l2 0.001
        power_factor_l3 0
        power_factor_total 0.99  signed_l1 -0.1  signed_l2 65.536  signed_l3 131.071
        """,
    ),
    em24(
        "overflow is no number, and a current without direction is no reading",
        em24_block(
            [2300, 2300, 2300],
            [EM24_OVERFLOW, 1_000, 1_000],
            [10, EM24_OVERFLOW, 2300],
            EM24_OVERFLOW,
            [0, 0, 1000],
        ),
        """
        voltage_l1 230  voltage_l2 230  voltage_l3 230  current_l1 -  current_l2 1
        current_l3 1  power_l1 1  power_l2 -  power_l3 230  power_total -
        power_factor_l1 0  power_factor_l2 0  power_factor_l3 1
        power_factor_total 0.99  signed_l1 -
        signed_l2 -  signed_l3 1
        """,
    ),
]

# Alfen Eve: float32 high word first; what it does not know reads as 0xFFFF words.

UNKNOWN_FLOAT = b"\xff" * 4


def floats(*values: float | None) -> bytes:
    return b"".join(
        UNKNOWN_FLOAT if value is None else struct.pack(">f", value) for value in values
    )


def alfen_measured(
    volts: Sequence[float | None], amperes: Sequence[float | None], watts: Sequence[float | None]
) -> bytes:
    """Registers 306 to 345."""
    line_to_line, neutral = floats(None, None, None), floats(None)
    total, factors, frequency = floats(None), floats(None, None, None, None), floats(50.0)
    power_sum = floats(sum(watt for watt in watts if watt is not None))
    before = floats(*volts) + line_to_line + neutral + floats(*amperes) + total
    return before + factors + frequency + floats(*watts) + power_sum


def alfen_control(
    state: str,
    applied: float | None,
    valid_s: int,
    setpoint: float | None,
    safe: float | None,
    in_use: int,
    operative: int = 1,
    phases: int = 3,
) -> bytes:
    """Registers 1200 to 1215."""
    return (
        struct.pack(">H", operative)
        + state.encode().ljust(10, b"\0")
        + floats(applied)
        + struct.pack(">I", valid_s)
        + floats(setpoint, safe)
        + struct.pack(">HH", in_use, phases)
    )


def alfen(why: str, measured: bytes, control: bytes, expect: str) -> Case:
    return Case(why, [read(1, 3, 306, measured), read(1, 3, 1200, control)], expect)


ALFEN = [
    alfen(
        "charging on three phases at 13.3 A",
        alfen_measured([230.25, 229.5, 231.0], [13.1, 13.25, 12.9985], [3016.0, 3040.9, 3002.7]),
        alfen_control("C2", 13.3, 58, 13.3, 6.0, 1),
        """
        voltage_l1 230.25  voltage_l2 229.5  voltage_l3 231  current_l1 13.1
        current_l2 13.25  current_l3 12.998  power_l1 3016  power_l2 3040.9
        power_l3 3002.7  power_total 9059.6  availability 1  state C2
        applied_current 13.3  setpoint_valid_for 58  setpoint 13.3  safe_current 6
        setpoint_in_use 1  phases 3  vehicle C  in_force 13.3
        """,
    ),
    alfen(
        "it draws more than it was told: what it draws is not what is in force",
        alfen_measured([230.0, 230.0, 230.0], [30.0, 29.0, 28.0], [6900.0, 6670.0, 6440.0]),
        alfen_control("C2", 8.0, 60, 8.0, 6.0, 1),
        """
        voltage_l1 230  voltage_l2 230  voltage_l3 230  current_l1 30  current_l2 29
        current_l3 28  power_l1 6900  power_l2 6670  power_l3 6440  power_total 20010
        availability 1  state C2  applied_current 8  setpoint_valid_for 60
        setpoint 8  safe_current 6  setpoint_in_use 1  phases 3  vehicle C
        in_force 8
        """,
    ),
    alfen(
        "numbers at the far ends of their types, where they have one that is no unknown",
        alfen_measured([230.0, 230.0, 230.0], [6.0, 0.0, 0.0], [1380.0, 0.0, 0.0]),
        alfen_control("B2", 6.0, 0x8000_0102, 6.0, 6.0, 0x8001, 0x8002, 0x8003),
        """
        voltage_l1 230  voltage_l2 230  voltage_l3 230  current_l1 6  current_l2 0
        current_l3 0  power_l1 1380  power_l2 0  power_l3 0  power_total 1380
        availability 32770  state B2  applied_current 6  setpoint_valid_for 2147483906
        setpoint 6  safe_current 6  setpoint_in_use 32769  phases 32771  vehicle B
        in_force 6
        """,
    ),
    alfen(
        "a reduction to 8 A that was taken and is not followed yet",
        alfen_measured([230.0, 230.0, 230.0], [16.0, 0.0, 0.0], [3680.0, 0.0, 0.0]),
        alfen_control("C2", 16.0, 60, 8.0, 6.0, 1),
        """
        voltage_l1 230  voltage_l2 230  voltage_l3 230  current_l1 16  current_l2 0
        current_l3 0  power_l1 3680  power_l2 0  power_l3 0  power_total 3680
        availability 1  state C2  applied_current 16  setpoint_valid_for 60
        setpoint 8  safe_current 6  setpoint_in_use 1  phases 3  vehicle C
        in_force 16
        """,
    ),
    alfen(
        "validity over: the setpoint stands in its register and does not count",
        alfen_measured([230.0, None, None], [5.9, None, None], [1357.0, None, None]),
        alfen_control("C2", 6.0, 0, 32.0, 6.0, 0, phases=1),
        """
        voltage_l1 230  voltage_l2 -  voltage_l3 -  current_l1 5.9  current_l2 -
        current_l3 -  power_l1 1357  power_l2 -  power_l3 -  power_total 1357
        availability 1  state C2  applied_current 6  setpoint_valid_for 0
        setpoint 32  safe_current 6  setpoint_in_use 0  phases 1  vehicle C
        in_force 6
        """,
    ),
    alfen(
        "after a reboot most is unknown, the state is new to us: nothing is taken for a number",
        alfen_measured([None, None, None], [None, None, None], [None, None, None]),
        alfen_control("X9", None, 0xFFFFFFFF, None, None, 0xFFFF, 0xFFFF, 0xFFFF),
        """
        voltage_l1 -  voltage_l2 -  voltage_l3 -  current_l1 -  current_l2 -
        current_l3 -  power_l1 -  power_l2 -  power_l3 -  power_total 0
        availability -  state X9  applied_current -  setpoint_valid_for -
        setpoint -  safe_current -  setpoint_in_use -  phases -  vehicle UNKNOWN
        in_force -
        """,
    ),
]

# Eastron SDM630 V2: float32 high word first.


def sdm630(
    why: str,
    volts: Sequence[float | None],
    amperes: Sequence[float | None],
    watts: Sequence[float | None],
    total: float,
    expect: str,
) -> Case:
    block = floats(*volts, *amperes, *watts)  # 0 to 17
    return Case(why, [read(1, 4, 0, block), read(1, 4, 52, floats(total))], expect)


SDM630 = [
    sdm630(
        "import on L1 and L3, export on L2",
        [230.5, 229.25, 231.0],
        [16.125, 5.5, 0.25],
        [3716.5, -1260.75, 57.5],
        2513.25,
        """
        voltage_l1 230.5  voltage_l2 229.25  voltage_l3 231  current_l1 16.125
        current_l2 5.5  current_l3 0.25  power_l1 3716.5  power_l2 -1260.75
        power_l3 57.5  power_total 2513.25  signed_l1 16.125  signed_l2 -5.499
        signed_l3 0.25
        """,
    ),
    sdm630(
        "a value that is no number is unknown, not 0",
        [230.0, 230.0, 230.0],
        [None, 1.0, 1.0],
        [10.0, None, 230.0],
        0.0,
        """
        voltage_l1 230  voltage_l2 230  voltage_l3 230  current_l1 -  current_l2 1
        current_l3 1  power_l1 10  power_l2 -  power_l3 230  power_total 0
        signed_l1 -  signed_l2 -  signed_l3 1
        """,
    ),
]

# Heidelberg Energy Control: uint16; tenths of an ampere, milliseconds.


def heidelberg_state(state: int, tenth_amperes: Sequence[int], watts: int) -> bytes:
    """Registers 4 to 14."""
    degrees, volts, unlocked = 215, (230, 231, 229), 1
    return struct.pack(">11H", 0x0108, state, *tenth_amperes, degrees, *volts, unlocked, watts)


def heidelberg(
    why: str,
    state: bytes,
    setup: tuple[int, int],
    set_to: int,
    expect: str,
    rest: tuple[int, int] = (1, 60),
) -> Case:
    """`setup`: watchdog time in ms, standby. `rest`: remote lock, fail-safe current."""
    return Case(
        why,
        [
            read(1, 4, 4, state),
            read(1, 4, 4, state[:2]),
            read(1, 3, 257, struct.pack(">3H", *setup, rest[0])),
            read(1, 3, 261, struct.pack(">2H", set_to, rest[1])),
        ],
        expect,
    )


HEIDELBERG = [
    heidelberg(
        "charging on three phases at 13.3 A",
        heidelberg_state(7, [131, 130, 132], 9040),
        (15_000, 4),
        133,
        """
        layout 264  state 7  current_l1 13.1  current_l2 13  current_l3 13.2
        voltage_l1 230  voltage_l2 231  voltage_l3 229  external_lock 1
        apparent_power_total 9040  watchdog_time 15  standby 4  remote_lock 1  setpoint 13.3
        failsafe_current 6  vehicle C  in_force 13.3
        """,
    ),
    heidelberg(
        "paused; what may be in force is its fallback, as nobody knows when it was last asked",
        heidelberg_state(5, [0, 0, 0], 0),
        (15_000, 0),
        0,
        """
        layout 264  state 5  current_l1 0  current_l2 0  current_l3 0
        voltage_l1 230  voltage_l2 231  voltage_l3 229  external_lock 1
        apparent_power_total 0  watchdog_time 15  standby 0  remote_lock 1  setpoint 0
        failsafe_current 6  vehicle B  in_force 6
        """,
    ),
    heidelberg(
        "it draws more than it was told: what it draws is not what is in force",
        heidelberg_state(7, [300, 301, 302], 20_700),
        (15_000, 0),
        70,
        """
        layout 264  state 7  current_l1 30  current_l2 30.1  current_l3 30.2
        voltage_l1 230  voltage_l2 231  voltage_l3 229  external_lock 1
        apparent_power_total 20700  watchdog_time 15  standby 0  remote_lock 1  setpoint 7
        failsafe_current 6  vehicle C  in_force 7
        """,
    ),
    heidelberg(
        "every number but its layout at the far end of its type",
        struct.pack(">11H", 0x0108, *range(0x8002, 0x800C)),
        (0x800C, 0x800D),
        0x800F,
        """
        layout 264  state 32770  current_l1 3277.1  current_l2 3277.2  current_l3 3277.3
        voltage_l1 32775  voltage_l2 32776  voltage_l3 32777  external_lock 32778
        apparent_power_total 32779  watchdog_time 32.78  standby 32781  remote_lock 32782
        setpoint 3278.3  failsafe_current 3278.4  vehicle UNKNOWN  in_force 3278.4
        """,
        (0x800E, 0x8010),
    ),
]

# KEBA P40: uint32 high word first, one value a request; milliamps, milliwatts, seconds.


def keba(why: str, values: dict[int, int], expect: str) -> Case:
    return Case(
        why,
        [read(255, 3, address, struct.pack(">I", value)) for address, value in values.items()],
        expect,
    )


def keba_values(
    state: int,
    cable: int,
    milliamps: Sequence[int],
    limit: int,
    alone: tuple[int, int],
    error: int = 0,
) -> dict[int, int]:
    """`alone`: fail-safe current in mA, and its time in s."""
    first, second, third = milliamps
    return {
        1000: state,
        1008: first,
        1010: second,
        1012: third,
        1100: limit,
        1004: cable,
        1600: alone[0],
        1602: alone[1],
        1006: error,
        1020: 230 * sum(milliamps),
        1014: 0x8154_CAD7,  # who it is: serial number, product, firmware
        1016: 0x0006_1A80,
        1018: 0x8001_0201,
    }


KEBA = [
    keba(
        "charging on three phases at 13.3 A",
        keba_values(3, 7, [13_100, 13_000, 13_250], 13_300, (6_000, 30)),
        """
        state 3  cable_state 7  error_code 0  current_l1 13.1  current_l2 13
        current_l3 13.25  power_total 9050.5  max_current 13.3  failsafe_current 6
        failsafe_timeout 30  vehicle C  in_force 13.3
        """,
    ),
    keba(
        "ready, but its cable ends in the air: no vehicle; it may have fallen back before we came",
        keba_values(2, 3, [0, 0, 0], 0, (10_000, 0)),
        """
        state 2  cable_state 3  error_code 0  current_l1 0  current_l2 0  current_l3 0
        power_total 0  max_current 0  failsafe_current 10  failsafe_timeout 0
        vehicle A  in_force 10
        """,
    ),
    keba(
        "every number at the far end of its type: nobody knows its state, nor what is in force",
        keba_values(
            0x8001_0203,
            0x8004_0506,
            [0x8007_0809, 0x800A_0B0C, 0x800D_0E0F],
            0x8010_1112,
            (0x8013_1415, 0x8016_1718),
            0x8019_1A1B,
        )
        | {1020: 0x801C_1D1E},
        """
        state 2147549699  cable_state 2147747078  error_code 2149128731
        current_l1 2147944.457  current_l2 2148141.836  current_l3 2148339.215
        power_total 2149326.11  max_current 2148536.594  failsafe_current 2148733.973
        failsafe_timeout 2148931352  vehicle UNKNOWN  in_force -
        """,
    ),
    keba(
        "interrupted, with a vehicle; the highest current takes more than one word",
        keba_values(5, 7, [0, 0, 65_536], 70_000, (0, 600)),
        """
        state 5  cable_state 7  error_code 0  current_l1 0  current_l2 0
        current_l3 65.536  power_total 15073.28  max_current 70  failsafe_current 0
        failsafe_timeout 600  vehicle B  in_force 70
        """,
    ),
]

# Alpitronic Hypercharger: uint32 high word first; watts, hundredths of a volt and an ampere.


def alpitronic(
    why: str,
    state: int,
    dc: tuple[int, int, int],
    most_w: tuple[int, int],
    told_w: int,
    expect: str,
    least_w: int = 2_500,
) -> Case:
    """`dc`: hundredths of a volt and of an ampere, watts. `most_w`: of the DC and the AC side."""
    measured = struct.pack(">HIHIHHHH", state, *dc, 600, 1234, 4500, 1)
    measured += struct.pack(">II", most_w[0], least_w)
    block = measured.ljust(72, b"\0")
    return Case(
        why,
        [
            read(1, 4, 100, block),
            read(1, 4, 136, struct.pack(">I", most_w[1])),
            read(1, 3, 100, struct.pack(">I", told_w)),
            read(1, 4, 6, b"HYC-300-0001-ABCDEFGHIJK"),  # its serial number
        ],
        expect,
    )


ALPITRONIC = [
    alpitronic(
        "charging with 55 kW; more than one word of watts",
        3,
        (39_850, 13_800, 55_000),
        (92_000, 100_000),
        100_000,
        """
        state 3  voltage_dc 398.5  current_dc 138  power_total 55000  max_power_dc 92000
        min_power_dc 2500  max_power_ac 100000  setpoint 100000  vehicle C  in_force 100000
        """,
    ),
    alpitronic(
        "paused with its small power, and told a new one that it does not apply yet",
        5,
        (41_000, 0, 0),
        (1_547, 1_547),
        20_000,
        """
        state 5  voltage_dc 410  current_dc 0  power_total 0  max_power_dc 1547
        min_power_dc 2500  max_power_ac 1547  setpoint 20000  vehicle B  in_force 20000
        """,
    ),
    alpitronic(
        "out of order, and a state that nobody knows counts as a vehicle that may draw",
        12,
        (0, 65_535, 0),
        (0, 65_536),
        0,
        """
        state 12  voltage_dc 0  current_dc 655.35  power_total 0  max_power_dc 0
        min_power_dc 2500  max_power_ac 65536  setpoint 0  vehicle UNKNOWN  in_force 65536
        """,
    ),
    alpitronic(
        "every number at the far end of its type",
        0x8001,
        (0x8002_0304, 0x8005, 0x8006_0708),
        (0x8009_0A0B, 0x800C_0D0E),
        0x800F_1011,
        """
        state 32769  voltage_dc 21476154.92  current_dc 327.73  power_total 2147878664
        max_power_dc 2148076043  min_power_dc 2148668180  max_power_ac 2148273422
        setpoint 2148470801  vehicle UNKNOWN  in_force -
        """,
        0x8012_1314,
    ),
]

MADE: dict[str, list[Case]] = {
    "carlo_gavazzi_em24_ethernet": EM24,
    "alfen_eve": ALFEN,
    "eastron_sdm630_v2": SDM630,
    "heidelberg_energy_control": HEIDELBERG,
    "keba_p40": KEBA,
    "alpitronic_hyc": ALPITRONIC,
}


def document(cases: Sequence[Case]) -> str:
    """A capture file: TOML, packets in hexadecimal, transaction numbers 0."""
    lines = ["# Made by tests/encode.py from the register facts; do not edit."]
    for case in cases:
        lines += ["", "[[case]]", f'why = "{case.why}"', "exchanges = ["]
        for exchange in case.exchanges:
            lines += [f'  ["{exchange.request.hex()}",', f'   "{exchange.reply.hex()}"],']
        lines += ["]", "[case.expect]"]
        words = case.expect.split()
        lines += [
            f'{name} = "{value}"' for name, value in zip(words[::2], words[1::2], strict=True)
        ]
    return "\n".join(lines) + "\n"
