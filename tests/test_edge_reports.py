"""Reports at the kernel's edge: what a charger says of phases that it is not wired to."""

from tests.door import Door
from tests.oracle.site import MS, Charger, Circuit, Meter, S, Site, flat


def test_current_on_a_phase_without_a_wire_is_no_draw() -> None:
    """It would be taken off the base load there, and credited, where nothing can come down."""
    row = Charger(0, (0, -1, -1), settle_ns=S, lag_ns=0, fallback_ma=16_000)
    site = Site([Circuit(-1, flat(100_000), flat(120_000))], [Meter(0, 0, 0, S, 100 * MS)], [row])
    door, now_ns = Door(site), 1000 * S
    for _ in range(200):
        now_ns += 100 * MS
        out = door.output(0)
        told = 16_000 if out.setpoint_ma is None else out.setpoint_ma
        door.reading(0, now_ns, (20_000 + told, 20_000, 20_000))
        door.report(0, now_ns, told, (told, 16_000, 16_000), "C", out.changed_tick)
        door.tick(now_ns)
    state = door.circuit(0)
    assert state.base_hi_ma == flat(20_000)
    assert state.draw_hi_ma[1:] == (0, 0)
    current_ma = door.charger(0).current_ma
    assert current_ma is not None and current_ma[1:] == (0, 0)
