"""Contactors: what is cut off, what only should be, and how power comes back."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from cext.rows import (
    ChargerRow,
    CircuitRow,
    ContactorRow,
    ContactorState,
    Rule,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.tick import Kernel

MS = 1_000_000
S = 1_000_000_000
BEGIN = 1000 * S
TUNING = Tuning(2 * S, 4 * S, 4000, 5 * S, 60 * S)
CHARGER = ChargerRow(
    circuit=0,
    phases=(0, 1, 2),
    min_ma=6000,
    max_ma=32_000,
    step_ma=100,
    fallback_ma=6000,
    power_on_ma=16_000,
    tolerance_ppm=0,
    standby_ma=0,
    settle_ns=2 * S,
    metered=True,
    error_ma=0,
    lag_ns=0,
    poll_ns=500 * MS,
    max_age_ns=2 * S,
)
OWN = ContactorRow((0,), group=False, feedback=True, opens_ns=100 * MS)


class Depot:
    """A kernel with chargers that obey, behind contactors that do, too; time by hand."""

    def __init__(
        self,
        contactors: Sequence[ContactorRow] = (),
        count: int = 1,
        cap_ma: int = 100_000,
        charger: ChargerRow = CHARGER,
        tuning: Tuning = TUNING,
    ) -> None:
        self.row = charger
        self.rows = list(contactors)
        self.cap_ma = cap_ma
        self.tuning = tuning
        self.wants_ma = [32_000] * count
        self.kernel = self.build()
        self.now_ns = BEGIN
        self.base_ma = 0
        self.offered_ma = [0] * count
        self.stuck_ma: dict[int, int] = {}  # draws that, and confirms what it is told
        self.silent: set[int] = set()
        self.welded: set[int] = set()  # contactors that never open
        self.mute: set[int] = set()  # contactors whose contact nobody reads
        self.blind = False
        self.boot_ns = 3 * S
        self._woken = [-(10**18) if self.powered(i) else 0 for i in range(count)]
        self.closings: list[tuple[float, int]] = []

    def build(self) -> Kernel:
        """A kernel that knows nothing yet."""
        circuits = [CircuitRow(-1, (self.cap_ma,) * 3, (20_000,) * 3)]
        source = SourceRow(0, 0, 100 * MS, S, 100 * MS)
        chargers = [self.row] * len(self.wants_ma)
        return Kernel(circuits, [source], chargers, [], self.tuning, self.rows)

    def contactor(self, index: int = 0) -> ContactorState:
        return self.kernel.contactor(index)

    def order(self, index: int = 0) -> int | None:
        return self.kernel.output(index).setpoint_ma

    def closed(self, contactor: int) -> bool:
        """What it truly is."""
        return contactor in self.welded or self.contactor(contactor).closed

    def powered(self, charger: int) -> bool:
        return all(self.closed(i) for i, row in enumerate(self.rows) if charger in row.chargers)

    def drawn(self, charger: int) -> int:
        if not self.powered(charger):
            return 0
        if charger in self.stuck_ma:
            return self.stuck_ma[charger]
        offered = self.offered_ma[charger]
        return min(offered, self.wants_ma[charger]) if offered >= 6000 else 0

    def load(self) -> int:
        return self.base_ma + sum(self.drawn(i) for i in range(len(self.offered_ma)))

    def step(self) -> None:
        """100 ms: what was ordered is done, all that answers tells, the kernel decides."""
        self.now_ns += 100 * MS
        if not self.blind:
            self.kernel.post_reading(0, self.now_ns, (self.load(),) * 3)
        for i, row in enumerate(self.rows):
            if row.feedback and i not in self.mute:
                self.kernel.post_contactor(i, self.now_ns, self.closed(i))
        for i in range(len(self.offered_ma)):
            self._charger(i)
        before = [self.contactor(i).closed for i in range(len(self.rows))]
        self.kernel.tick(self.now_ns)
        for i, was in enumerate(before):
            if self.contactor(i).closed and not was:
                self.closings.append(((self.now_ns - BEGIN) / S, i))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.step()

    def _charger(self, i: int) -> None:
        if not self.powered(i):
            self._woken[i] = 0
            return
        if self._woken[i] == 0:
            self._woken[i] = self.now_ns
            self.offered_ma[i] = self.row.power_on_ma
        if self.now_ns - self._woken[i] < self.boot_ns or i in self.silent:
            return
        out = self.kernel.output(i)
        if out.setpoint_ma is not None:
            self.offered_ma[i] = out.setpoint_ma
        amps = self.drawn(i)
        self.kernel.post_report(
            i, self.now_ns, self.offered_ma[i], (amps,) * 3, Vehicle.C, out.changed_tick
        )


# -- a start ------------------------------------------------------------------------------------


def test_a_start_finds_contactors_open_and_closes_them_one_at_a_time() -> None:
    rows = [OWN._replace(chargers=(i,)) for i in range(3)]
    depot = Depot(rows, count=3)
    assert [depot.contactor(i).closed for i in range(3)] == [False] * 3
    depot.run(40)
    assert [depot.contactor(i).closed for i in range(3)] == [True] * 3
    instants = [at_s for at_s, _ in depot.closings]
    assert all(b - a >= 2 for a, b in pairwise(instants))
    assert instants[1] - instants[0] >= depot.boot_ns / S, "the next waits for the last to report"
    assert all((depot.order(i) or 0) >= 6000 for i in range(3))


def test_one_that_does_not_open_by_itself_starts_closed() -> None:
    """It was closed while nobody decided: to leave it so raises nothing."""
    depot = Depot([OWN._replace(opens_alone=False)])
    assert depot.contactor().closed
    depot.run(1)
    assert depot.contactor().closed
    assert depot.contactor().changed_tick == 0


def test_a_group_comes_before_what_stands_behind_it() -> None:
    group = ContactorRow((0, 1), group=True, feedback=True, opens_ns=100 * MS)
    depot = Depot([OWN, group], count=2)
    depot.run(30)
    assert [i for _, i in depot.closings] == [1, 0]


def test_nothing_is_closed_before_the_meter_was_heard() -> None:
    depot = Depot([OWN])
    depot.blind = True
    depot.run(20)
    assert not depot.contactor().closed
    depot.blind = False
    depot.run(1)
    assert depot.contactor().closed


def test_power_on_current_is_counted_before_the_order_and_until_the_report() -> None:
    depot = Depot([OWN])
    highest: list[int] = []
    while not depot.contactor().closed:
        depot.step()
        highest.append(depot.kernel.charger(0).draw_hi_ma)
    assert highest[-3] == 0, "cut off, it draws nothing"
    assert highest[-1] == 16_000, "in the tick that closes it is counted already"
    while depot.now_ns - BEGIN < 4 * S:
        assert depot.kernel.charger(0).draw_hi_ma >= 16_000
        depot.step()


def test_a_contactor_waits_until_its_power_on_current_fits() -> None:
    depot = Depot([OWN], cap_ma=30_000)
    depot.base_ma = 20_000
    depot.run(20)
    assert not depot.contactor().closed
    why = depot.contactor().why
    assert (why.rule, why.circuit) == (Rule.RECLOSING, 0)
    depot.base_ma = 10_000
    depot.run(20)
    assert depot.contactor().closed


def test_who_listens_makes_room_for_what_comes_back() -> None:
    """Charger 1 has 26 A, charger 0 wakes at 32 A: 1 comes down first, then 0 is closed."""
    wild = CHARGER._replace(power_on_ma=32_000)
    depot = Depot([OWN], count=2, cap_ma=36_000, charger=wild)
    depot.base_ma = 10_000
    depot.run(40)
    assert (depot.order(1) or 0) > 20_000
    depot.base_ma = 0
    while not depot.contactor().closed:
        depot.step()
        assert depot.load() <= 36_000
        assert depot.now_ns < BEGIN + 120 * S
    depot.run(5)
    assert depot.load() <= 36_000


def test_without_feedback_an_open_contactor_is_closed_all_the_same() -> None:
    """Nothing proves that it is open, and it counts; a meter that sees nothing is enough here."""
    rows = [OWN._replace(chargers=(i,), feedback=False) for i in range(3)]
    depot = Depot(rows, count=3, cap_ma=40_000)
    depot.run(1)
    assert depot.kernel.charger(0).draw_hi_ma == 32_000
    depot.run(60)
    assert [depot.contactor(i).closed for i in range(3)] == [True] * 3


# -- what an order is ---------------------------------------------------------------------------


def test_closed_is_a_permission_that_expires() -> None:
    depot = Depot([OWN])
    for tick in range(1, 30):
        depot.step()
        state = depot.contactor()
        assert (state.tick, state.expires_ns) == (tick, depot.now_ns + 2 * S)


def test_an_unread_contact_proves_nothing() -> None:
    depot = Depot([OWN], cap_ma=1000)
    depot.run(3)
    assert depot.contactor().verified_open
    assert depot.contactor().contact is False
    depot.mute = {0}
    depot.run(4)
    assert depot.contactor().verified_open
    depot.run(2)
    assert not depot.contactor().verified_open
    assert depot.contactor().contact is None
    assert depot.kernel.charger(0).draw_hi_ma >= 16_000


def test_where_nothing_is_written_contactors_are_somebody_elses() -> None:
    depot = Depot([OWN], tuning=TUNING._replace(observe=True))
    depot.run(5)
    state = depot.contactor()
    assert (state.closed, state.verified_open, state.why.rule) == (True, False, Rule.CLOSED)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([OWN._replace(chargers=(1,))], "no charger 1"),
        ([OWN._replace(chargers=(0, 0), group=True)], "twice"),
        ([OWN, OWN], "of its own already"),
        ([OWN._replace(chargers=())], "no group"),
        ([OWN._replace(opens_ns=-1)], "opens_ns"),
    ],
)
def test_contradictions_are_refused(rows: list[ContactorRow], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Depot(rows)
