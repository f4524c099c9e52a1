"""Decides again what was decided: a kernel of the same tables, from the same state, is given the
same inputs at the same instants, and must say the same, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cext.rows import NEVER_NS, Why
from cext.snapshot import restore
from cext.tick import Kernel
from controller.blackbox.feeding import feed
from controller.blackbox.reader import Batch, Header, Segment, SegmentError
from controller.blackbox.segment import Note, Stamp, segments_in
from controller.journal import JournalError, decode, join, record, split
from controller.reasons import Reasons
from controller.records import Lost, Order, Record, Switch, Tick
from controller.units import amperes_text


class NotReplayableError(Exception):
    """What there is cannot be replayed at all; says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that was not said again."""

    path: Path
    tick: int
    at_ns: int
    stamp: Stamp
    what: str  # a charger, a contactor, or "" for the tick itself
    recorded: str
    replayed: str


@dataclass(slots=True)
class Outcome:
    """Of all segments that were asked for."""

    segments: int = 0
    ticks: int = 0
    records: int = 0
    gaps: list[str] = field(default_factory=list)
    damaged: int = 0  # files of which some cannot be read, though no crash explains it
    difference: Difference | None = None

    @property
    def proves(self) -> bool:
        """Something was decided again, all of it alike, and nothing is known to be hidden."""
        return self.difference is None and self.ticks > 0 and self.damaged == 0


class Play:
    """One segment on a kernel of its own."""

    def __init__(self, segment: Segment) -> None:
        """Raises NotReplayableError."""
        header = segment.header
        self.segment = segment
        self.header = header
        self.stamp = header.stamp
        self.difference: Difference | None = None
        self.records = 0
        self.lost = 0
        self.arrived = False  # at the instant that was asked for
        self._until_ns = NEVER_NS
        self._orders: dict[int, Order] = {}  # as recorded
        self._switches: dict[int, Switch] = {}
        try:
            self.kernel = Kernel(
                header.circuits,
                header.sources,
                header.chargers,
                header.slots,
                header.tuning,
                header.contactors,
            )
            restore(self.kernel, segment.state)
        except ValueError as error:
            said = f"{segment.path} (version {header.version}): {error}"
            raise NotReplayableError(said) from error
        self.first_tick = self.kernel.ticks

    def steps(self, until_ns: int = NEVER_NS) -> Iterator[Record | Note]:
        """Each record once it was fed, and each note, up to the last tick until then; ends before
        with a difference or a loss."""
        self._until_ns = until_ns
        recorded = bytearray()
        for part in self.segment.parts():
            if isinstance(part, Note):
                yield part
                continue
            self.stamp = part.stamp
            try:
                yield from self._batch(part, recorded)
            except (JournalError, ValueError, IndexError) as error:
                self.segment.fail(f"a record makes no sense here: {error}")
                return
            if self.difference is not None or self.lost or self.arrived:
                return

    def _batch(self, batch: Batch, recorded: bytearray) -> Iterator[Record]:
        for _, kind, words in split(batch.journal):
            told = record(kind, words)
            if isinstance(told, Tick) and told.now_ns > self._until_ns:
                self.arrived = True
                return
            if isinstance(told, Lost):
                self.lost = told.lost
                return
            feed(self.kernel, told)
            recorded += join(kind, words)
            self.records += 1
            if isinstance(told, Tick):
                self._judge(told, bytes(recorded))
                recorded.clear()
            yield told
            if self.difference is not None:
                return

    def _judge(self, tick: Tick, recorded: bytes) -> None:
        self._orders |= {order.charger: order for order in tick.orders}
        self._switches |= {switch.contactor: switch for switch in tick.contactors}
        replayed = self.kernel.drain()
        if replayed != recorded:
            self.difference = self._difference(tick, recorded, replayed)

    def _difference(self, tick: Tick, recorded: bytes, replayed: bytes) -> Difference:
        said = [*decode(recorded)], [*decode(replayed)]
        header, kernel = self.header, self.kernel
        reasons = Reasons(header.circuit_ids, header.slot_ids)
        what, then, now = "", _count(said[0]), _count(said[1])
        if kernel.ticks != tick.tick:
            what, then, now = "", f"tick {tick.tick}", f"tick {kernel.ticks}"
        for index, order in self._orders.items():
            out = kernel.output(index)
            if (order.setpoint_ma, order.why, order.cause) != (out.setpoint_ma, out.why, out.cause):
                what = header.charger_ids[index]
                then = _order_words(order.setpoint_ma, order.why, order.cause, reasons)
                now = _order_words(out.setpoint_ma, out.why, out.cause, reasons)
                break
        for index, switch in self._switches.items():
            state = kernel.contactor(index)
            if not what and (switch.closed, switch.why) != (state.closed, state.why):
                what = header.contactor_ids[index]
                then = _switch_words(switch.closed, switch.why, reasons)
                now = _switch_words(state.closed, state.why, reasons)
        return Difference(self.segment.path, tick.tick, tick.now_ns, self.stamp, what, then, now)


def _count(records: Sequence[Record]) -> str:
    return f"{len(records)} records, the last {records[-1] if records else None}"


def _order_words(setpoint_ma: int | None, why: Why, cause: Why, reasons: Reasons) -> str:
    amps = "nothing yet" if setpoint_ma is None else f"{amperes_text(setpoint_ma)} A"
    return f"{amps}; now: {reasons.words(why)}; changed because: {reasons.words(cause)}"


def _switch_words(closed: bool, why: Why, reasons: Reasons) -> str:
    return f"{'closed' if closed else 'open'}: {reasons.words(why)}"


def find(path: Path) -> list[Path]:
    """A file, or all segments of a directory, oldest first. Raises NotReplayableError."""
    if not path.is_dir():
        return [path]
    try:
        found = segments_in(path)
    except OSError as error:
        raise NotReplayableError(f"{path}: {error.strerror}") from error
    if not found:
        raise NotReplayableError(f"{path}: there is no segment of a black box in here")
    return found


def replay(paths: Sequence[Path]) -> Outcome:
    """All of them in that order, up to the first difference. Raises NotReplayableError.

    What cannot be read is a gap, and the next segment begins anew, from its own state.
    """
    outcome = Outcome()
    before: Header | None = None
    reached = 0
    for path in paths:
        try:
            segment = Segment(path)
        except SegmentError as error:
            outcome.gaps.append(str(error))
            outcome.damaged += not error.cut_off
            continue
        play = Play(segment)
        header = segment.header
        if before is not None and before.boot_id == header.boot_id and reached < play.first_tick:
            missing = play.first_tick - reached
            outcome.gaps.append(f"{path.name}: {missing} ticks before it were not recorded")
        for step in play.steps():
            outcome.ticks += isinstance(step, Tick)
        outcome.segments += 1
        outcome.records += play.records
        if play.lost:
            outcome.gaps.append(
                f"{path.name}: {play.lost} records were lost before they were taken"
            )
        if segment.problem is not None:
            outcome.gaps.append(f"{path.name}: {segment.problem}")
            outcome.damaged += segment.damaged
        if play.difference is not None:
            outcome.difference = play.difference
            return outcome
        before, reached = header, play.kernel.ticks
    if outcome.segments == 0:
        raise NotReplayableError("; ".join(outcome.gaps))
    return outcome


__all__ = ["Difference", "NotReplayableError", "Outcome", "Play", "find", "replay"]
