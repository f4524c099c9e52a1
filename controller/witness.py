"""One source under examination: what it shows by itself, and against what is below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from cext.rows import ALL_PHASES, Phases, SourceRow
from controller.history import History, Hull, apart_ma, magnitudes
from controller.steps import PROOFS, Steps
from controller.units import NS_PER_S, amperes_text

MOVED_MA = 3_000  # what must have shown
SAME_LEAST = 4  # readings alike before they are called unchanged
LIVELY_LEAST = 10  # and of a source that otherwise never stands still
LIVELY_PPK = 500
BEYOND = 10  # times the rating: no reading
BEYOND_LEAST_MA = 200_000
SPIKE_LEAST_MA = 50_000
ODD_READINGS = 3  # within ODD_WITHIN_NS
ODD_WITHIN_NS = 60 * NS_PER_S
STRAYS = 3  # comparisons in a row
SPREAD_DIVISOR = 20  # 5 % of what is compared: transformers, power factors
MARGIN_MA = 1_000

NOWHERE = (0, 0, 0)

Verdict = str | bool | None
"""Evidence against a source; True: in order; None: nothing to be said at this moment."""


@dataclass(slots=True)
class Below:
    """The sum of all that is told below a source."""

    what: str
    stale_ns: int  # how old any part of it may be
    parts: dict[int, Phases | None]
    error_ma: int = 0  # by how much all of it may be told too high
    history: History = field(default_factory=History)
    unknown: int = 0  # parts
    total_ma: Phases = (0, 0, 0)  # of those that are known

    def __post_init__(self) -> None:
        self.unknown = len(self.parts)

    def put(self, part: int, at_ns: int, value: Phases | None) -> None:
        """Where a part becomes known or unknown, all that went before cannot be compared."""
        before = self.parts[part]
        if value == before:
            return
        self.parts[part] = value
        if before is None or value is None:
            self.history.clear()
            self.unknown += (value is None) - (before is None)
        less, more, total = before or (0, 0, 0), value or (0, 0, 0), self.total_ma
        self.total_ma = (
            total[0] + more[0] - less[0],
            total[1] + more[1] - less[1],
            total[2] + more[2] - less[2],
        )
        if self.unknown < len(self.parts):
            self.history.add(at_ns, self.total_ma)

    @property
    def whole(self) -> bool:
        return self.unknown == 0


class _Start(NamedTuple):
    """What others showed when a source's readings began to be alike."""

    history_ns: int
    same_ns: int
    hull: Hull


class Witness:
    """A source. `bare_ma`: where nothing but metered chargers is on its circuit, by how much
    their reports may be off together; None elsewhere. `unmeasured`: phases that the other source
    of its circuit does not measure."""

    def __init__(
        self,
        row: SourceRow,
        rating_ma: Phases,
        below: list[Below],
        bare_ma: int | None,
        unmeasured: tuple[int, ...] = (),
    ) -> None:
        self.row = row
        self._unmeasured = unmeasured
        self.below = below
        self.peers: list[Witness] = []
        self.shown = History()
        self.at_ns = 0
        self.steps = [
            Steps(row.error_ma, row.lag_ns, row.poll_ns, each.stale_ns, row.unsigned)
            for each in below
        ]
        self._most_ma = max(BEYOND * max(rating_ma), BEYOND_LEAST_MA)
        self._spike_ma = max(2 * max(rating_ma), SPIKE_LEAST_MA)
        self._bare_ma = bare_ma
        self._recent: tuple[Phases | None, Phases | None] = None, None  # the last two
        self._odd_ns: list[int] = []
        self._odd = ""
        self._same = 0
        self._same_ns = 0
        self._still: list[int | None] = [None, None, None]  # what each phase shows, and since when
        self._still_ns = [0, 0, 0]
        self._stilled_ns = 0  # when that was looked at last
        self._dead: dict[int, str] = {}  # phases that stood still when they could not
        self._life_ppk = 0
        self._starts: dict[tuple[int, int], _Start] = {}  # by view, and phase or ALL_PHASES
        self._compared: tuple[int, Phases] | None = None
        self._strays = 0
        self._stray = ""

    def take(self, at_ns: int, value: Phases) -> str | None:
        """A reading; why it cannot be one, if so."""
        if self.row.unsigned:
            value = (abs(value[0]), abs(value[1]), abs(value[2]))
        if max(map(abs, value)) > self._most_ma:
            worst = max(range(3), key=lambda p: abs(value[p]))
            self._odd = (
                f"{amperes_text(value[worst])} A on L{worst + 1} is beyond what can flow there, "
                f"{amperes_text(self._most_ma)} A"
            )
            self._note_odd(at_ns)
            return self._odd
        if self._unmeasured:
            one, two, three = (0 if p in self._unmeasured else value[p] for p in range(3))
            value = one, two, three
        self._note_life(at_ns, value)
        self._note_spike(at_ns, value)
        self.at_ns = at_ns
        self.shown.add(at_ns, value)
        return None

    def forget(self) -> None:
        """It was silent: what it showed before is no neighbour of what it shows now."""
        self.shown.clear()
        self._recent = None, None
        self._same = 0
        self._still = [None, None, None]
        self._dead.clear()
        self._starts.clear()
        self._compared = None

    def look(self) -> None:
        """After a reading: have the chargers stepped?"""
        for steps, below in zip(self.steps, self.below, strict=True):
            steps.look(self.at_ns, self.shown, below.history)

    # What it may be guilty of.

    def frozen(self) -> Verdict:
        """The whole of it, or one phase alone."""
        self._look_for_dead()
        if self._dead:
            return next(iter(self._dead.values()))
        if self._same == 1:
            return True
        if self._same < SAME_LEAST:
            return None
        lively = self._life_ppk >= LIVELY_PPK and self._same >= LIVELY_LEAST
        others = [(each.history, each.stale_ns, each.what) for each in self.below]
        if lively:
            others += [
                (each.shown, each.row.lag_ns + each.row.poll_ns, "the other source")
                for each in self.peers
            ]
        for number, (history, stale_ns, what) in enumerate(others):
            apart = self._moved((number, ALL_PHASES), self._same_ns, history, stale_ns)
            phase = max(range(3), key=lambda p: abs(apart[p]))
            if self._must_show(apart[phase]):
                return (
                    f"no digit changed in {self._same} readings, "
                    f"while {what} moved by {amperes_text(apart[phase])} A on L{phase + 1}"
                )
        return None

    def _look_for_dead(self) -> None:
        """A phase that shows the same while what is below it moved on it, whatever the others do.

        It is alive again with the first digit that changes.
        """
        last = self.shown.last
        if last is None:
            return
        lately = self.shown.lately(self._stilled_ns)
        self._stilled_ns = self.at_ns
        for p in range(3):
            if lately is None or not lately.lo[p] == lately.hi[p] == self._still[p]:
                self._still[p], self._still_ns[p] = last[p], self.at_ns
                self._dead.pop(p, None)
            elif p not in self._dead:
                self._suspect_dead(p)

    def _suspect_dead(self, p: int) -> None:
        lasts_ns = self.at_ns - self._still_ns[p]
        if lasts_ns < SAME_LEAST * self.row.poll_ns:
            return
        for number, below in enumerate(self.below):
            apart = self._moved((number, p), self._still_ns[p], below.history, below.stale_ns)
            if self._must_show(apart[p]):
                self._dead[p] = (
                    f"no digit of L{p + 1} changed for {lasts_ns // NS_PER_S} s, while "
                    f"{below.what} moved by {amperes_text(apart[p])} A there"
                )

    def _must_show(self, moved_ma: int) -> bool:
        return abs(moved_ma) >= max(MOVED_MA, 2 * self.row.error_ma)

    def _moved(self, key: tuple[int, int], same_ns: int, history: History, stale_ns: int) -> Phases:
        """How far others have moved since its readings are alike, as far as it ought to show."""
        row = self.row
        start = self._starts.get(key)
        if start is None or start.same_ns != same_ns or start.history_ns != history.begun_ns:
            since_ns = max(same_ns - row.lag_ns, history.begun_ns)
            until_ns = max(same_ns, history.begun_ns) + stale_ns
            hull = history.held(since_ns, until_ns) if self.at_ns >= until_ns else None
            if hull is not None:
                self._starts[key] = _Start(history.begun_ns, same_ns, hull)
            return NOWHERE
        since_ns = self.at_ns - stale_ns - row.lag_ns - row.poll_ns
        now = history.held(since_ns, self.at_ns) if since_ns > same_ns else None
        return NOWHERE if now is None else apart_ma(start.hull, now)

    def short(self) -> bool:
        """Whether it shows less than what is below it told to draw, all the time of late."""
        for below in self.below:
            wide_ns = self.row.lag_ns + self.row.poll_ns + 2 * below.stale_ns
            told = below.history.held(self.at_ns - wide_ns, self.at_ns) if below.whole else None
            mine = self.shown.held(self.at_ns - wide_ns, self.at_ns)
            if told is None or mine is None:
                continue
            for p in range(3):
                margin_ma = self.row.error_ma + MARGIN_MA + abs(told.lo[p]) // SPREAD_DIVISOR
                if mine.hi[p] < told.lo[p] - below.error_ma - margin_ma:
                    return True
        return False

    def jumps(self, now_ns: int) -> Verdict:
        self._odd_ns = [each for each in self._odd_ns if now_ns - each < ODD_WITHIN_NS]
        if len(self._odd_ns) >= ODD_READINGS:
            return f"{self._odd}; {len(self._odd_ns)} such readings in a minute"
        return not self._odd_ns or None

    def reversed(self) -> Verdict:
        for p in range(3):
            for steps, below in zip(self.steps, self.below, strict=True):
                if steps.mirrored[p] < PROOFS or any(each.upright[p] for each in self.steps):
                    continue
                return (
                    f"{PROOFS} times {below.what} stepped and L{p + 1} showed the mirror image "
                    f"(last: {steps.last}): is that transformer the wrong way round?"
                )
        upright = [steps for steps in self.steps if not any(steps.mirrored)]
        return any(sum(steps.upright) >= PROOFS for steps in upright) or None

    def swapped(self) -> Verdict:
        for steps, below in zip(self.steps, self.below, strict=True):
            swap = steps.told_swap
            if swap is not None and not any(each.straight for each in self.steps):
                wrong = " ".join(f"L{p + 1}" for p in range(3) if swap[p] != p)
                return (
                    f"{PROOFS} times {below.what} stepped and other phases showed it "
                    f"(last: {steps.last}): are {wrong} exchanged, here or at the chargers?"
                )
        return any(steps.straight >= PROOFS for steps in self.steps) or None

    def strays(self, now_ns: int) -> Verdict:
        """Below the sum of its chargers, where there is nothing else.

        One that shows more is believed: there may be a load that nobody declared, and without
        the source it would count nothing.
        """
        if self._bare_ma is None or not self.below or not self.below[0].whole:
            self._compared, self._strays = None, 0
            return None
        off = self._off_sum(now_ns, self.below[0], self.row.error_ma + self._bare_ma)
        if off is None:
            return None
        self._strays = self._strays + 1 if off else 0
        if self._strays < STRAYS:
            return not off or None
        return f"{off} off the sum of its chargers, with nothing else on the circuit: it shows less"

    def _off_sum(self, now_ns: int, below: Below, error_ma: int) -> str | None:
        """Of one reading, when all reports of its time are there: "" for none; else not yet."""
        if self._compared is None:
            self._compared = (self.at_ns, self.shown.last) if self.shown.last else None
        if self._compared is None or now_ns < self._compared[0] + below.stale_ns:
            return None
        at_ns, value = self._compared
        self._compared = None
        sums = below.history.held(at_ns - self.row.lag_ns, at_ns + below.stale_ns)
        if sums is None:
            return None
        return off_ma(value, sums, error_ma, 0, self.row.unsigned, above=False) or ""

    # What it remembers.

    def _note_life(self, at_ns: int, value: Phases) -> None:
        if value == self.shown.last:
            self._same += 1
            return
        for _ in range(min(self._same - 1, 16)):  # the stretch that ends now, reading by reading
            self._life_ppk -= self._life_ppk // 16
        self._life_ppk += (1000 - self._life_ppk) // 16 + 1
        self._same, self._same_ns = 1, at_ns

    def _note_spike(self, at_ns: int, value: Phases) -> None:
        """There and back within three readings, by more than anything on this circuit."""
        before, spike = self._recent
        self._recent = spike, value
        if before is None or spike is None:
            return
        for p in range(3):
            out = spike[p] - before[p]
            if -self._spike_ma <= out <= self._spike_ma:
                continue
            back = spike[p] - value[p]
            if abs(back) > self._spike_ma and abs(out - back) < self._spike_ma // 4:
                self._odd = (
                    f"L{p + 1} went from {amperes_text(before[p])} A to {amperes_text(spike[p])} A "
                    f"and back within three readings"
                )
                self._note_odd(at_ns)
                return

    def _note_odd(self, at_ns: int) -> None:
        self._odd_ns = [*self._odd_ns, at_ns][-ODD_READINGS:]


def off_ma(
    value: Phases, seen: Hull, error_ma: int, spread_ppm: int, unsigned: bool, *, above: bool = True
) -> str | None:
    """By how much, and where, a value lies outside what was seen; None where it does not.

    It may be higher than the truth by `spread_ppm`, and anything by errors; by anything at all
    without `above`.
    """
    if unsigned:
        seen = magnitudes(seen)
    for p in range(3):
        least, most = seen.lo[p], seen.hi[p]
        margin_ma = error_ma + MARGIN_MA + max(abs(least), abs(most)) // SPREAD_DIVISOR
        margin_ma += (most - least) // 2
        above_ma = value[p] - most - margin_ma - abs(value[p]) * spread_ppm // 1_000_000
        below_ma = least - margin_ma - value[p]
        if above and above_ma > 0:
            return f"L{p + 1} is {amperes_text(value[p] - most)} A"
        if below_ma > 0:
            return f"L{p + 1} is {amperes_text(value[p] - least)} A"
    return None
