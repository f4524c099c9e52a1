"""What goes over the enforcer's Unix socket: JSON lines, one message a line.

The link and the command line speak `Request`s, the enforcer answers with `Reply`s. A frame
that is too long or is no known message is a FrameError, and costs its sender the connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from controller.document.link import Link
from controller.places import trusted_owners
from controller.reported import Confirmed, Desired, Reported
from controller.reported import Model as _Model
from controller.status_report import LatchReport, StatusReport

FRAME_BYTES = 1 << 20
LIMIT_BYTES = 16 << 10
NAME_CHARS = 64
SEND_WITHIN_S = 5.0
TEST_WITHIN_S = 120.0  # to open, to be silent, to find room

Name = Annotated[str, Field(max_length=NAME_CHARS)]
Outcome = Literal["follows", "welded", "unread", "not_closed", "stays_open", "refused"]


class FrameError(Exception):
    """The other side sent something that is no message, with the reason in words."""


class Hello(_Model):
    """First message on every connection."""

    type: Literal["hello"] = "hello"
    role: Literal["link", "cli"]


class Session(_Model):
    """The link's present session with the broker; None while there is none."""

    type: Literal["session"] = "session"
    nonce: Name | None


class Limit(_Model):
    """A limit message as it came, unchecked: `message` is the payload's text."""

    type: Literal["limit"] = "limit"
    seq_id: int
    source: Name
    message: Annotated[str, Field(max_length=LIMIT_BYTES)]


class EventsTaken(_Model):
    """The broker has acknowledged all events of this run up to this one."""

    type: Literal["events_taken"] = "events_taken"
    run: Name
    upto: int


class StatusRequest(_Model):
    type: Literal["status_request"] = "status_request"


class Reset(_Model):
    """Ends the latch. Only for root, or for the enforcer's own user."""

    type: Literal["reset"] = "reset"


class Prooftest(_Model):
    """Opens a contactor and closes it again. Only for root, or for the enforcer's own user."""

    type: Literal["prooftest"] = "prooftest"
    contactor: Name
    even_charging: bool = False


class Welcome(_Model):
    """What is in force; again whenever that has changed."""

    type: Literal["welcome"] = "welcome"
    site: str
    boot_id: str
    version: str
    installation_hash: str
    mode: Literal["control", "observe"]
    revision: int | None = None  # None: the installer's file
    link: Link | None = None


class Refused(_Model):
    """The connection is not served, and is closed after this."""

    type: Literal["refused"] = "refused"
    reason: str


class LimitAnswer(_Model):
    """`code` is one word for machines, `reason` a sentence for people."""

    type: Literal["limit_answer"] = "limit_answer"
    seq_id: int
    accepted: bool
    code: str
    reason: str


class ResetAnswer(_Model):
    """What the latch was closed by; None: it was open."""

    type: Literal["reset_answer"] = "reset_answer"
    was: LatchReport | None


class ProoftestAnswer(_Model):
    """What a contactor did; `why` in the installer's words."""

    type: Literal["prooftest_answer"] = "prooftest_answer"
    contactor: str
    outcome: Outcome
    opened_s: float | None  # from the order until its contact said open
    why: str


class Event(_Model):
    """See controller.events; times are monotonic seconds of this boot."""

    sequence: int
    at_s: float
    since_s: float
    what: str
    subject: str
    why: str
    lost: int = 0  # how many events this one stands for


class Events(_Model):
    """What happened, in order, for the link to publish."""

    type: Literal["events"] = "events"
    run: str
    boot_id: str
    events: list[Event]


class State(_Model):
    type: Literal["state"] = "state"
    report: StatusReport


Asking = (
    Hello | Session | Limit | Desired | Confirmed | EventsTaken | StatusRequest | Reset | Prooftest
)
Answering = (
    Welcome | Refused | LimitAnswer | Reported | Events | State | ResetAnswer | ProoftestAnswer
)
_LATER = ConfigDict(defer_build=True)
REQUESTS: TypeAdapter[Asking] = TypeAdapter(
    Annotated[Asking, Field(discriminator="type")], config=_LATER
)
REPLIES: TypeAdapter[Answering] = TypeAdapter(
    Annotated[Answering, Field(discriminator="type")], config=_LATER
)

Incoming = TypeVar("Incoming")
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end; of a server, who began to listen."""

    pid: int
    uid: int


def peer_of(writer: asyncio.StreamWriter) -> Peer:
    sock: socket.socket = writer.get_extra_info("socket")
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)


def encode(message: BaseModel) -> bytes:
    """One line. Raises FrameError when it would be longer than a frame may be."""
    line = message.model_dump_json().encode() + b"\n"
    if len(line) > FRAME_BYTES:
        raise FrameError(f"{type(message).__name__} of {len(line)} bytes is too long to send")
    return line


def decode(line: bytes, incoming: TypeAdapter[Incoming]) -> Incoming:
    """The message in a line. Raises FrameError. Depth is bounded by pydantic's parser (200)."""
    try:
        return incoming.validate_json(line)
    except ValidationError as error:
        raise FrameError("; ".join(complaints(error, most=3))) from error


def complaints(error: ValidationError, most: int = 20) -> list[str]:
    """Each error as `path: message`, at most `most` of them, without the offending input."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join(map(str, each['loc'])) or 'message'}: {each['msg']}"[:200]
        for each in errors[:most]
    ]
    return lines + [f"and {len(errors) - most} more"] * (len(errors) > most)


class Channel(Generic[Incoming]):
    """One end of a connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: TypeAdapter[Incoming],
    ) -> None:
        """`reader` must have been opened with limit=FRAME_BYTES."""
        self._reader = reader
        self._writer = writer
        self._incoming = incoming

    async def receive(self, within_s: float | None = None) -> Incoming | None:
        """The next message, None at the end. Raises FrameError, ConnectionError, TimeoutError."""
        try:
            async with asyncio.timeout(within_s):
                line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise FrameError("the connection ended inside a message") from error
            return None
        except asyncio.LimitOverrunError as error:
            raise FrameError(f"a message longer than {FRAME_BYTES} bytes") from error
        return decode(line, self._incoming)

    async def send(self, message: BaseModel) -> None:
        """Raises ConnectionError, also when the other side takes nothing for 5 s; FrameError."""
        await self.send_line(encode(message))

    async def send_line(self, line: bytes) -> None:
        """What `encode` made; as send."""
        self._writer.write(line)
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._writer.drain()
        except TimeoutError as error:
            raise ConnectionError(f"took nothing for {SEND_WITHIN_S} s") from error

    def close(self) -> None:
        """Drops the connection at once; what was not sent is lost."""
        self._writer.transport.abort()


async def connect(path: Path, role: Literal["link", "cli"]) -> Channel[Answering]:
    """A channel to the enforcer, hello said. Raises OSError, also when it is not ours to trust."""
    reader, writer = await asyncio.open_unix_connection(path, limit=FRAME_BYTES)
    channel = Channel(reader, writer, REPLIES)
    server = peer_of(writer)
    if server.uid not in trusted_owners(path.parent):
        channel.close()
        raise ConnectionError(
            f"{path} is served by user {server.uid}: neither you, nor root, nor the owner of a"
            " runtime directory that only you or root could have made"
        )
    await channel.send(Hello(role=role))
    return channel


async def ask_status(path: Path, within_s: float = 5.0) -> StatusReport:
    """The enforcer's present state. Raises OSError (TimeoutError too), FrameError."""
    return (await _ask(path, StatusRequest(), State, within_s)).report


async def ask_reset(path: Path, within_s: float = 5.0) -> ResetAnswer:
    """Ends the enforcer's latch. Raises OSError (TimeoutError too), FrameError."""
    return await _ask(path, Reset(), ResetAnswer, within_s)


async def ask_test(
    path: Path, contactor: str, even_charging: bool, within_s: float = TEST_WITHIN_S
) -> ProoftestAnswer:
    """Tests a contactor. Raises OSError (TimeoutError too), FrameError."""
    request = Prooftest(contactor=contactor, even_charging=even_charging)
    return await _ask(path, request, ProoftestAnswer, within_s)


Answer = TypeVar("Answer", bound=BaseModel)


async def _ask(path: Path, request: BaseModel, answer: type[Answer], within_s: float) -> Answer:
    async with asyncio.timeout(within_s):
        channel = await connect(path, "cli")
        try:
            await channel.send(request)
            while True:
                match await channel.receive():
                    case reply if isinstance(reply, answer):
                        return reply
                    case Refused(reason=reason):
                        raise ConnectionError(reason)
                    case None:
                        raise ConnectionError("the enforcer closed the connection")
        finally:
            channel.close()
