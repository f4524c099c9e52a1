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

FRAME_BYTES = 1 << 20
LIMIT_BYTES = 16 << 10
NAME_CHARS = 64
SEND_WITHIN_S = 5.0

Three = tuple[float, float, float]
Name = Annotated[str, Field(max_length=NAME_CHARS)]


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


class LatchReport(_Model):
    """Why the depot is latched at its fail-safe setpoints; see controller.latch."""

    cause: str
    why: str
    since: str | None  # UTC; None: the clock was not trusted
    id: str  # what resets it from afar names it


class RecordingReport(_Model):
    """Of the black box; see controller.blackbox.recorder."""

    since_s: float | None  # it records without a gap for so long; None: it does not
    lost: int  # records, since the enforcer started
    problem: str | None  # why it does not


class ResetAnswer(_Model):
    """What the latch was closed by; None: it was open."""

    type: Literal["reset_answer"] = "reset_answer"
    was: LatchReport | None


class LinkReport(_Model):
    attached: bool  # the link process is there
    connected: bool  # and it has a session with the broker
    since_s: float | None  # for how long it has been as it is; None: never was


class TogetherReport(_Model):
    """The three phases of a circuit together, in amperes: where its apparent power is bounded."""

    cap_a: float
    load_a: float | None  # None: blind
    base_hi_a: float
    draw_hi_a: float
    excess_a: float


class CircuitReport(_Model):
    id: str
    parent: str | None
    rating_a: Three
    load_a: Three | None  # None: blind
    cap_a: Three
    bound_by: tuple[str, str, str]  # "rating" or the limit source
    base_hi_a: Three
    draw_hi_a: Three
    excess_a: Three
    blind: bool
    reading_age_s: float | None
    beyond_control: bool = False  # over, and nothing is left to shed
    together: TogetherReport | None = None
    heat_pct: float | None = None  # of what trips its protection; None: that is not stated
    trips_s: float | None = None  # when it may trip by what flows now; None: it does not
    busbar_a: Three | None = None  # what it carries for the chargers, whatever is fed in


class ChargerReport(_Model):
    id: str
    circuit: str
    setpoint_a: float | None
    in_force_a: float | None
    current_a: Three | None
    vehicle: str
    online: bool
    reason: str
    draw_hi_a: float
    stubborn: bool = False
    waits_s: float | None = None  # for its minimum; None: it does not wait
    overtakes: bool = False  # it has waited longer than its class waits: goes before all others
    turn_s: float | None = None  # how long its present turn has lasted; None: it has none
    idle: bool = False  # it draws nothing of what it is offered: its turn has passed
    advice: str | None = None  # that counts now
    advice_s: float | None = None  # until it ends
    frozen: bool = False  # its reports stand still although it was told to draw less
    cut_off: bool = False  # behind a contactor that is verified open
    setpoint_w: float | None = None  # as it is written; None: commanded in amperes, or not yet


class LimitReport(_Model):
    source: str
    circuit: str
    kind: str
    state: Literal["live", "unlimited", "ended", "lost"]
    limit_a: Three | None  # as last heard; None: unlimited or nothing heard
    left_s: float | None  # until it ends or lapses; None when it has
    cap_a: Three | None  # what it asks for now; None: nothing


class DeviceReport(_Model):
    id: str
    online: bool
    error: str | None
    suspected: str | None = None  # why what it shows is not believed


class PinReport(_Model):
    """What is on one of the gateway's own pins."""

    id: str
    name: str
    kind: Literal["contactor", "health", "dim"]
    pin: int
    of: str  # the circuit or charger that it drops, or the limit source that it speaks for
    state: Literal["closed", "open", "verified open", "holds", "dropped", "dims", "rests", "?"]
    contact: Literal["closed", "open"] | None  # what an auxiliary contact says; None: nothing
    why: str | None


class RealTimeReport(_Model):
    """What the kernel's thread was granted; the words say what would grant the rest."""

    full: bool
    scheduling: str
    memory: str
    worst_late_ms: float  # the most that a tick began after it was due, since this document runs


class DerogationReport(_Model):
    """A line of the commissioning proof that somebody answers for; see the site document."""

    line: int
    name: str
    circuit: str | None
    source: str | None
    reason: str
    excess_a: float
    trips_after_s: float
    by: str
    date: str


class StatusReport(_Model):
    """All that the enforcer knows of its depot at one moment."""

    site: str
    version: str
    boot_id: str
    installation_hash: str
    mode: Literal["control", "observe"]
    uptime_s: float
    ticks: int
    tick_age_s: float
    clock_trusted: bool
    revision: int | None = None  # of the document in force; None: the installer's file
    state_problem: str | None  # why limits or documents cannot be saved, if they cannot
    real_time: RealTimeReport | None = None  # None: of an older enforcer
    latched: LatchReport | None = None  # at its fail-safe setpoints until somebody resets it
    recording: RecordingReport | None = None  # None: of an older enforcer
    link: LinkReport
    circuits: list[CircuitReport]
    chargers: list[ChargerReport]
    limits: list[LimitReport]
    devices: list[DeviceReport]
    pins: list[PinReport] = Field(default_factory=list)
    derogations: list[DerogationReport] = Field(default_factory=list)


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


Asking = Hello | Session | Limit | Desired | Confirmed | EventsTaken | StatusRequest | Reset
Answering = Welcome | Refused | LimitAnswer | Reported | Events | State | ResetAnswer
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
