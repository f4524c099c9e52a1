"""Topic names under `loadkeeper/<site>/`."""

from __future__ import annotations

from dataclasses import dataclass

ANSWER_TOPIC_BYTES = 256
CORRELATION_BYTES = 256
_EVERY_SITE = "loadkeeper/"


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one site."""

    site: str

    @property
    def _root(self) -> str:
        return f"{_EVERY_SITE}{self.site}/"

    @property
    def status(self) -> str:
        return self._root + "status"

    @property
    def limits(self) -> str:
        return self._root + "limits"

    @property
    def event(self) -> str:
        return self._root + "event"

    @property
    def every_limit(self) -> str:
        return self._root + "limit/+"

    @property
    def desired(self) -> str:
        return self._root + "site/desired"

    @property
    def reported(self) -> str:
        return self._root + "site/reported"

    def source(self, topic: str) -> str:
        """The limit source that a topic below `every_limit` names."""
        return topic.rpartition("/")[2]

    def may_answer(self, topic: str) -> bool:
        """A plain topic, and no site's but ours below `answer/`: nobody speaks through us."""
        return (
            0 < len(topic.encode(errors="replace")) <= ANSWER_TOPIC_BYTES
            and not topic.startswith("$")
            and not set(topic) & set("+#\0")
            and (not topic.startswith(_EVERY_SITE) or topic.startswith(self._root + "answer/"))
        )
