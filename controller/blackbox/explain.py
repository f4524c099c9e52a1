"""Why had that charger that setpoint then? In words, for an engineer at night.

The segment is decided again up to that moment, so that everything the kernel knew is there to be
asked: not what was logged, but what it went by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cext.rows import ROOT, ChargerState, CircuitState, Output
from controller.blackbox.moments import Moment, Recorded, moment, survey
from controller.blackbox.needed import Place, needed
from controller.blackbox.reader import Batch, Segment, SegmentError
from controller.blackbox.replay import Play
from controller.blackbox.segment import Note
from controller.journal import decode
from controller.reasons import Reasons
from controller.records import Tick
from controller.units import NS_PER_S, less
from controller.watts import told_mw

AROUND_NS = 60 * NS_PER_S  # events of that long before are told
EVENTS = 12
LOOKED_BACK = 48  # segments, for when an order began


@dataclass(frozen=True, slots=True)
class Change:
    """When an order became what it is."""

    at: datetime
    ago_ns: int
    from_ma: int | None
    known: bool  # False: it was so already when the recording began


@dataclass(slots=True)
class Explanation:
    """The answer, with all that it was made from."""

    charger: str
    at: datetime
    trusted: bool
    tick: int
    setpoint_ma: int | None
    why: str
    cause: str
    rule: str
    change: Change
    state: ChargerState
    report_age_ns: int | None
    places: list[Place] = field(default_factory=list)
    needed: str = ""
    events: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)  # why the answer itself may not be whole
    setpoint_w: int | None = None  # as it is written; None: commanded in amperes


def explain(paths: Sequence[Path], when: str, charger: str) -> Explanation:
    """Raises MomentError for a time, and LookupError for a charger, that is not there; and
    NotReplayableError."""
    recorded = survey(paths)
    chargers = {id_ for each in recorded for id_ in each.header.charger_ids}
    if charger not in chargers:
        known = ", ".join(sorted(chargers)[:20]) or "none"
        raise LookupError(f"there is no charger {charger} in this recording; there are: {known}")
    then = moment(when, recorded)
    if charger not in then.recorded.header.charger_ids:
        raise LookupError(f"there was no charger {charger} at {then.local.isoformat(' ')}")
    return _Story(then, recorded, charger).tell()


class _Story:
    """Follows one charger through a segment, up to a moment."""

    def __init__(self, then: Moment, recorded: Sequence[Recorded], charger: str) -> None:
        self.then = then
        self.recorded = recorded
        self.charger = charger
        self.header = then.recorded.header
        self.index = self.header.charger_ids.index(charger)
        self.reasons = Reasons(self.header.circuit_ids, self.header.slot_ids)
        self.notes: list[Note] = []
        self.reported_ns: int | None = None

    def tell(self) -> Explanation:
        segment = Segment(self.then.recorded.path)
        play = Play(segment)
        since: tuple[int, int | None] | None = None  # when it changed, and from what
        order = play.kernel.output(self.index).setpoint_ma
        for step in play.steps(self.then.now_ns):
            match step:
                case Note():
                    self.notes.append(step)
                case Tick():
                    now_ma = play.kernel.output(self.index).setpoint_ma
                    if now_ma != order:
                        since = step.now_ns, order
                    order = now_ma
                case _ if getattr(step, "charger", None) == self.index:
                    self.reported_ns = getattr(step, "at_ns", self.reported_ns)
                case _:
                    pass
        return self._answer(play, segment, since)

    def _answer(
        self, play: Play, segment: Segment, since: tuple[int, int | None] | None
    ) -> Explanation:
        kernel = play.kernel
        out, state = kernel.output(self.index), kernel.charger(self.index)
        places = [self._place(each, kernel.circuit(each), kernel.now_ns) for each in self._path()]
        return Explanation(
            charger=self.charger,
            at=self.then.local,
            trusted=play.stamp.trusted,
            tick=out.tick,
            setpoint_ma=out.setpoint_ma,
            setpoint_w=self._power_w(out.setpoint_ma),
            why=self.reasons.words(out.why),
            cause=self.reasons.words(out.cause),
            rule=out.why.rule.name.lower(),
            change=self._change(out, since),
            state=state,
            report_age_ns=None
            if self.reported_ns is None
            else max(0, kernel.now_ns - self.reported_ns),
            places=places,
            needed=self._needed(out, state, places),
            events=list(self._events()),
            doubts=list(self._doubts(play, segment)),
        )

    def _power_w(self, setpoint_ma: int | None) -> int | None:
        """What was written for a setpoint, where it is commanded in watts."""
        power = self.header.powers[self.index] if self.header.powers else None
        if power is None or setpoint_ma is None:
            return None
        return told_mw(*power, setpoint_ma) // 1000

    def _path(self) -> Iterator[int]:
        circuit = self.header.chargers[self.index].circuit
        while circuit != ROOT:
            yield circuit
            circuit = self.header.circuits[circuit].parent

    def _place(self, index: int, state: CircuitState, now_ns: int) -> Place:
        row = self.header.circuits[index]
        l1, l2, l3 = (self.reasons.slot(slot) for slot in state.slot)
        free = [
            cap - base - draw
            for cap, base, draw in zip(
                state.cap_ma, state.base_hi_ma, state.draw_hi_ma, strict=True
            )
        ]
        return Place(
            circuit=self.header.circuit_ids[index],
            cap_ma=state.cap_ma,
            bound_by=(l1, l2, l3),
            reading_ma=state.reading_ma,
            reading_age_ns=now_ns - state.reading_at_ns if state.reading_at_ns else None,
            base_ma=state.base_hi_ma,
            draw_ma=state.draw_hi_ma,
            free_ma=(free[0], free[1], free[2]),
            excess_ma=state.excess_ma,
            beyond_control=state.beyond_control,
            together=state.together,
            bar_ma=None if row.busbar_ma is None else less(row.busbar_ma, state.worst_base_ma),
            imbalance_ma=row.imbalance_ma,
        )

    # Since when.

    def _change(self, out: Output, since: tuple[int, int | None] | None) -> Change:
        here = self.then.recorded
        if since is not None:
            at_ns, before_ma = since
            return Change(here.local(at_ns), self.then.now_ns - at_ns, before_ma, known=True)
        first = here.stamps[0].now_ns
        for each in list(self._earlier())[:LOOKED_BACK]:
            found = _last_change(each, self.charger)
            if found is not None:
                at_ns, before_ma = found
                return Change(each.local(at_ns), self.then.now_ns - at_ns, before_ma, known=True)
            first = each.stamps[0].now_ns
            here = each
        return Change(here.local(first), self.then.now_ns - first, out.setpoint_ma, known=False)

    def _earlier(self) -> Iterator[Recorded]:
        """Segments before, newest first, as far back as this boot and this charger go."""
        at = [each.path for each in self.recorded].index(self.then.recorded.path)
        for each in reversed(self.recorded[:at]):
            if each.header.boot_id != self.header.boot_id:
                return
            if self.charger not in each.header.charger_ids:
                return
            yield each

    def _needed(self, out: Output, state: ChargerState, places: Sequence[Place]) -> str:
        why, header = out.why, self.header
        by_id = {each.circuit: each for each in places}
        place = by_id.get(header.circuit_ids[why.circuit]) if why.circuit >= 0 else None
        row = header.chargers[self.index]
        return needed(why, place, row, header.tuning, state.advice, self.then.now_ns)

    # What happened around, and what is missing.

    def _events(self) -> Iterator[str]:
        begins_ns = self.then.now_ns - AROUND_NS
        near = [note for note in self.notes if begins_ns <= note.at_ns <= self.then.now_ns]
        for note in near[-EVENTS:]:
            at = self.then.recorded.local(note.at_ns).strftime("%H:%M:%S")
            words = " ".join(each for each in (note.what.replace("_", " "), note.subject) if each)
            yield f"{at} {words}" + (f": {note.why}" if note.why else "")

    def _doubts(self, play: Play, segment: Segment) -> Iterator[str]:
        if not play.stamp.trusted:
            yield "the wall clock was not trusted then: the time is as it showed"
        if play.difference is not None:
            yield (
                f"this recording is not decided again alike (tick {play.difference.tick}):"
                " what is said here may not be what happened"
            )
        if play.lost and not play.arrived:
            yield f"{play.lost} records are lost before that moment: this is what was known before"
        if segment.problem is not None and not play.arrived:
            yield f"the recording ends before that moment: {segment.problem}"


def _last_change(recorded: Recorded, charger: str) -> tuple[int, int | None] | None:
    """In a whole segment, from its ticks alone."""
    index = recorded.header.charger_ids.index(charger)
    found: tuple[int, int | None] | None = None
    known, order_ma = False, None
    try:
        parts = Segment(recorded.path).parts()
    except SegmentError:  # gone since it was surveyed
        return None
    for part in parts:
        if not isinstance(part, Batch):
            continue
        for record in decode(part.journal):
            if not isinstance(record, Tick):
                continue
            for order in record.orders:
                if order.charger != index or (known and order.setpoint_ma == order_ma):
                    continue
                if known:
                    found = record.now_ns, order_ma
                known, order_ma = True, order.setpoint_ma
    return found
