"""What chargers are told: byte for byte as their documents have it, and never a special value."""

import asyncio
import struct
from functools import partial
from typing import Any

import pytest

from cext.rows import Vehicle
from drivers.chargerprofile import ChargerProfile
from drivers.device import Request
from drivers.library import library
from drivers.modbus import TcpLine
from drivers.reader import Sample
from drivers.report import vehicle
from drivers.setpoint import writes_of
from drivers.watts import seated
from hil.proving.captures import codes
from hil.proving.orders import ARM, FEED, ORDER, in_range, made, tells, told
from tests.encode_orders import FORMS, tables
from tests.modbus_wire import Asked, serving

CHARGERS = sorted(library().names("charger"))


def profile_of(name: str) -> ChargerProfile:
    return library().charger_profile(name)


def _the(request: Request) -> Request:
    return request


def wire_bytes(requests: list[Request]) -> list[bytes]:
    """Unit and PDU of each, as they arrive at the other end."""

    async def acknowledge(asked: Asked, writer: Any) -> None:
        writer.write(asked.frame(asked.pdu[:5]))

    async def whole() -> list[bytes]:
        async with serving(acknowledge) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=True)
            try:
                for request in requests:
                    await line.exchange(partial(_the, request))
            finally:
                line.close()
            return [bytes([asked.unit]) + asked.pdu for asked in wire.asked]

    return asyncio.run(whole())


@pytest.mark.parametrize("name", CHARGERS)
def test_every_charger_is_told_byte_for_byte_what_its_documents_say(name: str) -> None:
    shown = list(told(name))
    for each in shown:
        assert wire_bytes(made(profile_of(name), each)) == [*each.requests], each
    assert tells(profile_of(name), shown)
    assert in_range(profile_of(name), name)


@pytest.mark.parametrize("name", CHARGERS)
def test_each_has_a_pause_and_what_it_needs_to_be_relied_upon(name: str) -> None:
    profile, shown = profile_of(name), list(told(name))
    kinds = {each.what for each in shown}
    assert any(each.what == ORDER and each.ma == 0 for each in shown)
    watchdog = profile.watchdog
    assert (FEED in kinds) == watchdog.feeds_apart
    sets = (profile.facts.sets_fallback, profile.facts.sets_timeout, bool(profile.settings))
    assert (ARM in kinds) == any(sets)
    for each in shown:
        if each.what == ARM:
            assert (each.fallback_ma is not None, each.delay_ns is not None) == sets[:2]


def test_no_table_is_left_over() -> None:
    assert sorted(tables()) == CHARGERS


# States.


@pytest.mark.parametrize("name", CHARGERS)
def test_each_state_that_its_documents_name_is_known_and_no_other_one(name: str) -> None:
    profile, stated = profile_of(name), codes(name)
    assert dict(profile.status.iec) == stated
    for code, letter in [*stated.items(), ("nobody", None)]:
        state = vehicle(profile, shows(profile, code))
        assert state is (Vehicle.UNKNOWN if letter is None else Vehicle[letter]), code


def shows(profile: ChargerProfile, code: str) -> Sample:
    status = profile.status
    refined = [each for each in (status.unplugged, status.charging) if each is not None]
    others = {each.register_name: max(each.values) + 1 for each in refined}
    return Sample(0, {status.register_name: code, **others})


# Bounds.


@pytest.mark.parametrize("name", CHARGERS)
def test_no_current_whatever_becomes_a_value_with_another_meaning(name: str) -> None:
    """Each raw value is a pause, or between the least current and the one that was asked for."""
    profile, table = seated(profile_of(name)), tables()[name]
    setpoint = profile.setpoint
    register = profile.registers[setpoint.register_name]
    most_ma = min(80_000, profile.facts.writable_ma or 80_000)
    pauses = {raw_of(table, order) for order in table["order"] if order["amperes"] == 0}
    never = {*table.get("never", ()), *setpoint.unlimited}
    for ma in (0, 1, setpoint.min_ma - 1, *range(setpoint.min_ma, most_ma + 1, 100)):
        for request in writes_of("x", 1, profile, ma):
            if request.address != register.addr:
                continue
            raw = number(table, request)
            assert raw not in never, ma
            if ma == 0:
                assert raw in pauses
            elif ma >= setpoint.min_ma:
                assert raw not in pauses
                assert raw <= raw_at(name, ma) + 1e-3, ma
                assert profile.watts or raw > raw_at(name, setpoint.min_ma) - 1, ma


def test_what_must_never_be_written_is_known() -> None:
    assert tables()["enovates"]["never"] == [-1]  # no limit
    assert tables()["daheimladen"]["never"] == [0]  # no control
    assert tables()["kathrein_kwb"]["never"] == [65535]  # ends the session


def raw_of(table: dict[str, Any], order: dict[str, Any]) -> float:
    raw: float = order["writes"][0][3]
    return raw


def number(table: dict[str, Any], request: Request) -> float:
    """The words as the device takes them, by its table."""
    writes = [write for order in table["order"] for write in order["writes"]]
    kind = next(kind for _, address, kind, _ in writes if address == request.address)
    words = struct.pack(f">{len(request.words)}H", *request.words)
    raw: float = struct.unpack(FORMS[kind], words)[0]
    return raw


def raw_at(name: str, ma: int) -> float:
    """That current in the device's own steps, by the highest one in its table; powers as they are
    on three phases at 400 V."""
    profile, orders = profile_of(name), tables()[name]["order"]
    if profile.watts is not None:
        return ma * 3**0.5 * 400 / 1000 / float(profile.registers["setpoint"].scale)
    top = max(orders, key=lambda order: float(order["amperes"]))
    return ma / 1000 * float(top["writes"][0][3]) / float(top["amperes"])
