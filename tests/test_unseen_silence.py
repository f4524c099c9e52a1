"""A charger that was silent while nobody decided: what it may have done meanwhile counts."""

from cext.rows import CircuitRow, SourceRow, Tuning, Vehicle
from cext.tick import Kernel
from tests.plainrow import PLAIN, S

FALLBACK_MA = 16_000


def test_a_fallback_counts_until_its_vehicle_followed_although_no_tick_saw_the_silence() -> None:
    row = PLAIN._replace(
        fallback_ma=FALLBACK_MA, power_on_ma=FALLBACK_MA, settle_ns=5 * S, metered=False
    )
    kernel = Kernel(
        [CircuitRow(-1, (50_000,) * 3, (48_000,) * 3)],
        [SourceRow(0, 0, 0, S, S // 5)],
        [row],
        [],
        Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S),
    )
    now_ns = 1000 * S

    def step() -> int:
        """Told 0, it reports that, and the kernel decides; what it may draw."""
        nonlocal now_ns
        now_ns += S
        kernel.post_reading(0, now_ns, (48_000,) * 3)
        told = kernel.output(0)
        kernel.post_report(0, now_ns, 0, None, Vehicle.B, told.changed_tick)
        kernel.tick(now_ns)
        return kernel.charger(0).draw_hi_ma

    for _ in range(10):
        drawn_ma = step()
    assert drawn_ma == kernel.output(0).setpoint_ma == 0
    now_ns += 10 * S  # nobody asks it anything, nobody decides: it may have fallen back
    assert [step() for _ in range(7)] == [FALLBACK_MA] * 5 + [0, 0]
