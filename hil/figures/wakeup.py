"""How punctual the kernel's thread is on a busy machine, as `loadkeeper bench` measures it."""

from __future__ import annotations

from hil.figures import CannotMeasureError, Figure, Must, Value
from hil.figures.kernel import bare


def punctual() -> dict[str, Value]:
    said = bare("wakeup_p99_us", "wakeup_vs_sleep")
    scheduling = str(said.pop("wakeup_scheduling"))
    if not scheduling.startswith("SCHED_FIFO"):
        raise CannotMeasureError(f"{scheduling}; so it was {said['wakeup_p99_us']} µs")
    return said


FIGURES = (
    Figure(
        field="wakeup_p99_us",
        unit="µs",
        must=Must("≤", 250),
        how="how late the kernel's thread (SCHED_FIFO, 100 Hz) begins its ticks, p99, while two "
        "threads burn the interpreter",
        measure=punctual,
        part="wakeup_p99_us",
    ),
    Figure(
        field="wakeup_vs_sleep",
        unit="times",
        must=Must("≥", 50),
        how="p99 of time.sleep at 100 Hz in the same process, as a multiple of the above",
        measure=punctual,
        part="wakeup_vs_sleep",
    ),
)
