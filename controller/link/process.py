"""The link process: carries limits from the broker to the enforcer, and answers and state back.

It decides nothing. Its death, the broker's and the network's are the same event to the
enforcer: no more renewals.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from controller.clock import WallClock
from controller.credentials import CredentialsError
from controller.document.link import Link as SiteLink
from controller.document.text import BYTES_MAX
from controller.link.bulletin import OFFLINE, Bulletin, news
from controller.link.documents import Documents
from controller.link.errands import Errands
from controller.link.inbox import Inbox
from controller.link.mqtt import (
    Account,
    Broker,
    Connected,
    Disconnected,
    Event,
    Message,
    Subscription,
    Turned,
    Unpublished,
    account,
)
from controller.link.post import Post
from controller.link.rounds import Rounds
from controller.link.topics import Topics
from controller.notify import Notifier
from controller.reported import Confirmed, Desired, Reported
from controller.status_report import StatusReport
from controller.threads import first_death, log_what_nobody_awaits
from controller.version import VERSION
from controller.wire import (
    LIMIT_BYTES,
    Answering,
    Channel,
    Events,
    EventsTaken,
    FrameError,
    Limit,
    LimitAnswer,
    Refused,
    Session,
    State,
    Welcome,
    connect,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

RETRY_S = 0.5
SILENT_S = 5.0  # the enforcer speaks each second
REPEAT_S = 10.0  # `limits` at least this often: times left go on
GATHER_S = 0.05  # changes within this time go out together
BROKEN = 70  # EX_SOFTWARE of sysexits.h

log: FilteringBoundLogger = structlog.get_logger()
Enforcer = Channel[Answering]


class Link:
    """One site's connection to its broker."""

    def __init__(
        self,
        site: str,
        account: Account,
        socket: Path,
        wall: WallClock,
        written: SiteLink | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """`written`: what of the site document `account` was made of."""
        self._rounds = Rounds(notifier or Notifier({}), ("enforcer", "broker", "tell", "carry"))
        self._site = site
        self._written = written
        self._topics = Topics(site)
        self._socket = socket
        self._bulletin = Bulletin(wall)
        self._inbox: Inbox[Connected | Disconnected, Event] = Inbox()
        self._broker = self._broker_of(account)
        self._own = (
            self._topics.status,
            self._topics.limits,
            self._topics.event,
            self._topics.reported,
        )
        self._post = Post(time.monotonic_ns, wall)
        self._mqtt = ""  # the version that the broker spoke last
        self._taken: tuple[str, int] | None = None  # events that the enforcer is to be told of
        self._confirmed: Confirmed | None = None  # and a report
        self._mail = asyncio.Event()
        self._rounds.ring(self._mail.set)
        self._online = False
        self._nonce: str | None = None
        self._enforcer: Enforcer | None = None
        self._welcome: Welcome | None = None
        self._report: StatusReport | None = None
        self._told: dict[str, object] | None = None  # the status that the broker has
        self._documents = Documents(self._send, self._report_document)
        self._news = asyncio.Event()
        self._errands = Errands(
            self._topics, self._bulletin, self._send, self._answer, self._news.set
        )
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        log_what_nobody_awaits(loop)
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        log.info("started", site=self._site, socket=str(self._socket), version=VERSION)
        self._broker.start()
        self._rounds.notifier.ready()  # with or without broker and enforcer: it goes on trying
        try:
            async with asyncio.TaskGroup() as group:
                parts = [self._serve_broker(), self._serve_enforcer(), self._tell()]
                parts += [self._carry(), first_death()]
                tasks = [group.create_task(part) for part in parts]
                await self._stopping.wait()
                self._rounds.notifier.stopping()
                for task in tasks:
                    task.cancel()
        finally:
            if self._online:
                self._publish(self._topics.status, OFFLINE, retain=True)
            await self._broker.stop()
        log.info("stopped")

    # The broker.

    async def _serve_broker(self) -> None:
        known = ""
        refused: set[tuple[str, str]] = set()  # topics that the broker does not take, and why
        while True:
            event = await self._inbox.get()
            if dropped := self._inbox.dropped():
                log.warning("messages dropped: too many at once", count=dropped)
            self._rounds.turned("broker")
            match event:
                case Connected(version=version):
                    log.info("broker connected", mqtt=version)
                    known = ""
                    refused.clear()
                    self._online = True
                    self._rounds.state("broker", "connected")
                    if version != self._mqtt:  # another client, which knows nothing of the last one
                        self._mqtt = version
                        self._post.again()
                    self._mail.set()
                    self._told = None  # the broker may have published our will
                    self._bulletin.came_online()
                    self._documents.report()
                    await self._renew_session()
                case Disconnected(why=why):
                    if why != known:
                        log.warning("broker not connected", why=why)
                    known = why
                    self._online = False
                    self._rounds.state("broker", why)
                    await self._renew_session()
                case Turned():
                    pass
                case Unpublished(mid=mid, why=why):
                    topic = self._broker.topic_of(mid)
                    if topic in self._own and (topic, why) not in refused:
                        refused.add((topic, why))
                        log.warning("the broker does not publish this", topic=topic, why=why)
                case Message(topic=topic) if topic == self._topics.desired:
                    await self._documents.came(event)
                case Message():
                    await self._errands.forward(event, self._enforcer is not None)

    def _broker_of(self, account: Account) -> Broker:
        subscriptions = (
            Subscription(self._topics.every_limit, LIMIT_BYTES),
            Subscription(self._topics.desired, BYTES_MAX, newest=True),
        )
        will = self._topics.status, _json(OFFLINE)
        broker = Broker(account, subscriptions, will, self._inbox)
        broker.on_acknowledged = self._acknowledged
        return broker

    async def _go_to(self, written: SiteLink | None) -> None:
        """To the broker of the document in force, when that says something else than before."""
        if written in (None, self._written):
            return
        assert written is not None
        wanted = None
        try:
            wanted = account(self._site, written)
            log.warning("going to the broker of the document in force", broker=wanted.where)
        except CredentialsError as error:  # no broker: so the document cannot be kept
            log.error("cannot go to the broker of the document in force", why=str(error))
        if self._online:
            self._publish(self._topics.status, OFFLINE, retain=True)
        self._written, self._online = written, False
        self._rounds.leave("broker")
        left = self._broker
        if wanted is not None:
            self._broker = self._broker_of(wanted)
            self._post.again()
        await self._renew_session()
        await left.stop()
        if wanted is not None:
            self._broker.start()
            self._rounds.join("broker")

    async def _renew_session(self) -> None:
        """Voids all that was sent before: another nonce for each connection, on either side."""
        self._nonce = secrets.token_urlsafe(16) if self._online and self._enforcer else None
        await self._send(Session(nonce=self._nonce))  # known there before anybody can use it
        self._news.set()

    # The enforcer.

    async def _serve_enforcer(self) -> None:
        known = ""
        while True:
            channel: Enforcer | None = None
            try:
                channel = await connect(self._socket, "link")
                await self._attend(channel)
                why = "it closed the connection"
            except (FrameError, OSError) as error:
                why = str(error) or "it does not answer"
            finally:
                if channel is not None:
                    channel.close()
            self._rounds.turned("enforcer")
            if self._enforcer is not None or why != known:
                log.warning("enforcer not connected", why=why)
                self._rounds.state("enforcer", why)
            known = why
            if self._enforcer is not None:
                await self._detach()
            await asyncio.sleep(RETRY_S)

    async def _attend(self, channel: Enforcer) -> None:
        """Returns at the end of the connection. Raises OSError, FrameError."""
        while True:
            self._rounds.turned("enforcer")
            match await channel.receive(SILENT_S):
                case Welcome() as welcome:
                    if welcome.site != self._site:
                        raise ConnectionError(f"it holds {welcome.site!a}, not {self._site!a}")
                    again, self._welcome = self._enforcer is channel, welcome
                    if not again:
                        log.info("enforcer connected", version=welcome.version)
                        self._rounds.state("enforcer", "connected")
                        self._enforcer = channel
                        await self._renew_session()
                        await self._documents.hand_on()
                    await self._go_to(welcome.link)
                    self._news.set()
                case Refused(reason=reason):
                    raise ConnectionError(reason)
                case LimitAnswer() as answer:
                    self._errands.answered(answer)
                case Reported() as reported:
                    self._documents.became(reported)
                case Events() as events:
                    self._post.receive(events)
                    self._mail.set()
                case State(report=report):
                    if news(self._report, report):
                        self._news.set()
                    self._report = report
                case None:
                    return

    async def _detach(self) -> None:
        self._enforcer = self._welcome = self._report = None
        self._errands.abandoned()
        await self._renew_session()

    async def _send(self, message: Session | Limit | Desired | Confirmed | EventsTaken) -> None:
        enforcer = self._enforcer  # by the time a send fails, its reader may have let go of it
        if enforcer is None:
            return
        try:
            await enforcer.send(message)
        except (FrameError, OSError):
            enforcer.close()  # which ends its reader, and that tells

    # What is published.

    def _answer(self, topic: str, content: dict[str, object], *, correlation: bytes | None) -> bool:
        return self._online and self._publish(topic, content, correlation=correlation)

    async def _tell(self) -> None:
        """Keeps `status` and `limits` true: on change, and `limits` every 10 s."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPEAT_S):
                    await self._news.wait()
            self._news.clear()
            self._rounds.turned("tell")
            if not self._online:
                continue
            status = self._bulletin.status(self._nonce, self._welcome, self._report)
            if status == self._told or self._publish(self._topics.status, status, retain=True):
                self._told = status
            else:
                self._news.set()
            self._publish(self._topics.limits, self._bulletin.limits(self._report), retain=True)
            await asyncio.sleep(GATHER_S)

    def _report_document(self, content: dict[str, object]) -> int | None:
        if not self._online:
            return None
        return self._broker.post(self._topics.reported, _json(content), retain=True)

    async def _carry(self) -> None:
        """Events out as the broker takes them; the enforcer is told how far, now and then."""
        while True:
            await self._mail.wait()
            self._mail.clear()
            self._rounds.turned("carry")
            while self._online and (letter := self._post.next()) is not None:
                mid = self._broker.post(self._topics.event, _json(self._post.content(letter)))
                if mid is None:
                    break  # too much waits; an acknowledgement brings us back
                self._post.published(mid)
            if self._taken is not None and self._enforcer is not None:
                (run, upto), self._taken = self._taken, None
                await self._send(EventsTaken(run=run, upto=upto))
            if self._confirmed is not None:
                confirmed, self._confirmed = self._confirmed, None
                await self._send(confirmed)
            await asyncio.sleep(GATHER_S)

    def _acknowledged(self, mid: int, taken: bool) -> None:
        self._taken = self._post.acknowledged(mid) or self._taken
        if taken:
            self._confirmed = self._documents.taken(mid) or self._confirmed
        self._mail.set()

    def _publish(
        self,
        topic: str,
        content: dict[str, object],
        *,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> bool:
        taken = self._broker.publish(topic, _json(content), retain=retain, correlation=correlation)
        if not taken:
            log.warning("not published: too much waits for the broker", topic=topic)
        return taken


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def serve(
    site: str,
    account: Account,
    socket: Path,
    wall: WallClock,
    written: SiteLink,
    notifier: Notifier,
) -> int:
    """Runs to the end; the exit status. The one place that catches whatever is left."""

    async def run() -> None:
        await Link(site, account, socket, wall, written, notifier).run()

    try:
        asyncio.run(run())
    except Exception:
        log.critical("stopped: a broken invariant", exc_info=True)
        return BROKEN
    return 0
