"""The other end of the link: a back office that publishes limits and hears answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """A limit as the cloud wants it; `limit_a` None says "unlimited"."""

    source: str
    circuit: str
    limit_a: tuple[float, float, float] | None
    ttl_s: float
    until_s: float | None = None  # planned end, from now
    reason: str = ""


class Cloud:
    """Reads the session's nonce from `status` and echoes it in every limit."""

    def __init__(self, site: str, port: int) -> None:
        self.on_sent: Callable[[Ask], None] = lambda ask: None  # after each publication
        self.status: dict[str, Any] = {}
        self.reported: dict[str, Any] = {}
        self.answers: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self.sent = 0
        self._root = f"loadkeeper/{site}"
        self._told = (f"{self._root}/status", f"{self._root}/site/reported")
        self._answers_to = f"{self._root}/answer/rig"
        self._port = port
        self._epoch = time.time_ns() // 1000  # a restarted source is newer than it was
        self._sequence = 0
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, "rig-cloud", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    @property
    def nonce(self) -> str | None:
        """Of the link's present session; None while it is not online."""
        return self.status.get("nonce") if self.status.get("online") else None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._client.reconnect_delay_set(1, 1)
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port)
        self._client.loop_start()

    async def stop(self) -> None:
        for renewal in self._renewals.values():
            renewal.cancel()
        await asyncio.gather(*self._renewals.values(), return_exceptions=True)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def online(self, within_s: float) -> str:
        """The nonce, as soon as the link is online. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while self.nonce is None:
                await self._changed.wait()
        return self.nonce

    def hold(self, ask: Ask, every_s: float | None) -> None:
        """Publishes a limit, now and each `every_s`, until the next one of that source."""
        if before := self._renewals.pop(ask.source, None):
            before.cancel()
        self._renewals[ask.source] = asyncio.ensure_future(self._renew(ask, every_s))

    def desire(self, message: str) -> None:
        """Publishes a document, retained as they should be."""
        self._client.publish(f"{self._root}/site/desired", message, qos=1, retain=True)

    async def news(self) -> None:
        """Returns when a status or report has come."""
        await self._changed.wait()

    def publish(self, ask: Ask) -> None:
        """Once. Without a session it is refused, and answered so."""
        self._sequence += 1
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._answers_to
        properties.CorrelationData = str(self._sequence).encode()
        properties.MessageExpiryInterval = max(1, int(ask.ttl_s))
        message: dict[str, Any] = {
            "nonce": self.nonce or "",
            "epoch": self._epoch,
            "sequence": self._sequence,
            "circuit": ask.circuit,
            "amps": "unlimited" if ask.limit_a is None else list(ask.limit_a),
            "ttl_s": ask.ttl_s,
            "reason": ask.reason,
        }
        if ask.until_s is not None:
            until = datetime.now(UTC) + timedelta(seconds=ask.until_s)
            message["until"] = until.isoformat()
        self.sent += 1
        self._client.publish(
            f"{self._root}/limit/{ask.source}", json.dumps(message), qos=1, properties=properties
        )
        self.on_sent(ask)

    async def _renew(self, ask: Ask, every_s: float | None) -> None:
        while True:
            nonce = await self.online(within_s=3600)
            self.publish(ask)
            if every_s is None:
                return
            await self._wait_for_another(nonce, every_s)

    async def _wait_for_another(self, nonce: str, within_s: float) -> None:
        """Returns early when a new session begins: what went to the old one may be lost."""
        ends_s = asyncio.get_running_loop().time() + within_s
        while (left_s := ends_s - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                return
            if self.nonce not in (None, nonce):
                return

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        client.subscribe([(topic, 1) for topic in (*self._told, self._answers_to)])

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended before us
            self._loop.call_soon_threadsafe(self._forget)

    def _forget(self) -> None:
        """Nothing is known of the link's session any more."""
        self.status = {}

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        """In paho's thread: only hands over."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._take, message.topic, bytes(message.payload))

    def _take(self, topic: str, payload: bytes) -> None:
        content = json.loads(payload) if payload else {}
        if topic == self._answers_to:
            self.answers.append(content)
        else:
            if topic == self._told[0]:
                self.status = content
            else:
                self.reported = content
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
