"""The link's watchdog: fed while all its loops turn, whoever else is gone, and not by one less."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller.link.mqtt import Account
from controller.link.process import Link
from controller.link.rounds import Rounds
from controller.notify import Notifier
from tests.linked import Wall, free_port, world
from tests.patience import until


class Manager:
    """What the service manager has heard."""

    def __init__(self, path: Path) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._listening.bind(str(path))
        self._listening.setblocking(False)
        self._words: list[str] = []
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000"}

    def words(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._words.append(self._listening.recv(1000).decode())
        return self._words

    def feeds(self) -> int:
        return self.words().count("WATCHDOG=1")

    async def more(self, feeds: int = 2) -> None:
        wanted = self.feeds() + feeds
        await until(lambda: self.feeds() >= wanted)

    async def no_more(self) -> None:
        """Nothing for as long as two rounds take at the most, but for what was under way."""
        await asyncio.sleep(0.3)
        before = self.feeds()
        await asyncio.sleep(0.7)
        assert self.feeds() == before

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.setattr("controller.link.process.REPEAT_S", 0.1)
    monkeypatch.setattr("controller.link.mqtt.TURN_APART_S", 0.1)
    made = Manager(tmp_path / "notify")
    monkeypatch.setattr("tests.linked.ENVIRON", made.environ)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def alone(manager: Manager, port: int) -> AsyncIterator[Link]:
    """A link whose broker should be at that port, and whose enforcer is nowhere."""
    account = Account("127.0.0.1", port, "nobody")
    link = Link("test", account, Path("nowhere"), Wall(), notifier=Notifier(manager.environ))
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def test_a_round_is_complete_when_each_loop_has_turned_since_the_last(manager: Manager) -> None:
    rounds = Rounds(Notifier(manager.environ), ("a", "b"))
    rung: list[int] = []
    rounds.ring(lambda: rung.append(manager.feeds()))
    for loop, feeds in (("a", 0), ("a", 0), ("b", 1), ("b", 1), ("b", 1), ("a", 2)):
        rounds.turned(loop)
        assert manager.feeds() == feeds
    assert rung == [0, 1, 2]  # at once, then after each round
    rounds.leave("b")
    rounds.turned("a")
    assert manager.feeds() == 3
    rounds.join("b")
    rounds.turned("a")
    assert manager.feeds() == 3


def test_it_is_ready_and_fed_with_neither_broker_nor_enforcer(manager: Manager) -> None:
    async def run() -> None:
        port = free_port()
        async with alone(manager, port):
            await manager.more()
        assert manager.words()[0] == "READY=1"
        status = [each for each in manager.words() if each.startswith("STATUS=")]
        assert f"broker: no broker at 127.0.0.1:{port}" in status[-1]
        assert "enforcer: " in status[-1]

    asyncio.run(run())


def test_it_is_fed_while_all_is_well_and_when_the_enforcer_goes(manager: Manager) -> None:
    async def run() -> None:
        async with world(free_port()) as made:
            await made.report(lambda report: report.link.connected)
            await manager.more()
            await until(lambda: "STATUS=broker: connected; enforcer: connected" in manager.words())
            await made.stop("enforcer")
            await manager.more(4)

    asyncio.run(asyncio.wait_for(run(), 40))


def test_a_broker_that_hangs_stops_no_loop(manager: Manager) -> None:
    """It accepts connections and never says a word."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with alone(manager, silent.getsockname()[1]):
                await manager.more(3)

    asyncio.run(run())


@pytest.mark.parametrize("loop", ["_tell", "_carry", "_serve_enforcer", "_serve_broker"])
def test_a_loop_that_stands_still_ends_the_feeding(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    async def stand(_link: Link) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        monkeypatch.setattr(Link, loop, stand)
        async with alone(manager, free_port()):
            await until(lambda: "READY=1" in manager.words())
            await manager.no_more()
            assert manager.feeds() == 0

    asyncio.run(run())


def test_a_thread_of_the_broker_s_client_that_stands_still_ends_the_feeding(
    manager: Manager,
) -> None:
    async def run() -> None:
        held, let_go = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            let_go.wait(30)

        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with alone(manager, silent.getsockname()[1]) as link:
                await manager.more()
                link._broker._client.on_turn = hold
                try:
                    await until(held.is_set)
                    await manager.no_more()
                finally:
                    let_go.set()

    asyncio.run(run())
