"""Documents on their way: the last one that came, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from controller.link.mqtt import Message
from controller.reported import Confirmed, Desired, Reported, split


class Documents:
    """Hands on the newest document, again to each new enforcer; and the newest report, again to
    each new session with the broker."""

    def __init__(
        self,
        send: Callable[[Desired], Awaitable[None]],
        publish: Callable[[dict[str, object]], int | None],
    ) -> None:
        """`send` speaks to the enforcer, if it is there; `publish` returns the message's id."""
        self._send = send
        self._publish = publish
        self._desired: Message | None = None
        self._reported: Reported | None = None
        self._reporting: int | None = None  # the id of the last report's publication

    async def came(self, message: Message) -> None:
        self._desired = message
        await self.hand_on()

    async def hand_on(self) -> None:
        """The last document, when there is one."""
        message = self._desired
        if message is None:
            return
        if message.payload is None:
            await self._send(Desired(part=0, parts=0, size_bytes=message.size_bytes, text=""))
            return
        for part in split(message.payload.decode(errors="replace"), message.size_bytes):
            await self._send(part)

    def became(self, reported: Reported) -> None:
        self._reported = reported
        self.report()

    def report(self) -> None:
        """What became of the last document."""
        if self._reported is not None:
            self._reporting = self._publish(
                self._reported.model_dump(mode="json", exclude={"type"})
            )

    def taken(self, mid: int) -> Confirmed | None:
        """The broker has taken a message: what to tell the enforcer when it was the report."""
        if mid != self._reporting or self._reported is None:
            return None
        self._reporting = None
        return Confirmed(revision=self._reported.revision, state=self._reported.state)
