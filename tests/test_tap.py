"""One journal, several who follow it."""

from collections.abc import Sequence

from cext.rows import CircuitRow, SourceRow, Tuning
from cext.tick import Kernel
from controller.journal import decode
from controller.records import Reading, Record, Tick
from controller.tap import Tap

S = 1_000_000_000


def kernel() -> Kernel:
    circuits = [CircuitRow(-1, (100_000,) * 3, (0,) * 3)]
    return Kernel(circuits, [SourceRow(0, 0, 0, S, S)], [], [], Tuning(S, S, 4000, S, S))


def test_everybody_who_follows_misses_nothing() -> None:
    box = kernel()
    tap = Tap(box)
    heard: list[Record] = []
    same: list[Record] = []
    kept: list[bytes] = []

    def hear(records: Sequence[Record]) -> None:
        heard.extend(records)

    tap.follow(hear)
    tap.follow(same.extend)
    tap.follow_bytes(kept.append)
    box.post_reading(0, S, (1, 2, 3))
    tap.drain()
    assert heard == [Reading(0, S, (1, 2, 3))]
    box.tick(2 * S)
    tap.drain()
    tap.drain()
    assert heard == same == [Reading(0, S, (1, 2, 3)), Tick(1, 2 * S, (), ())]
    assert len(kept) == 2, "nothing is no batch"
    assert [record for batch in kept for record in decode(batch)] == heard


def test_without_followers_the_journal_does_not_fill() -> None:
    box = kernel()
    tap = Tap(box)
    for i in range(20_000):
        box.post_reading(0, i, (0, 0, 0))
        if i % 500 == 0:
            tap.drain()
    tap.drain()
    box.tick(S)
    assert list(decode(box.drain())) == [Tick(1, S, (), ())]
