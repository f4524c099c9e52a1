"""What a source shows when the chargers' draw steps: the same step, its mirror, or another phase's.

A step is a change of what the chargers (or sub-meters) below a source tell together, from one
steady stretch to the next. The base load moves as it likes and the controller answers it, so a
single step proves nothing, and the tests lean to innocence: a source has followed when at any
instant since the stretch before it stood a step away from where it stands now.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cext.rows import Phases
from controller.history import SPAN_NS, History, Hull

STEP_MA = 4_000  # a smaller change may be anybody's
STEADY_MA = 1_500
LONGEST_NS = 20_000_000_000  # from one steady stretch to the next; else they are strangers
PROOFS = 4  # steps in a row: three came about by chance in 1 of 300 healthy depots within 10 min
SLOWEST_NS = 2_000_000_000  # lag and poll of a source that can tell a step from the answer to it
_MARGIN_MA = 1_000
_MARGIN_DIVISOR = 20  # 5 % of the step
_SWAPS: tuple[Phases, ...] = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A steady one: what below told, and what the source showed of it."""

    at_ns: int
    shown_from_ns: int
    told: Hull
    shown: Hull


@dataclass(slots=True)
class Steps:
    """One source against one view of what is below it."""

    error_ma: int
    lag_ns: int
    poll_ns: int
    below_ns: int  # how old what below tells may be
    unsigned: bool
    upright: list[int] = field(default_factory=lambda: [0, 0, 0])  # steps followed, per phase,
    mirrored: list[int] = field(default_factory=lambda: [0, 0, 0])  # since the last mirrored one
    swapped: dict[Phases, int] = field(default_factory=dict)  # steps that fit no other way
    straight: int = 0  # steps followed since the last that did
    fits: list[bool] = field(default_factory=list)  # whether the last steps were of just that size
    last: str = ""  # the last step in words
    _before: _Stretch | None = None

    @property
    def told_swap(self) -> Phases | None:
        if not self.swapped:
            return None
        proved = [swap for swap, count in self.swapped.items() if count >= PROOFS]
        return min(proved) if proved else None

    def look(self, now_ns: int, shown: History, told: History) -> None:
        """At the arrival of a reading: has a step been completed?"""
        wide_ns = self.below_ns + self.lag_ns + self.poll_ns + 3 * SPAN_NS
        below = told.held(now_ns - wide_ns, now_ns)
        if below is None:
            self._before = None
            return
        if self._before is not None and now_ns - self._before.at_ns > LONGEST_NS:
            self._before = None
        if below.width_ma() > STEADY_MA:
            return
        from_ns = now_ns - wide_ns + self.lag_ns
        here = shown.within(from_ns, now_ns - self.below_ns)
        if here is None:
            return
        before, self._before = self._before, _Stretch(now_ns, from_ns, below, here)
        if before is None:
            return
        step = [_step_ma(before.told, below, p) for p in range(3)]
        if any(step):
            span = shown.held(before.shown_from_ns, now_ns)
            if span is not None:
                self._judge(step, before, here, span)

    def _judge(self, step: list[int], before: _Stretch, here: Hull, span: Hull) -> None:
        big = [p for p in range(3) if step[p]]
        self.last = ", ".join(f"L{p + 1} by {step[p] / 1000:+.0f} A" for p in big)
        self.fits = [*self.fits, all(self._fits(p, step[p], before.shown, here) for p in big)][-4:]
        if self.unsigned or self.lag_ns + self.poll_ns > SLOWEST_NS:
            return
        follows = [self._follows(p, step[p], here, span) for p in range(3)]
        for p in big:
            if follows[p]:
                self.upright[p], self.mirrored[p] = self.upright[p] + 1, 0
            elif self._fits(p, -step[p], before.shown, here):
                self.upright[p], self.mirrored[p] = 0, self.mirrored[p] + 1
        for swap in _SWAPS:
            fits = all(self._fits(p, step[swap[p]], before.shown, here) for p in range(3))
            if fits and not all(follows):
                self.straight = 0
                self.swapped[swap] = self.swapped.get(swap, 0) + 1
            elif all(follows) and not fits:
                self.swapped.pop(swap, None)
        if all(follows) and not self.swapped:
            self.straight += 1

    def _margin_ma(self, step_ma: int) -> int:
        return self.error_ma + _MARGIN_MA + abs(step_ma) // _MARGIN_DIVISOR

    def _follows(self, p: int, step_ma: int, here: Hull, span: Hull) -> bool:
        """Since the stretch before it stood, at some time, a step away from here."""
        if step_ma >= 0:
            return here.hi[p] - span.lo[p] >= step_ma - self._margin_ma(step_ma)
        return span.hi[p] - here.lo[p] >= -step_ma - self._margin_ma(step_ma)

    def _fits(self, p: int, step_ma: int, before: Hull, here: Hull) -> bool:
        """It moved by just the step."""
        margin_ma = self._margin_ma(step_ma)
        least, most = here.lo[p] - before.hi[p], here.hi[p] - before.lo[p]
        return least - margin_ma <= step_ma <= most + margin_ma


def _step_ma(before: Hull, after: Hull, p: int) -> int:
    """At least so far it went; 0 where it may as well not have gone."""
    up, down = after.lo[p] - before.hi[p], before.lo[p] - after.hi[p]
    if up >= STEP_MA:
        return up
    return -down if down >= STEP_MA else 0
