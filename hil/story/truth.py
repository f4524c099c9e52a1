"""What the true cap of each circuit is at an instant.

A small model of its own, written from the rules and sharing nothing with the kernel: a
cap is the lowest of the rating and of what each limit source asks for. A source asks for
its limit while that is live and not past its planned end; for its fail-safe cap while it
is lost, and for no more than its last limit during its hold. One that a contact speaks for
asks for what the contact says.
"""

from __future__ import annotations

from typing import NamedTuple

from cext.rows import NEVER_NS, Phases
from controller.document.entries.limit import LimitSource
from controller.site import Site


class Published(NamedTuple):
    """The last limit that a source got through; None is "unlimited"."""

    limit_ma: Phases | None
    ends_ns: int
    dies_ns: int


class Truth:
    """The caps that hold, whatever a controller believes."""

    def __init__(self, site: Site) -> None:
        self._circuits = site.circuits
        self._sources = {source.id: source for source in site.limit_sources}
        self._last: dict[str, Published] = {}
        self._contacts: dict[str, Phases | None] = {}

    def switch(self, site: Site) -> None:
        """Another document: what its sources asked for stands."""
        self._circuits = site.circuits
        self._sources = {source.id: source for source in site.limit_sources}

    def ask(self, source: str, limit_ma: Phases | None) -> None:
        """The contact that speaks for the source asks for this from now on; None: nothing."""
        self._contacts[source] = limit_ma

    def publish(
        self,
        now_ns: int,
        source: str,
        limit_ma: Phases | None,
        ttl_ns: int,
        until_ns: int = NEVER_NS,
    ) -> None:
        """A limit was published to a link that was there to hear it."""
        lives_ns = min(ttl_ns, self._sources[source].lease_ns)
        self._last[source] = Published(limit_ma, until_ns, now_ns + lives_ns)

    def caps_ma(self, now_ns: int) -> list[Phases]:
        """Per circuit, in the site's order."""
        caps = {
            circuit.id: circuit.rating_ma
            if circuit.limit_ma is None
            else _least(circuit.rating_ma, circuit.limit_ma)
            for circuit in self._circuits
        }
        for source in self._sources.values():
            if source.id in self._contacts:
                asked = self._contacts[source.id]
            else:
                asked = _asked(source, self._last.get(source.id), now_ns)
            if asked is not None:
                caps[source.circuit] = _least(caps[source.circuit], asked)
        return list(caps.values())


def _asked(source: LimitSource, last: Published | None, now_ns: int) -> Phases | None:
    if last is None:
        return source.failsafe_ma
    binds = last.limit_ma if now_ns < last.ends_ns else None
    if now_ns < last.dies_ns:
        return binds
    if binds is not None and now_ns < last.dies_ns + source.hold_ns:
        return _least(source.failsafe_ma, binds)
    return source.failsafe_ma


def _least(one: Phases, other: Phases) -> Phases:
    first, second, third = map(min, one, other)
    return first, second, third
