"""docs/adding-a-device.md, done: a device nobody has seen, from its two files alone."""

import asyncio
import tomllib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from controller.__main__ import main
from drivers.library import library, read
from hil.__main__ import main as hil
from hil.proving.captures import Capture, captures, marks, understood
from hil.proving.changes import changes
from hil.proving.judged import judged, judgements
from hil.proving.mutate import noticed_by
from tests.aside import aside
from tests.encode_meters import Meter, whole
from tests.modbus_wire import Asked, Wire, serving

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
PROFILE = EXAMPLES / "new_meter.toml"
TABLE = EXAMPLES / "new_meter.registers.toml"


@pytest.fixture
def shown(tmp_path: Path) -> list[Capture]:
    cases = list(Meter("new_meter", tomllib.loads(TABLE.read_text())).cases())
    (tmp_path / "new_meter.toml").write_text(whole("new_meter", cases))
    return list(captures("new_meter", tmp_path))


def test_its_captures_mean_what_its_register_list_says(shown: list[Capture]) -> None:
    profile = read(PROFILE)
    assert len(shown) == 6
    for capture in shown:
        assert asyncio.run(understood(profile, capture)) == capture.expected(profile), capture.why


def test_what_is_wrong_in_it_is_noticed_or_judged(shown: list[Capture]) -> None:
    data = tomllib.loads(PROFILE.read_text())
    seen = [(each, marks(read(PROFILE), each)) for each in shown]
    survivors = [
        ("new_meter", change.field, change.what)
        for change in changes(data)
        if not noticed_by(change.applied(data), "new_meter", seen)
    ]
    _, unjudged = judged(survivors, judgements())
    assert unjudged == []
    assert len(survivors) < 20


def replay(capture: Capture) -> AbstractAsyncContextManager[Wire]:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        reply = capture.replies.get(bytes((asked.unit,)) + asked.pdu)
        writer.write(asked.refusal(2) if reply is None else asked.frame(reply))

    return serving(behave)


def test_it_is_read_by_its_path(shown: list[Capture], capsys: pytest.CaptureFixture[str]) -> None:
    with aside(replay(shown[1])) as wire:
        assert main(["read", str(PROFILE), f"tcp://127.0.0.1:{wire.port}"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["power_l2", "-15081.0", "W"] in lines
    assert ["current_l2", "-64.119", "A"] in lines


def test_what_is_recorded_of_it_is_a_capture(
    shown: list[Capture], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number, original in enumerate(shown):
        with aside(replay(original)) as wire:
            url = f"tcp://127.0.0.1:{wire.port}"
            assert hil(["capture", str(PROFILE), url, "--why", "x"]) == 0
        told = capsys.readouterr()
        assert "display before you keep this" in told.err
        (tmp_path / "recorded.toml").write_text(told.out)
        (recorded,) = captures("recorded", tmp_path)
        assert recorded.exchanges == original.exchanges, number
        assert dict(recorded.expect) == dict(original.expect)


def test_nobody_there_is_no_capture(capsys: pytest.CaptureFixture[str]) -> None:
    assert hil(["capture", str(PROFILE), "tcp://127.0.0.1:1"]) == 1
    assert "connection refused" in capsys.readouterr().err


def test_it_is_not_one_of_ours() -> None:
    assert "new_meter" not in library().names()
