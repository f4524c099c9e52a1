"""What `loadkeeper status` tells an operator of turns and advice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from cext.rows import Advice
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.commands.status import screen
from controller.status_report import ChargerReport
from controller.units import NS_PER_S
from tests.linked import DOCUMENT, free_port, world
from tests.test_wire import REPORT


def bay(name: str, **keys: Any) -> ChargerReport:
    common: dict[str, Any] = {
        "circuit": "row",
        "setpoint_a": 6,
        "in_force_a": 6,
        "current_a": None,
        "vehicle": "C",
    }
    return ChargerReport(id=name, online=True, reason="", draw_hi_a=6.6, **common | keys)


def table(head: str, *chargers: ChargerReport) -> list[list[str]]:
    """The cells of the table that begins with this word; none where there is no such table."""
    lines = list(screen(REPORT.model_copy(update={"chargers": list(chargers)})))
    at = next((at for at, line in enumerate(lines) if line.split()[:1] == [head]), len(lines))
    rows = lines[at + 1 :]
    end = rows.index("") if "" in rows else len(rows)
    return [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows[:end]]


def test_who_waits_is_told_next_first_and_then_who_has_a_turn() -> None:
    told = table(
        "turn",
        bay("a", turn_s=100.0),
        bay("b", waits_s=30.0),
        bay("c", waits_s=1900.0, overtakes=True),
        bay("d", waits_s=600.0),
        bay("e", turn_s=400.0, idle=True),
        bay("f"),
    )
    assert told == [
        ["c", "waits", "32 min", "longer than its class waits: goes before all others"],
        ["d", "waits", "10 min"],
        ["b", "waits", "30 s"],
        ["e", "has its turn", "7 min", "draws nothing of what it is offered: its turn passes"],
        ["a", "has its turn", "100 s"],
    ]


def test_where_nobody_waits_nobody_has_a_turn() -> None:
    assert table("turn", bay("a", turn_s=100.0), bay("f")) == []


def test_advice_is_told_with_what_is_left_of_it() -> None:
    told = table("advice", bay("a"), bay("b", advice="weight 3, cap 16 A", advice_s=28_800.0))
    assert told == [["b", "weight 3, cap 16 A", "8 h"]]


def test_a_running_enforcer_tells_both(capsys: pytest.CaptureFixture[str]) -> None:
    """Two chargers on a row that carries the minimum of one."""
    grid, row = DOCUMENT["circuit"]
    (first,) = DOCUMENT["charger"]
    chargers = [first, first | {"id": "other", "unit": 3}]
    document = DOCUMENT | {"circuit": [grid, row | {"rating_a": 9}], "charger": chargers}
    document = document | {"limit_source": DOCUMENT["limit_source"][:1]}

    async def whole() -> None:
        async with world(free_port(), "") as made:
            await made.start_enforcer(document)
            assert made.depot is not None
            ends_ns = MonotonicClock().now_ns() + 8 * 3600 * NS_PER_S
            made.depot.image.advise("bay", Advice(weight=3, cap_ma=10_000, until_ns=ends_ns))
            await made.report(
                lambda report: (
                    any(each.waits_s for each in report.chargers)
                    and any(each.advice for each in report.chargers)
                )
            )
            runtime = str(made.places.runtime)
            assert await asyncio.to_thread(main, ["status", "--runtime", runtime]) == 0

    with capture_logs():
        asyncio.run(asyncio.wait_for(whole(), 60))
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[1] for line in told if line[0:1] in (["bay"], ["other"])].count("waits") == 1
    assert ["bay", *["weight", "3,", "cap", "10", "A"], "8", "h"] in told
