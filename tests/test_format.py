"""What the profile format can say beside plain registers, and which contradictions it refuses."""

import asyncio
import struct
from typing import Any

import pytest

from controller.clock import MonotonicClock
from drivers.bus import Bus
from drivers.decode import Value
from drivers.device import Rank
from drivers.layout import unit_problems
from drivers.library import AnyProfile, ProfileError, parse
from drivers.meter import needed, signed_ma
from drivers.meterprofile import MeterProfile
from drivers.modbus import TcpLine
from drivers.reader import Reader, Sample
from drivers.register import Register
from tests.modbus_wire import Asked, serving

COMMON: dict[str, Any] = {
    "schema": 1,
    "kind": "meter",
    "vendor": "x",
    "model": "x",
    "transports": ["tcp"],
    "phases": 1,
    "current_sign": "own",
    "error_a": 0.1,
    "lag_s": 1,
    "sources": ["x"],
    "confidence": "assumed",
}


def described(blocks: list[tuple[int, int, int]], **more: Any) -> dict[str, Any]:
    shown = [{"fc": fc, "start": start, "count": count} for fc, start, count in blocks]
    return COMMON | {"block": shown} | more


def meter(*blocks: tuple[int, int, int], **more: Any) -> MeterProfile:
    profile = parse(described(list(blocks), **more), "it")
    assert isinstance(profile, MeterProfile)
    return profile


def said(*blocks: tuple[int, int, int], **more: Any) -> str:
    with pytest.raises(ProfileError) as caught:
        parse(described(list(blocks), **more), "it")
    return str(caught.value)


def sampled(profile: AnyProfile, words: dict[int, int], wanted: tuple[str, ...] = ()) -> Sample:
    """One poll of a device that holds these words (bits, where coils are read)."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        held = [words[asked.address + i] for i in range(asked.count)]
        if asked.function in (1, 2):
            bits = sum(bit << i for i, bit in enumerate(held))
            content = bits.to_bytes(-(-asked.count // 8), "little")
        else:
            content = struct.pack(f">{asked.count}H", *held)
        writer.write(asked.frame(bytes((asked.function, len(content))) + content))

    async def whole() -> Sample:
        async with serving(behave) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=False)
            try:
                reader = Reader("x", 1, profile, Bus(line, MonotonicClock()), Rank.METER, wanted)
                return await reader.read()
            finally:
                line.close()

    return asyncio.run(whole())


FACTOR = {
    "current_l1": {"addr": 0, "type": "int16", "unit": "A", "scale_factor": "a_sf"},
    "a_sf": {"addr": 1, "type": "int16"},
}


@pytest.mark.parametrize(
    ("factor", "value"), [(0, 123_000), (0xFFFE, 1_230), (0x8000, None), (11, None), (0xFFF5, None)]
)
def test_a_scale_factor_is_read_with_what_it_scales(factor: int, value: Value) -> None:
    profile = meter((3, 0, 2), registers=FACTOR)
    sample = sampled(profile, {0: 123, 1: factor}, ("current_l1",))
    assert sample.values["current_l1"] == value


def test_a_scale_factor_is_one_and_stands_in_the_same_block() -> None:
    assert "stands in another block" in said((3, 0, 1), (3, 1, 1), registers=FACTOR)
    for wrong in ({"addr": 1, "type": "uint16"}, {"addr": 1, "type": "int16", "unit": "1"}):
        assert "needs an int16 without unit" in said((3, 0, 2), registers=FACTOR | {"a_sf": wrong})
    lonely = {"current_l1": FACTOR["current_l1"]}
    assert "scale_factor: needs an int16" in said((3, 0, 2), registers=lonely)


SPLIT = {
    "import_w": {"addr": 0, "type": "uint16", "unit": "W"},
    "export_w": {"addr": 1, "type": "uint16", "unit": "W", "sentinels": [0xFFFF]},
}
NET = {"power_total": {"difference": ["import_w", "export_w"]}}


def test_a_value_may_be_the_difference_of_two() -> None:
    profile = meter((3, 0, 2), registers=SPLIT, computed=NET)
    assert sampled(profile, {0: 100, 1: 350}).values["power_total"] == -250_000
    assert sampled(profile, {0: 100, 1: 0xFFFF}).values["power_total"] is None
    assert sampled(profile, {0: 100, 1: 0}, ("power_total",)).values["power_total"] == 100_000


def test_a_value_may_be_a_sum() -> None:
    total = {"power_total": {"sum": ["import_w", "export_w"]}}
    profile = meter((3, 0, 1), (3, 1, 1), registers=SPLIT, computed=total)
    assert sampled(profile, {0: 100, 1: 350}).values["power_total"] == 450_000


@pytest.mark.parametrize(
    ("computed", "words"),
    [
        ({"power_total": {"difference": ["import_w", "x"]}}, "needs registers that can be read"),
        ({"power_total": {"difference": ["import_w", "import_w"]}}, "has a register twice"),
        ({"power_total": {"sum": ["import_w"]}}, "computed.power_total.sum"),
        ({"power_total": {}}, "is either a sum or a difference"),
        ({"import_w": {"sum": ["import_w", "export_w"]}}, "is the name of a register, too"),
        ({"current_l1": {"sum": ["import_w", "export_w"]}}, "needs current_l1 in A, not W"),
        ({"power_total": {"product": ["import_w", "export_w"]}}, "computed.power_total.product"),
    ],
)
def test_a_computed_value_that_nobody_can_compute(computed: dict[str, Any], words: str) -> None:
    assert words in said((3, 0, 2), registers=SPLIT, computed=computed)


def test_two_moments_have_no_difference() -> None:
    assert "needs both in one block" in said((3, 0, 1), (3, 1, 1), registers=SPLIT, computed=NET)


def test_units_are_not_mixed() -> None:
    mixed = SPLIT | {"export_w": {"addr": 1, "type": "uint16", "unit": "var"}}
    assert "one and the same unit" in said((3, 0, 2), registers=mixed, computed=NET)


def test_coils_and_masks_stand_beside_registers() -> None:
    profile = meter(
        *((1, 400, 9), (3, 400, 1)),
        registers={
            "enabled": {"addr": 400, "type": "bool", "fc": 1},
            "error": {"addr": 408, "type": "bool", "fc": 1},
            "low": {"addr": 400, "type": "uint16", "mask": 0x0F},
            "high": {"addr": 400, "type": "uint16", "mask": 0xF000},
        },
    )

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        content = b"\xfe\x01" if asked.function == 1 else b"\xa5\x57"
        writer.write(asked.frame(bytes((asked.function, len(content))) + content))

    async def whole() -> Sample:
        async with serving(behave) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=False)
            try:
                return await Reader("x", 1, profile, Bus(line, MonotonicClock()), Rank.METER).read()
            finally:
                line.close()

    values = asyncio.run(whole()).values
    assert values == {"enabled": 0, "error": 1, "low": 7, "high": 10}


WORD = {"addr": 0, "type": "uint16"}


@pytest.mark.parametrize(
    ("registers", "words"),
    [
        ({"a": WORD, "b": WORD}, "registers.a: overlaps b"),
        ({"a": WORD | {"mask": 3}, "b": WORD | {"mask": 6}}, "registers.a: overlaps b"),
        ({"a": WORD | {"mask": 3}, "b": WORD}, "registers.a: overlaps b"),
        ({"a": WORD | {"mask": 0x10000}}, "mask belongs to an unsigned number"),
        ({"a": WORD | {"mask": 0}}, "registers.a.mask"),
        ({"a": {"addr": 0, "type": "int16", "mask": 1}}, "mask belongs to an unsigned number"),
        ({"a": WORD | {"half": "high"}}, "half belongs to an ascii of one word"),
        ({"a": {"addr": 0, "type": "ascii", "len": 2, "half": "low"}}, "an ascii of one word"),
        ({"a": {"addr": 0, "type": "bool"}}, "bool is what fc 1 and 2 read"),
        ({"a": WORD | {"fc": 1}}, "bool is what fc 1 and 2 read"),
        ({"a": {"addr": 0, "type": "bool", "fc": 2, "unit": "A"}}, "neither a unit nor sentinels"),
        ({"a": WORD | {"sentinels": [0x10000]}}, "a sentinel that no uint16 can be"),
        ({"a": WORD | {"sentinels": [-1]}}, "a sentinel that no uint16 can be"),
        ({"a": {"addr": 0, "type": "int16", "sentinels": [-32769]}}, "no int16 can be"),
        ({"a": WORD | {"scale_factor": "b"}}, "a scale needs a unit"),
    ],
)
def test_a_register_that_contradicts_itself(registers: dict[str, Any], words: str) -> None:
    assert words in said((3, 0, 2), registers=registers)


@pytest.mark.parametrize(
    ("name", "unit", "right"),
    [
        ("current_l1", "W", False),
        ("rated_current", "V", False),
        ("session_max_current", "A", True),
        ("reactive_power_l2", "W", False),
        ("reactive_power_l2", "var", True),
        ("power_factor_total", "%", True),
        ("power_factor_total", "A", False),
        ("energy_import_l3", "W", False),
        ("energy_import_float", "Wh", True),
        ("frequency", "V", False),
        ("power_limit", "A", True),
    ],
)
def test_a_name_that_tells_what_is_measured_has_its_unit(name: str, unit: str, right: bool) -> None:
    shown = {name: Register.model_validate({"addr": 0, "type": "uint16", "unit": unit})}
    assert bool(list(unit_problems(shown))) is not right


PAIR = {"a": {"addr": 0, "type": "uint32"}, "b": {"addr": 3, "type": "uint16"}}


@pytest.mark.parametrize(
    ("blocks", "more", "words"),
    [
        ([(3, 0, 4), (3, 2, 2)], {}, "block[1]: overlaps block[0]"),
        ([(3, 0, 4), (3, 10, 2)], {}, "block[1]: holds no register"),
        ([(3, 0, 4), (3, 65535, 2)], {}, "ends behind the last address"),
        ([(3, 0, 4)], {"reads": {"gaps": False}}, "block[0]: reads 2, which no register names"),
        ([(3, 0, 4)], {"reads": {"single": True}}, "block[0]: must hold one value, not 2"),
        ([(3, 0, 2), (3, 2, 2)], {"reads": {"single": True}}, "block[1]: reads 2, which no"),
        ([(3, 0, 2), (3, 3, 1)], {"reads": {"even": True}}, "block[1]: must begin at an even"),
        ([(3, 0, 4)], {"reads": {"odd": True}}, "reads.odd"),
    ],
)
def test_a_block_that_the_device_would_refuse(
    blocks: list[tuple[int, int, int]], more: dict[str, Any], words: str
) -> None:
    assert words in said(*blocks, registers=PAIR, **more)


def test_a_probe_keeps_the_rules_for_reads_too() -> None:
    probe = {"addr": 11, "type": "uint16", "values": [1], "wrong": "x"}
    assert "check[0]: must begin at an even" in said(
        (3, 0, 4), registers=PAIR, reads={"even": True}, check=[probe]
    )


def test_shorter_reads_keep_the_rules_too() -> None:
    registers = {name: {"addr": i, "type": "uint16"} for i, name in enumerate("abcd")}
    profile = meter((3, 0, 4), registers=registers, reads={"even": True})
    assert profile.fewer(profile.blocks[0]) == (2,)
    coils = {name: {"addr": i, "type": "bool", "fc": 1} for i, name in enumerate("abcd")}
    profile = meter((1, 0, 4), registers=coils)
    assert profile.fewer(profile.blocks[0]) == ()


# Meters of one phase, without currents, without direction.


def test_a_meter_of_one_phase_is_read() -> None:
    profile = meter((3, 0, 1), registers={"current_l1": WORD | {"unit": "A"}})
    assert profile.facts.phases == 1
    assert profile.facts.tells_currents
    assert needed(profile) == ("current_l1",)


def test_a_meter_has_all_its_currents_or_none() -> None:
    registers = {"current_l1": WORD | {"unit": "A"}}
    assert "needs a current of each, or of none" in said((3, 0, 1), registers=registers, phases=2)
    registers["current_l2"] = {"addr": 1, "type": "uint16", "unit": "A"}
    assert "are fewer than current_l2 belongs to" in said((3, 0, 2), registers=registers)
    assert not meter((3, 0, 2), registers=SPLIT).facts.tells_currents


@pytest.mark.parametrize(("reversed_ct", "signed"), [(False, 5_000), (True, -5_000)])
def test_without_a_direction_all_is_import(reversed_ct: bool, signed: int) -> None:
    """What a reversed CT turns round on the way to the circuit is import there, too."""
    profile = meter(
        (3, 0, 1),
        registers={"current_l1": {"addr": 0, "type": "int16", "unit": "A"}},
        current_sign="none",
    )
    sample = sampled(profile, {0: 0xFFFB})
    assert signed_ma(profile, sample, 1, reversed_ct=reversed_ct) == signed
    assert not profile.facts.active_export
