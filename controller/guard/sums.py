"""What the guard's account adds up to in one tick: base loads, draws, what is ordered, credits.

A circuit is bounded in rows: its cap on each phase, what its three phases carry together (SUM), and
its bus bar on each phase (BAR and the phase), which bounds the chargers alone.

Every sum is the least that the rules allow to be counted. Those over many chargers can be counted
in pieces: whoever has a loop to share counts them ahead, and who asks for one that is not counted
yet has it counted now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cext.rows import ROOT
from controller.guard.account import Account
from controller.guard.beliefs import SourceBelief
from controller.guard.chargers import UNPROVEN_NS, ChargerBelief
from controller.units import NS_PER_S

SLOW_NS = 2 * NS_PER_S  # a credit may last this much longer than what it waits for
PHASES = (0, 1, 2)
SUM = 3
BAR = 4
PIECE = 16  # chargers counted in one piece
Amps = list[int]  # mA of each phase


class Sums:
    """Of an account's last tick."""

    def __init__(self, it: Account) -> None:
        self._it = it
        self.rows = [
            (
                *PHASES,
                *((SUM,) if row.sum_ma is not None else ()),
                *((BAR + phase for phase in PHASES) if row.busbar_ma is not None else ()),
            )
            for row in it.circuits
        ]
        self._draws: list[Amps] = []
        self._drawn: list[Amps] = []
        self._ordered: list[Amps] = []
        self._bases: dict[int, Amps] = {}
        self._ends: dict[SourceBelief, Amps] = {}
        self._credits: dict[int, Amps] = {}

    def clear(self) -> None:
        """Another tick."""
        self._draws = []
        for kept in (self._bases, self._ends, self._credits):
            kept.clear()

    # --- in pieces --------------------------------------------------------------------------

    def count(self) -> Iterator[None]:
        """What each charger may draw, now and once its order took effect."""
        draws: list[Amps] = []
        drawn = [[0, 0, 0] for _ in self._it.circuits]
        ordered = [[0, 0, 0] for _ in self._it.circuits]
        starts = self._it.now_ns - self._it.began_ns < UNPROVEN_NS
        for charger in self._it.chargers:
            draw = charger.draw_hi_ma(self._it.now_ns)
            draws.append(draw)
            _add(drawn[charger.row.circuit], draw)
            if charger.order_ma is not None or not starts:  # a start waits for its chargers
                _add(ordered[charger.row.circuit], self._once_told(charger, draw))
            if len(draws) % PIECE == 0:
                yield
        for index in range(len(self._it.circuits) - 1, 0, -1):  # parents before their children
            parent = self._it.circuits[index].parent
            if parent != ROOT:
                _add(drawn[parent], drawn[index])
                _add(ordered[parent], ordered[index])
        self._draws, self._drawn, self._ordered = draws, drawn, ordered

    def count_for(self, circuit: int) -> Iterator[None]:
        """All that the rows of a circuit, and of all above it, are made of, but for credits."""
        if not self._draws:
            yield from self.count()
        for above in self._it.path[circuit]:
            for source in self._it.readings(above):
                if source not in self._ends:
                    yield from self._count_end(source)

    def count_credits(self, circuit: int) -> Iterator[None]:
        """By how much orders on their way will lower the reading, at best."""
        if circuit in self._credits:
            return
        sources = self._it.readings(circuit)
        source = max(sources, key=lambda each: each.row.lag_ns + each.row.poll_ns)
        late_ns = source.row.lag_ns + source.row.poll_ns + SLOW_NS
        total = [0, 0, 0]
        for count, i in enumerate(self._it.below[circuit]):
            if count % PIECE == PIECE - 1:
                yield
            charger = self._it.chargers[i]
            row, order_ma = charger.row, charger.order_ma
            if order_ma is None:
                continue
            if self._it.now_ns - charger.changed_ns > charger.shows_ns + late_ns:
                continue
            for phase in charger.used:
                peak_ma = charger.peak_ma(phase, source.since_ns - row.lag_ns)
                if not row.metered:
                    peak_ma = charger.told_ma(charger.highest_ma(self._it.now_ns))
                total[phase] += max(0, peak_ma - order_ma)
        self._credits[circuit] = total

    def _count_end(self, source: SourceBelief) -> Iterator[None]:
        end, since_ns, now_ns = source.most_ma(), source.since_ns, self._it.now_ns
        for count, i in enumerate(self._it.below[source.row.circuit]):
            if count % PIECE == PIECE - 1:
                yield
            charger = self._it.chargers[i]
            lo_ma = charger.draw_lo_ma(since_ns, now_ns)
            if lo_ma is not None:
                for phase in charger.used:
                    end[phase] -= lo_ma[phase]
        self._ends[source] = end

    # --- rows -------------------------------------------------------------------------------

    def cap_ma(self, circuit: int, row: int) -> int:
        """What a circuit bears. Of a bus bar chargers have what the declared base load leaves, at
        the most: more of it may have been proved."""
        if row < SUM:
            return max(0, self._it.caps[circuit][row])
        of = self._it.circuits[circuit]
        if row == SUM:
            return of.sum_ma or 0
        assert of.busbar_ma is not None
        return max(0, of.busbar_ma[row - BAR] - of.worst_base_ma[row - BAR])

    def read_ma(self, circuit: int, row: int) -> int | None:
        """The least that is read there; None: nothing is."""
        if row >= BAR:
            return None
        shown = [each.kept[-1].current_ma for each in self._it.readings(circuit)]
        return min((self._of(circuit, row, each) for each in shown), default=None)

    def base_ma(self, circuit: int, row: int) -> int:
        """The upper end of the base load; no bus bar carries it."""
        if row >= BAR:
            return 0
        base = self._base(circuit)
        return sum(base) if row == SUM else base[row]

    def drawn_ma(self, circuit: int, row: int) -> int:
        """The most that all below it may draw."""
        self._counted()
        return _row(self._drawn[circuit], row)

    def ordered_ma(self, circuit: int, row: int) -> int:
        """The most that is drawn once all orders took effect."""
        self._counted()
        return _row(self._ordered[circuit], row)

    def left_ma(self, circuit: int, row: int) -> int | None:
        """What will be read when the orders that are on their way have shown; None: nothing is."""
        if row >= BAR or not self._it.readings(circuit):
            return None
        _finish(self.count_credits(circuit))
        credit = self._credits[circuit]
        shown = [each.kept[-1].current_ma for each in self._it.readings(circuit)]
        return min(
            self._of(circuit, row, [each[phase] - credit[phase] for phase in PHASES])
            for each in shown
        )

    def draw(self, index: int) -> Amps:
        """The most that one charger may draw."""
        self._counted()
        return self._draws[index]

    def _of(self, circuit: int, row: int, flows: Sequence[int]) -> int:
        """A phase that exports takes something off the sum only where that is credited."""
        if row < SUM:
            return flows[row]
        credited = self._it.circuits[circuit].credit_export
        return sum(flows) if credited else sum(max(0, ma) for ma in flows)

    # --- behind a contactor -----------------------------------------------------------------

    def hidden_ma(self, circuit: int, row: int) -> int:
        """What those may draw who are ordered off, silent, and not known to be without power."""
        self._counted()
        return sum(
            _row(self._draws[i], row)
            for i in self._it.below[circuit]
            if (charger := self._it.chargers[i]).parted and charger.silent(self._it.now_ns)
        )

    def beneath_ma(self, circuit: int, row: int) -> int:
        """The base load with what is hidden: together no more than is read, here or above."""
        if row == SUM:
            return sum(self.beneath_ma(circuit, phase) for phase in PHASES)
        if row >= BAR:
            return self.hidden_ma(circuit, row)
        base_ma, hidden_ma = self._base(circuit)[row], self.hidden_ma(circuit, row)
        for above in self._it.path[circuit]:
            ends_ma = [self._end(source)[row] for source in self._it.readings(above)]
            if ends_ma and above == circuit:
                return max(base_ma, min(base_ma + hidden_ma, *ends_ma))
            if ends_ma:
                return base_ma + min(hidden_ma, max(0, min(ends_ma)))
        return base_ma + hidden_ma

    # --- who can be lowered -----------------------------------------------------------------

    def can_be_shed(self, index: int, row: int) -> bool:
        """Whether to lower it would help. Of who disobeys nobody knows: he is escalated against."""
        charger = self._it.chargers[index]
        if charger.at_least() or charger.silent(self._it.now_ns):
            return False
        if self._disobeyed_ma(charger):
            return False
        for phase in charger.used:
            counts = row == SUM or phase == (row if row < SUM else row - BAR)
            draws = self.draw(index)[phase] > charger.row.standby_ma
            if counts and draws and (row >= BAR or not charger.elsewhere(phase)):
                return True
        return False

    def _disobeyed_ma(self, charger: ChargerBelief) -> int:
        """What it draws beyond its order, long after it should have followed it; else 0."""
        late = self._it.now_ns - charger.changed_ns > charger.shows_ns + SLOW_NS
        return charger.beyond_ma() if late else 0

    def _once_told(self, charger: ChargerBelief, draw: Amps) -> Amps:
        told_ma = max(draw)
        if charger.order_ma is not None and not charger.silent(self._it.now_ns):
            told_ma = max(charger.told_ma(charger.order_ma), self._disobeyed_ma(charger))
        return [min(ma, told_ma) for ma in draw]

    # --- what was not counted ahead ---------------------------------------------------------

    def _counted(self) -> None:
        if not self._draws:
            _finish(self.count())

    def _end(self, source: SourceBelief) -> Amps:
        """What a source shows at most that is no charger."""
        if source not in self._ends:
            _finish(self._count_end(source))
        return self._ends[source]

    def _base(self, circuit: int) -> Amps:
        """Of what is read, of the parent's, as declared."""
        if circuit not in self._bases:
            self._bases[circuit] = self._least_base(circuit)
        return self._bases[circuit]

    def _least_base(self, circuit: int) -> Amps:
        row = self._it.circuits[circuit]
        ends = [self._end(source) for source in self._it.readings(circuit)]
        if not ends and not any(row.worst_base_ma) and not row.credit_export:
            return [0, 0, 0]
        if ends:
            least = [min(each) for each in zip(*ends, strict=True)]
        elif row.parent != ROOT:
            least = self._base(row.parent)
        else:
            return list(row.worst_base_ma)
        if not row.credit_export:
            least = [max(0, ma) for ma in least]
        return list(map(min, least, row.worst_base_ma))


def _add(total: Amps, more: Sequence[int]) -> None:
    total[0] += more[0]
    total[1] += more[1]
    total[2] += more[2]


def _row(amps: Amps, row: int) -> int:
    if row == SUM:
        return amps[0] + amps[1] + amps[2]
    return amps[row if row < SUM else row - BAR]


def _finish(pieces: Iterator[None]) -> None:
    for _ in pieces:
        pass
