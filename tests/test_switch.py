"""From one document to the next: leases, and what is held against a meter."""

from dataclasses import replace

import pytest

from cext.rows import Phases
from controller.image import Image, MeterReading
from controller.limits import RefusedLimitError, Source
from controller.plant import VirtualClock
from controller.tables import Tables
from tests.documents import METER_ENTRY, S, clamp, site
from tests.test_limits import CLOUD, NOW, SECOND, Bench, Slots


def test_who_stays_with_his_circuit_keeps_his_lease_no_longer_than_it_may_be_now() -> None:
    bench, fresh = Bench(), Slots()
    bench.send(amps=50, ttl_s=200)
    bench.limits.switch([replace(CLOUD, slot=0, lease_ns=20 * SECOND)], fresh)
    ((slot, limit_ma, _, alive_ns),) = fresh.told
    assert (slot, limit_ma, alive_ns) == (0, (50_000,) * 3, NOW + 20 * SECOND)
    with pytest.raises(RefusedLimitError, match="already received"):
        bench.send()  # his sequence goes on, too
    bench.send(sequence=8, amps=40)
    assert fresh.told[-1][:2] == (0, (40_000,) * 3)


@pytest.mark.parametrize("moved", [replace(CLOUD, circuit="row"), replace(CLOUD, id="other")])
def test_who_moved_was_never_heard(moved: Source) -> None:
    bench, fresh = Bench(), Slots()
    bench.send(amps=50)
    bench.limits.switch([moved], fresh)
    assert fresh.told == []
    assert bench.limits.leases == {}


CLAMPED = {"meter": [METER_ENTRY], "clamp": [clamp(id="ct")]}


def test_a_suspicion_outlives_the_change_and_ends_by_itself() -> None:
    before = Tables.of(site(**CLAMPED))
    kernel, clock = before.build_kernel(), VirtualClock(S)
    image = Image(before, kernel, clock)
    told: list[tuple[str, bool]] = []
    image.on_doubt(lambda source, suspicion: told.append((source, suspicion is not None)))

    def see(count: int, meter: Phases, ct: Phases) -> None:
        for _ in range(count):
            clock.at_ns += S // 5
            image.post_meter("main", MeterReading(clock.at_ns, meter))
            image.post_meter("ct", MeterReading(clock.at_ns, ct))
            kernel.tick(clock.at_ns)

    steady: Phases = (30_000, 30_000, 30_000)
    see(50, steady, (60_000, 60_000, 60_000))
    assert told == [("ct", True)]
    after = Tables.of(site(**CLAMPED, site={"id": "depot", "name": "another"}))
    old, kernel = kernel, after.build_kernel()
    stays = {after.source_index[each]: before.source_index[each] for each in ("main", "ct")}
    same = {i: i for i in range(2)}
    kernel.adopt(old, same, stays, {i: i for i in range(4)}, {0: 0})
    image.switch(after, kernel, stays)
    assert image.suspicion("ct") is not None
    assert kernel.source(after.source_index["ct"]).distrusted
    see(300, steady, steady)
    assert told == [("ct", True), ("ct", False)]
    assert not kernel.source(after.source_index["ct"]).distrusted


def test_a_dispute_ends_with_who_disputed() -> None:
    before = Tables.of(site(**CLAMPED))
    kernel, clock = before.build_kernel(), VirtualClock(S)
    image = Image(before, kernel, clock)
    told: list[tuple[str, bool]] = []
    image.on_doubt(lambda source, suspicion: told.append((source, suspicion is not None)))
    for _ in range(50):
        clock.at_ns += S // 5
        image.post_meter("main", MeterReading(clock.at_ns, (30_000,) * 3))
        image.post_meter("ct", MeterReading(clock.at_ns, (60_000,) * 3))
        kernel.tick(clock.at_ns)
    assert told == [("ct", True)]
    after = Tables.of(site(meter=[], clamp=[clamp(id="ct")]))
    old, kernel = kernel, after.build_kernel()
    stays = {after.source_index["ct"]: before.source_index["ct"]}
    kernel.adopt(old, {i: i for i in range(2)}, stays, {i: i for i in range(4)}, {0: 0})
    image.switch(after, kernel, stays)
    for _ in range(10):
        clock.at_ns += S // 5
        image.post_meter("ct", MeterReading(clock.at_ns, (60_000,) * 3))
        kernel.tick(clock.at_ns)
    assert told == [("ct", True), ("ct", False)]
