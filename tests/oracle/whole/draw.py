"""What a charger may be drawing, from what it was told, what it told, and when.

The most: the highest setpoint that may still be in force, with tolerance and standby, and never
less than what was measured. The least: the least of its reports in a window, less their error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.site import Charger, S, Triple
from tests.oracle.whole.span import MILLION, Span, between, exactly

UNPROVEN_AFTER_NS = 10 * S
FREED_AFTER_NS = 30 * S
FREE_BELOW_MA = 500
CARRIES_MA = 5000
KEPT = 150  # more than 30 s of polls
BUCKETS_NS = 1 * S  # a window may be kept in coarse steps: so much longer than it is


class Report(NamedTuple):
    at_ns: int
    in_force_ma: int | None
    current_ma: Triple | None
    vehicle: str
    written_tick: int


class Order(NamedTuple):
    tick: int
    at_ns: int
    ma: int


class Possible(NamedTuple):
    """From an instant on, these setpoints may be in force."""

    from_ns: int
    setpoints_ma: frozenset[int]


@dataclass
class ChargerDraw:
    """All that is known of one charger."""

    row: Charger
    reports: list[Report] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fallback_ma: int = 0  # what it says itself that it does alone
    doubted_ns: int | None = None  # since then its fallback is not proven
    began_ns: int | None = None  # the first tick
    confirmed_ns: int | None = None  # when it first confirmed an order
    _possible: list[Possible] = field(default_factory=list)
    _unsettled: frozenset[int] = frozenset()  # all that may have been since it was last settled
    heard_ns: int = 0  # the last tick at which it was not silent
    news: int = 0  # so often something was learnt
    _known: tuple[int, int] = (0, 0)
    _answers: dict[int, Span] = field(default_factory=dict)
    window_ns: int = 0  # for so long what it drew counts for a meter above

    def __post_init__(self) -> None:
        self._unsettled = frozenset({self.row.max_ma})

    # -- what goes in --------------------------------------------------------------------------

    def report(self, report: Report) -> None:
        self.news += 1
        if self.reports and report.at_ns <= self.reports[-1].at_ns:
            return  # newest wins
        silent_before = self.reports and self.silent(report.at_ns)
        if silent_before:
            self._may(self.silent_from_ns, self._setpoints() | self._alone())
        self.reports.append(report)
        del self.reports[:-KEPT]
        unknown = report.in_force_ma is None
        told = self.row.max_ma if report.in_force_ma is None else report.in_force_ma
        last = [order for order in self.orders if order.tick <= report.written_tick]
        if not self._possible or (last and last[-1].ma == told and not unknown):
            if last and self.confirmed_ns is None:
                self.confirmed_ns = report.at_ns
            later = {order.ma for order in self.orders if order.tick > report.written_tick}
            self._may(report.at_ns, frozenset({told} | later))
        else:
            self._may(report.at_ns, self._setpoints() | {told})

    def order(self, tick: int, at_ns: int, ma: int) -> None:
        self.news += 1
        self.orders.append(Order(tick, at_ns, ma))
        self._may(at_ns, self._setpoints() | {ma})

    def _may(self, from_ns: int, setpoints_ma: frozenset[int]) -> None:
        if setpoints_ma == self._setpoints():
            return
        if self._settled(from_ns):
            self._unsettled = self._setpoints()
        self._unsettled |= setpoints_ma
        self._possible.append(Possible(from_ns, setpoints_ma))
        del self._possible[:-KEPT]

    def _settled(self, now_ns: int) -> bool:
        """Only one setpoint may be in force, for as long as a vehicle takes to follow."""
        if self.confirmed_ns is None or len(self._setpoints()) > 1 or self.doubted_ns is not None:
            return False
        since_ns = max(self.confirmed_ns, self._possible[-1].from_ns)
        if self.reports and since_ns < self.silent_from_ns:
            now_ns = min(now_ns, self.heard_ns)  # no tick saw it settle
        return now_ns - since_ns >= self.row.settle_ns

    def _setpoints(self) -> frozenset[int]:
        return self._possible[-1].setpoints_ma if self._possible else frozenset()

    def _alone(self) -> frozenset[int]:
        """What it may have gone to by itself."""
        return frozenset({self.row.fallback_ma, self.fallback_ma, self.row.power_on_ma})

    def ticked(self, now_ns: int) -> None:
        if self.began_ns is None:
            self.began_ns = now_ns
        if not self.silent(now_ns):
            self.heard_ns = now_ns

    # -- what it is ----------------------------------------------------------------------------

    @property
    def ordered_ma(self) -> int | None:
        return self.orders[-1].ma if self.orders else None

    @property
    def silent_from_ns(self) -> int:
        return self.reports[-1].at_ns + self.row.max_age_ns + 1

    def silent(self, now_ns: int) -> bool:
        return not self.reports or now_ns >= self.silent_from_ns

    def unproven(self, now_ns: int) -> bool:
        """Did not answer, or its fallback is not proven, after 10 s."""
        since = self.doubted_ns
        if not self.reports:
            since = self.began_ns
        return since is not None and now_ns - since >= UNPROVEN_AFTER_NS

    def prove(self, now_ns: int, proven: bool | None) -> None:
        """False: not yet, or no more. Counted from the tick before, for only a tick has a time."""
        self.news += 1
        if proven is False:
            self.doubted_ns = now_ns if self.doubted_ns is None else self.doubted_ns
            return
        if self.unproven(now_ns):  # it counted at its maximum: that has to settle, too
            self._unsettled |= {self.row.max_ma}
            self.confirmed_ns = None
        self.doubted_ns = None

    # -- the most ------------------------------------------------------------------------------

    def settings(self, now_ns: int) -> Span:
        """The highest setpoint that may still be in force, or was until its vehicle followed."""
        if not self.reports:
            return exactly(self.row.max_ma, "nothing is known of it")
        found = set(self._setpoints())
        if self.silent(now_ns):
            found |= self._alone()
        settled_ns = now_ns - self.row.settle_ns
        known = [each for each in self._possible if each.from_ns > settled_ns]
        before = self._possible[: len(self._possible) - len(known)]
        for each in known + before[-1:]:
            found |= each.setpoints_ma
        if self.unproven(now_ns):
            return Span(max(found | {self.row.max_ma}), max(found | {self.row.max_ma}), "unproven")
        why = "the highest setpoint that may still be in force"
        if self._settled(now_ns):
            return exactly(max(found), why)
        return Span(max(found), max(found | self._unsettled), why)

    def drawn_at(self, setpoint_ma: int) -> Fraction:
        """The most that a charger with that setpoint draws."""
        row = self.row
        return Fraction(setpoint_ma * (MILLION + row.tolerance_ppm), MILLION) + row.standby_ma

    def setpoint_of(self, drawn_ma: int) -> int:
        """The highest setpoint at which it draws no more than that."""
        row = self.row
        return (drawn_ma - row.standby_ma) * MILLION // (MILLION + row.tolerance_ppm)

    def phases(self, now_ns: int) -> list[int]:
        """Where it surely may draw."""
        return [p for p in range(3) if self.hi_on(p, now_ns).least > 0]

    def hi(self, now_ns: int) -> Span:
        """The most that it can be drawing on any of its phases."""
        spans = [self._on(phase, now_ns) for phase in self.row.phases if phase >= 0]
        return Span(max(s.least for s in spans), max(s.most for s in spans), spans[0].why)

    def _on(self, phase: int, now_ns: int) -> Span:
        """The same, remembered while nothing new is known."""
        known = now_ns, self.news
        if known != self._known:
            self._known = known
            self._answers.clear()
        if phase not in self._answers:
            self._answers[phase] = self._hi(phase, now_ns)
        return self._answers[phase]

    def _hi(self, phase: int, now_ns: int) -> Span:
        told = self.settings(now_ns)
        least, most = self.drawn_at(told.least), self.drawn_at(told.most)
        grown = Fraction(MILLION + self.row.tolerance_ppm, MILLION)
        now_ma = self.measured(phase, now_ns, now_ns)
        late_ma = self.measured(phase, now_ns - self.window_ns - BUCKETS_NS, now_ns)
        if now_ma > least and not self.silent(now_ns):
            least = now_ma * grown
        if self.silent(now_ns) and self._disobeyed():
            # Stubborn and stale: its maximum. Suspected: what it drew, and that may be taken for a
            # setpoint, which counts with tolerance and standby once more.
            drew_ma = max(self.reports[-1].current_ma or (0,))
            most = max(most, self.drawn_at(self.row.max_ma), self.drawn_at(drew_ma))
        return between(least, max(most, late_ma * grown), told.why)

    def _disobeyed(self) -> bool:
        """It may be stubborn: it drew clearly more than it was told lately."""
        return any(
            report.current_ma is not None
            and max(report.current_ma) * 10 > ((report.in_force_ma or 0) + 500) * 11
            for report in self.reports[-20:]
        )

    def measured(self, phase: int, from_ns: int, now_ns: int) -> int:
        """The highest there since then, and by the last report before."""
        since = self.since(from_ns) if self.row.metered else []
        return max((r.current_ma[phase] for r in since if r.current_ma is not None), default=0)

    def peak_on(self, phase: int, from_ns: int, now_ns: int) -> int:
        """The highest it drew there since then: by its reports, else by what it was told."""
        if not self.row.metered:
            return self.hi(now_ns).most
        return max((r.current_ma[phase] for r in self.since(from_ns) if r.current_ma), default=0)

    def since(self, from_ns: int) -> list[Report]:
        """The reports since then, and the last one before."""
        found: list[Report] = []
        for report in reversed(self.reports):
            found.append(report)
            if report.at_ns < from_ns:
                break
        return found

    # -- phases --------------------------------------------------------------------------------

    def one_phased_ns(self, phase: int) -> int | None:
        """Since when it shows below 0.5 A there while another phase carries at least 5 A."""
        since = None
        for report in reversed(self.reports):
            amps = report.current_ma
            if amps is None or not amps[phase] < FREE_BELOW_MA or max(amps) < CARRIES_MA:
                break
            if report.vehicle != self.reports[-1].vehicle:
                break
            since = report.at_ns
        return since

    def hi_on(self, phase: int, now_ns: int) -> Span:
        """The most on that grid phase."""
        if phase not in self.row.phases:
            return Span(0, 0, "not wired there")
        hi = self._on(phase, now_ns)
        since = self.one_phased_ns(phase)
        if since is None or self.silent(now_ns) or now_ns - since < FREED_AFTER_NS:
            return hi
        return Span(0, hi.most, "may have freed that phase")

    def may_be_frozen(self, from_ns: int) -> bool:
        """Its reports stand still, although it was told clearly less: they may prove nothing."""
        told = min((order.ma for order in self.orders[-5:]), default=self.row.max_ma)
        told = min(told, *(report.in_force_ma or 0 for report in self.since(from_ns)))
        shown = self.reports[-1].current_ma
        still = len(self.reports) > 1 and self.reports[-2].current_ma == shown
        return still and shown is not None and max(shown) > told + 3 * self.row.resolution_ma

    # -- the least -----------------------------------------------------------------------------

    def lo_on(self, phase: int, from_ns: int, now_ns: int) -> Span:
        """The least of the reports since then and the last one before, less their error.

        Where none came before, nobody knows what it drew then.
        """
        if phase not in self.row.phases or not self.row.metered or self.silent(now_ns):
            return Span(0, 0)
        shown = [r.current_ma[phase] if r.current_ma else 0 for r in self.since(from_ns)]
        least = max(0, min(shown) - self.row.error_ma)
        overdue_ns = self.row.poll_ns + self.row.lag_ns  # the next one stays out
        late = now_ns - self.reports[-1].at_ns > overdue_ns or self.may_be_frozen(from_ns)
        return Span(0 if late or self.reports[0].at_ns >= from_ns else least, least)
