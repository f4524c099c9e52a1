"""Limits on their way to the enforcer, and the answers on their way back."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from controller.link.bulletin import Bulletin
from controller.link.mqtt import Message
from controller.link.topics import CORRELATION_BYTES, Topics
from controller.wire import LIMIT_BYTES, NAME_CHARS, Limit, LimitAnswer

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

UNANSWERED = 64

log: FilteringBoundLogger = structlog.get_logger()


class Publish(Protocol):
    """Hands an answer to the broker, if it is there."""

    def __call__(
        self, topic: str, content: dict[str, object], *, correlation: bytes | None
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """A limit message that waits for its answer."""

    source: str
    answer_to: str | None
    correlation: bytes | None


class Errands:
    """Each limit message gets one answer: the enforcer's, or why it did not get there."""

    def __init__(
        self,
        topics: Topics,
        bulletin: Bulletin,
        send: Callable[[Limit], Awaitable[None]],
        publish: Publish,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when `limits` may say something new."""
        self._topics = topics
        self._bulletin = bulletin
        self._send = send
        self._publish = publish
        self._changed = changed
        self._asked: dict[int, _Asked] = {}
        self._numbers = itertools.count(1)

    async def forward(self, message: Message, there: bool) -> None:
        """`there`: whether an enforcer is."""
        source = self._topics.source(message.topic)[:NAME_CHARS]  # a longer one is unknown anyway
        asked = _Asked(source, message.answer_to, message.correlation)
        if message.retained:
            self._refuse(asked, "retained", "limits must not be retained: they would come again")
        elif message.payload is None:
            self._refuse(asked, "too_large", f"more than {LIMIT_BYTES} bytes")
        elif not there:
            self._refuse(asked, "no_enforcer", "the enforcer is not there")
        elif len(self._asked) >= UNANSWERED:
            self._refuse(asked, "busy", f"{UNANSWERED} limits wait for their answer already")
        else:
            await self._ask(asked, message.payload)

    async def _ask(self, asked: _Asked, payload: bytes) -> None:
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            self._refuse(asked, "malformed", f"not UTF-8 at byte {error.start}")
            return
        limit = Limit(seq_id=next(self._numbers), source=asked.source, message=text)
        self._asked[limit.seq_id] = asked
        await self._send(limit)

    def answered(self, answer: LimitAnswer) -> None:
        asked = self._asked.pop(answer.seq_id, None)
        if asked is None:
            return
        if answer.accepted:
            self._reply(asked, accepted=True, code=answer.code, reason=answer.reason)
            self._changed()
        else:
            self._refuse(asked, answer.code, answer.reason)

    def abandoned(self) -> None:
        """The enforcer has gone."""
        asked, self._asked = self._asked, {}
        for each in asked.values():
            self._refuse(each, "no_enforcer", "the enforcer went before it answered")

    def _refuse(self, asked: _Asked, code: str, reason: str) -> None:
        log.info("limit not accepted", source=asked.source, code=code, why=reason)
        self._bulletin.refused(asked.source, code, reason)
        self._reply(asked, accepted=False, code=code, reason=reason)
        self._changed()

    def _reply(self, asked: _Asked, *, accepted: bool, code: str, reason: str) -> None:
        if asked.answer_to is None:
            return
        if not self._topics.may_answer(asked.answer_to) or (
            len(asked.correlation or b"") > CORRELATION_BYTES
        ):
            log.warning("no answer to this response topic", source=asked.source)
            return
        answer = {"source": asked.source, "accepted": accepted, "code": code, "reason": reason}
        self._publish(asked.answer_to, answer, correlation=asked.correlation)
