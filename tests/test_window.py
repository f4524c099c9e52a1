"""How far back readings count: as far as the source may lag, whichever instant was the worst."""

import pytest

from tests.door import Door
from tests.oracle.site import MS, Circuit, Meter, S, Site, flat

USUAL_MA, WORST_MA = 10_000, 50_000
STEP_NS = 100 * MS


@pytest.mark.parametrize("lag_ns", [0, S, 2 * S, 7 * S])
@pytest.mark.parametrize("steps", range(60, 85))
def test_the_largest_reading_counts_until_the_window_has_passed_it(lag_ns: int, steps: int) -> None:
    """One reading is higher than all others; for as long as a later one may show that instant, or
    an earlier one, the base load may be as high."""
    meter = Meter(0, 0, lag_ns, S, STEP_NS)
    door = Door(Site([Circuit(-1, flat(100_000), flat(90_000))], [meter], []))
    high_ns = steps * STEP_NS
    for now_ns in range(STEP_NS, high_ns + 2 * lag_ns + 20 * S, STEP_NS):
        door.reading(0, now_ns, flat(WORST_MA if now_ns == high_ns else USUAL_MA))
        door.tick(now_ns)
        if high_ns <= now_ns <= high_ns + lag_ns:
            assert door.circuit(0).base_hi_ma == flat(WORST_MA), (now_ns - high_ns) / S
    assert door.circuit(0).base_hi_ma == flat(USUAL_MA), "and it passes"
