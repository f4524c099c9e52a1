"""Proof test of a contactor: it opens, its auxiliary contact must say so, and it closes again.

One at a time, and on the word of somebody on site. While it is held open the kernel's order
stands; what is behind it counts as silent soon, and so at the most that it can wake with. It is
closed again only when that fits: until then it stays open, whoever has stopped waiting for the
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from cext.rows import NO_PHASE, Vehicle
from controller.document.devices import Charger
from controller.document.gpio import Contactor
from controller.events import Events
from controller.units import NS_PER_S, amperes_text, seconds_text
from controller.wire import Outcome, ProoftestAnswer

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from controller.depot import Depot

LOOK_S = 0.05
ALLOWED_NS = NS_PER_S // 2  # what looks and debouncing add to the time that it takes to open
CLOSES_WITHIN_S = 3.0
SILENT_WITHIN_S = 15.0  # who still answers then has another supply
WAITS_S = 60.0  # for room, before the answer is given; it goes on waiting
NOTHING_MA = 500
IDLE = frozenset((Vehicle.A, Vehicle.B, Vehicle.E, Vehicle.F))

log: FilteringBoundLogger = structlog.get_logger()


class ProofTests:
    """Of one enforcer's contactors; `depot` is the one in force."""

    def __init__(
        self, depot: Callable[[], Depot], events: Events, latched: Callable[[], bool]
    ) -> None:
        self._depot = depot
        self._events = events
        self._latched = latched
        self._testing: asyncio.Task[ProoftestAnswer] | None = None
        self._closing: asyncio.Task[None] | None = None  # of the one that is held open

    async def test(self, contactor: str, even_charging: bool) -> ProoftestAnswer:
        """Refused where it cannot be done now; told in the log and as an event in any case.

        Once it has begun it goes its way, whoever has stopped waiting for the answer.
        """
        if self._testing is not None and not self._testing.done():
            return _refused(contactor, "another one is tested: one at a time")
        self._testing = asyncio.create_task(self._tell(contactor, even_charging))
        return await asyncio.shield(self._testing)

    async def _tell(self, contactor: str, even_charging: bool) -> ProoftestAnswer:
        tested = await self._test(contactor, even_charging)
        tell = log.info if tested.outcome in ("follows", "refused") else log.error
        tell("contactor tested", contactor=contactor, outcome=tested.outcome, why=tested.why)
        if tested.outcome != "refused":
            self._events.happened(f"contactor_{tested.outcome}", contactor, tested.why)
        return tested

    async def _test(self, id_: str, even_charging: bool) -> ProoftestAnswer:
        contactor = next((each for each in self._depot().site.contactors if each.id == id_), None)
        if contactor is None:
            return _refused(id_, "this site has no contactor of that id")
        obstacle = self._obstacle(contactor) or self._danger(contactor, even_charging)
        if obstacle is not None:
            return _refused(id_, obstacle)
        if (says := self._says(contactor)) is not True:
            return self._denied(contactor, says, before=True)
        self._hold(contactor, True)
        opened_s = None
        try:
            opened_s, says = await self._opens(contactor)
        finally:
            if opened_s is None:
                self._hold(contactor, False)
        if opened_s is None:
            return self._denied(contactor, says)
        # The answer may be given before: it closes when there is room.
        self._closing = asyncio.create_task(self._close(contactor))
        _, waiting = await asyncio.wait({self._closing}, timeout=WAITS_S)
        took = f"open {opened_s:.2g} s after the order"
        outcome: Outcome = "follows"
        why = f"{took}, and closed again"
        if waiting:
            outcome = "stays_open"
            why = f"{took}; it stays open until there is room: {self._lacks(contactor)}"
        elif self._says(contactor) is not True:
            outcome = "not_closed"
            why = f"{took}, and did not close again: no coil voltage, or a broken wire?"
        return ProoftestAnswer(contactor=id_, outcome=outcome, opened_s=round(opened_s, 2), why=why)

    def _denied(
        self, contactor: Contactor, says: bool | None, before: bool = False
    ) -> ProoftestAnswer:
        """By its auxiliary contact; `before` anything was done to it."""
        outcome: Outcome = "unread"
        why = "its auxiliary contact says nothing"
        if says is True:
            allowed = seconds_text(contactor.opens_ns)
            outcome = "welded"
            why = f"its contact says closed {allowed} s after the order: welded, or a broken wire?"
        elif says is False and before:
            outcome = "not_closed"
            why = "ordered closed, its contact says open: no coil voltage, or the contact is wrong?"
        return ProoftestAnswer(contactor=contactor.id, outcome=outcome, opened_s=None, why=why)

    def _obstacle(self, contactor: Contactor) -> str | None:
        """Why it cannot be tested now, whoever is behind it."""
        depot = self._depot()
        state = depot.kernel.contactor(depot.tables.contactor_index[contactor.id])
        if contactor.feedback is None:
            return "it has no auxiliary contact that could tell"
        if depot.mode == "observe":
            return "nothing is driven while observing"
        if self._latched():
            return "all is latched, and no contactor closes: reset that first"
        if self._closing is not None and not self._closing.done():
            return "another one is tested: one at a time"
        if not state.closed:
            return "it is ordered open already; see `loadkeeper status` for the reason"
        return None

    def _danger(self, contactor: Contactor, even_charging: bool) -> str | None:
        """Why those behind it speak against a test."""
        charging = [] if even_charging else self._charging(contactor)
        if charging:
            who = ", ".join(charging[:5]) + (", …" if len(charging) > 5 else "")
            return f"charging, or perhaps charging: {who} (--even-charging opens it all the same)"
        lacks = self._lacks(contactor)
        return None if lacks is None else f"it could not be closed again: {lacks}"

    def _behind(self, contactor: Contactor) -> list[Charger]:
        return [each for each in self._depot().site.chargers if each.id in contactor.chargers]

    def _charging(self, contactor: Contactor) -> list[str]:
        """Who draws, or may: what is not known counts so."""
        depot = self._depot()
        found = []
        for charger in self._behind(contactor):
            state = depot.kernel.charger(depot.tables.charger_index[charger.id])
            drawn_ma = max(state.current_ma or (0, 0, 0))
            if not state.fresh or state.vehicle not in IDLE or drawn_ma >= NOTHING_MA:
                found.append(charger.id)
        return found

    def _lacks(self, contactor: Contactor) -> str | None:
        """Where what its chargers can wake with does not fit beside all else; None: it fits."""
        depot = self._depot()
        parents = {each.id: each.parent for each in depot.site.circuits}
        more_ma = {each.id: [0, 0, 0] for each in depot.site.circuits}
        for charger in self._behind(contactor):
            state = depot.kernel.charger(depot.tables.charger_index[charger.id])
            wakes_ma = charger.draw_ma(max(charger.restart_ma, charger.alone_ma))
            circuit: str | None = charger.circuit
            while circuit is not None:
                for phase in charger.phases:
                    if phase != NO_PHASE:
                        more_ma[circuit][phase] += max(0, wakes_ma - state.draw_hi_ma)
                circuit = parents[circuit]
        for circuit, more in more_ma.items():
            if not any(more) and circuit not in self._above(contactor):
                continue
            state_of = depot.kernel.circuit(depot.tables.circuit_index[circuit])
            for phase in range(3):
                sum_ma = state_of.base_hi_ma[phase] + state_of.draw_hi_ma[phase] + more[phase]
                if sum_ma > state_of.cap_ma[phase]:
                    return (
                        f"with all that its chargers can wake with, {circuit} L{phase + 1} might "
                        f"carry {amperes_text(sum_ma)} A of {amperes_text(state_of.cap_ma[phase])}"
                    )
        return None

    def _above(self, contactor: Contactor) -> frozenset[str]:
        """The circuits on the way from its chargers to the root."""
        parents = {each.id: each.parent for each in self._depot().site.circuits}
        found = set()
        for charger in self._behind(contactor):
            circuit: str | None = charger.circuit
            while circuit is not None:
                found.add(circuit)
                circuit = parents[circuit]
        return frozenset(found)

    # What is done.

    def _hold(self, contactor: Contactor, held: bool) -> None:
        self._depot().image.hold_open(contactor.id, held)

    def _says(self, contactor: Contactor) -> bool | None:
        """Its auxiliary contact, now."""
        depot = self._depot()
        return depot.kernel.contactor(depot.tables.contactor_index[contactor.id]).contact

    async def _opens(self, contactor: Contactor) -> tuple[float | None, bool | None]:
        """How long until it said so, None in time; and what it says."""
        clock = self._depot().image.clock
        began_ns = clock.now_ns()
        allowed_s = (contactor.opens_ns + ALLOWED_NS) / NS_PER_S
        opened = await _comes(lambda: self._says(contactor) is False, allowed_s)
        took_s = (clock.now_ns() - began_ns) / NS_PER_S
        return (took_s if opened else None), self._says(contactor)

    async def _close(self, contactor: Contactor) -> None:
        """When all behind it count as dead, or had their time to, and what they wake with fits."""
        try:
            await _comes(lambda: self._silent(contactor), SILENT_WITHIN_S)
            await _comes(lambda: self._lacks(contactor) is None, None)
        finally:
            self._hold(contactor, False)
        await _comes(lambda: self._says(contactor) is True, CLOSES_WITHIN_S)

    def _silent(self, contactor: Contactor) -> bool:
        depot = self._depot()
        states = (
            depot.kernel.charger(depot.tables.charger_index[each.id])
            for each in self._behind(contactor)
        )
        return not any(state.fresh for state in states)


def _refused(contactor: str, why: str) -> ProoftestAnswer:
    return ProoftestAnswer(contactor=contactor, outcome="refused", opened_s=None, why=why)


async def _comes(true: Callable[[], bool], within_s: float | None) -> bool:
    """Whether it comes true in that time; None: it is waited for as long as it takes."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        if true():
            return True
        if within_s is not None and loop.time() - began_s > within_s:
            return False
        await asyncio.sleep(LOOK_S)
