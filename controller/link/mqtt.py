"""The broker, through paho-mqtt: the only module that knows it.

paho runs in a thread of its own and connects for ever: within 0.2 s of a broker's return, every
few seconds to one that refuses us or hangs up. Version 5, and 3.1.1 with a broker that does not
know 5.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    topic_matches_sub,
)
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from controller.credentials import context, password
from controller.document.link import Link as SiteLink
from controller.link.inbox import Inbox

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

QOS = 1
KEEPALIVE_S = 10
RECONNECT_S = (0.1, 0.2)
REFUSED_S = (2, 5)  # pace towards a broker that is there and does not want us
PACKET_BYTES = 4 << 20  # longer ones the broker keeps (version 5); what we refuse, we can answer
UNACKNOWLEDGED = 16
OUTGOING = 128
STOP_WITHIN_S = 2.0
TURN_APART_S = 1.0  # paho's thread goes round as often, at least, while it has a connection

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Connected:
    """Subscribed, in a new session."""

    version: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    why: str


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes | None  # None: too large for its topic
    size_bytes: int
    retained: bool
    answer_to: str | None  # MQTT 5: response topic
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The broker did not take what we published."""

    mid: int  # see Broker.topic_of
    why: str


@dataclass(frozen=True, slots=True)
class Turned:
    """paho's thread has gone round, and nothing came of it."""


Event = Message | Unpublished | Turned


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter, how large its messages may be, and whether only the newest counts."""

    topics: str
    most_bytes: int
    newest: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Where the broker is, and who we are there."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"


def account(site: str, link: SiteLink) -> Account:
    """As a site document has it. Raises CredentialsError."""
    return Account(
        host=link.host,
        port=link.port,
        client_id=link.client_id or f"loadkeeper-{site}",
        username=link.username,
        password=password(link),
        tls=context(link.tls),
    )


class _Client(Client):
    """paho's, which tells each time that its thread has gone round on a connection."""

    on_turn: Callable[[], None] | None = None

    def loop_misc(self) -> MQTTErrorCode:
        if self.on_turn is not None:
            self.on_turn()
        return super().loop_misc()


class Broker:
    """A few subscriptions and a will, until it is stopped."""

    def __init__(
        self,
        account: Account,
        subscriptions: Sequence[Subscription],
        will: tuple[str, bytes],
        inbox: Inbox[Connected | Disconnected, Event],
    ) -> None:
        """`will`: topic and payload that the broker retains when we are gone."""
        # In the caller's loop: a message's id, and whether the broker took it.
        self.on_acknowledged: Callable[[int, bool], None] = lambda mid, taken: None
        self._loop = asyncio.get_running_loop()
        self._account = account
        self._subscriptions = tuple(subscriptions)
        self._will = will
        self._inbox = inbox
        self._answered = False  # the broker, since the present connection was opened
        self._session = False
        self._alert: str | None = None  # what TLS said last on the present connection
        self._published: dict[int, str] = {}  # topics by message id, the last ones
        self._turned_s = float("-inf")
        self._client = self._make(MQTTProtocolVersion.MQTTv5)

    def start(self) -> None:
        self._client.loop_start()

    async def stop(self) -> None:
        """Sends what is pending and leaves, within 2 s."""
        self._client.disconnect()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await asyncio.to_thread(self._client.loop_stop)
        except TimeoutError:
            log.warning("the broker did not let us go")

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes | None = None
    ) -> bool:
        """See post. False when too much waits already."""
        return self.post(topic, payload, retain=retain, correlation=correlation) is not None

    def post(
        self, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes | None = None
    ) -> int | None:
        """Hands over to paho's thread, which repeats until the broker acknowledged it.

        The message's id, for `on_acknowledged`; None when too much waits for that already.
        """
        properties = None
        if correlation is not None and self._client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        sent = self._client.publish(topic, payload, QOS, retain, properties)
        self._published.pop(sent.mid, None)
        self._published[sent.mid] = topic
        if len(self._published) > UNACKNOWLEDGED + OUTGOING:
            self._published.pop(next(iter(self._published)))
        taken = sent.rc in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN)
        return sent.mid if taken else None

    def topic_of(self, mid: int) -> str | None:
        """Where a message went, if that was not long ago."""
        return self._published.get(mid)

    def _make(self, protocol: MQTTProtocolVersion) -> _Client:
        five = protocol == MQTTProtocolVersion.MQTTv5
        client = _Client(
            CallbackAPIVersion.VERSION2,
            self._account.client_id,
            clean_session=None if five else True,
            protocol=protocol,
        )
        if self._account.username is not None:
            client.username_pw_set(self._account.username, self._account.password)
        if self._account.tls is not None:
            client.tls_set_context(self._account.tls)
        client.will_set(*self._will, qos=QOS, retain=True)
        client.max_inflight_messages_set(UNACKNOWLEDGED)
        client.max_queued_messages_set(OUTGOING)
        client.reconnect_delay_set(*RECONNECT_S)  # type: ignore[arg-type]  # floats work
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_log = self._on_log
        client.on_turn = self._on_turn
        properties = None
        if five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = PACKET_BYTES
            properties.ReceiveMaximum = UNACKNOWLEDGED
        client.connect_async(
            self._account.host,
            self._account.port,
            KEEPALIVE_S,
            clean_start=five,
            properties=properties,
        )
        return client

    # From here on in paho's thread: nothing but handing over.

    def _on_turn(self) -> None:
        now_s = time.monotonic()
        if now_s - self._turned_s >= TURN_APART_S:
            self._turned_s = now_s
            self._inbox.put(Turned(), kind="turned")

    def _on_socket_open(self, client: Client, userdata: object, sock: Any) -> None:
        if client is self._client:
            self._answered = False
            self._alert = None
        # A limit's answer must not wait for the acknowledgement of what was sent before it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answered = True
        if reason.is_failure:
            client.reconnect_delay_set(*REFUSED_S)
            self._inbox.tell(Disconnected(f"the broker refuses: {reason.getName()}"))
            if reason == "Unsupported protocol version":
                self._client = self._make(MQTTProtocolVersion.MQTTv311)
                self._client.loop_start()
                client.disconnect()
            return
        client.reconnect_delay_set(*RECONNECT_S)  # type: ignore[arg-type]
        # As published: a limit sent with the retain flag is to be refused as such.
        options = SubscribeOptions(QOS, retainAsPublished=True)
        five = client.protocol == MQTTProtocolVersion.MQTTv5
        if five:
            client.subscribe([(each.topics, options) for each in self._subscriptions])
        else:
            client.subscribe([(each.topics, QOS) for each in self._subscriptions])

    def _on_subscribe(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        refused = [
            f"the broker refuses {wanted.topics}: {reason.getName()}"
            for wanted, reason in zip(self._subscriptions, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._inbox.tell(Disconnected("; ".join(refused)))
            client.reconnect_delay_set(*REFUSED_S)
            sock: Any = client.socket()
            sock.shutdown(socket.SHUT_RDWR)  # a connection that hears nothing is none: try again
            return
        self._session = True
        five = client.protocol == MQTTProtocolVersion.MQTTv5
        self._inbox.tell(Connected("5" if five else "3.1.1"))

    def _on_connect_fail(self, client: Client, userdata: object) -> None:
        error = sys.exception()  # paho calls this while it handles the exception
        if isinstance(error, ssl.SSLError):
            client.reconnect_delay_set(*REFUSED_S)
        self._inbox.tell(Disconnected(_no_connection(self._account.where, error)))

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if client is not self._client:
            return  # version 5, given up
        if not self._answered:
            client.reconnect_delay_set(*REFUSED_S)
            self._inbox.tell(Disconnected(self._hung_up()))
            return
        if not self._session:
            return  # refused, which was told already
        self._session = False
        if reason == "Session taken over":
            client.reconnect_delay_set(*REFUSED_S)
        self._inbox.tell(Disconnected(f"connection lost: {reason.getName()}"))

    def _hung_up(self) -> str:
        where = self._account.where
        if self._alert is not None:
            return f"{where} refuses our certificate: {self._alert}"
        if self._account.tls is not None:
            return f"{where} hung up before it answered: does it want another certificate of us?"
        return f"{where} hung up before it answered: no broker, or one that wants TLS"

    def _on_log(self, client: Client, userdata: object, level: int, text: str) -> None:
        """The one place where paho tells why TLS ended."""
        alert = re.search(r"alert ([a-z ]+)", text) if level == LogLevel.MQTT_LOG_ERR else None
        if alert is not None and client is self._client:
            self._alert = alert[1]

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        topic, size = message.topic, len(message.payload)
        wanted = next(each for each in self._subscriptions if topic_matches_sub(each.topics, topic))
        event = Message(
            topic=topic,
            payload=bytes(message.payload) if size <= wanted.most_bytes else None,
            size_bytes=size,
            retained=message.retain,
            answer_to=getattr(message.properties, "ResponseTopic", None),
            correlation=getattr(message.properties, "CorrelationData", None),
        )
        self._inbox.put(event, kind=wanted.topics if wanted.newest else None)

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._inbox.put(Unpublished(mid, reason.getName()))
        self._loop.call_soon_threadsafe(self.on_acknowledged, mid, not reason.is_failure)


def _no_connection(where: str, error: BaseException | None) -> str:
    """Why a connection could not be made, in words."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"{where}: the broker's certificate is not accepted: {error.verify_message}"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return f"{where} does not speak TLS"
        case ssl.SSLEOFError() | ConnectionResetError():
            return f"{where} hung up on TLS: does it speak it?"
        case ssl.SSLError():
            return f"{where}: no TLS connection: {error.reason or error}"
    return f"no broker at {where}"
