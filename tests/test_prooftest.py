"""The proof test of contactors: what it refuses, what it finds, and that it always closes again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cext.rows import Vehicle
from controller.__main__ import main
from controller.clock import MonotonicClock
from controller.commands import prooftest
from controller.depot import Depot
from controller.document.gpio import Contactor
from controller.events import Events
from controller.image import Image
from controller.prooftest import ProofTests
from controller.realtime import Ticker
from controller.site import Site
from controller.tables import Tables
from controller.wire import Outcome, ProoftestAnswer
from tests.documents import charger, site
from tests.patience import until
from tests.test_gpio_document import GPIO, contactor

MIRROR = {"feedback_pin": 27, "feedback": "normally_closed", "opens_s": 0.1}


NOBODY = cast(Ticker, None)  # nothing here runs a thread


class Room(ProofTests):
    """There is room as long as somebody says so."""

    given = True

    def _lacks(self, contactor: Contactor) -> str | None:
        return super()._lacks(contactor) if self.given else "no room"


class Bench:
    """A kernel that is asked by hand, and contactors that follow, or not."""

    def __init__(self, of: Site, open_after_s: float | None = 0.02) -> None:
        tables = Tables.of(of)
        self.site, self.clock, self.kernel = of, MonotonicClock(), tables.build_kernel()
        self.image = Image(tables, self.kernel, self.clock)
        self.depot = Depot(of, tables, self.kernel, NOBODY, self.image, [], "control")
        self.events = Events(self.clock)
        self.latched = False
        self.tests = Room(lambda: self.depot, self.events, lambda: self.latched)
        self.vehicle, self.drawn_ma, self.reports = Vehicle.B, 0, True
        self.open_after_s = open_after_s
        self.load_ma = 5_000
        self.closes = True
        self.truly = {each.id: True for each in of.contactors}
        self.moves: list[tuple[str, bool]] = []

    async def live(self) -> None:
        """Chargers report while they have power, contactors follow, the kernel ticks."""
        since: dict[str, float] = {}
        while True:
            now_ns = self.clock.now_ns()
            for index, each in enumerate(self.site.contactors):
                order = self.image.contactor_order(each.id)
                wanted = order is not None and order.closed
                since.setdefault(f"{each.id}{wanted}", now_ns / 1e9)
                since.pop(f"{each.id}{not wanted}", None)
                stands_s = now_ns / 1e9 - since[f"{each.id}{wanted}"]
                if wanted != self.truly[each.id] and self._moves(wanted, stands_s):
                    self.truly[each.id] = wanted
                    self.moves.append((each.id, wanted))
                if each.feedback is not None:
                    self.kernel.post_contactor(index, now_ns, self.truly[each.id])
            for index, each_charger in enumerate(self.site.chargers):
                powered = all(
                    self.truly[c.id] for c in self.site.contactors if each_charger.id in c.chargers
                )
                if powered and self.reports:
                    drawn = (self.drawn_ma, 0, 0)
                    tick = self.kernel.output(index).changed_tick
                    ordered = self.kernel.output(index).setpoint_ma
                    self.kernel.post_report(index, now_ns, ordered or 0, drawn, self.vehicle, tick)
            self.kernel.post_reading(0, now_ns, (self.load_ma,) * 3)
            self.kernel.tick(now_ns)
            await asyncio.sleep(0.01)

    def _moves(self, wanted: bool, stands_s: float) -> bool:
        if wanted:
            return self.closes
        return self.open_after_s is not None and stands_s >= self.open_after_s


def depot(count: int = 1, **keys: object) -> Site:
    row = charger(count=count, poll_s=0.2, max_age_s=0.5, **keys)
    return site(charger=[row], gpio=GPIO, output=[contactor(**MIRROR)])


def told(bench: Bench, story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        living = asyncio.create_task(bench.live())
        try:
            async with asyncio.timeout(20):
                await until(lambda: bench.kernel.contactor(0).closed, 15)
                await asyncio.sleep(0.1)
                bench.moves.clear()
                await story()
        finally:
            living.cancel()

    asyncio.run(whole())


def outcome(bench: Bench, even_charging: bool = False) -> ProoftestAnswer:
    answers = []

    async def story() -> None:
        answers.append(await bench.tests.test("row-contactor", even_charging))

    told(bench, story)
    return answers[0]


def test_one_that_follows_opens_waits_until_what_is_behind_is_dead_and_closes() -> None:
    bench = Bench(depot())
    answer = outcome(bench)
    assert (answer.outcome, bench.moves) == (
        "follows",
        [("row-contactor", False), ("row-contactor", True)],
    ), answer
    assert answer.opened_s is not None
    assert [each.what for each in bench.events.after(0)] == ["contactor_follows"]


def test_a_welded_one_is_found_and_its_order_stands() -> None:
    bench = Bench(depot(), open_after_s=None)
    answer = outcome(bench)
    assert (answer.outcome, bench.moves) == ("welded", [])
    assert "welded, or a broken wire?" in answer.why
    assert bench.image.contactor_order("row-contactor") is not None  # held no longer


def test_one_that_does_not_close_again_is_told() -> None:
    bench = Bench(depot())

    async def story() -> None:
        asking = asyncio.create_task(bench.tests.test("row-contactor", False))
        await until(lambda: bench.moves)
        bench.closes = False
        answer = await asking
        assert answer.outcome == "not_closed", answer

    told(bench, story)


@pytest.mark.parametrize(
    ("vehicle", "drawn_ma", "refused"),
    [
        (Vehicle.A, 0, False),
        (Vehicle.B, 0, False),
        (Vehicle.C, 0, True),
        (Vehicle.D, 0, True),
        (Vehicle.UNKNOWN, 0, True),
        (Vehicle.B, 600, True),
    ],
)
def test_where_somebody_charges_or_may_it_is_left_as_it_is(
    vehicle: Vehicle, drawn_ma: int, refused: bool
) -> None:
    bench = Bench(depot())
    bench.vehicle, bench.drawn_ma = vehicle, drawn_ma
    answer = outcome(bench)
    assert (answer.outcome == "refused") == refused, answer
    assert bool(bench.moves) != refused
    if refused:
        assert "charging, or perhaps charging: bay-1" in answer.why
        bench = Bench(depot())
        bench.vehicle, bench.drawn_ma = vehicle, drawn_ma
        assert outcome(bench, even_charging=True).outcome == "follows"


def test_what_does_not_answer_counts_as_charging() -> None:
    bench = Bench(depot())
    bench.reports = False
    assert "perhaps charging" in outcome(bench).why


def test_what_could_not_be_closed_again_is_not_opened() -> None:
    """Of 100 A, 80 are drawn by others when one wants to open it behind which 32 A wake."""
    bench = Bench(depot(power_on_a=32))

    async def story() -> None:
        bench.load_ma = 80_000
        await asyncio.sleep(0.2)
        answer = await bench.tests.test("row-contactor", even_charging=True)
        assert (answer.outcome, bench.moves) == ("refused", [])
        assert "it could not be closed again: with all that its chargers can" in answer.why

    told(bench, story)


def test_it_stays_open_until_there_is_room_whoever_has_stopped_waiting() -> None:
    bench = Bench(depot())

    async def story() -> None:
        asking = asyncio.create_task(bench.tests.test("row-contactor", False))
        await until(lambda: bench.moves)
        bench.tests.given = False
        asking.cancel()  # whoever asked is gone
        await asyncio.sleep(1.2)
        assert bench.moves == [("row-contactor", False)]
        assert (await bench.tests.test("row-contactor", False)).why.startswith("another one")
        bench.tests.given = True
        await until(lambda: len(bench.moves) == 2)

    told(bench, story)


def test_what_cannot_be_tested_says_why() -> None:
    bench = Bench(depot())

    async def story() -> None:
        async def why(id_: str = "row-contactor") -> str:
            answer = await bench.tests.test(id_, False)
            assert answer.outcome == "refused"
            return answer.why

        assert "no contactor of that id" in await why("contactor")
        bench.latched = True
        assert "latched" in await why()
        bench.latched = False
        bench.depot = replace(bench.depot, mode="observe")
        assert "observing" in await why()

    told(bench, story)
    assert bench.moves == []
    blind = Bench(site(charger=[charger(count=1)], gpio=GPIO, output=[contactor()]))
    assert "no auxiliary contact" in outcome(blind).why


# --- the command -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "named", "status"),
    [
        (["follows", "follows"], False, 0),
        (["follows", "refused"], False, 0),
        (["refused"], False, 1),
        (["follows", "refused"], True, 1),
        (["follows", "welded"], False, 1),
        (["stays_open"], False, 1),
        ([], False, 1),
    ],
)
def test_the_answer_is_no_where_anything_is_left_to_do(
    outcomes: list[Outcome],
    named: bool,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told_of = [
        ProoftestAnswer(contactor=f"k{n}", outcome=each, opened_s=None, why="so it is")
        for n, each in enumerate(outcomes)
    ]

    async def test(path: Path, wanted: object, even_charging: bool) -> list[ProoftestAnswer]:
        return told_of

    monkeypatch.setattr(prooftest, "_test", test)
    assert main(["prooftest", *(["k0"] if named else [])]) == status
    said = capsys.readouterr().out
    assert all(prooftest.WORDS[each] in said for each in outcomes)
    assert main(["prooftest", *(["k0"] if named else []), "--json"]) == status
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["passed"], len(answer["contactors"])) == (status == 0, len(outcomes))


def test_without_an_enforcer_it_says_who_must_do_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prooftest", "--runtime", str(tmp_path)]) == 1
    assert "the one that holds their pins" in capsys.readouterr().err
