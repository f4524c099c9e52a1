"""The control process around fake devices: what is told, and what ends it."""

import asyncio
import contextlib
import json
import os
import signal
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cext.rows import Output, Rule, Vehicle, Why
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.commands import status
from controller.enforcer import BROKEN, BrokenInvariantError, Enforcer, hold
from controller.events import Events
from controller.image import ChargerReport
from controller.places import PlaceError
from controller.reasons import Reasons
from controller.units import NS_PER_S
from controller.watch import ERROR_EVERY_NS, RISING_EVERY_NS, Watch
from tests.linked import BOOT, DOCUMENT, Health, Wall, World, free_port, make_depot, world
from tests.patience import until


def play(story: Callable[[World], Awaitable[None]]) -> list[Any]:
    """Runs a story with an enforcer alone; the log lines."""

    async def run() -> None:
        async with world(free_port(), "enforcer") as made:
            await story(made)

    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(run(), 40))
    return logs


def test_readings_and_orders_reach_the_report_and_the_log() -> None:
    async def story(made: World) -> None:
        report = await made.report(lambda report: bool(report.chargers[0].setpoint_a))
        assert report.site == "test"
        assert report.boot_id == BOOT
        grid, row = report.circuits
        assert (grid.parent, row.parent) == (None, "grid")
        assert grid.load_a == (40.0, 40.0, 40.0)
        assert grid.cap_a == (80.0, 80.0, 80.0)  # never heard of the cloud: its fail-safe cap
        assert grid.bound_by == ("cloud",) * 3
        assert not grid.blind
        assert row.blind
        (bay,) = report.chargers
        assert bay.online
        assert bay.vehicle == "C"
        assert [each.state for each in report.limits] == ["lost", "lost"]
        assert report.link.since_s is None

    logs = play(story)
    (first, *_) = [each for each in logs if each["event"] == "setpoint"]
    assert first["charger"] == "bay"
    assert first["from_a"] is None
    assert first["tick"] > 0
    assert first["reason"]


def test_a_driver_that_raises_ends_the_process_and_all_orders() -> None:
    async def story(made: World) -> None:
        await made.report(lambda report: bool(report.chargers[0].setpoint_a))
        made.drivers[0].fault = ZeroDivisionError("ours")
        with pytest.raises(ExceptionGroup) as error:
            await made.end_of("enforcer")
        assert error.value.subgroup(ZeroDivisionError)
        assert made.depot is not None
        ticks = made.depot.kernel.ticks
        await asyncio.sleep(0.2)
        assert made.depot.kernel.ticks == ticks  # nobody confirms an order any more
        assert not made.places.socket.exists()

    play(story)


def test_a_driver_that_just_ends_is_as_bad() -> None:
    async def story(made: World) -> None:
        async def run() -> None:
            return

        await made.stop("enforcer")
        depot, drivers = make_depot()
        drivers[0].run = run  # type: ignore[method-assign]
        enforcer = Enforcer(depot, made.places, MonotonicClock(), Wall(), BOOT)
        with pytest.raises(ExceptionGroup) as error:
            await enforcer.run()
        assert error.value.subgroup(BrokenInvariantError)

    play(story)


class StuckTicker:
    """A kernel thread that never ticks."""

    def __init__(self) -> None:
        self.changed_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.ticked_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.granted = None
        self.worst_late_ns = 0

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


def test_a_kernel_that_does_not_tick_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.vigil.GIVE_UP_NS", NS_PER_S)
    depot, _ = make_depot()
    stuck = replace(depot, ticker=StuckTicker())
    with capture_logs() as logs, contextlib.chdir(tmp_path):
        where = World(Path(), 0, {}).places
        assert hold(Enforcer(stuck, where, MonotonicClock(), Wall(), BOOT)) == BROKEN
    assert logs[-1]["log_level"] == "critical"


def test_a_planned_stop_takes_the_chargers_to_their_fail_safe_setpoints() -> None:
    async def story(made: World) -> None:
        await made.report(lambda report: (report.chargers[0].setpoint_a or 0) > 6)
        assert made.depot is not None
        os.kill(os.getpid(), signal.SIGTERM)
        await made.end_of("enforcer")
        output = made.depot.kernel.output(0)
        assert output.setpoint_ma == made.depot.kernel.failsafe_ma(0) == 6000
        assert output.cause.rule is Rule.FALLBACK
        assert made.depot.kernel.charger(0).in_force_ma == 6000

    logs = play(story)
    assert "chargers are at their fail-safe setpoints, or lower" in [each["event"] for each in logs]
    assert logs[-1]["event"] == "stopped"


def test_a_charger_that_does_not_come_down_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controller.leaving.WITHIN_S", 0.3)

    async def story(made: World) -> None:
        await made.report(lambda report: (report.chargers[0].setpoint_a or 0) > 6)
        assert made.depot is not None
        image = made.depot.image

        def stays() -> None:
            now_ns = time.monotonic_ns()
            report = ChargerReport(now_ns, 20_000, (20_000,) * 3, Vehicle.C, 0)
            image.post_charger("bay", report)

        made.drivers[1].post = stays
        os.kill(os.getpid(), signal.SIGTERM)
        await made.end_of("enforcer")

    logs = play(story)
    (left,) = [each for each in logs if each["event"].startswith("left before")]
    assert left["chargers"] == ["bay"]


def test_asked_twice_it_ends_at_once() -> None:
    async def story(made: World) -> None:
        await made.report(lambda report: (report.chargers[0].setpoint_a or 0) > 6)
        assert made.depot is not None
        made.depot.ticker.stop()  # nothing would ever come down
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)
        await made.end_of("enforcer")

    logs = play(story)
    assert logs[-1]["event"] == "stopped"


def test_the_service_manager_hears_of_turns_and_of_the_end() -> None:
    async def story(made: World) -> None:
        await until(lambda: "WATCHDOG=1" in heard)
        assert heard[0] == "READY=1"
        before = heard.count("WATCHDOG=1")
        await until(lambda: heard.count("WATCHDOG=1") > before + 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await made.end_of("enforcer")
        assert "STOPPING=1" in heard

    heard: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("controller.notify.Notifier._say", lambda self, word: heard.append(word))
        patch.setattr("tests.linked.ENVIRON", {"WATCHDOG_USEC": "2000000"})
        play(story)


def test_a_second_enforcer_is_refused_before_it_touches_anything() -> None:
    async def story(made: World) -> None:
        depot, _ = make_depot()
        second = Enforcer(depot, made.places, MonotonicClock(), Wall(), BOOT)
        with pytest.raises(PlaceError, match="another enforcer"):
            await second.run()
        assert depot.kernel.ticks == 0
        assert (await made.report()).site == "test"

    play(story)


def test_devices_that_come_and_go_are_logged_once() -> None:
    async def story(made: World) -> None:
        health = made.drivers[1].health()
        assert isinstance(health, Health)
        health.online, health.error = False, "no reply"
        await made.report(lambda report: not report.chargers[0].online)
        await asyncio.sleep(1.1)

    logs = play(story)
    gone = [each for each in logs if each["event"] == "device offline"]
    assert [each["device"] for each in gone] == ["bay"]
    assert gone[0]["error"] == "no reply"


def test_a_damaged_limit_file_is_said_and_control_goes_on() -> None:
    async def story(made: World) -> None:
        await made.stop("enforcer")
        made.places.limits.write_text("{")
        await made.start_enforcer()
        assert (await made.report()).limits[0].state == "lost"

    logs = play(story)
    assert any(each["event"] == "saved limits cannot be read" for each in logs)


class Board:
    """A kernel with one charger whose output is set by hand."""

    def __init__(self) -> None:
        self.shown = order(None)

    def output(self, charger: int) -> Output:
        return self.shown


def order(ma: int | None, tick: int = 1) -> Output:
    why = Why(Rule.CAP, 0, 1, -1)
    return Output(ma, tick, tick, 0, why, why)


def test_every_fall_is_logged_and_a_rise_once_a_second() -> None:
    depot, _ = make_depot()
    board = Board()
    names = Reasons(["grid", "row"], ["cloud", "price"])
    watch = Watch(depot.site, depot.tables, board, [], names, Events(MonotonicClock()))  # type: ignore[arg-type]
    moves = [(0, 6), (1, 7), (2, 8), (11, 9), (12, 10), (13, 8), (14, 7), (15, None)]
    with capture_logs() as logs:
        for tenths, amps in moves:
            board.shown = order(None if amps is None else amps * 1000, tenths)
            watch.orders(tenths * RISING_EVERY_NS // 10)
    told = [(each["from_a"], each["to_a"]) for each in logs]
    assert told == [(None, 6), (6, 9), (9, 10), (10, 8), (8, 7), (7, None)]
    assert logs[0]["phase"] == "L2"
    assert logs[0]["source"] == "rating"
    assert logs[0]["reason"] == "grid L2 at its rating"


def test_another_error_of_a_device_is_logged_and_at_most_one_in_ten_seconds() -> None:
    depot, drivers = make_depot()
    names = Reasons(["grid", "row"], ["cloud", "price"])
    watch = Watch(depot.site, depot.tables, depot.kernel, drivers, names, Events(MonotonicClock()))
    health = drivers[1].health()
    second = ERROR_EVERY_NS // 10
    with capture_logs() as logs:
        for at_s in range(40):
            health.error = None if at_s < 5 else "refuses 1210" if at_s < 30 else f"no reply {at_s}"
            watch.others(at_s * second)
    told = [each for each in logs if each.get("device") == "bay"]
    assert [each["event"] for each in told] == ["device online", "device error", "device error"]
    assert [each.get("error") for each in told] == [None, "refuses 1210", "no reply 30"]
    assert all(each["log_level"] == "warning" for each in told[1:])
    states = [each for each in logs if each["event"] == "limit state"]
    assert all((each["log_level"] == "warning") == (each["state"] == "lost") for each in states)


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_has_words(rule: Rule) -> None:
    names = Reasons(["grid", "row-a"], ["cloud"])
    for why in (Why(rule, -1, -1, -1), Why(rule, 1, 1, -1), Why(rule, 0, 0, 0)):
        words = names.words(why)
        assert words
        assert "{" not in words
    assert names.words(Why(Rule.CAP, 0, 0, 0)) == "limit from cloud on grid L1"
    assert names.words(Why(Rule.CAP, 1, 1, -1)) == "row-a L2 at its rating"


def test_the_status_screen_says_what_is_wrong() -> None:
    async def story(made: World) -> None:
        report = await made.report(lambda report: bool(report.chargers[0].setpoint_a))
        health = made.drivers[1].health()
        assert isinstance(health, Health)
        health.online, health.error = False, "no reply"
        ill = await made.report(lambda report: not report.chargers[0].online)
        for each in (report, ill):
            screens.append("\n".join(status.screen(each)))

    screens: list[str] = []
    play(story)
    well, ill = screens
    assert "test: in control" in well
    assert "document: the installer's file, installation " in well
    assert "LOST: fail-safe cap" in well
    assert "no reply" not in well
    assert "OFFLINE" in ill
    assert "no reply" in ill


def test_status_without_an_enforcer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.run(Namespace(runtime=tmp_path, json=False)) == 1
    assert "no enforcer" in capsys.readouterr().err


def test_run_refuses_a_site_with_every_problem_and_one_that_is_not_safe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.json"
    bad = {**DOCUMENT, "colour": "red", "circuit": [{**DOCUMENT["circuit"][0], "rating_a": "x"}]}
    path.write_text(json.dumps(bad))
    assert main(["run", str(path), "--runtime", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "colour" in said
    assert "rating_a" in said
    unsafe = {**DOCUMENT, "circuit": [DOCUMENT["circuit"][0] | {"worst_base_a": 199}]}
    unsafe["charger"] = [DOCUMENT["charger"][0] | {"circuit": "grid"}]
    unsafe["limit_source"] = []
    path.write_text(json.dumps(unsafe))
    assert main(["run", str(path), "--runtime", str(tmp_path)]) == 1
    assert "unattended" in capsys.readouterr().out.lower()
    assert main(["link", str(path), "--runtime", str(tmp_path)]) == 2
    assert "[link]" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.toml")]) == 2


def test_waiting_is_over_when_it_should_be() -> None:
    asyncio.run(until(lambda: True))
