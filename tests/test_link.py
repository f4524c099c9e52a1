"""Link and enforcer at a real broker."""

import asyncio
import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.link.mqtt import Account
from controller.link.process import Link
from controller.link.topics import Topics
from controller.wire import Session
from hil.faults.process import Child
from tests.linked import DOCUMENT, Cloud, Wall, World, free_port, play, world
from tests.patience import until

LIMIT = "loadkeeper/test/limit/cloud"


def test_a_limit_becomes_the_cap_and_is_answered() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(cloud.nonce)
        status = cloud.status()
        assert status["online"] is True
        assert status["enforcer"] is True
        assert status["mode"] == "control"
        await until(lambda: cloud.cap() == [80, 80, 80])  # never heard: the fail-safe cap
        cloud.publish(json.dumps(cloud.message(amps=[100, 90, 500])), correlation=b"\x00one")
        await until(lambda: cloud.answers)
        correlation, answer = cloud.answers[0]
        assert correlation == b"\x00one"
        assert answer["accepted"] is True
        assert answer["source"] == "cloud"
        assert "rating" in answer["reason"]
        await until(lambda: cloud.cap() == [100, 90, 200])  # nothing lifts a rating
        report = await made.report(lambda report: report.link.connected)
        assert report.circuits[0].bound_by == ("cloud", "cloud", "rating")
        (limit, _) = report.limits
        assert limit.state == "live"
        assert limit.left_s is not None
        assert 25 < limit.left_s <= 30

    play(story)


def test_zero_is_a_limit_and_unlimited_is_none() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(cloud.nonce)
        assert (await cloud.ask(amps=0))["accepted"]
        await until(lambda: cloud.cap() == [0, 0, 0])
        assert (await cloud.ask(amps=100_000, until="9999-12-31T23:59:59Z"))["accepted"]
        await until(lambda: cloud.cap() == [200, 200, 200])
        assert (await cloud.ask(amps=0))["accepted"]
        await until(lambda: cloud.cap() == [0, 0, 0])
        assert (await cloud.ask(amps="unlimited"))["accepted"]
        await until(lambda: cloud.cap() == [200, 200, 200])

    play(story)


def test_bad_messages_are_answered_and_disturb_nothing() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(cloud.nonce)
        assert (await cloud.ask(amps=100))["accepted"]
        await until(lambda: cloud.cap() == [100, 100, 100])
        last = cloud.message()
        assert (await cloud.ask(json.dumps(last)))["accepted"]
        bad: list[tuple[bytes | str, str]] = [
            ("not json", "malformed"),
            (b"\xff\xfe", "malformed"),
            ("", "malformed"),
            ("[" * 10_000, "malformed"),
            (json.dumps(cloud.message(amps=float("nan"))), "malformed"),
            (json.dumps(cloud.message(colour="red")), "malformed"),
            (json.dumps(cloud.message(reason="x" * 16_384)), "too_large"),
            (b"x" * 1_000_000, "too_large"),
            (json.dumps(cloud.message(amps=-1)), "out_of_range"),
            (json.dumps(cloud.message(circuit="row")), "wrong_circuit"),
            (json.dumps(cloud.message(nonce="from-before")), "wrong_session"),
            (json.dumps(last), "repeated"),
            (json.dumps({**last, "sequence": 0}), "out_of_order"),
            (json.dumps(cloud.message(epoch=0)), "old_epoch"),
            (json.dumps(cloud.message(until="2020-01-01T00:00:00Z")), "late"),
        ]
        for payload, code in bad:
            answer = await cloud.ask(payload)
            assert (answer["accepted"], answer["code"]) == (False, code)
        cloud.publish(json.dumps(cloud.message()), source="nobody")
        await until(lambda: cloud.answers[-1][1]["code"] == "unknown_source")
        await until(lambda: len(cloud.limits()["refused"]) == 2)
        refused = {each["source"]: each["code"] for each in cloud.limits()["refused"]}
        assert refused == {"cloud": "late", "nobody": "unknown_source"}
        assert cloud.cap() == [100, 100, 100]
        assert (await cloud.ask(amps=50))["accepted"]

    play(story)


def test_a_retained_limit_is_refused_whenever_it_comes() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.publish(json.dumps(cloud.message()), retain=True)  # before the link is there
        await made.start_link()
        await until(lambda: cloud.answers)
        assert cloud.answers[0][1]["code"] == "retained"
        await until(cloud.nonce)
        cloud.publish(json.dumps(cloud.message()), retain=True)  # fresh, but retained
        await until(lambda: len(cloud.answers) > 1)
        assert cloud.answers[1][1]["code"] == "retained"

    play(story, parts="enforcer")


def test_answers_go_to_no_topic_of_ours_or_of_another_site() -> None:
    topics = Topics("test")
    for topic in ("a", "a/b", "loadkeepers/x", "loadkeeper/test/answer/x", "x" * 256):
        assert topics.may_answer(topic)
    for topic in ("", "a/+", "#", "$SYS/x", "x" * 257, "a\0"):
        assert not topics.may_answer(topic)
    for below in ("test/status", "test/limit/cloud", "other/limit/cloud", "other/answer/x", ""):
        assert not topics.may_answer("loadkeeper/" + below)


def test_a_broker_that_returns_begins_a_new_session() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(cloud.nonce)
        first = cloud.nonce()
        assert (await cloud.ask(amps=100))["accepted"]
        await made.broker.stop()
        report = await made.report(lambda report: not report.link.connected)
        assert report.link.attached
        assert report.circuits[0].cap_a == (100.0, 100.0, 100.0)  # the lease goes on
        cloud.latest.clear()
        await made.broker.start()
        await until(lambda: cloud.nonce() not in (None, first))
        assert (await cloud.ask(nonce=first))["code"] == "wrong_session"
        assert (await cloud.ask(amps=70))["accepted"]

    play(story)


def test_an_enforcer_that_returns_goes_on_and_begins_a_new_session() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(cloud.nonce)
        first = cloud.nonce()
        sent = cloud.message(amps=60)
        assert (await cloud.ask(json.dumps(sent)))["accepted"]
        await made.stop("enforcer")
        await until(lambda: cloud.status()["enforcer"] is False)
        assert cloud.nonce() is None
        assert (await cloud.ask())["code"] == "no_enforcer"
        await made.start_enforcer()
        await until(lambda: cloud.nonce() not in (None, first))
        assert (await cloud.ask(json.dumps(sent)))["code"] == "wrong_session"
        await until(lambda: cloud.cap() == [60, 60, 60])  # the saved lease

    play(story)


def test_a_link_that_ends_says_offline_and_the_enforcer_holds_on() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(cloud.nonce)
        assert (await cloud.ask(amps=60))["accepted"]
        await made.stop("link")
        await until(lambda: cloud.status() == {"online": False})
        report = await made.report(lambda report: not report.link.attached)
        assert report.circuits[0].cap_a == (60.0, 60.0, 60.0)
        await made.start_link()
        await until(cloud.nonce)
        assert (await cloud.ask(amps=61))["accepted"]

    play(story)


def test_a_broker_that_refuses_us_is_named_and_tried_again() -> None:
    async def run() -> None:
        port = free_port()
        with capture_logs() as logs:
            async with world(port, "enforcer", users={"link": "right"}) as made:
                wrong = replace(made.account, username="link", password="wrong")
                await made.start_link(wrong)
                await until(lambda: _whys(logs))
                assert "Not authorized" in _whys(logs)[0]
                await made.report(lambda report: report.link.attached)
                await made.stop("link")
                await made.start_link(replace(wrong, password="right"))
                await made.report(lambda report: report.link.connected)

    asyncio.run(asyncio.wait_for(run(), 40))


def test_an_enforcer_that_goes_while_it_is_written_to_does_not_end_the_link() -> None:
    """Its reader lets go of the connection before the send that waits on it fails."""

    async def run() -> None:
        link = Link("test", Account("127.0.0.1", 1, "nobody"), Path("nowhere"), Wall())

        class Going:
            closed = False

            async def send(self, message: object) -> None:
                await link._detach()
                raise ConnectionResetError("Connection lost")

            def close(self) -> None:
                self.closed = True

        going = Going()
        link._enforcer = going  # type: ignore[assignment]
        await link._send(Session(nonce=None))
        assert going.closed
        assert link._enforcer is None

    asyncio.run(run())


def _whys(logs: list[Any]) -> list[str]:
    return [each["why"] for each in logs if each["event"] == "broker not connected"]


class OldBroker:
    """Knows 3.1.1 only: refuses version 5 with return code 1. Grants as `grants` says, in turn."""

    def __init__(self, *grants: int) -> None:
        self.seen: list[int] = []
        self._grants = list(grants)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, length = await reader.readexactly(2)
                if length > 127:
                    length = (length & 127) + 128 * (await reader.readexactly(1))[0]
                packet = await reader.readexactly(length)
                if kind == 0x10:  # CONNECT: protocol level after the name
                    self.seen.append(packet[6])
                    writer.write(bytes([0x20, 2, 0, 0 if packet[6] == 4 else 1]))
                elif kind == 0x82:  # SUBSCRIBE
                    writer.write(bytes([0x90, 3, *packet[:2], self._grants.pop(0)]))
                elif kind == 0x32 | 1:  # PUBLISH, retained: PUBACK
                    start = 2 + int.from_bytes(packet[:2])
                    writer.write(bytes([0x40, 2, *packet[start : start + 2]]))
        writer.close()


async def _link_to(broker: OldBroker) -> None:
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with world(free_port(), "enforcer") as made:
        await made.start_link(replace(made.account, port=port))
        await made.report(lambda report: report.link.connected)
    server.close()


def test_an_old_broker_is_spoken_to_in_its_own_version() -> None:
    broker = OldBroker(1)
    asyncio.run(asyncio.wait_for(_link_to(broker), 40))
    assert broker.seen == [5, 4]


def test_a_broker_that_lets_us_hear_nothing_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controller.link.mqtt.REFUSED_S", (0.05, 0.1))
    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(_link_to(OldBroker(0x80, 1)), 40))
    assert any("limit/+" in why for why in _whys(logs))


def test_a_broker_that_talks_nonsense_is_one_that_is_not_there() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(b"\x20\xff\xff\xff\xff\xff\x00HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with capture_logs() as logs:
            async with world(free_port(), "enforcer") as made:
                await made.start_link(replace(made.account, port=port))
                await asyncio.sleep(0.5)
                report = await made.report()
                assert report.link.attached
                assert not report.link.connected
        server.close()
        assert not [each for each in logs if each["log_level"] == "critical"]

    asyncio.run(asyncio.wait_for(run(), 40))


def test_a_port_that_hangs_up_is_named_once_and_left_in_peace() -> None:
    """Such as a broker's TLS port."""

    async def run() -> None:
        heard: list[float] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(asyncio.get_running_loop().time())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with capture_logs() as logs:
            async with world(free_port(), "enforcer") as made:
                await made.start_link(replace(made.account, port=port))
                await until(lambda: len(heard) > 1)
        server.close()
        (why,) = _whys(logs)
        assert "hung up before it answered" in why
        assert heard[1] - heard[0] > 1.5

    asyncio.run(asyncio.wait_for(run(), 40))


def test_a_broker_that_does_not_publish_our_status_is_named_once() -> None:
    async def run() -> None:
        port = free_port()
        with capture_logs() as logs:
            async with world(port, "enforcer", acl="topic read loadkeeper/#") as made:
                await made.start_link()
                await until(lambda: len(_unpublished(logs)) > 2)
                await made.stop("enforcer")  # which changes the status again
                await asyncio.sleep(0.2)
        names = ["event", "limits", "site/reported", "status"]
        assert sorted(_unpublished(logs)) == [f"loadkeeper/test/{name}" for name in names]

    asyncio.run(asyncio.wait_for(run(), 40))


def _unpublished(logs: list[Any]) -> list[str]:
    return [each["topic"] for each in logs if each["event"] == "the broker does not publish this"]


def document(port: int) -> str:
    """The site with its broker, as a file's text."""
    return json.dumps({**DOCUMENT, "link": {"broker": f"mqtt://127.0.0.1:{port}"}})


def process(directory: Path, name: str) -> Child:
    command = [sys.executable, "-m", "controller", name, str(directory / "site.json")]
    command += ["--runtime", str(directory / "r"), "--state", str(directory / "s")]
    return Child(name, command, directory / f"{name}.log")


def test_killed_processes_are_told_by_the_broker_and_come_back(tmp_path: Path) -> None:
    """SIGKILL for each, as real processes."""

    async def run() -> None:
        port = free_port()
        (tmp_path / "site.json").write_text(document(port))
        enforcer, link = process(tmp_path, "run"), process(tmp_path, "link")
        async with world(port, parts=""):
            with Cloud(port) as cloud:
                try:
                    await asyncio.gather(enforcer.start(), link.start())
                    await until(cloud.nonce)
                    assert (await cloud.ask(amps=60))["accepted"]
                    await link.kill()
                    await until(lambda: cloud.status() == {"online": False})  # the will
                    await until((tmp_path / "s" / "limits.json").exists)
                    await enforcer.kill()
                    await asyncio.gather(enforcer.start(), link.start())
                    await until(cloud.nonce)
                    await until(lambda: cloud.cap() == [60, 60, 60])
                finally:
                    await asyncio.gather(link.stop(), enforcer.stop())
        assert link.status == 0, link.tail()
        assert enforcer.status == 0, enforcer.tail()

    asyncio.run(asyncio.wait_for(run(), 60))
