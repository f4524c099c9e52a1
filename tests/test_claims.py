"""What one charger has been given in a tick is nobody else's in the same tick."""

import pytest

from cext.rows import Advice
from tests.oracle.site import NEVER, Circuit, S, flat
from tests.test_lost_readings import Bays

ROOM_MA = 80_000
WIDE = flat(200_000)
BOUNDS = {
    "a rating": Circuit(-1, flat(ROOM_MA), flat(0)),
    "a bus bar": Circuit(-1, WIDE, flat(0), busbar_ma=flat(ROOM_MA)),
    "three phases together": Circuit(-1, WIDE, flat(0), sum_ma=3 * ROOM_MA),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_two_that_rise_in_one_tick_share_what_is_free_by_then(bound: str) -> None:
    """Two are lowered for two others, and one of them takes long to follow."""
    bays = Bays(BOUNDS[bound], {}, {"settle_ns": 10 * S}, {}, {})
    bays.run(120)
    assert min(bays.orders()) >= 19_900
    for bay in (2, 3):
        bays.door.kernel.advise(bay, Advice(weight=4, until_ns=NEVER))
    for _ in range(240):
        bays.step()
        state = bays.door.circuit(0)
        assert state.draw_hi_ma[0] <= ROOM_MA + 100, "more than the bound carries"
    assert min(bays.orders()[2:]) >= 31_500
