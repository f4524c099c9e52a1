"""The list of planted faults, and what a run of somebody who is asked means. None is built here."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hil import mutants
from hil.mutants import means, verdicts
from hil.mutants.bed import DAYS, TIMEOUT_S, Bed, NoticedError, Outcome, Ran, Sound, dependants
from hil.mutants.fault import Fault, UnfitError, faults, unfit
from hil.mutants.means import (
    CRASH,
    ENDLESS,
    GUARD,
    ORACLES,
    PROPERTIES,
    PROPERTY,
    SEARCH,
    Answer,
    in_turn,
    judged_by_pytest,
    missing,
)
from hil.mutants.verdicts import Verdicts

EVERY = faults()
FEWEST = 200


@pytest.mark.parametrize("fault", EVERY, ids=[fault.name for fault in EVERY])
def test_each_fault_still_fits_the_kernel(fault: Fault) -> None:
    """Who changed that line says in hil/mutants/faults.toml what the fault looks like now."""
    assert unfit([fault]) == []
    assert fault.old != fault.new
    assert fault.tests, "the tests of its room, to be asked first"


def test_there_are_many_in_many_rooms_and_each_has_a_name_of_its_own() -> None:
    assert len(EVERY) >= FEWEST
    assert [
        name for name, count in Counter(fault.name for fault in EVERY).items() if count > 1
    ] == []
    rooms = {fault.file.partition(".")[0] for fault in EVERY}
    assert rooms >= {
        *("thermal", "latch", "sums", "balance", "phases", "advice", "pause", "frozen", "probe"),
        *("excess", "demand", "sound", "snapshot", "adopt", "turns", "steps", "base", "slots"),
        *("draw", "shed", "pace", "rise", "spare", "orders", "ring", "contactors", "reclose"),
        *("escalate", "targets", "level", "admit", "shares", "filler", "sort", "bounds"),
        *("tick", "states", "journal", "credits", "unheard"),
    }


def test_everybody_who_is_asked_is_there() -> None:
    named = {name for fault in EVERY for name in fault.tests}
    assert missing(tuple({*named, *PROPERTIES, *ORACLES})) == []


def test_a_fault_that_fits_twice_or_never_is_said() -> None:
    fault = Fault("a fault", "ring.pyx", "old", "new")
    with pytest.raises(UnfitError, match="is there 2 times"):
        fault.patched("old and old")
    with pytest.raises(UnfitError, match="is there 0 times"):
        fault.patched("none")
    assert unfit([Fault("a fault", "nowhere.pyx", "old", "new")]) == [
        "'a fault' is in nowhere.pyx, and there is no such room"
    ]


FAILED = "FAILED tests/test_rules.py::test_x - assert 1 == 2\n1 failed"


@pytest.mark.parametrize(
    ("status", "said", "by", "broken"),
    [
        (0, "3 passed", "", False),
        (1, FAILED, PROPERTY, False),
        (1, "ERROR tests/test_rules.py::test_x - ValueError", "", True),  # a fixture broke down
        (2, "interrupted", "", True),
        (4, "ERROR: file or directory not found: tests/test_rules.py", "", True),
        (5, "no tests ran", "", True),
        (-11, "", CRASH, False),
        (136, "", CRASH, False),  # a signal, by way of a shell
        (-9, "", "", True),  # no memory left, most likely: that is no word of a test
        (137, FAILED, "", True),
        (-15, "", "", True),
        (None, FAILED, "", True),
    ],
)
def test_only_a_test_that_failed_has_caught_something(
    status: int | None, said: str, by: str, broken: bool
) -> None:
    answer = judged_by_pytest(PROPERTY, status, said)
    assert (answer.by, bool(answer.broken)) == (by, broken)
    if broken:
        assert "BROKE DOWN" in answer.words
        assert Outcome("a fault", answer).survived


def test_a_run_that_took_too_long_counts_only_where_it_is_known_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times what the sound kernel took for the very same files: that never ends."""
    fault = Fault("a fault", "ring.pyx", "", "", ("rules",))
    assert judged_by_pytest(PROPERTY, None, "", endless=True).by == ENDLESS
    limits_s: list[float] = []

    def late(_bed: Bed, *_words: str, most_s: float) -> Ran:
        limits_s.append(most_s)
        return Ran(None, "", "")

    monkeypatch.setattr(Bed, "_run", late)
    files = ["tests/test_rules.py", "tests/test_sums.py"]
    assert Bed(tmp_path, None).tested(PROPERTY, files).broken, "nobody knows what it takes"
    took_s = {files[0]: 20.0, files[1]: 30.0, DAYS: 40.0}
    assert Bed(tmp_path, fault, took_s).tested(PROPERTY, files).by == ENDLESS
    assert Bed(tmp_path, fault, took_s).looked_at().by == ENDLESS
    assert Bed(tmp_path, None).looked_at().broken
    assert limits_s == [TIMEOUT_S, 250.0, 200.0, TIMEOUT_S]
    with pytest.raises(KeyError):  # who was not asked about the sound kernel has no word
        Bed(tmp_path, fault, took_s).tested(PROPERTY, ["tests/test_shares.py"])


def test_the_verdict_stands_in_one_line() -> None:
    seen = Outcome("a fault", Answer(SEARCH, "seed 7: too much"), took_s=3.2)
    assert seen.words == "a fault: caught by search: seed 7: too much (3 s)"
    assert Outcome("a fault").words == "a fault: SURVIVED (0 s)"


def test_own_tests_come_first_and_none_twice() -> None:
    turn = in_turn(("phases", "rules", "shares"))
    assert turn.own == ["tests/test_phases.py", "tests/test_rules.py"]
    assert turn.own_oracles == ["tests/test_shares.py"]
    assert "tests/test_pause.py" in turn.slow
    asked = [file for files in turn for file in files]
    assert set(asked) == set(means.test_files((*PROPERTIES, *ORACLES)))
    assert len(set(asked)) == len(asked)


def test_nobody_is_asked_about_a_fault_who_was_not_asked_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, by himself; and where he notices something then, nobody's word counts."""
    asked: list[str] = []
    found = {DAYS: Answer(GUARD, "seed 7: too much")}

    def timed(_bed: Bed, _by: str, file: str) -> tuple[Answer, float]:
        asked.append(file)
        return found.get(file, Answer()), 3.0

    monkeypatch.setattr(Bed, "timed", timed)
    sound = Sound(Bed(tmp_path, None))
    assert [sound["tests/test_rules.py"] for _ in range(2)] == [3.0, 3.0]
    assert asked == ["tests/test_rules.py"]
    with pytest.raises(NoticedError, match="seed 7"):
        Bed(tmp_path, EVERY[0], sound).looked_at()


def test_verdicts_are_kept_of_what_was_noticed_as_long_as_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "verdicts"
    one, two = EVERY[:2]
    kept = Verdicts(path)
    seen = Outcome(one.name, Answer(PROPERTY, f"tests/test_{one.tests[0]}.py::test_x"), took_s=2.0)
    kept.add(one, seen)
    kept.add(two, Outcome(two.name, took_s=1.0))
    again = Verdicts(path)
    known = again.of(one)
    assert known
    assert (known.words, known.own) == (seen.words, True)
    assert again.of(two) is None, "what survived is tried again"
    assert again.of(replace(one, new="another")) is None
    assert Verdicts(None).of(one) is None
    monkeypatch.setattr(verdicts, "kernel_digest", lambda: "another")
    assert Verdicts(path).of(one) is None


def test_what_a_changed_file_is_built_into(tmp_path: Path) -> None:
    rooms = {
        "low.pxd": "",
        "low.pyx": "from cext.low cimport x",
        "high.pxd": "from cext.low cimport x",
        "high.pyx": "",
        "roof.pyx": "from cext.high cimport y",
        "lower.pyx": "from cext.lowest cimport z",
    }
    for name, text in rooms.items():
        (tmp_path / name).write_text(text)
    assert dependants(tmp_path, "low.pyx") == {"low"}
    assert dependants(tmp_path, "high.pxd") == {"high", "roof"}
    assert dependants(tmp_path, "low.pxd") == {"low", "high", "roof"}


def arguments(*words: str, keep: Path | None = None) -> Namespace:
    return Namespace(fault=list(words), jobs=2, all_means=False, json=False, keep=keep)


def test_words_that_no_fault_has_are_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.run(arguments("no", "such", "words")) == 2
    assert "no such words" in capsys.readouterr().err


def test_a_test_that_is_not_there_is_a_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "PROPERTIES", ("rules", "gone"))
    assert mutants.run(arguments("ring")) == 2
    assert "tests/test_gone.py: there is no such file" in capsys.readouterr().err


def judged(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome, noticed: str = "") -> int:
    """What the command answers when the faults fare so."""
    left = list(outcomes)
    chosen = [Fault(each.fault, "ring.pyx", "", "", ("rules",)) for each in outcomes]
    monkeypatch.setattr(mutants, "faults", lambda: chosen)
    monkeypatch.setattr(mutants, "unfit", lambda every: [])

    @contextmanager
    def copied(_fault: None, home: Path) -> Iterator[Bed]:
        yield Bed(home, None)

    def tried(fault: Fault, home: Path, sound: Sound, by_all: bool) -> Outcome:
        if noticed:
            raise NoticedError(noticed)
        return next(each for each in left if each.fault == fault.name)

    monkeypatch.setattr(mutants, "copied", copied)

    monkeypatch.setattr(mutants, "tried", tried)
    return mutants.run(arguments())


def test_one_that_survives_is_the_answer_no(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caught = Outcome("one", Answer(PROPERTY, "tests/test_rules.py::test_x"))
    guarded = Outcome("two", Answer(GUARD, "seed 3: an overload"))
    assert judged(monkeypatch, caught, guarded) == 0
    out = capsys.readouterr().out
    assert "caught first by property: 1, guard: 1" in out
    assert judged(monkeypatch, caught, Outcome("three")) == 1
    assert "not noticed: three" in capsys.readouterr().out
    broken = Outcome("four", Answer(broken="pytest ended with 4"))
    assert judged(monkeypatch, caught, broken) == 1


def test_where_the_kernel_as_it_is_is_noticed_nobody_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caught = Outcome("one", Answer(PROPERTY, "tests/test_rules.py::test_x"))
    assert judged(monkeypatch, caught, noticed="caught by guard: seed 7") == 1
    out = capsys.readouterr().out
    assert "without any fault: caught by guard: seed 7" in out
    assert "one" not in out
