"""Profiles: each one that ships is proven by a captured exchange; a bad one is refused whole."""

import asyncio
import shutil
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.clock import MonotonicClock
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.decode import Value
from drivers.device import Rank
from drivers.library import HOME, SIZE_MAX, AnyProfile, Library, ProfileError, library, parse, read
from drivers.meterprofile import MeterProfile
from drivers.modbus import TcpLine
from drivers.profile import Pacing
from drivers.reader import Reader, Sample
from hil.proving.captures import captures, identity, marks, meaning, written
from tests.encode import CAPTURES
from tests.encode_meters import encoded, whole
from tests.modbus_wire import Asked, serving

EM24 = "carlo_gavazzi_em24_ethernet"
ALFEN = "alfen_eve"
KEBA = "keba_p40"
UNPACED = Pacing.model_validate({})


def test_the_two_are_there_with_what_control_needs() -> None:
    meter, charger = library().meter(EM24), library().charger(ALFEN)
    assert (meter.name, meter.phases) == (EM24, 3)
    assert (charger.min_ma, charger.max_ma, charger.settle_ns) == (6_000, None, 6 * 10**9)
    assert charger.watchdog_timeout_ns == 60 * 10**9
    assert charger.metered
    assert charger.has_fallback
    assert charger.watchdog_armed_after_power_on
    assert charger.power_on_is_fallback


# Captures.


def lacking(profiles: Mapping[str, Path], captures: Path) -> list[str]:
    """Profiles that no captured exchange proves."""
    return [name for name in profiles if not (captures / f"{name}.toml").exists()]


def test_every_profile_has_a_capture() -> None:
    assert lacking(library().names(), CAPTURES) == []


def test_a_profile_without_one_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "meters").mkdir()
    shutil.copy(HOME / "meters" / f"{EM24}.toml", tmp_path / "meters" / "new_meter.toml")
    assert lacking(Library(tmp_path).names(), CAPTURES) == ["new_meter"]


ENCODED = encoded()


@pytest.mark.parametrize("name", sorted(ENCODED))
def test_captures_are_as_the_encoder_makes_them(name: str) -> None:
    assert (CAPTURES / f"{name}.toml").read_text() == whole(name, ENCODED[name])


def captured() -> list[tuple[str, dict[str, Any]]]:
    files = [(path.stem, tomllib.loads(path.read_text())) for path in CAPTURES.glob("*.toml")]
    return [(name, case) for name, cases in sorted(files) for case in cases["case"]]


@pytest.mark.parametrize(("name", "case"), captured(), ids=lambda each: str(each)[:24])
def test_a_capture_replays_to_what_it_means(name: str, case: dict[str, Any]) -> None:
    profile = library().find(name)
    sample = replay(profile, case["exchanges"])
    found: dict[str, Value] = {**sample.values, **meaning(profile, sample)}
    expected = {key: written(profile, key, text) for key, text in case["expect"].items()}
    assert found == expected


@pytest.mark.parametrize("name", sorted(library().names("charger")))
def test_who_a_charger_is_reads_as_it_was_captured(name: str) -> None:
    profile = library().find(name)
    registers = profile.identity.registers()
    for capture in captures(name):
        shown = marks(profile, capture)
        assert {each: str(shown[f"identity.{each}"]) for each in registers} == identity(name)


def test_captures_show_every_register_with_a_value() -> None:
    for name in library().names():
        seen = {
            key
            for captured_name, case in captured()
            for key, text in case["expect"].items()
            if captured_name == name and text != "-"
        }
        registers = library().find(name).registers
        assert {name for name, each in registers.items() if not each.write_only} <= seen


def replay(profile: AnyProfile, exchanges: list[tuple[str, str]]) -> Sample:
    """Reads a device that answers with the captured bytes, and refuses all else."""
    replies = {bytes.fromhex(request)[6:]: bytes.fromhex(reply) for request, reply in exchanges}

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        reply = replies.get(bytes([asked.unit]) + asked.pdu)
        writer.write(asked.refusal(2) if reply is None else asked.frame(reply[7:]))

    async def whole() -> Sample:
        async with serving(behave) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=False)
            hasty = profile.model_copy(update={"pacing": UNPACED})
            reader = Reader("x", profile.unit, hasty, Bus(line, MonotonicClock()), Rank.METER)
            await reader.check()
            try:
                return await reader.read()
            finally:
                line.close()

    return asyncio.run(whole())


# What is refused.


def load(name: str) -> dict[str, Any]:
    return tomllib.loads(library().names()[name].read_text())


def said(data: Mapping[str, Any]) -> str:
    with pytest.raises(ProfileError) as caught:
        parse(data, "it")
    return str(caught.value)


def change(data: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """A copy with one value changed, added, or taken away where it is None."""
    changed = deepcopy(data)
    place: Any = changed
    *way, last = dotted.split(".")
    for key in way:
        place = place[int(key) if isinstance(place, list) else key]
    if value is None:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return changed


@pytest.mark.parametrize(
    ("name", "dotted", "value", "words"),
    [
        (EM24, "registers.current_l1.unit", "kA", "registers.current_l1.unit"),
        (EM24, "registers.current_l1.type", "int24", "registers.current_l1.type"),
        (EM24, "registers.current_l1.addr", 13, "overlaps current_l2"),
        (EM24, "registers.current_l1.addr", -1, "registers.current_l1.addr"),
        (EM24, "registers.current_l1.addr", True, "registers.current_l1.addr"),
        (EM24, "registers.current_l1.addr", 49, "cuts current_l1"),
        (EM24, "registers.current_l1.addr", 90, "registers.current_l1: is in no block"),
        (EM24, "registers.current_l1.fc", 3, "registers.current_l1: is in no block"),
        (EM24, "registers.current_l1.scale", 0, "registers.current_l1.scale"),
        (EM24, "registers.current_l1.scale", float("nan"), "registers.current_l1.scale"),
        (EM24, "registers.current_l1.colour", "red", "registers.current_l1.colour"),
        (EM24, "registers.current_l1.len", 2, "len belongs to ascii"),
        (EM24, "registers.current_l1.unit", None, "a scale needs a unit"),
        (EM24, "registers.power_l2", None, "needs a register power_l2"),
        (EM24, "registers.voltage_l3.unit", "A", "needs voltage_l3 in V, not A"),
        (EM24, "block.0.count", 51, "block[0].count: is more than max_registers"),
        (EM24, "block.0.count", 126, "block.0.count"),
        (EM24, "check.0.values", [], "check.0.values"),
        (EM24, "phases", 1, "phases"),
        (EM24, "lag_s", -1, "lag_s"),
        (EM24, "lag_s", float("inf"), "lag_s"),
        (EM24, "sentinels.int99", [1], "sentinels"),
        (EM24, "word_order", "middle_first", "word_order"),
        (EM24, "sources", [], "sources"),
        (EM24, "confidence", "sure", "confidence"),
        (EM24, "conf.speed", "assumed", "conf.speed: names nothing in this profile"),
        (EM24, "schema", 2, "schema"),
        (EM24, "kind", "clock", "kind"),
        (ALFEN, "registers.state.len", None, "len belongs to ascii"),
        (ALFEN, "registers.applied_current", None, "setpoint.applied: needs a register applied"),
        (ALFEN, "registers.setpoint", None, "setpoint.register: needs a register setpoint"),
        (KEBA, "setpoint.applied", "setpoint", "needs a register setpoint that can be read"),
        (KEBA, "status.unplugged.register", "cable", "needs a register cable"),
        (KEBA, "status.unplugged.values", [], "status.unplugged.values"),
        (KEBA, "pacing.read_gap_s", -1, "pacing.read_gap_s"),
        (KEBA, "pacing.nap_s", 1, "pacing.nap_s"),
        (KEBA, "block.5.every", 0, "block.5.every"),
        (KEBA, "block.5.every", 13, "block.5.every"),
        (ALFEN, "setpoint.applied", "voltage_l1", "needs voltage_l1 in A, not V"),
        (ALFEN, "setpoint.fc", 5, "setpoint.fc"),
        (ALFEN, "status.iec.B1", "G", "status.iec.B1"),
        (ALFEN, "watchdog.kind", "any", "watchdog.kind"),
        (ALFEN, "watchdog.timeout_s", None, "has a timeout_s where there is a watchdog"),
        (ALFEN, "watchdog.fallback", None, "needs a fallback where it tells the time left"),
        (ALFEN, "watchdog.armed_after_power_on", "no", "watchdog.armed_after_power_on"),
        (ALFEN, "tolerance_pct", -3, "tolerance_pct"),
    ],
)
def test_each_mistake_is_named(name: str, dotted: str, value: Any, words: str) -> None:
    assert words in said(change(load(name), dotted, value))


def test_all_mistakes_are_named_at_once() -> None:
    data = change(load(EM24), "registers.current_l1.addr", 13)
    data = change(data, "registers.power_l1.addr", 90)
    data["block"][0]["count"] = 51
    problems = said(data).splitlines()
    assert len(problems) == 4  # the block is too long twice: for the device, and into its next


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("current_l1 = { addr = 12,", "current_l1 = { addr = 13,", "current_l1"),
        ("current_l3 = { addr = 16,", "current_l3 = { addr = 90,", "current_l3"),
        ('unit = "A" }', 'unit = "kA" }', "current_l1"),
        ("start = 0\ncount = 50", "start = 1\ncount = 49", "[[block]]"),
        ("max_registers = 50", "max_registers = 0", "max_registers"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, where: str) -> None:
    text = library().names()[EM24].read_text()
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        read(tmp_path / "mine.toml")
    lines = text.splitlines()
    number = next(i for i, line in enumerate(lines, 1) if line.startswith(where))
    assert f"(line {number}): " in str(caught.value)


@given(st.sampled_from([EM24, ALFEN]), st.data())
def test_no_profile_makes_the_loader_stumble(name: str, data: st.DataObject) -> None:
    """Any value anywhere: a profile or a ProfileError."""
    profile = load(name)
    place: Any = profile
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(ANYTHING)
            break
        place = place[key]
    try:
        parse(profile, "it")
    except ProfileError as error:
        assert error.problems


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


# Names and files.


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(KeyError, match="did you mean alfen_eve"):
        library().charger("alfen_eves")
    with pytest.raises(KeyError, match='no meter profile "alfen_eve"'):
        library().meter("alfen_eve")


def test_a_profile_may_come_from_a_path(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    shutil.copy(library().names()[ALFEN], copy)
    assert library().charger(str(copy)).name == "mine"
    with pytest.raises(ProfileError, match="is the profile of a charger"):
        library().meter(str(copy))


BAD_FILES: list[tuple[bytes, str]] = [
    (b"schema == 1", "line 1"),
    (b"\xff\xfe", "decode"),
    (b"a = " + b"[" * 100_000, "mine.toml"),
    (b"#" * (SIZE_MAX + 1), "larger than"),
]


@pytest.mark.parametrize(("content", "words"), BAD_FILES)
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=words):
        read(path)


def test_a_file_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="cannot read the profile"):
        library().meter(str(tmp_path / "none.toml"))


def test_each_kind_has_its_folder() -> None:
    kinds: dict[str, type[AnyProfile]] = {"meter": MeterProfile, "charger": ChargerProfile}
    for kind, model in kinds.items():
        assert all(isinstance(library().find(name), model) for name in library().names(kind))
