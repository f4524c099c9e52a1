"""What may be too much on a circuit: each phase, the three together, and its bus bar's phases."""

from __future__ import annotations

from cext.rows import Phases

Flow = tuple[int, ...]  # mA: L1 L2 L3 · the three together · what chargers draw on L1 L2 L3

TOGETHER = 3
BUSBAR = 4  # and the two that follow
FLOWS = 7
NOTHING: Flow = (0,) * FLOWS
FOR_EVER_MA = 1 << 40
MISREAD: Flow = (*(FOR_EVER_MA,) * BUSBAR, 0, 0, 0)  # a bus bar is kept without any reading


def load(phases_ma: Phases) -> Flow:
    """More base load: it does not count on a bus bar, where its worst case does at any time."""
    return (*phases_ma, sum(phases_ma), 0, 0, 0)


def cap(phases_ma: Phases) -> Flow:
    """A cap of single phases fell by so much."""
    return (*phases_ma, 0, 0, 0, 0)


def drawn(phases_ma: Phases) -> Flow:
    """More that a charger draws."""
    return (*phases_ma, sum(phases_ma), *phases_ma)


def place(flow: int, circuit: str) -> str:
    """In words."""
    if flow < TOGETHER:
        return f"L{flow + 1} of {circuit}"
    if flow == TOGETHER:
        return f"the three phases of {circuit} together"
    return f"L{flow - BUSBAR + 1} of the bus bar of {circuit}"


def phases(flow: int) -> tuple[int, ...]:
    """The grid phases that it is made of."""
    if flow == TOGETHER:
        return 0, 1, 2
    return (flow if flow < TOGETHER else flow - BUSBAR,)
