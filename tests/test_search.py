"""The search: it can find, it repeats itself, it cuts down, and what it once found stays mended."""

from dataclasses import replace
from pathlib import Path

import pytest

from hil.search.case import Case, read
from hil.search.days import draw_case
from hil.search.eyes import Eye
from hil.search.hunt import in_words
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
