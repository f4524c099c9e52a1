"""The search: it can find, it repeats itself, it cuts down, and what it once found stays mended."""

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Timer

import pytest

from controller.plant import VirtualEnforcer
from hil.search.case import Case, read
from hil.search.days import draw_case
from hil.search.eyes import Eye
from hil.search.gateway import Gateway
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
    world.gateway._unheard = {i: [] for i in range(len(world.site.circuits))}
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
    world.gateway._unheard[world.judge.tree.paths[0][-1]] = [(eye, eye.shown)]
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
    assert world.site is world.gateway.first, "it would not pass the proof"


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


def unfed(seed: int) -> World:
    """All stands still for 80 s; no watchdog of a charger acts, and each has 63 A in force."""
    stall = {"t_s": 60.0, "do": "stall", "threads": ["kernel", "io"], "for_s": 80.0}
    case = draw_case(seed)
    vehicle = {"max_a": 63, "phases": 3, "reaction_s": 0.5, "energy_kwh": 50, "gain_pct": 0}
    vehicles = [vehicle | {"charger": row["id"]} for row in case.site["charger"]]
    world = World(replace(case, duration_s=139.0, vehicles=vehicles, events=[stall]))

    def force() -> None:
        for charger in range(len(world.chargers)):
            world.plant.set_alone(charger, 63_000, 0)
            world.plant.write_setpoint(charger, 63_000)
            world.plant.set_obeys(charger, True)

    world.agenda.at(62_000_000_000, force)
    return world


def note_beyond(world: World, beyond: list[int]) -> None:
    for i, circuit in enumerate(world.site.circuits):
        beyond += map(int.__sub__, world.plant.load(i), circuit.rating_ma)


def test_a_stall_excuses_no_overload_of_its_own() -> None:
    """Nobody is there, and chargers do not fall back: what that does to ratings is found."""
    over = 0
    for seed in range(1, 13):
        world = unfed(seed)
        beyond: list[int] = []
        world.agenda.at(130_000_000_000, partial(note_beyond, world, beyond))
        world.judge.look = lambda now_ns: None  # type: ignore[method-assign]
        world.run()
        if max(beyond) > 2_000:
            over += 1
            finding = unfed(seed).run()
            assert finding is not None and finding.kind == "over", seed
    assert over >= 4


def test_a_start_excuses_only_what_was_over_before_it() -> None:
    """Whoever starts anew and lets chargers draw more than fits is found within a start's time."""

    class Careless(Gateway):
        def start(self) -> None:
            super().start()
            if self._world.now_ns == 0:
                return
            for charger in range(len(self._world.chargers)):
                self._world.plant.write_setpoint(charger, 63_000)
                self._world.plant.set_obeys(charger, False)

    found = 0
    for seed in range(1, 15):
        restart = {"t_s": 150.0, "do": "restart", "for_s": 1.0}
        world = World(replace(unfed(seed).case, duration_s=156.0, events=[restart]))
        world.gateway = Careless(world, guarded=False, make=VirtualEnforcer)
        world.judge.watch_ill = lambda: None  # type: ignore[method-assign]
        finding = world.run()
        beyond: list[int] = []
        note_beyond(world, beyond)
        assert max(beyond) <= 2_000 or (finding is not None and finding.kind == "over"), seed
        found += finding is not None
    assert found >= 4


def test_a_hunt_survives_whatever_one_case_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invariant of the controller, a case that cannot be made: each is one more finding."""
    case = replace(draw_case(1), duration_s=5.0, events=[])
    for error in (AssertionError("an invariant"), AttributeError("x"), RuntimeError("y")):

        def broken(_world: World, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(World, "set_caps", broken)
            finding = tell(case)
        assert finding is not None and finding.kind == "crash"
        assert type(error).__name__ in finding.what

    def no_case(seed: int) -> Case:
        raise RuntimeError(f"{seed} cannot be repaired")

    monkeypatch.setattr("hil.search.hunt.draw_case", no_case)
    each = tell_seed(7, False)
    assert each.finding is not None and each.finding.kind == "crash"
    hunt = Hunt(1.0, 7, 1, 1, tmp_path)
    hunt._count(each)
    hunt._keep(each)
    assert "7 cannot be repaired" in report(hunt)


def test_the_share_that_was_judged_blind_is_counted_and_told(tmp_path: Path) -> None:
    def blind_ns(*events: dict[str, object]) -> tuple[int, int]:
        site = draw_case(21).site
        world = World(replace(draw_case(21), site=site, duration_s=120.0, events=list(events)))
        assert world.run() is None
        return world.judge.blind_ns, world.judge.judged_ns

    none_ns, judged_ns = blind_ns()
    assert none_ns == 0 < judged_ns
    chargers = [row["id"] for row in draw_case(21).site["charger"]]
    silent = [{"t_s": 60.0, "do": "silent", "charger": c, "for_s": 30.0} for c in chargers]
    ill_ns, judged_ns = blind_ns(*silent)
    assert 0.2 * judged_ns < ill_ns < 0.6 * judged_ns
    hunt = Hunt(1.0, 21, 1, 1, tmp_path)
    hunt._count(tell_seed(21, False)._replace(judged_ns=1000, blind_ns=125))
    assert hunt.answer()["blind_percent"] == 12.5
    assert "12.5 % of all circuits' time was judged blind" in report(hunt)


def test_the_calm_time_as_delivered_and_swing_chargers_are_among_the_draws() -> None:
    cases = [draw_case(seed) for seed in range(60)]
    calm_s = [case.site["control"].get("calm_s", 60) for case in cases]
    assert 15 <= calm_s.count(60) <= 45 and {5, 10} <= set(calm_s)
    vehicles = [len(case.vehicles) for case, s in zip(cases, calm_s, strict=True) if s == 60]
    assert sum(n > 16 for n in vehicles) >= 3, "swing begins with sixteen that charge"


def test_base_load_that_swings_explains_its_height_and_not_the_sum_of_its_steps() -> None:
    """Ten times up and down by 8 A, each answered before the next: 8 A, not 80."""
    world = World(draw_case(2))
    name = world.site.circuits[0].id
    for _ in range(10):
        world.judge.base(name, (8_000, 8_000, 0))
        world.judge.base(name, (0, 0, 0), (8_000, 8_000, 0))
    world.judge.base(name, (8_000, 0, 0))
    explained = [it.size_ma for it in world.judge.stands[0].causes if it.is_base]
    assert [sum(each[flow] for each in explained) for flow in range(4)] == [8_000, 0, 0, 8_000]
