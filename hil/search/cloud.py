"""The cloud of a case: it publishes limits, goes away, comes back, and sends nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from cext.rows import NEVER_NS
from controller.limits import RefusedLimitError
from controller.plant import UTC_BEGIN_NS
from hil.search.case import Table
from hil.search.judge import Finding, FoundError
from hil.search.units import milliamps, nanoseconds

if TYPE_CHECKING:
    from hil.search.world import World


class Cloud:
    """Its limits are renewed until another one takes their place, or left to lapse."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limits: dict[str, Table] = {}
        self._sequence = 0
        self._heard: set[tuple[str, int]] = set()  # source and life
        self._offline = 0  # how many things stand between cloud and link

    def renew(self) -> None:
        """To a session that has just begun."""
        for event in list(self._limits.values()):
            if event["every_s"] is not None:
                self._send(event)

    def limit(self, event: Table) -> None:
        self._limits[event["source"]] = event
        self._publish(event)

    def _publish(self, event: Table) -> None:
        """Now, and again as long as no other took its place."""
        if self._limits.get(event["source"]) is not event:
            return
        if event["every_s"] is not None:
            self._world.after(event["every_s"], partial(self._publish, event))
        self._send(event)

    def _send(self, event: Table) -> None:
        """To the link that is there, or to nobody."""
        enforcer = self._world.gateway.enforcer
        if enforcer is None or self._offline or self._world.gateway.stalled.ids:
            return
        self._sequence += 1
        until_s = None if enforcer.clock.ahead_ns else event["until_s"]
        if until_s is not None and event["every_s"] is not None:
            until_s -= self._world.now_ns / 1e9 - event["t_s"]
            if until_s <= 0.001:
                return
        enforcer.limits.receive(event["source"], self._message(event, until_s))
        self._heard.add((event["source"], self._world.gateway.life))
        until_ns = NEVER_NS if until_s is None else self._world.now_ns + nanoseconds(until_s)
        limit_ma = None if event["limit_a"] is None else milliamps(event["limit_a"])
        ttl_ns = nanoseconds(event["ttl_s"])
        self._world.truth.publish(self._world.now_ns, event["source"], limit_ma, ttl_ns, until_ns)
        self._world.set_caps()
        for at_ns in self._lapses(event["source"], ttl_ns, until_ns):
            self._world.agenda.at(at_ns, self._world.look)

    def _lapses(self, source: str, ttl_ns: int, until_ns: int) -> Iterator[int]:
        row = next(each for each in self._world.site.limit_sources if each.id == source)
        dies_ns = self._world.now_ns + min(ttl_ns, row.lease_ns)
        yield dies_ns
        yield dies_ns + row.hold_ns
        if until_ns != NEVER_NS:
            yield until_ns

    def _message(self, event: Table, until_s: float | None, **changes: Any) -> str:
        row = next(each for each in self._world.site.limit_sources if each.id == event["source"])
        message = {
            "nonce": self.nonce(),
            "epoch": 1,
            "sequence": self._sequence,
            "circuit": row.circuit,
            "amps": "unlimited" if event["limit_a"] is None else event["limit_a"],
            "ttl_s": event["ttl_s"],
            "reason": "the search",
        }
        if until_s is not None:
            now = datetime.fromtimestamp((UTC_BEGIN_NS + self._world.now_ns) / 1e9, UTC)
            message["until"] = (now + timedelta(seconds=until_s)).isoformat()
        return json.dumps(message | changes)

    def nonce(self) -> str:
        return f"session {self._world.gateway.life}"

    def lose(self, event: Table) -> None:
        self._offline += 1

        def back() -> None:
            self._offline -= 1

        self._world.after(event["for_s"], back)

    def flood(self, event: Table) -> None:
        """All of it is late, repeated, from elsewhere, for another circuit, or no limit at all."""
        enforcer = self._world.gateway.enforcer
        if enforcer is None:
            return
        asks = {"source": event["source"], "limit_a": None, "ttl_s": 86_400.0}
        wrong: list[Table] = [
            {"nonce": "another"},
            {"circuit": "elsewhere"},
            {"amps": [-1, 0, 0]},
            {"amps": float("nan")},
            {"ttl_s": 0},
            {"amps": 1e9},
            {"until": "2001-01-01T00:00:00+00:00"},
        ]
        if (event["source"], self._world.gateway.life) in self._heard:
            wrong += [{"sequence": 0}, {"epoch": 0}]
        for number in range(event["count"]):
            changes = wrong[number % len(wrong)]
            if "until" in changes and enforcer.clock.ahead_ns:
                continue
            self._sequence += 1
            try:
                enforcer.limits.receive(event["source"], self._message(asks, None, **changes))
            except RefusedLimitError:
                continue
            what = f"a limit with {changes} was taken from {event['source']}"
            raise FoundError(Finding("taken", self._world.now_ns / 1e9, what))
