"""SunSpec meters against pysunspec2: what it encodes is what the profiles read, in all models."""

import struct
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sunspec2.device import Model

from drivers.decode import Value, decode
from drivers.library import library
from drivers.meterprofile import MeterProfile

INTEGERS = library().meter_profile("sunspec_201_204")
FLOATS = library().meter_profile("sunspec_211_214")
PHASES = {"l1": "phA", "l2": "phB", "l3": "phC"}
SHORT = {
    "current": "A",
    "power": "W",
    "apparent_power": "VA",
    "reactive_power": "VAR",
    "power_factor": "PF",
}
POINTS = {
    "model": "ID",
    "length": "L",
    "frequency": "Hz",
    "energy_export": "TotWhExp",
    "energy_import": "TotWhImp",
    "energy_sf": "TotWh_SF",
    "voltage_sf": "V_SF",
    "frequency_sf": "Hz_SF",
    **{f"{name}_total": short for name, short in SHORT.items()},
    **{f"{name}_sf": f"{short}_SF" for name, short in SHORT.items()},
    **{f"{name}_{n}": f"{short}{ph}" for name, short in SHORT.items() for n, ph in PHASES.items()},
    **{f"voltage_{n}": f"PhV{ph}" for n, ph in PHASES.items()},
}


def read(profile: MeterProfile, content: bytes) -> dict[str, Value]:
    """Every value of a model's registers, scale factors first."""
    found: dict[str, Value] = {}
    for name, each in sorted(profile.registers.items(), key=lambda its: bool(its[1].scale_factor)):
        words = struct.unpack(f">{each.length}H", content[2 * each.addr : 2 * each.end])
        found[name] = decode(each, words, found[each.scale_factor] if each.scale_factor else 0)
    return found


def shown(profile: MeterProfile, model: Any, name: str) -> Value:
    """What pysunspec2 has for that register, in thousandths where it has a unit."""
    register = profile.registers[name]
    point = model.points[POINTS[name]]
    if point.value is None:
        return None
    value = Decimal(point.value)
    if register.scale_factor is not None:
        factor = model.points[POINTS[register.scale_factor]].value
        if factor is None:
            return None
        value = value.scaleb(factor)
    if register.unit is not None:
        value *= 1000
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def compared(profile: MeterProfile, model: Any) -> None:
    read_back = read(profile, model.get_mb())
    assert read_back == {name: shown(profile, model, name) for name in profile.registers}


@pytest.mark.parametrize(
    ("number", "profile"),
    [(n, INTEGERS) for n in (201, 202, 203, 204)] + [(n, FLOATS) for n in (211, 212, 213, 214)],
)
def test_each_point_stands_where_the_profile_reads_it(number: int, profile: MeterProfile) -> None:
    model = Model(number)
    assert profile.sunspec is not None
    assert number in profile.sunspec.models
    assert len(model.get_mb()) == 2 * (2 + profile.sunspec.length)
    for name, register in profile.registers.items():
        point = model.points[POINTS[name]]
        assert (point.offset, point.len) == (register.addr, register.length), name


@pytest.mark.parametrize(
    ("number", "profile"),
    [(n, INTEGERS) for n in (201, 202, 203, 204)] + [(n, FLOATS) for n in (211, 212, 213, 214)],
)
def test_what_it_leaves_out_is_unknown(number: int, profile: MeterProfile) -> None:
    """A model that was made and not filled in: all that can be unknown is."""
    found = read(profile, Model(number).get_mb())
    assert {name for name, value in found.items() if value is not None} == {"model", "length"}


@settings(derandomize=True, deadline=None)
@given(st.sampled_from([201, 202, 203, 204]), st.data())
def test_integers_with_any_scale_factors_mean_the_same(number: int, data: st.DataObject) -> None:
    model = Model(number)
    for name, register in INTEGERS.registers.items():
        if name in ("model", "length"):
            continue
        if name.endswith("_sf"):
            values = st.none() | st.integers(-10, 10)
        elif register.type == "uint32":
            values = st.none() | st.integers(1, 2**32 - 1)
        else:
            values = st.none() | st.integers(-32767, 32767)
        model.points[POINTS[name]].value = data.draw(values)
    compared(INTEGERS, model)


@settings(derandomize=True, deadline=None)
@given(st.sampled_from([211, 212, 213, 214]), st.data())
def test_floats_mean_the_same(number: int, data: st.DataObject) -> None:
    model = Model(number)
    numbers = st.none() | st.floats(-1e9, 1e9, width=32)
    for name in FLOATS.registers:
        if name not in ("model", "length"):
            model.points[POINTS[name]].value = data.draw(numbers)
    compared(FLOATS, model)
