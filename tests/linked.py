"""An enforcer, a link and a real broker around one small depot whose devices are fakes."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cext.rows import Vehicle
from cext.thread import KernelThread
from controller.clock import MonotonicClock
from controller.configuration import Ground, resume
from controller.document.devices import Charger, Meter
from controller.document.link import Tls
from controller.enforcer import Depot, Documents, Enforcer
from controller.image import ChargerReport, Image, MeterReading
from controller.link.mqtt import Account
from controller.link.process import Link
from controller.notify import Notifier
from controller.permits import lacking
from controller.places import Places
from controller.revisions import Revisions, fingerprint
from controller.site import Site, parse
from controller.status_report import StatusReport
from controller.tables import Tables
from controller.wire import ask_status
from drivers.library import library
from hil.broker import find_mosquitto
from hil.faults.process import Child
from tests.patience import until

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "site": {"id": "test"},
    "circuit": [
        {"id": "grid", "rating_a": 200, "worst_base_a": 50},
        {"id": "row", "parent": "grid", "rating_a": 63, "worst_base_a": 0},
    ],
    "meter": [
        {
            "id": "meter",
            "circuit": "grid",
            "profile": "carlo_gavazzi_em24_ethernet",
            "bus": "tcp://127.0.0.1:9",
        }
    ],
    "charger": [
        {
            "id": "bay",
            "circuit": "row",
            "profile": "alfen_eve",
            "bus": "tcp://127.0.0.1:9",
            "unit": 2,
            "max_a": 32,
            "fallback_a": 6,
            "fallback_delay_s": 10,
        }
    ],
    "limit_source": [
        {"id": "cloud", "circuit": "grid", "kind": "grid", "lease_s": 60, "failsafe_a": 80},
        {"id": "price", "circuit": "row", "kind": "economic", "lease_s": 60, "failsafe_a": 63},
    ],
}
BOOT = "boot-of-the-test"
ENVIRON: dict[str, str] = {}  # as the service manager gives it


def site() -> Site:
    return parse(DOCUMENT, library())


class Wall:
    """The time of day, taken as right."""

    def utc_ns(self) -> int:
        return time.time_ns()

    def trusted(self) -> bool:
        return True


@dataclass
class Health:
    id: str
    online: bool = True
    error: str | None = None
    since_ns: int = 0


class FakeDriver:
    """Posts a reading each 20 ms until it is told to break."""

    def __init__(self, device: str, post: Callable[[], None]) -> None:
        self.id = device
        self.fault: Exception | None = None
        self.post = post
        self._health = Health(device)

    async def run(self) -> None:
        while self.fault is None:
            self.post()
            await asyncio.sleep(0.02)
        raise self.fault

    def health(self) -> Health:
        return self._health


class FakeFleet:
    """Depots with fake drivers; those of unchanged devices stay the same objects."""

    metered_ma = 40_000  # on each phase, whatever the charger draws

    def __init__(self) -> None:
        self._clock = MonotonicClock()
        self._drivers: dict[object, FakeDriver] = {}

    def __call__(self, site: Site, image: Image | None = None) -> Depot:
        tables = Tables.of(site)
        kernel = tables.build_kernel()
        image = image or Image(tables, kernel, self._clock)
        devices: tuple[Meter | Charger, ...] = (*site.meters, *site.chargers)
        drivers = [self._driver(each, image) for each in devices]
        return Depot(
            site=site,
            tables=tables,
            kernel=kernel,
            ticker=KernelThread(kernel, 50_000_000),
            image=image,
            drivers=drivers,
            mode=site.mode,
        )

    def _driver(self, device: Meter | Charger, image: Image) -> FakeDriver:
        clock = self._clock

        def post_meter() -> None:
            image.post_meter(device.id, MeterReading(clock.now_ns(), (self.metered_ma,) * 3))

        def post_charger() -> None:
            order = image.order(device.id)
            in_force_ma, tick = (order.ma, order.tick) if order else (6_000, 0)
            current = (in_force_ma, in_force_ma, in_force_ma)
            image.post_charger(
                device.id, ChargerReport(clock.now_ns(), in_force_ma, current, Vehicle.C, tick)
            )

        if device not in self._drivers:
            post = post_meter if isinstance(device, Meter) else post_charger
            self._drivers[device] = FakeDriver(device.id, post)
        return self._drivers[device]


def make_depot() -> tuple[Depot, list[FakeDriver]]:
    depot = FakeFleet()(site())
    return depot, [driver for driver in depot.drivers if isinstance(driver, FakeDriver)]


class Mosquitto:
    """A real broker on a loopback port that it keeps over restarts."""

    def __init__(
        self,
        directory: Path,
        port: int,
        users: Mapping[str, str],
        acl: str,
        tls: Tls | None = None,
        certified: bool = False,
    ) -> None:
        """`tls`: its own certificate; `certified`: who has none of its `ca` is sent away."""
        self.port = port
        lines = [f"listener {port} 127.0.0.1", f"user {getpass.getuser()}"]
        if tls is not None:
            lines += [f"cafile {tls.ca}", f"certfile {tls.cert}", f"keyfile {tls.key}"]
            lines.append("tls_version tlsv1.3")
        if certified:
            lines += ["require_certificate true", "use_identity_as_username true"]
        lines.append("set_tcp_nodelay true")
        if users:
            passwords = directory / "passwords"
            passwords.touch(0o600)
            for name, password in users.items():
                command = ["mosquitto_passwd", "-b", str(passwords), name, password]
                subprocess.run(command, check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        else:
            lines.append("allow_anonymous true")
        if acl:
            allowed = directory / "acl"
            allowed.write_text(acl + "\n")
            allowed.chmod(0o600)
            lines.append(f"acl_file {allowed}")
        config = directory / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        self._child = Child(
            "mosquitto", [find_mosquitto(), "-c", str(config)], directory / "mosquitto.log"
        )

    async def start(self) -> None:
        await self._child.start()
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self._child.kill()


class Cloud:
    """Somebody at the broker: what is retained by topic, and answers in order."""

    ANSWERS = "cloud/answers"

    def __init__(
        self,
        port: int,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.refused: list[str] = []  # why the broker did not take what was published
        self.latest: dict[str, Any] = {}
        self.history: list[tuple[str, Any]] = []
        self.answers: list[tuple[bytes | None, Any]] = []
        self.sequence = 0
        self._client = Client(
            CallbackAPIVersion.VERSION2, "cloud", protocol=MQTTProtocolVersion.MQTTv5
        )
        if username is not None:
            self._client.username_pw_set(username, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_message = self._heard
        self._client.on_publish = self._taken
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("loadkeeper/#", 1), (self.ANSWERS, 1)]
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def status(self) -> dict[str, Any]:
        return dict(self.latest.get("loadkeeper/test/status") or {})

    def limits(self) -> dict[str, Any]:
        return dict(self.latest.get("loadkeeper/test/limits") or {"refused": [], "limits": []})

    def cap(self, circuit: str = "grid") -> Any:
        caps = {each["circuit"]: each["cap_a"] for each in self.limits().get("circuits", ())}
        return caps.get(circuit)

    def nonce(self) -> str | None:
        return self.status().get("nonce")

    def message(self, **changes: object) -> dict[str, object]:
        self.sequence += 1
        good = {"nonce": self.nonce(), "epoch": 1, "sequence": self.sequence, "circuit": "grid"}
        return {**good, "amps": 100, "ttl_s": 30, **changes}

    def publish(
        self,
        payload: bytes | str,
        source: str = "cloud",
        retain: bool = False,
        answer_to: str | None = ANSWERS,
        correlation: bytes | None = None,
    ) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if answer_to is not None:
            properties.ResponseTopic = answer_to
        if correlation is not None:
            properties.CorrelationData = correlation
        self._client.publish(
            f"loadkeeper/test/limit/{source}", payload, 1, retain, properties=properties
        )

    def desire(self, message: object, retain: bool = True) -> None:
        """Publishes a document, as plain data or as it is."""
        payload = message if isinstance(message, str | bytes) else json.dumps(message)
        self._client.publish("loadkeeper/test/site/desired", payload, 1, retain)

    def reported(self) -> dict[str, Any]:
        return dict(self.latest.get("loadkeeper/test/site/reported") or {})

    async def ask(self, payload: bytes | str | None = None, **changes: object) -> Any:
        """Publishes a limit, and returns its answer."""
        before = len(self.answers)
        self.publish(json.dumps(self.message(**changes)) if payload is None else payload)
        await until(lambda: len(self.answers) > before)
        return self.answers[before][1]

    def _taken(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: object
    ) -> None:
        if reason.is_failure:
            self.refused.append(reason.getName())

    def _heard(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        if "/limit/" in message.topic or message.topic.endswith("/desired"):
            return
        content = json.loads(message.payload) if message.payload else None
        if message.topic == self.ANSWERS:
            correlation = getattr(message.properties, "CorrelationData", None)
            self.answers.append((correlation, content))
        else:
            self.latest[message.topic] = content
            self.history.append((message.topic, content))


def _send_at_once(client: Client, userdata: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class World:
    """Parts that can be started and ended by themselves."""

    def __init__(
        self,
        directory: Path,
        port: int,
        users: Mapping[str, str],
        acl: str = "",
        tls: Tls | None = None,
        certified: bool = False,
    ) -> None:
        self.places = Places(directory / "r", directory / "s")
        self.broker = Mosquitto(directory, port, users, acl, tls, certified)
        self.account = Account("127.0.0.1", port, "loadkeeper-test")
        self.drivers: list[FakeDriver] = []
        self.document: Mapping[str, Any] = DOCUMENT
        self.depot: Depot | None = None
        self.enforcer: Enforcer | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start_enforcer(self, document: Mapping[str, Any] | None = None) -> None:
        """As `loadkeeper run` puts it together, but for the drivers; the document as before."""
        document = self.document = self.document if document is None else document
        fleet = FakeFleet()
        ground = Ground(document, "", library(), partial(lacking, ENVIRON))
        revisions = Revisions(self.places.documents, fingerprint(document))
        in_force = resume(ground, revisions, parse(document, library()))
        self.depot = fleet(in_force)
        self.drivers = [each for each in self.depot.drivers if isinstance(each, FakeDriver)]
        self.enforcer = enforcer = Enforcer(
            self.depot,
            self.places,
            MonotonicClock(),
            Wall(),
            BOOT,
            documents=Documents(ground, revisions, fleet),
            notifier=Notifier(ENVIRON),
        )
        self._tasks["enforcer"] = asyncio.create_task(enforcer.run())
        await until(lambda: self.places.socket.exists() or self._tasks["enforcer"].done())

    async def start_link(self, account: Account | None = None) -> None:
        written = parse(self.document, library()).link
        account, notifier = account or self.account, Notifier(ENVIRON)
        link = Link("test", account, self.places.socket, Wall(), written, notifier)
        self._tasks["link"] = asyncio.create_task(link.run())

    async def report(
        self, wanted: Callable[[StatusReport], bool] = lambda report: True
    ) -> StatusReport:
        """The enforcer's report, as soon as it is as wanted."""
        for _ in range(500):
            report = await ask_status(self.places.socket)
            if wanted(report):
                return report
            await asyncio.sleep(0.01)
        raise AssertionError(f"did not come about: {report}")

    async def stop(self, part: str) -> None:
        task = self._tasks.pop(part, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def end_of(self, part: str) -> None:
        """Waits for a part that ends by itself; raises what it ended with."""
        await asyncio.wait_for(self._tasks.pop(part), 10)


@contextlib.asynccontextmanager
async def world(
    free_port: int,
    parts: str = "enforcer link",
    users: Mapping[str, str] | None = None,
    acl: str = "",
    tls: Tls | None = None,
    certified: bool = False,
) -> AsyncIterator[World]:
    """The broker and the named parts; all gone when left."""
    with tempfile.TemporaryDirectory() as directory:  # short: a socket's path has 107 bytes
        made = World(Path(directory), free_port, users or {}, acl, tls, certified)
        await made.broker.start()
        try:
            if "enforcer" in parts:
                await made.start_enforcer()
            if "link" in parts:
                await made.start_link()
            yield made
        finally:
            await made.stop("link")
            await made.stop("enforcer")
            await made.broker.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def play(
    story: Callable[[World, Cloud], Awaitable[None]], parts: str = "enforcer link", acl: str = ""
) -> None:
    """Runs a story with somebody at the broker."""

    async def run() -> None:
        port = free_port()
        async with world(port, parts, acl=acl) as made:
            with Cloud(port) as cloud:
                await story(made, cloud)

    asyncio.run(asyncio.wait_for(run(), 60))
