"""A planned stop: every charger goes to its fail-safe setpoint before nobody decides any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from cext.tick import Kernel

WITHIN_S = 8.0  # 5 s of a charger's own pacing, its acknowledgement, and a poll that shows it
LOOK_EVERY_S = 0.05
SLOP_MA = 100  # a setpoint read back this close is the one ordered

log: FilteringBoundLogger = structlog.get_logger()


async def leave(kernel: Kernel, chargers: Mapping[str, int]) -> None:
    """Returns when each charger in touch shows its last order, or less; after 8 s at the latest.

    `chargers` are indexes by id. What does not come down in time falls back by its own watchdog,
    as it would have without us.
    """
    kernel.leave()
    tick = kernel.ticks + 1  # the one under way may not have heard of it
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + WITHIN_S
    while (above := _above(kernel, chargers, tick)) and loop.time() < ends_s:  # noqa: ASYNC110  # the kernel tells of changed orders only
        await asyncio.sleep(LOOK_EVERY_S)
    if above:
        log.warning("left before all were at their fail-safe setpoints", chargers=above)
    else:
        log.info("chargers are at their fail-safe setpoints, or lower")


def _above(kernel: Kernel, chargers: Mapping[str, int], tick: int) -> list[str]:
    """Chargers in touch that have not shown the order of that tick or a later one."""
    if kernel.ticks <= tick:
        return list(chargers)
    found = []
    for charger, index in chargers.items():
        state, order_ma = kernel.charger(index), kernel.output(index).setpoint_ma
        if order_ma is None or not state.fresh:
            continue  # it never had an order, or cannot be told one
        if state.in_force_ma is None or state.in_force_ma > order_ma + SLOP_MA:
            found.append(charger)
    return found
