"""The broker that stands in where mosquitto cannot be had: chosen when, and good for what."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil import broker, embedded
from hil.broker import Broker, BrokerError, choose
from hil.faults.broker import BrokerFault

ROOT = Path(__file__).parents[1]
CONNECT = bytes.fromhex("101000044d5154540502003c00 0003616263")  # MQTT 5, client "abc"
CONNACK, SUCCESS = 0x20, 0x00


@pytest.fixture
def no_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(broker, "_PATH_WITH_SBIN", "/nowhere")


async def welcomes(port: int) -> bool:
    """Whether who listens there lets a client of MQTT 5 in, within half a second."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(CONNECT)
        kind, _, _, reason = await asyncio.wait_for(reader.readexactly(4), 0.5)
    except (OSError, EOFError, TimeoutError):
        return False
    finally:
        writer.close()
    return (kind, reason) == (CONNACK, SUCCESS)


def test_mosquitto_is_chosen_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose() == "mosquitto"


@pytest.mark.usefixtures("no_mosquitto")
def test_without_mosquitto_the_embedded_broker_is_chosen() -> None:
    assert choose() == "embedded"


@pytest.mark.usefixtures("no_mosquitto")
def test_without_either_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PACKAGE", "no_such_package")
    with pytest.raises(BrokerError, match=r"apt-get install mosquitto, or pip install"):
        choose()


@pytest.mark.usefixtures("no_mosquitto")
def test_it_is_a_process_that_is_killed_and_frozen_and_keeps_its_port(tmp_path: Path) -> None:
    async def story() -> None:
        embedded_one = Broker(tmp_path)
        await embedded_one.start()
        port = embedded_one.port
        assert embedded_one.child is not None
        pid = embedded_one.child.pid
        assert pid not in (None, os.getpid())
        try:
            assert await welcomes(port)
            for fault in (
                BrokerFault(embedded_one, "killed"),
                BrokerFault(embedded_one, "frozen"),
            ):
                await fault.begin()
                assert not await welcomes(port)
                await fault.end()
                assert embedded_one.port == port
                assert await welcomes(port)
        finally:
            await embedded_one.stop()
        assert embedded_one.child.pid is None

    asyncio.run(story())


def test_it_says_that_it_cannot_refuse_anybody(tmp_path: Path) -> None:
    async def story() -> None:
        embedded_one = Broker(tmp_path, "embedded")
        with pytest.raises(BrokerError, match=r"cannot refuse anybody: install mosquitto"):
            await embedded_one.start(anonymous=False)

    asyncio.run(story())


def test_a_broker_that_does_not_start_is_told_with_its_words(tmp_path: Path) -> None:
    async def story() -> None:
        other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        refused = Broker(tmp_path, "embedded")
        refused.port = other.sockets[0].getsockname()[1]
        command = embedded.command(tmp_path, refused.port)
        ended = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, timeout=60
        )
        other.close()
        assert ended.returncode != 0
        assert "Address already in use" in ended.stderr

    asyncio.run(story())


@pytest.mark.rig
def test_the_demo_goes_as_well_with_it_as_with_mosquitto() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "hil", "demo", "--seconds", "30", "--json", "--broker", "embedded"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert result["broker"] == "embedded"
    assert {"cloud cut", "link killed", "enforcer killed"} <= set(result["faults"])
    assert (result["missed"], result["died"]) == ([], [])
