"""What the guard knows of one charger: its orders, what it told of itself, what it can be drawing.

Every sum is the least that the rules allow to be counted: controller.guard.beliefs says why.
"""

from __future__ import annotations

from cext.rows import NO_PHASE, ChargerRow, Pause, Phases, Vehicle
from controller.guard.beliefs import READINGS, Seen, fresh, worth
from controller.records import Report
from controller.units import NS_PER_S, PPM

UNPROVEN_NS = 10 * NS_PER_S  # to answer after a start, and to prove a fallback
FREED_NS = 30 * NS_PER_S  # one phase alone for so long: the others are free
STUBBORN_NS = 7 * NS_PER_S
NOTHING_MA = 500  # less is no current
ALONE_MA = 4900  # one phase carries 5 A, and its error
ROUNDS_MA = 500  # a read-back so close to an order is that order


class ChargerBelief:
    """One charger: its orders, and what it told of itself."""

    def __init__(self, row: ChargerRow, keep_ns: int) -> None:
        """`keep_ns`: for how long its reports may be needed."""
        self.row = row
        # From an order until it must have shown in a report.
        self.shows_ns = row.write_gap_ns + row.confirm_gap_ns + row.settle_ns
        self.shows_ns += row.lag_ns + row.poll_ns
        self.used = tuple(phase for phase in row.phases if phase != NO_PHASE)
        self.order_ma: int | None = None
        self.changed_ns = 0  # when the order was changed last
        self.in_force_ma: int | None = None
        self.fallback_ma = row.fallback_ma  # the higher of what was declared and what it told
        self.told_fallback_ma = 0
        self.missing_ns: int | None = None  # since then its fallback should be proven, and is not
        self.parted = False  # a contactor above it is ordered open
        self.cut = False  # and is known to be
        self.forgotten = False  # nothing is known of it but its order
        self.heard_ns: int | None = None
        self.seen: list[Seen] = []  # at most READINGS; a deque takes room for 64 at once
        self._metered = False  # its newest report told its current
        self._keep_ns = keep_ns
        self._sent: list[tuple[int, int]] = []  # tick and order, not known to be superseded
        self._settling: list[tuple[int, int]] = []  # until when, and what its vehicle may follow
        self._woken_ns: int | None = None  # it got its power back, and has not reported since
        self._vehicle = Vehicle.UNKNOWN
        self._idle_ns: list[int | None] = [None, None, None]
        self._above_ns: int | None = None

    # What goes in.

    def order(self, tick: int, now_ns: int, ma: int) -> None:
        self.order_ma, self.changed_ns = ma, now_ns
        self._sent.append((tick, ma))
        if len(self._sent) > READINGS:  # never confirmed: of those the highest has to do
            self._sent = [(tick, max(each for _, each in self._sent))]

    def report(self, report: Report) -> None:
        at_ns, current_ma = report.at_ns, report.current_ma
        if self.heard_ns is not None and at_ns < self.heard_ns:
            return
        usual = (
            report.in_force_ma == self.in_force_ma
            and not (self._sent or self._settling)
            and self._woken_ns is None
            and not self.silent(at_ns)
        )
        before = set() if usual else set(self._standing(at_ns))
        self._note_phases(report)
        self._confirm(report)
        if self._woken_ns is not None and at_ns > self._woken_ns:
            self._woken_ns = None
        self.heard_ns, self._vehicle = at_ns, report.vehicle
        self._metered = current_ma is not None
        if current_ma is not None:
            if self.seen and self.seen[-1].current_ma == current_ma:
                current_ma = self.seen[-1].current_ma  # kept once
            self.seen.append(Seen(at_ns, current_ma))
            while len(self.seen) > 2 and self.seen[1].at_ns < at_ns - self._keep_ns:
                del self.seen[0]
            if len(self.seen) > READINGS:
                del self.seen[0]
        if not usual:
            gone = before - set(self._standing(at_ns))
            self._settling = [each for each in self._settling if each[0] > at_ns]
            self._settling += [(at_ns + self.row.settle_ns, ma) for ma in gone]
        if self._above_ns is not None or (current_ma and max(current_ma) > NOTHING_MA):
            self._note_above(at_ns)

    def _confirm(self, report: Report) -> None:
        """What was written before it was asked and is in force now supersedes what was before."""
        if report.in_force_ma is None:
            return
        self.in_force_ma, self.forgotten = report.in_force_ma, False
        if self._sent:
            self._sent = [
                (tick, ma)
                for tick, ma in self._sent
                if tick > report.written_tick
                or (tick == report.written_tick and abs(ma - report.in_force_ma) > ROUNDS_MA)
            ]

    def tell_fallback(self, fallback_ma: int) -> None:
        self.told_fallback_ma = fallback_ma
        self.fallback_ma = max(self.row.fallback_ma, fallback_ma)

    def prove(self, proven: bool | None, now_ns: int) -> None:
        if proven is not False:
            self.missing_ns = None
        elif self.missing_ns is None:
            self.missing_ns = now_ns

    def begin(self, now_ns: int) -> None:
        """The first decision is made: what it lacked before, it lacks since now."""
        if self.missing_ns is not None:
            self.missing_ns = now_ns

    def nobody_decided(self) -> None:
        """For so long that all orders expired: what it drew meanwhile is held against nobody."""
        self._above_ns = None

    def part(self, parted: bool, cut: bool, now_ns: int) -> None:
        """Where its contactors stand. With power again, one that was cut off begins anew, and has
        its time to prove its fallback."""
        cut = parted and cut
        if (self.cut and not cut) or (self.parted and not parted):
            self._woken_ns = now_ns
            if self.missing_ns is not None:
                self.missing_ns = now_ns
            if self.cut:
                self.in_force_ma = self.row.power_on_ma
                self._sent, self._settling = self._sent[-1:], []
        self.parted, self.cut = parted, cut

    def forget(self) -> None:
        """Records were lost: what it told, and which orders it may still follow, is not known."""
        self.forgotten, self.in_force_ma, self.heard_ns = True, None, None
        self.missing_ns = None
        self._sent, self._settling = self._sent[-1:], []
        self.seen.clear()
        self._above_ns = None  # phases that were free are until it is seen to draw there

    def adopt(self, old: ChargerBelief) -> None:
        """It is the same charger, with another row perhaps."""
        self.order_ma, self.changed_ns = old.order_ma, old.changed_ns
        self.in_force_ma = old.in_force_ma
        self.fallback_ma = max(self.row.fallback_ma, old.told_fallback_ma)
        self.told_fallback_ma = old.told_fallback_ma
        self.missing_ns, self.parted, self.cut = old.missing_ns, old.parted, old.cut
        self.forgotten, self.heard_ns, self._metered = old.forgotten, old.heard_ns, old._metered
        self.seen = list(old.seen)
        self._sent, self._settling = list(old._sent), list(old._settling)
        self._woken_ns, self._vehicle = old._woken_ns, old._vehicle
        self._idle_ns, self._above_ns = list(old._idle_ns), old._above_ns

    # What it can be drawing.

    def silent(self, now_ns: int) -> bool:
        return self.heard_ns is None or not fresh(self.heard_ns, self.row.max_age_ns, now_ns)

    def unproven(self, now_ns: int) -> bool:
        return self.missing_ns is not None and now_ns - self.missing_ns > UNPROVEN_NS

    def told_ma(self, setpoint_ma: int) -> int:
        """The most it draws at that setpoint."""
        return setpoint_ma * (PPM + self.row.tolerance_ppm) // PPM + self.row.standby_ma

    def _surely(self, seen_ma: int) -> int:
        """The least that flows where it tells so much."""
        return max(0, seen_ma - -(-seen_ma * self.row.error_ppm // PPM) - self.row.error_ma)

    def highest_ma(self, now_ns: int) -> int:
        """The highest setpoint that may still be followed."""
        highest = max(self._standing(now_ns), default=0)
        for until_ns, ma in self._settling:
            if until_ns > now_ns and ma > highest:
                highest = ma
        return max(highest, self.row.max_ma) if self.unproven(now_ns) else highest

    def draw_hi_ma(self, now_ns: int) -> list[int]:
        """Per grid phase."""
        draw = [0, 0, 0]
        if self.cut:
            return draw
        told = self.told_ma(self.highest_ma(now_ns))
        silent = self.silent(now_ns)
        for phase in self.used:
            if self.frees(phase, now_ns):
                continue
            draw[phase] = told
            if self._metered and not silent:
                draw[phase] = max(told, self._surely(self.seen[-1].current_ma[phase]))
        return draw

    def frees(self, phase: int, now_ns: int) -> bool:
        """Whether its vehicle has charged on other phases only for long enough."""
        idle_ns = self._idle_ns[phase]
        return idle_ns is not None and now_ns - idle_ns >= FREED_NS and not self.silent(now_ns)

    @property
    def always_ma(self) -> int:
        """The minimum of one that may never be paused: it is drawn, whatever is decided."""
        least_ma = -(-self.row.min_ma // self.row.step_ma) * self.row.step_ma
        return least_ma if self.row.may_pause == Pause.NEVER else 0

    @property
    def least_ma(self) -> int:
        """Its order is never lowered below that."""
        return self.always_ma if (self.order_ma or 0) >= self.always_ma else 0

    def at_least(self) -> bool:
        """Its order is as low as it may be, or above that by less than it draws less and is worth a
        write."""
        order_ma, least_ma = self.order_ma or 0, self.least_ma
        if order_ma <= least_ma or not (self._metered and self.seen):
            return order_ma <= least_ma
        return order_ma - least_ma <= NOTHING_MA and max(self.seen[-1].current_ma) < order_ma

    def draw_lo_ma(self, since_ns: int, now_ns: int) -> Phases | None:
        """Per grid phase, the least it told since then, and just before. None: nothing; it has not
        told it all the time."""
        if not self.row.metered or not self.seen or self.silent(now_ns):
            return None
        after_ns, (one, two, three) = self.seen[-1]
        for at_ns, (first, second, third) in reversed(self.seen):
            if after_ns > since_ns and after_ns - at_ns > self.row.max_age_ns:
                return None
            after_ns = at_ns
            one = min(one, first)
            two = min(two, second)
            three = min(three, third)
            if at_ns < since_ns:
                break
        return self._surely(one), self._surely(two), self._surely(three)

    def peak_ma(self, phase: int, since_ns: int) -> int:
        """The most it told since then, and just before."""
        return max((seen.current_ma[phase] for seen in worth(self.seen, since_ns)), default=0)

    def beyond_ma(self) -> int:
        """What it was seen to draw last, where that is clearly more than it was told; else 0."""
        if not self._metered or self.order_ma is None:
            return 0
        drawn_ma = self._surely(max(self.seen[-1].current_ma))
        return drawn_ma if drawn_ma > (self.told_ma(self.order_ma) + NOTHING_MA) * 11 // 10 else 0

    def elsewhere(self, phase: int) -> bool:
        """Its car charges, but not on this phase: to lower it is no help."""
        if not self._metered:
            return False
        current = self.seen[-1].current_ma
        return current[phase] < NOTHING_MA and max(current) >= ALONE_MA

    def stubborn(self, now_ns: int) -> bool:
        """Above what it may draw for so long that nobody can doubt it."""
        return (
            self._above_ns is not None
            and not self.silent(now_ns)
            and self.heard_ns is not None
            and self.heard_ns - self._above_ns > STUBBORN_NS + self.row.poll_ns
        )

    def _standing(self, now_ns: int) -> list[int]:
        """Every setpoint that may be in force, but for what still settles."""
        standing = [ma for _, ma in self._sent]
        if self.in_force_ma is not None:
            standing.append(self.in_force_ma)
        elif not self.forgotten:
            standing.append(self._ceiling_ma)
        if self._woken_ns is not None or (self.silent(now_ns) and not self.forgotten):
            standing += [self.fallback_ma, self.row.power_on_ma]
        return standing

    @property
    def _ceiling_ma(self) -> int:
        ceiling_ma = self.row.ceiling_ma
        return self.row.max_ma if ceiling_ma is None else ceiling_ma

    def _note_phases(self, report: Report) -> None:
        if report.vehicle != self._vehicle:
            self._idle_ns = [None, None, None]
        current = report.current_ma
        for phase in range(3):
            if current is None or current[phase] >= NOTHING_MA or max(current) < ALONE_MA:
                self._idle_ns[phase] = None
            elif self._idle_ns[phase] is None:
                self._idle_ns[phase] = report.at_ns

    def _note_above(self, at_ns: int) -> None:
        highest_ma = self.highest_ma(at_ns)
        most = max((highest_ma + NOTHING_MA) * 11 // 10, self.told_ma(highest_ma))
        if not self._metered or self._surely(max(self.seen[-1].current_ma)) <= most:
            self._above_ns = None
        elif self._above_ns is None:
            self._above_ns = at_ns
