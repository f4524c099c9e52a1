"""The latch: nothing rises until somebody resets it, whatever happens meanwhile."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cext.rows import Rule
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.enforcer import Enforcer
from controller.events import Events
from controller.latch import Latch
from controller.status_report import StatusReport
from controller.wire import ask_reset
from tests.bays import Row, S, bays
from tests.door import Door, kernel_of, row_of
from tests.linked import BOOT, Wall, World, free_port, make_depot, world
from tests.oracle.site import MS, Charger, Circuit, Site, flat
from tests.oracle.story import TROUBLE, tell
from tests.oracle.world import World as Oracle
from tests.patience import until
from tests.switched import CHARGER, OWN, Depot
from tests.test_adopt import handed_over
from tests.test_rules import bench

WHY = "the guard disputed three decisions in a row"


# -- the kernel ---------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [True, None, 0, "off"])
def test_only_a_clear_off_opens_it(word: Any) -> None:
    kernel = kernel_of(Site([Circuit(-1, flat(63_000), flat(0))], [], [Charger(0, (0, 1, 2))]))
    kernel.latch(True)
    kernel.latch(word)
    assert kernel.latched
    kernel.latch(False)
    assert not kernel.latched


def latch(oracle: Oracle, on: bool) -> None:
    port = oracle.watch.port
    assert isinstance(port, Door)
    port.kernel.latch(on)


def orders(oracle: Oracle) -> list[int | None]:
    return oracle.history[-1]


def test_a_latched_kernel_goes_to_fail_safe_and_stays_there() -> None:
    oracle = row_of(4, base_ma=20_000, cap_ma=400_000)
    oracle.run(40)
    assert orders(oracle) == [32_000] * 4
    latch(oracle, True)
    oracle.run(0.2)
    failsafe = [oracle.watch.port.failsafe_ma(i) for i in range(4)]
    assert orders(oracle) == failsafe == [6000] * 4
    oracle.run(120)
    assert orders(oracle) == failsafe
    assert {oracle.watch.port.output(i).why.rule for i in range(4)} == {Rule.LATCHED}
    latch(oracle, False)
    oracle.run(60)
    assert orders(oracle) == [32_000] * 4


def test_when_it_closes_no_order_stands_above_what_is_in_force() -> None:
    """The charger has not taken its last rise yet: latched, it never will."""
    one = bench(1, cap_ma=60_000, worst_ma=0, fallback_ma=16_000)
    one.steps(1, 0, [16_000])
    one.now_ns += 100 * MS
    one.door.reading(0, one.now_ns, flat(7000))
    one.door.report(0, one.now_ns, 7000, flat(7000), "C", 0)
    one.door.kernel.latch(True)
    one.door.tick(one.now_ns)
    assert one.orders() == [7000]


def test_a_latched_kernel_still_sheds() -> None:
    oracle = row_of(4, base_ma=20_000, cap_ma=150_000, worst_ma=120_000)
    oracle.run(40)
    latch(oracle, True)
    oracle.run(20)
    assert orders(oracle) == [6000] * 4
    oracle.honest = False  # more base load than was declared
    oracle.base(0, (140_000,) * 3)
    oracle.run(20)
    assert sum(each or 0 for each in orders(oracle)) <= 10_000


def two_of_four() -> Row:
    """Four chargers, room for two minima, also when nothing is measured."""
    row = Row(33, bays(4, fallback_ma=6000, power_on_ma=6000), turn_ns=100 * S)
    row.base_ma = 20_000
    row.run(60)
    assert row.on() == [0, 1]
    return row


def test_latched_no_turn_takes_from_those_who_charge() -> None:
    """Two of four minima fit. Nobody may rise, so nobody gives his place away, turn after turn."""
    row = two_of_four()
    row.kernel.latch(True)
    row.run(4)
    on = row.on()
    assert len(on) == 2
    row.run(450)
    assert row.on() == on
    assert {row.kernel.output(i).why.rule for i in range(4)} == {Rule.LATCHED}
    row.kernel.latch(False)
    row.run(60)
    assert row.on() == on, "whoever was on has the turn in which it ends"
    seen = set()
    for _ in range(10):
        row.run(30)
        seen |= set(row.on())
    assert seen == {0, 1, 2, 3}, "turns go on"


def test_a_depot_that_is_left_switches_nobody_off_for_a_turn() -> None:
    row = two_of_four()
    row.kernel.leave()
    row.run(4)
    on = row.on()
    assert len(on) == 2
    row.run(450)
    assert row.on() == on


def test_latched_a_reduction_says_why_it_was_made() -> None:
    """What keeps an order there is the latch; what lowered it now is what lowered it."""
    row = two_of_four()
    row.kernel.latch(True)
    row.run(20)
    row.base_ma += 4000
    row.run(2)
    (lowered,) = {0, 1} - set(row.on())
    assert row.kernel.output(lowered).why.rule is Rule.SHED
    row.run(2)
    assert row.kernel.output(lowered).why.rule is Rule.LATCHED
    assert row.kernel.output(lowered).cause.rule is Rule.SHED


def test_latched_what_stands_behind_an_open_contactor_says_so() -> None:
    depot = Depot([OWN])
    depot.keeps_power = True
    depot.kernel.latch(True)
    depot.run(20)
    assert depot.kernel.output(0).why.rule is Rule.RECLOSING


def test_what_was_about_to_get_its_power_back_takes_no_room_once_latched() -> None:
    """The others make room for its power-on current when it latches: no contactor closes then."""
    wild = CHARGER._replace(power_on_ma=32_000)
    depot = Depot([OWN], count=3, cap_ma=40_000, charger=wild)
    depot.base_ma = 9000
    depot.run(40)
    assert depot.kernel.charger(0).draw_hi_ma == 0
    depot.base_ma = 0
    depot.run(4)
    assert depot.kernel.charger(0).draw_hi_ma == 32_000
    depot.kernel.latch(True)
    depot.run(1)
    assert depot.kernel.charger(0).draw_hi_ma == 0
    depot.run(120)
    assert [depot.order(i) for i in (1, 2)] == [6000, 6000]
    assert not depot.contactor(0).closed
    depot.kernel.latch(False)
    depot.run(60)
    assert depot.contactor(0).closed


def test_a_read_back_that_rounds_down_does_not_lower_it_again_and_again() -> None:
    oracle = row_of(1, base_ma=0, cap_ma=400_000, charger=Charger(0, (0, 1, 2), step_ma=1))
    oracle.run(40)
    latch(oracle, True)
    oracle.run(10)
    assert orders(oracle) == [6000]
    oracle.depot.devices[0].offer(oracle.now_ns, 5990)
    oracle.run(5)
    assert orders(oracle) == [6000]


def test_what_was_lower_when_it_latched_stays_lower() -> None:
    oracle = row_of(1, base_ma=0, cap_ma=400_000)
    latch(oracle, True)
    oracle.depot.devices[0].offer(oracle.now_ns, 0)
    oracle.run(60)
    assert orders(oracle) == [0]


def test_no_contactor_closes_while_latched() -> None:
    depot = Depot([OWN])
    depot.kernel.latch(True)
    depot.run(200)
    assert not depot.contactor(0).closed
    depot.kernel.latch(False)
    depot.run(60)
    assert depot.contactor(0).closed


def test_a_latch_outlives_a_change_of_the_document() -> None:
    oracle = row_of(2, base_ma=0, cap_ma=400_000)
    oracle.run(30)
    latch(oracle, True)
    port = oracle.watch.port
    assert isinstance(port, Door)
    handed_over(port, oracle.site)
    assert port.kernel.latched
    oracle.run(30)
    assert orders(oracle) == [6000, 6000]


@pytest.mark.parametrize("seed", range(6))
def test_latched_nothing_rises_in_any_depot(seed: int) -> None:
    """Every promise holds as well: the oracle watches."""

    class Latched(Door):
        def __init__(self, site: object) -> None:
            super().__init__(site)  # type: ignore[arg-type]
            self.kernel.latch(True)

    oracle = tell(Latched, seed, TROUBLE, 5, 3)
    for charger in range(len(oracle.site.chargers)):
        seen = [each[charger] for each in oracle.history]
        assert "restart" in TROUBLE  # which begins anew: only then may an order be higher
        port = oracle.watch.port
        assert all((each or 0) <= port.failsafe_ma(charger) for each in seen)


# -- the file -----------------------------------------------------------------------------------


def made(path: Path) -> Latch:
    return Latch(path, Events(MonotonicClock()), Wall())


def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "latch.json"
    first = made(path)
    assert not first.closed
    assert not path.exists()
    first.close("guard_disputes", WHY)
    first.close("another", "which comes too late")
    first.stop()
    again = made(path)
    assert again.closed
    assert again.report is not None
    assert (again.report.cause, again.report.why) == ("guard_disputes", WHY)
    assert again.reset("somebody") == first.report
    assert again.reset("somebody") is None
    again.stop()
    assert not made(path).closed


def test_a_file_that_cannot_be_read_latches(tmp_path: Path) -> None:
    path = tmp_path / "latch.json"
    for content in ("", "{", '{"format":1}', '{"format":2,"closed":null}'):
        path.write_text(content)
        assert made(path).closed, content
    path.unlink()
    path.mkdir()
    assert made(path).closed


@pytest.mark.parametrize(
    "content",
    [
        '{"format":1,"closed":{"cause":"guard_disputes","why":"w","since":null}}',  # of before
        "{",
    ],
)
def test_an_id_that_was_made_up_is_the_same_after_the_next_start(
    tmp_path: Path, content: str
) -> None:
    """What resets it from afar names it: signed for the id that is shown, it holds."""
    path = tmp_path / "latch.json"
    path.write_text(content)
    shown = []
    for _ in range(3):
        each = made(path)
        port = row_of(1, base_ma=0, cap_ma=100_000).watch.port
        assert isinstance(port, Door)
        each.hold(port.kernel)
        assert each.report is not None
        shown.append((each.report.id, each.report.cause))
        each.stop()
    assert shown[0] == shown[1] == shown[2]


def test_to_look_at_it_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "latch.json"
    path.write_text("{")
    assert made(path).closed
    assert path.read_text() == "{"


# -- the process --------------------------------------------------------------------------------


def setpoint_a(report: StatusReport) -> float:
    return report.chargers[0].setpoint_a or 0.0


def test_a_latched_enforcer_stays_so_until_it_is_reset_on_site(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def story(alone: World) -> None:
        where = alone.places.runtime

        async def command(*words: str) -> int:
            return await asyncio.to_thread(main, [*words, "--runtime", str(where)])

        await alone.report(lambda report: setpoint_a(report) > 20)
        assert await command("reset") == 0
        assert "nothing is latched" in capsys.readouterr().out
        assert alone.enforcer is not None
        alone.enforcer.latch.close("guard_disputes", WHY)
        await alone.report(lambda report: setpoint_a(report) == 6)
        assert await command("status") == 0
        assert "LATCHED since 2" in (said := capsys.readouterr().out)
        assert WHY in said
        await alone.stop("enforcer")
        await alone.start_enforcer()
        await alone.report(lambda report: setpoint_a(report) == 6)
        await asyncio.sleep(1)
        report = await alone.report()
        assert setpoint_a(report) == 6
        assert report.latched is not None
        assert report.latched.why == WHY
        assert [each.what for each in alone.enforcer.events.kept].count("latched") == 1
        assert await command("reset", "--json") == 0
        answer = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (answer["was_latched"], answer["cause"]) == (True, "guard_disputes")
        await alone.report(lambda report: setpoint_a(report) > 6 and report.latched is None)
        await alone.stop("enforcer")
        await alone.start_enforcer()
        assert (await alone.report()).latched is None

    async def run() -> None:
        async with world(free_port(), "enforcer") as alone:
            await story(alone)

    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(run(), 60))
    assert [each["event"] for each in logs].count("latch reset") == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_who_may_only_look_may_not_reset(tmp_path: Path) -> None:
    """As the link: its user is let in, and is neither root nor the enforcer's own."""

    async def run() -> None:
        async with world(free_port(), "") as alone:
            depot, _ = make_depot()
            enforcer = Enforcer(
                depot, alone.places, MonotonicClock(), Wall(), BOOT, frozenset({65534})
            )
            running = asyncio.create_task(enforcer.run())
            await until(alone.places.socket.exists)
            enforcer.latch.close("guard_disputes", WHY)
            alone.places.runtime.parent.chmod(0o755)
            alone.places.runtime.chmod(0o755)
            alone.places.socket.chmod(0o666)
            os.seteuid(65534)
            try:
                with pytest.raises(ConnectionError, match="only root may reset"):
                    await ask_reset(alone.places.socket)
            finally:
                os.seteuid(0)
            assert enforcer.latch.closed
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(asyncio.wait_for(run(), 30))
