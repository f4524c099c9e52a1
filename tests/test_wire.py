"""The enforcer's socket: frames, and who is served."""

import asyncio
import contextlib
import json
import os
import socket
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.clock import MonotonicClock
from controller.events import Events
from controller.places import PlaceError, Places, places, trusted_owners
from controller.reported import Confirmed, Desired
from controller.server import Server, bound
from controller.status_report import LinkReport, StatusReport
from controller.strictjson import JsonError, loads
from controller.wire import (
    FRAME_BYTES,
    LIMIT_BYTES,
    REQUESTS,
    Channel,
    FrameError,
    Hello,
    Limit,
    LimitAnswer,
    ProoftestAnswer,
    Refused,
    ResetAnswer,
    Session,
    State,
    StatusRequest,
    Welcome,
    ask_reset,
    ask_status,
    ask_test,
    connect,
    decode,
    encode,
)
from tests.patience import until

REPORT = StatusReport(
    site="test",
    version="0",
    boot_id="boot",
    installation_hash="hash",
    mode="control",
    uptime_s=1.0,
    ticks=1,
    tick_age_s=0.0,
    clock_trusted=True,
    state_problem=None,
    link=LinkReport(attached=False, connected=False, since_s=None),
    circuits=[],
    chargers=[],
    limits=[],
    devices=[],
)


class FakeDesk:
    """Answers everything and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.parts: list[Desired] = []
        self.confirmations: list[Confirmed] = []
        self.resets: list[str] = []
        self.tests: list[tuple[str, bool]] = []
        self.events = Events(MonotonicClock())

    def welcome(self) -> Welcome:
        return Welcome(
            site="test", boot_id="boot", version="0", installation_hash="hash", mode="control"
        )

    def report(self) -> StatusReport:
        return REPORT

    def attached(self, attached: bool) -> None:
        self.told.append(attached)

    def open_session(self, nonce: str | None) -> None:
        self.told.append(nonce)

    def take_desired(self, part: Desired) -> None:
        self.parts.append(part)

    def reset(self, by: str) -> ResetAnswer:
        self.resets.append(by)
        return ResetAnswer(was=None)

    async def test_contactor(self, contactor: str, even_charging: bool) -> ProoftestAnswer:
        self.tests.append((contactor, even_charging))
        return ProoftestAnswer(
            contactor=contactor, outcome="follows", opened_s=0.1, why="it follows"
        )

    def confirmed(self, confirmed: Confirmed) -> None:
        self.confirmations.append(confirmed)

    def take_limit(self, limit: Limit) -> LimitAnswer:
        self.told.append(limit)
        return LimitAnswer(seq_id=limit.seq_id, accepted=True, code="accepted", reason="")


@contextlib.asynccontextmanager
async def served(where: Places, desk: FakeDesk) -> AsyncIterator[Server]:
    where.prepare()
    with bound(where) as listening:
        server = Server(frozenset(), desk)
        task = asyncio.create_task(server.run(listening))
        await until(where.socket.exists)
        yield server
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def play(story: Callable[[Places, FakeDesk], Awaitable[None]]) -> None:
    """Runs a story beside a server with a fake desk."""

    async def run(where: Places) -> None:
        desk = FakeDesk()
        async with served(where, desk):
            await story(where, desk)

    with tempfile.TemporaryDirectory() as directory:  # short: a socket's path has 107 bytes
        asyncio.run(run(Places(Path(directory) / "r", Path(directory) / "s")))


async def speak(where: Places, *lines: bytes) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await asyncio.open_unix_connection(where.socket)
    writer.writelines(lines)
    with contextlib.suppress(ConnectionError):  # the server may close before all is said
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


HELLO_CLI = encode(Hello(role="cli"))
HELLO_LINK = encode(Hello(role="link"))


@pytest.mark.parametrize(
    "lines",
    [
        (b"\n",),
        (b"nonsense\n",),
        (b'{"type":"hello","role":"boss"}\n',),
        (b'{"type":"hello","role":"cli","more":1}\n',),
        (b'{"type":"status_request"}\n',),  # before hello
        (HELLO_CLI, b'{"type":"session","nonce":"x"}\n'),  # not for a command line to say
        (HELLO_LINK, b'{"type":"status_request"}\n'),
        (HELLO_LINK, b'{"type":"limit","seq_id":NaN,"source":"a","message":""}\n'),
        (HELLO_CLI, b"[" * 100_000 + b"\n"),
        (b"x" * (FRAME_BYTES + 10),),
        (b"\xff\xfe\n",),
    ],
)
def test_a_bad_frame_ends_its_connection_and_no_other(lines: tuple[bytes, ...]) -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        other = await connect(where.socket, "link") if lines[0] != HELLO_LINK else None
        await speak(where, *lines)
        assert (await ask_status(where.socket)).site == "test"
        if other is not None:
            assert isinstance(await other.receive(), Welcome)
            other.close()

    play(story)


def test_the_link_is_welcomed_then_served() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        link = await connect(where.socket, "link")
        assert isinstance(await link.receive(), Welcome)
        await link.send(Session(nonce="one"))
        limit = Limit(seq_id=9, source="cloud", message="[" * LIMIT_BYTES)
        await link.send(limit)
        answers = [await link.receive() for _ in range(2)]
        assert any(isinstance(each, State) for each in answers)
        assert LimitAnswer(seq_id=9, accepted=True, code="accepted", reason="") in answers
        link.close()
        await until(lambda: desk.told[-1] is False)
        assert desk.told == [True, "one", limit, False]

    play(story)


def test_a_second_link_is_told_why_it_is_not_served() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        first = await connect(where.socket, "link")
        assert isinstance(await first.receive(), Welcome)
        second = await connect(where.socket, "link")
        assert isinstance(await second.receive(), Refused)
        first.close()
        second.close()
        await until(lambda: desk.told == [True, False])
        third = await connect(where.socket, "link")
        assert isinstance(await third.receive(), Welcome)
        third.close()

    play(story)


def test_news_reach_the_link_before_the_second_is_over() -> None:
    async def run(where: Places) -> None:
        async with served(where, FakeDesk()) as server:
            link = await connect(where.socket, "link")
            assert isinstance(await link.receive(), Welcome)
            assert isinstance(await link.receive(), State)
            for _ in range(20):  # at one a second this would take far longer than the time-out
                server.announce()
                assert isinstance(await link.receive(), State)
            link.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(asyncio.wait_for(run(Places(Path(directory), Path(directory))), 10))


def test_too_many_connections_are_told_so_and_closed() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        channels = [await connect(where.socket, "cli") for _ in range(32)]
        with pytest.raises(ConnectionError, match="32 connections are open already"):
            await ask_status(where.socket)
        many = await asyncio.gather(*(speak(where, HELLO_CLI) for _ in range(40)))
        assert b"" in many  # not even the refusals pile up
        for channel in channels:
            channel.close()

    play(story)


class BusyDesk(FakeDesk):
    """A large depot: a report takes 20 ms of the loop's time, a limit 2 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.reports = 0

    def report(self) -> StatusReport:
        self.reports += 1
        time.sleep(0.02)
        return REPORT

    def take_limit(self, limit: Limit) -> LimitAnswer:
        time.sleep(0.002)
        return super().take_limit(limit)


@pytest.mark.parametrize(
    ("hello", "line"),
    [
        (HELLO_CLI, encode(StatusRequest())),
        (HELLO_LINK, encode(Limit(seq_id=1, source="cloud", message="{}"))),
    ],
)
def test_a_flood_stalls_nobody(hello: bytes, line: bytes) -> None:
    async def flood(where: Places) -> None:
        reader, writer = await asyncio.open_unix_connection(where.socket)
        writer.write(hello + line * 20_000)
        try:
            while await reader.read(1 << 16):
                pass
        finally:
            writer.transport.abort()

    async def run(where: Places) -> None:
        desk = BusyDesk()
        loop = asyncio.get_running_loop()
        async with served(where, desk):
            flooding = asyncio.create_task(flood(where))
            worst_s, ends_s = 0.0, loop.time() + 1.5
            while (before_s := loop.time()) < ends_s:
                await asyncio.sleep(0.01)
                worst_s = max(worst_s, loop.time() - before_s)
            assert (await ask_status(where.socket, within_s=2)).site == "test"
            flooding.cancel()
        assert worst_s < 0.5  # unbounded it is for as long as the flood lasts
        assert 0 < desk.reports < 80
        assert len(desk.told) < 1_000

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(asyncio.wait_for(run(Places(Path(directory), Path(directory))), 20))


def test_a_command_line_may_test_a_contactor() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        told = await ask_test(where.socket, "row", even_charging=True)
        assert (told.contactor, told.outcome, desk.tests) == ("row", "follows", [("row", True)])

    play(story)


def test_a_command_line_may_reset() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        assert (await ask_reset(where.socket)).was is None
        assert desk.resets == [f"user {os.getuid()}"]

    play(story)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_other_users_are_not_served() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        where.runtime.chmod(0o755)
        where.runtime.parent.chmod(0o755)
        where.socket.chmod(0o666)
        await ask_status(where.socket)  # it listens, as the user that it will be taken for
        os.seteuid(65534)
        try:
            assert await speak(where, HELLO_CLI, b'{"type":"status_request"}\n') == b""
        finally:
            os.seteuid(0)
        assert (await ask_status(where.socket)).site == "test"

    play(story)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_socket_that_somebody_else_serves_is_not_believed(tmp_path: Path) -> None:
    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "enforcer.sock"))
            os.seteuid(65534)
            try:
                listening.listen()
            finally:
                os.seteuid(0)
            with pytest.raises(ConnectionError, match="served by user 65534"):
                await connect(tmp_path / "enforcer.sock", "link")
            os.chown(tmp_path, 65534, -1)
            (await connect(tmp_path / "enforcer.sock", "link")).close()

    asyncio.run(run())


def test_who_is_trusted_with_a_runtime_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner only where nobody else could have put it, unlike in /tmp."""
    runtime = tmp_path / "r"
    runtime.mkdir()
    owner = runtime.stat().st_uid
    assert trusted_owners(runtime) == {owner, 0}
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    tmp_path.chmod(0o777)
    assert trusted_owners(runtime) == {4_000_000, 0}


def test_the_socket_is_for_its_group_only() -> None:
    async def story(where: Places, desk: FakeDesk) -> None:
        assert stat.S_IMODE(where.socket.stat().st_mode) == 0o660

    play(story)


def test_a_live_enforcers_place_is_not_taken_and_a_dead_ones_is(tmp_path: Path) -> None:
    where = Places(tmp_path, tmp_path)
    with (
        bound(where),
        pytest.raises(PlaceError, match="another enforcer is running"),
        bound(where),
    ):
        pass
    assert not where.socket.exists()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(where.socket))
    with bound(where):
        pass


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    where = Places(tmp_path / ("x" * 120), tmp_path)
    where.prepare()
    with pytest.raises(PlaceError, match="too long"), bound(where):
        pass


def test_places_follow_systemd_then_the_user(tmp_path: Path) -> None:
    given = places(environ={"RUNTIME_DIRECTORY": "/run/a:/run/b", "STATE_DIRECTORY": "/var/lib/a"})
    assert given == Places(Path("/run/a"), Path("/var/lib/a"))
    own = places(environ={"XDG_RUNTIME_DIR": "/run/user/9", "XDG_STATE_HOME": "/home/x/state"})
    assert own == Places(Path("/run/user/9/loadkeeper"), Path("/home/x/state/loadkeeper"))
    assert places(runtime=tmp_path, environ={}).runtime == tmp_path
    assert places(environ={}).runtime == Path(f"/tmp/loadkeeper-{os.getuid()}")


def test_a_directory_open_to_everybody_is_refused(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    with pytest.raises(PlaceError, match="everybody"):
        Places(loose, tmp_path).prepare()


def test_a_frame_too_long_is_not_sent() -> None:
    with pytest.raises(FrameError, match="too long"):
        encode(Refused(reason="x" * FRAME_BYTES))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(line: bytes) -> None:
    with contextlib.suppress(FrameError):
        decode(line, REQUESTS)


TEXT = st.text(max_size=40).filter(lambda text: text.isprintable())
MESSAGES = (
    st.builds(Hello, role=st.sampled_from(["link", "cli"]))
    | st.builds(Session, nonce=st.none() | TEXT)
    | st.builds(Limit, seq_id=st.integers(0, 2**60), source=TEXT, message=TEXT)
)


@settings(max_examples=50, deadline=None)
@given(st.lists(MESSAGES, max_size=5), st.integers(1, 50))
def test_frames_arrive_whole_however_they_are_cut(
    messages: list[Hello | Session | Limit], piece: int
) -> None:
    async def run() -> list[Any]:
        reader = asyncio.StreamReader(limit=FRAME_BYTES)
        data = b"".join(map(encode, messages))
        for start in range(0, len(data), piece):
            reader.feed_data(data[start : start + piece])
        reader.feed_eof()
        channel: Channel[Any] = Channel(reader, None, REQUESTS)  # type: ignore[arg-type]
        heard = []
        while (message := await channel.receive()) is not None:
            heard.append(message)
        return heard

    assert asyncio.run(run()) == messages


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"{", "line 1"),
        (b"[" * 33 + b"]" * 33, "deeper than 32"),
        (b"[" * 90_000, "deeper than 32"),
        (b"9" * 5000, "absurd"),
        (b" " * 100_001, "more than 100000"),
        (b'{"\\n": 1}', "cannot be shown"),
    ],
)
def test_json_that_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(JsonError, match=why):
        loads(text, max_bytes=100_000)


def test_json_that_is_taken() -> None:
    nested = "[" * 32 + "]" * 32
    assert loads(nested, max_bytes=100) == json.loads(nested)
