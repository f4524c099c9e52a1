"""Feeds a journal's inputs to a kernel again."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from controller.records import (
    Advised,
    Contact,
    Distrust,
    Fallback,
    Latch,
    Leave,
    Limit,
    Lost,
    Proven,
    Reading,
    Record,
    Report,
    RestoredHeat,
    RestoredWorst,
    Tick,
)

if TYPE_CHECKING:
    from cext.tick import Kernel


def feed(kernel: Kernel, record: Record) -> None:  # noqa: PLR0912  # one case a kind
    """As whoever posted it did. Raises ValueError or IndexError for what no kernel would take.

    A tick is ticked; what it decides stands in the kernel's own journal. A loss is nothing.
    """
    match record:
        case Reading(source, at_ns, current_ma):
            kernel.post_reading(source, at_ns, current_ma)
        case Report(charger, at_ns, in_force_ma, current, vehicle, written):
            kernel.post_report(charger, at_ns, in_force_ma, current, vehicle, written)
        case Tick(_, now_ns):
            kernel.tick(now_ns)
        case Distrust(source, distrusted):
            kernel.distrust(source, distrusted)
        case Fallback(charger, fallback_ma):
            kernel.set_fallback(charger, fallback_ma)
        case Proven(charger, proven):
            kernel.prove(charger, proven)
        case Contact(contactor, at_ns, closed):
            kernel.post_contactor(contactor, at_ns, closed)
        case Limit(slot, limit_ma, limit_until_ns, alive_until_ns):
            kernel.set_limit(slot, limit_ma, limit_until_ns, alive_until_ns)
        case Advised(charger, advice):
            kernel.advise(charger, advice)
        case Leave():
            kernel.leave()
        case Latch(latched):
            kernel.latch(latched)
        case RestoredHeat(circuit, heat):
            kernel.restore_heat(circuit, heat)
        case RestoredWorst(circuit, worst_ma):
            kernel.restore_worst(circuit, worst_ma)
        case Lost():
            pass
        case _:
            assert_never(record)
