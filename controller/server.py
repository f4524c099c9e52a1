"""The enforcer's Unix socket: who may connect, and what they are told.

A sick connection ends, with a log line, and disturbs nobody else. One that never stops asking
is answered at a pace that leaves the loop to the drivers.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from controller.alone import only_one
from controller.events import Event as Happening
from controller.events import Events as Ring
from controller.places import PlaceError, Places
from controller.reported import Confirmed, Desired, Reported
from controller.status_report import StatusReport
from controller.units import NS_PER_S
from controller.wire import (
    FRAME_BYTES,
    REQUESTS,
    Asking,
    Channel,
    Event,
    Events,
    EventsTaken,
    FrameError,
    Hello,
    Limit,
    LimitAnswer,
    Peer,
    Prooftest,
    ProoftestAnswer,
    Refused,
    Reset,
    ResetAnswer,
    Session,
    State,
    StatusRequest,
    Welcome,
    encode,
    peer_of,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

CONNECTIONS = 32
HELLO_WITHIN_S = 5.0
CLI_IDLE_S = 60.0
PUSH_EVERY_S = 1.0
PUSH_PAUSE_S = 0.1  # news within this time go out together
ANSWER_PAUSE_S = 0.1  # between two answers on one connection of a command line
LIMIT_PAUSE_S = 0.005  # between two messages of the link: at most 200 a second
SHARED_S = 0.1  # for how long one report answers every command line
TURNING_AWAY = 8  # connections that are told why at the same time; more are just closed
TURN_AWAY_S = 0.5  # for the other side to read the reason

log: FilteringBoundLogger = structlog.get_logger()
Visit = Channel[Asking]


class Desk(Protocol):
    """Who answers behind the socket."""

    def welcome(self) -> Welcome: ...
    def report(self) -> StatusReport: ...
    def attached(self, attached: bool) -> None:
        """The link process came or went."""

    def open_session(self, nonce: str | None) -> None: ...
    def take_limit(self, limit: Limit) -> LimitAnswer: ...
    def take_desired(self, part: Desired) -> None: ...
    def confirmed(self, confirmed: Confirmed) -> None: ...
    def reset(self, by: str) -> ResetAnswer:
        """Ends the latch, on the word of somebody who is here."""

    async def test_contactor(self, contactor: str, even_charging: bool) -> ProoftestAnswer:
        """Opens it and closes it again, on the word of somebody who is here."""

    @property
    def events(self) -> Ring: ...


class Server:
    """Serves one link and a few command lines."""

    def __init__(self, allowed_uids: frozenset[int], desk: Desk) -> None:
        self._allowed = allowed_uids | {os.getuid(), 0}
        self._desk = desk
        self._count = 0
        self._turning_away = 0
        self._line = b""  # the report that command lines share, and when it was made
        self._line_at_s = float("-inf")
        self._link: Peer | None = None
        self._letters: dict[str, Welcome | Reported] = {}  # for the link: the newest of each type
        self._news = asyncio.Event()
        self._visits: asyncio.TaskGroup | None = None

    async def run(self, listening: socket.socket) -> None:
        """Until cancelled."""
        server = await asyncio.start_unix_server(
            self._admit, sock=listening, limit=FRAME_BYTES, start_serving=False
        )
        async with server, asyncio.TaskGroup() as self._visits:
            await server.start_serving()
            await asyncio.Event().wait()

    def announce(self) -> None:
        """The link hears the new state at once, not within the second."""
        self._news.set()

    def tell(self, letter: Welcome | Reported) -> None:
        """The link hears it before the next state; without a link nobody does."""
        self._letters[letter.type] = letter
        self._news.set()

    def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel: Visit = Channel(reader, writer, REQUESTS)
        peer = peer_of(writer)
        if peer.uid not in self._allowed:
            log.warning("connection refused: user not allowed", pid=peer.pid, uid=peer.uid)
            channel.close()
        elif self._count >= CONNECTIONS:
            log.warning("connection refused: too many", pid=peer.pid, uid=peer.uid)
            self._turn_away(channel, f"{CONNECTIONS} connections are open already")
        else:
            assert self._visits is not None
            self._count += 1
            self._visits.create_task(self._visit(channel, peer))

    def _turn_away(self, channel: Visit, reason: str) -> None:
        if self._turning_away >= TURNING_AWAY:
            channel.close()
            return

        async def tell() -> None:
            try:
                with suppress(FrameError, OSError):
                    await channel.send(Refused(reason=reason))
                    await asyncio.sleep(TURN_AWAY_S)
            finally:
                channel.close()
                self._turning_away -= 1

        assert self._visits is not None
        self._turning_away += 1
        self._visits.create_task(tell())

    async def _visit(self, channel: Visit, peer: Peer) -> None:
        try:
            match await channel.receive(HELLO_WITHIN_S):
                case Hello(role="link"):
                    await self._serve_link(channel, peer)
                case Hello(role="cli"):
                    await self._serve_cli(channel, peer)
                case None:
                    pass
                case other:
                    raise FrameError(f"{other.type} before hello")
        except (FrameError, OSError) as error:
            log.warning("connection ended", pid=peer.pid, uid=peer.uid, why=_words(error))
        finally:
            channel.close()
            self._count -= 1

    async def _serve_cli(self, channel: Visit, peer: Peer) -> None:
        while True:
            match await channel.receive(CLI_IDLE_S):
                case StatusRequest():
                    await channel.send_line(self._shared_report())
                case Reset():
                    await channel.send(self._reset(peer))
                    self._line_at_s = float("-inf")  # who looks next is told
                case Prooftest() as asked:
                    await channel.send(await self._test(peer, asked))
                case None:
                    return
                case other:
                    raise FrameError(f"{other.type} is not for a command line to say")
            await asyncio.sleep(ANSWER_PAUSE_S)

    def _reset(self, peer: Peer) -> ResetAnswer | Refused:
        """Not for whoever else may look: the link is one of those."""
        if not _master(peer):
            log.warning("reset refused: user not allowed", pid=peer.pid, uid=peer.uid)
            return Refused(reason="only root may reset it, or the enforcer's own user")
        return self._desk.reset(f"user {peer.uid}")

    async def _test(self, peer: Peer, asked: Prooftest) -> ProoftestAnswer | Refused:
        if not _master(peer):
            log.warning("proof test refused: user not allowed", pid=peer.pid, uid=peer.uid)
            return Refused(reason="only root may open contactors, or the enforcer's own user")
        return await self._desk.test_contactor(asked.contactor, asked.even_charging)

    def _shared_report(self) -> bytes:
        """The state as a line, at most 0.1 s old: it costs the same for one and for thirty."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._line_at_s >= SHARED_S:
            self._line = encode(State(report=self._desk.report()))
            self._line_at_s = now_s
        return self._line

    async def _serve_link(self, channel: Visit, peer: Peer) -> None:
        if self._link is not None:
            log.warning("link refused: another one is connected", pid=peer.pid)
            await channel.send(Refused(reason=f"another link is connected (pid {self._link.pid})"))
            return
        self._link = peer
        assert self._visits is not None
        try:
            await channel.send(self._desk.welcome())
            self._letters.clear()
            log.info("link attached", pid=peer.pid, uid=peer.uid)
            self._desk.attached(True)
            telling = [
                self._visits.create_task(self._push(channel, peer)),
                self._visits.create_task(self._carry(channel, peer)),
            ]
            try:
                await self._hear_link(channel)
            finally:
                for task in telling:
                    task.cancel()
        finally:
            self._link = None
            self._desk.attached(False)
            log.warning("link detached", pid=peer.pid)

    async def _hear_link(self, channel: Visit) -> None:
        while True:
            match await channel.receive():
                case Session(nonce=nonce):
                    self._desk.open_session(nonce)
                case Limit() as limit:
                    await channel.send(self._desk.take_limit(limit))
                case Desired() as part:
                    self._desk.take_desired(part)
                case Confirmed() as confirmed:
                    self._desk.confirmed(confirmed)
                case EventsTaken(run=run, upto=upto):
                    if run == self._desk.events.run:
                        self._desk.events.take(upto)
                case None:
                    return
                case other:
                    raise FrameError(f"{other.type} is not for a link to say")
            await asyncio.sleep(LIMIT_PAUSE_S)  # a flood waits for everybody else's turn

    async def _push(self, channel: Visit, peer: Peer) -> None:
        """The state, each second and on news, for as long as the link takes it."""
        try:
            while True:
                self._news.clear()
                while self._letters:
                    await channel.send(self._letters.pop(next(iter(self._letters))))
                await channel.send(State(report=self._desk.report()))
                await asyncio.sleep(PUSH_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(PUSH_EVERY_S - PUSH_PAUSE_S):
                        await self._news.wait()
        except (FrameError, OSError) as error:
            log.warning("link does not take the state", pid=peer.pid, why=_words(error))
            channel.close()

    async def _carry(self, channel: Visit, peer: Peer) -> None:
        """Events as they come, from the first that no broker has acknowledged."""
        ring = self._desk.events
        boot_id = self._desk.welcome().boot_id
        sent = ring.taken
        try:
            while True:
                ring.news.clear()
                if found := ring.after(sent):
                    events = [_event(each) for each in found]
                    await channel.send(Events(run=ring.run, boot_id=boot_id, events=events))
                    sent = found[-1].sequence
                else:
                    await ring.news.wait()
        except (FrameError, OSError) as error:
            log.warning("link does not take events", pid=peer.pid, why=_words(error))
            channel.close()


def _master(peer: Peer) -> bool:
    return peer.uid in {os.getuid(), 0}


def _event(each: Happening) -> Event:
    return Event(
        sequence=each.sequence,
        at_s=each.at_ns / NS_PER_S,
        since_s=each.since_ns / NS_PER_S,
        what=each.what,
        subject=each.subject,
        why=each.why,
        lost=each.lost,
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


@contextmanager
def bound(places: Places) -> Iterator[socket.socket]:
    """The socket, mode 0660, and the lock that tells a live enforcer from a dead one's remains.

    Raises PlaceError when another enforcer lives here, or there is no place for the socket.
    """
    with only_one(places), socket.socket(socket.AF_UNIX) as listening:
        before = os.umask(0o117)
        try:
            places.socket.unlink(missing_ok=True)
            listening.bind(str(places.socket))
            listening.listen(CONNECTIONS)
        except OSError as error:
            raise PlaceError(f"{places.socket}: {error.strerror or error}") from error
        finally:
            os.umask(before)
        try:
            yield listening
        finally:
            places.socket.unlink(missing_ok=True)
