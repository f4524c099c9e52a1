"""The search: it can find, it repeats itself, it cuts down, and what it once found stays mended."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from hil.search.case import Case, read
from hil.search.days import draw_case
from hil.search.eyes import Eye
from hil.search.hunt import Hunt, in_words, report, tell_seed
from hil.search.judge import FoundError
from hil.search.shrink import Shrinker
from hil.search.world import World, tell

KEPT = sorted((Path(__file__).parent / "seeds").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_was_once_found_stays_mended(path: Path) -> None:
    case = read(path)
    assert case.remark, "a kept case says what was found in it"
    assert tell(case, guarded=True) is None


def test_a_seed_is_a_whole_case_and_tells_the_same_again(tmp_path: Path) -> None:
    assert draw_case(11) == draw_case(11)
    case = replace(draw_case(11), duration_s=150.0)
    first, second = World(case), World(case)
    assert first.run() == second.run()
    assert first.plant.glance() == second.plant.glance()
    case.write(tmp_path / "case.json")
    assert read(tmp_path / "case.json") == case


def test_a_file_that_is_no_case_is_refused(tmp_path: Path) -> None:
    draw_case(1).write(tmp_path / "case.json")
    text = (tmp_path / "case.json").read_text(encoding="utf-8")
    (tmp_path / "case.json").write_text(text.replace('"remark"', '"remarks"'), encoding="utf-8")
    with pytest.raises(ValueError, match="a case has no remarks"):
        read(tmp_path / "case.json")


def lied_to(case: Case) -> Case:
    """Its proof knows nothing of half of its base load, and the judge neither."""
    base = [row | {"load_a": [2 * a + 60 for a in row["load_a"]]} for row in case.base]
    return replace(case, base=base, duration_s=30.0, events=[])


def test_what_is_found_is_cut_down_and_said(tmp_path: Path) -> None:
    """Base load beyond what is declared cannot be held, and is found."""
    found = ((case, tell(case)) for case in map(lied_to, map(draw_case, range(1, 30))))
    case, finding = next((case, finding) for case, finding in found if finding is not None)
    shrinker = Shrinker(case, finding, most_s=5.0)
    shrinker.shrink()
    assert tell(shrinker.case) == shrinker.finding
    assert len(shrinker.case.site["charger"]) <= len(case.site["charger"])
    assert shrinker.case.duration_s <= finding.t_s + 2
    said = in_words(shrinker.case, shrinker.finding, tmp_path / "case.json")
    assert "more than it may" in said and f"seed {case.seed}" in said and "--case" in said


def test_writes_that_nobody_ordered_are_found() -> None:
    """Judged by the plant: it does not matter what anybody believes."""

    class Forged(World):
        def look(self) -> None:
            for charger in range(len(self.chargers)):
                self.plant.write_setpoint(charger, 63_000)
            super().look()

    cases = [replace(draw_case(seed), duration_s=40.0, events=[]) for seed in range(1, 13)]
    findings = [Forged(case).run() for case in cases]
    assert "over" in {finding.kind for finding in findings if finding is not None}


def ordered(world: World, *orders_ma: list[int | None]) -> list[str]:
    """What is found when these orders are looked at, one after the other."""
    found = []
    for each in orders_ma:
        try:
            world.orders.look(each)
        except FoundError as error:
            found.append(error.finding.kind)
    return found


def begun(seed: int, **charger: object) -> World:
    """A case at its very start, its first charger told apart."""
    case = draw_case(seed)
    rows = [row | charger if i == 0 else row for i, row in enumerate(case.site["charger"])]
    world = World(replace(case, site=case.site | {"charger": rows}, events=[]))
    world.orders.start()
    world._unheard = {i: [] for i in range(len(world.site.circuits))}
    return world


def test_a_first_order_above_what_is_in_force_is_found() -> None:
    world = begun(11, fallback_a=10, power_on_a=8)
    rest = [None] * (len(world.chargers) - 1)
    assert ordered(world, [8000, *rest]) == []
    world = begun(11, fallback_a=10, power_on_a=6)
    assert ordered(world, [8000, *rest]) == ["start"]
    world = begun(11, fallback_a=6, power_on_a=16)
    assert ordered(world, [8000, *rest]) == ["start"]


def test_what_rises_while_latched_silent_or_unread_is_found() -> None:
    world = begun(11, fallback_a=6, power_on_a=16)
    rest = [None] * (len(world.chargers) - 1)
    assert ordered(world, [6000, *rest], [7000, *rest], [6500, *rest]) == []
    world.orders.latch(True)
    assert ordered(world, [6000, *rest], [6100, *rest]) == ["latched"]
    world.orders.latch(False)
    world.now_ns = 60_000_000_000
    silent = next(iter(world.chargers))
    world.ills.silent.begin(silent, 20_000_000_000)
    assert ordered(world, [6200, *rest]) == ["silent"]
    world.ills.silent.end(silent)
    assert ordered(world, [6300, *rest]) == []
    eye = Eye(1, 0, signed=True)
    world._unheard[world.judge.tree.paths[0][-1]] = [(eye, eye.shown)]
    assert ordered(world, [6400, *rest]) == ["start"]
    eye((0, 0, 0))
    assert ordered(world, [6500, *rest]) == []


def test_a_pause_of_who_may_never_be_paused_is_found() -> None:
    world = begun(11, fallback_a=10, power_on_a=10, may_pause="never")
    rest = [None] * (len(world.chargers) - 1)
    assert ordered(world, [8000, *rest], [6000, *rest], [0, *rest]) == ["never"]


def test_bus_bars_and_the_three_phases_together_are_judged() -> None:
    """A plant whose chargers are forced up breaks each bound in some depot."""

    class Forced(World):
        def look(self) -> None:
            for charger in range(len(self.chargers)):
                self.plant.write_setpoint(charger, 63_000)
            super().look()

    def bounded(seed: int, **bound: object) -> Case:
        """Nothing bounds its circuits but that."""
        device = {"kind": "electronic", "ir_a": 9001, "tr_s": 24}
        case = draw_case(seed)
        rows = [
            {key: row[key] for key in row if key not in ("busbar_a", "apparent_kva")}
            | {"rating_a": [9000.0] * 3, "protection": device}
            | (bound if "parent" not in row else {})
            for row in case.site["circuit"]
        ]
        site = case.site | {"circuit": rows, "limit_source": []}
        return replace(case, site=site, events=[], duration_s=40.0)

    for bound, words in (
        ({"busbar_a": [9000.0] * 3, "worst_base_a": [8990.0] * 3}, "bus bar of grid"),
        ({"apparent_kva": 5.0}, "three phases of grid together"),
    ):
        findings = [Forced(bounded(seed, **bound)).run() for seed in range(1, 6)]
        assert any(each and each.kind == "over" and words in each.what for each in findings)


def test_a_document_in_the_midst_of_it_counts_and_is_rolled_back() -> None:
    case = draw_case(11)
    operation = {"circuit": [{"id": "grid", "limit_a": 3}], "charger": []}
    event = {"do": "document", "t_s": 60.0, "rating_share": {}, "operation": operation}
    world = World(replace(case, duration_s=200.0, events=[event | {"for_s": 90.0}]), guarded=True)
    caps = []
    for at_s in (59.0, 62.0, 140.0, 155.0):
        world.agenda.at(round(at_s * 1e9), lambda: caps.append(world.plant.cap(0)))
    assert world.run() is None
    assert caps[1] == caps[2] == (3_000, 3_000, 3_000)
    assert caps[0] == caps[3] != caps[1]
    assert world.happened["document"] == 1
    refused = {"rating_share": {"grid": 0.01}, "operation": {"circuit": [], "charger": []}}
    world = World(replace(case, duration_s=70.0, events=[event | {"for_s": 90.0} | refused]))
    assert world.run() is None
    assert world.site is world.first, "it would not pass the proof"


def test_a_hunt_says_what_it_told_and_goes_on_from_any_seed(tmp_path: Path) -> None:
    whole = Hunt(0.5, 21, 1, 1, tmp_path, guarded=2)
    whole.run()
    assert not whole.found and not whole.stopped
    told = whole.answer()
    assert told["next_seed"] == 21 + whole.told and whole.ticks > 1000
    assert whole.guarded_cases == len(
        [seed for seed in range(21, whole.next_seed) if seed % 2 == 0]
    )
    assert whole.events["base"] > 5
    parts = [tell_seed(seed, seed % 2 == 0) for seed in range(21, whole.next_seed)]
    assert sum(each.ticks for each in parts) == whole.ticks
    assert "the next seed is" in report(whole) and "judged by the guard" in report(whole)


def test_a_hunt_that_is_told_to_stop_says_so(tmp_path: Path) -> None:
    hunt = Hunt(1000.0, 21, 1, 1, tmp_path)
    stop = Timer(2.0, os.kill, (os.getpid(), signal.SIGTERM))
    stop.start()
    hunt.run()
    stop.cancel()
    assert hunt.stopped and "STOPPED" in report(hunt)
    assert hunt.next_seed == 21 + hunt.told


def test_eyes_err_and_ail() -> None:
    eye = Eye(1, 0, signed=True)
    assert eye((1, 2, 3)) == (1, 2, 3)
    eye.begin("frozen")
    assert eye((4, 5, 6)) == (4, 5, 6) == eye((7, 8, 9))
    eye.end("frozen")
    eye.begin("swapped")
    assert eye((1, 2, 3)) == (2, 3, 1)
    eye.begin("reversed")
    assert eye((1, 2, 3)) == (-2, -3, -1)
    eye.end("swapped")
    eye.end("reversed")
    eye.begin("drops")
    assert {eye((1, 2, 3)) for _ in range(50)} == {None, (1, 2, 3)}
    told = Eye(2, 100, signed=False)
    readings = [told((50, 1000, 1000)) for _ in range(200)]
    assert all(each is not None and 0 <= each[0] <= 150 for each in readings)
    assert len({each[1] for each in readings if each is not None}) > 50
