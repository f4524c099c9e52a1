"""Meters of a site: which may guard a circuit, how exact they are, and which can only be read."""

import asyncio
import json
from pathlib import Path

import pytest

from controller.__main__ import main
from controller.site import DocumentError, Site, parse
from drivers.library import library
from drivers.meter import needed
from hil.proving.captures import captures
from tests.aside import aside
from tests.documents import GRID, METER_ENTRY, ROW, document
from tests.modbus_wire import Asked, serving

LIBRARY = library()


def site(**keys: object) -> Site:
    return parse(document(meter=[METER_ENTRY | keys], charger=None), LIBRARY)


def said(**keys: object) -> str:
    with pytest.raises(DocumentError) as caught:
        site(**keys)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(LIBRARY.names("meter")))
def test_a_meter_guards_a_circuit_or_it_is_said_why_not(name: str) -> None:
    profile = LIBRARY.meter_profile(name)
    if profile.phases == 1:
        assert f'"{name}" measures one phase: write on which it is wired' in said(profile=name)
    elif not profile.currents:
        assert "tells no current of any phase, so it cannot guard a circuit" in said(profile=name)
    else:
        assert site(profile=name).meters[0].facts.name == name


@pytest.mark.parametrize("name", sorted(LIBRARY.names("meter")))
def test_control_reads_few_requests(name: str) -> None:
    """What it needs stands in as few blocks as the device allows, and in none that may lack."""
    profile = LIBRARY.meter_profile(name)
    if not profile.currents:
        return
    (blocks,) = profile.rounds(profile.asked_for(needed(profile)))
    assert len(blocks) <= 2
    assert not any(each.optional for each in blocks)


def test_its_error_may_be_said_on_site() -> None:
    assert site(profile="janitza_umg96rm").meters[0].error_ma == 5_000
    assert site(profile="janitza_umg96rm", error_a=12.5).meters[0].error_ma == 12_500
    told = site(profile="janitza_umg96rm", error_a=0.1, ct={"ratio": 40})
    assert told.meters[0].error_ma == 4_000


def test_without_direction_nothing_fed_in_is_credited() -> None:
    circuits = [GRID | {"credit_export": True}, ROW]
    with pytest.raises(DocumentError, match="tells no active power of each phase"):
        parse(
            document(
                meter=[METER_ENTRY | {"profile": "sbc_ale3_awd3"}], circuit=circuits, charger=None
            ),
            LIBRARY,
        )


def test_every_profile_names_where_it_comes_from() -> None:
    for name, path in LIBRARY.names("meter").items():
        profile = LIBRARY.meter_profile(name)
        assert profile.sources
        for assumed in ("lag_s", "error_a", "current_sign"):
            told = profile.conf.get(assumed)
            assert told == "assumed" or not profile.currents, (name, assumed)
        assert path == Path(path.parent, f"{name}.toml")


@pytest.mark.parametrize("name", sorted(LIBRARY.names("meter")))
def test_each_meter_is_read_from_the_command_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = next(each for each in captures(name) if each.why == "import on all phases")

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        reply = shown.replies.get(bytes((asked.unit,)) + asked.pdu)
        writer.write(asked.refusal(2) if reply is None else asked.frame(reply))

    with aside(serving(behave)) as wire:
        assert main(["read", name, f"tcp://127.0.0.1:{wire.port}", "--json"]) == 0
    values = json.loads(capsys.readouterr().out.splitlines()[-1])["values"]
    for name_there, text in shown.expect.items():
        key = name_there.replace("signed_", "current_")
        expected = float(text.removesuffix("%"))
        assert abs(values[key]["value"]) == abs(expected), key
