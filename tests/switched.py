"""A kernel with chargers behind contactors, all of them true to their orders but where told not."""

from collections.abc import Sequence

from cext.rows import (
    ChargerRow,
    CircuitRow,
    ContactorRow,
    ContactorState,
    CurveRow,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
)
from cext.tick import Kernel
from tests.plainrow import PLAIN

MS = 1_000_000
S = 1_000_000_000
BEGIN = 1000 * S
TUNING = Tuning(2 * S, 4 * S, 4000, 5 * S, 60 * S)
CHARGER = PLAIN._replace(power_on_ma=16_000, settle_ns=2 * S, poll_ns=500 * MS, max_age_ns=2 * S)
OWN = ContactorRow((0,), group=False, feedback=True, opens_ns=100 * MS)


class Depot:
    """One circuit, one meter, alike chargers; time by hand, 100 ms a step."""

    def __init__(
        self,
        contactors: Sequence[ContactorRow] = (),
        count: int = 1,
        cap_ma: int = 100_000,
        charger: ChargerRow = CHARGER,
        tuning: Tuning = TUNING,
        slots: Sequence[SlotRow] = (),
        clear_within_ns: int | None = None,
        worst_ma: int = 20_000,
        curve: CurveRow | None = None,
    ) -> None:
        self.curve = curve
        self.row = charger
        self.rows = list(contactors)
        self.cap_ma = cap_ma
        self.tuning = tuning
        self.slots = list(slots)
        self.clear_within_ns = clear_within_ns
        self.worst_ma = worst_ma
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
        self.keeps_power = False  # chargers' electronics are fed past the contactors
        self.boot_ns = 3 * S
        self._woken = [-(10**18) if self.powered(i) else 0 for i in range(count)]
        self.closings: list[tuple[float, int]] = []

    def build(self) -> Kernel:
        """A kernel that knows nothing yet."""
        wide, worst = (self.cap_ma,) * 3, (self.worst_ma,) * 3
        circuits = [
            CircuitRow(-1, wide, worst, clear_within_ns=self.clear_within_ns, curve=self.curve)
        ]
        source = SourceRow(0, 0, 100 * MS, S, 100 * MS)
        chargers = [self.row] * len(self.wants_ma)
        return Kernel(circuits, [source], chargers, self.slots, self.tuning, self.rows)

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
        if not self.powered(i) and not self.keeps_power:
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
