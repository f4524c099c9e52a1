"""`python -m hil bench`: asks, judges, repeats when disturbed, and writes its table."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hil import bench, performance
from hil.__main__ import main
from hil.canary import STALL_NS
from hil.figures import CannotMeasureError, Figure, Must, Value, all_figures, measuring
from hil.figures.blocks import alternated
from hil.figures.measuring import TIMES

ROOT = Path(__file__).parents[1]


def figure(
    field: str,
    measure: Callable[[], Value | Mapping[str, Value]],
    part: str | None = None,
) -> Figure:
    return Figure(field, "ms", Must("≤", 10), "how long it takes", measure, part)


def fails() -> Value:
    raise CannotMeasureError("there is nobody to measure")


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def take(*these: Figure) -> None:
        monkeypatch.setattr(bench, "all_figures", lambda: these)

    return take


# --- what is claimed ---------------------------------------------------------------------------


def test_no_two_figures_have_one_name() -> None:
    fields = [each.field for each in all_figures()]
    assert len(fields) == len(set(fields))
    assert not {"disturbed", "missed", "not_measured", "machine"} & set(fields)


def test_figures_that_share_a_measurement_say_which_part_is_theirs() -> None:
    shared = [each.measure for each in all_figures() if each.part is None]
    assert len(shared) == len(set(shared))


@pytest.mark.parametrize("each", all_figures(), ids=lambda each: each.field)
def test_page_has_every_figure_and_what_it_must_be(each: Figure) -> None:
    """Mended by `python -m hil bench --only FIELD --write`."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / performance.PAGE).read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{each.field}` |")
    ]
    assert [row[2:] for row in rows] == [[str(each.must), each.how]]


@pytest.mark.parametrize(
    ("must", "value", "met"),
    [
        (Must("≤", 10), 10, True),
        (Must("≤", 10), 10.01, False),
        (Must("<", 10), 10, False),
        (Must("=", 0), 0, True),
        (Must("=", 0), 1, False),
        (Must("≥", 20), 20, True),
        (Must("≥", 20), 19.9, False),
        (Must("≤", 10), {"a": 9, "b": 11}, False),  # without names it holds for every part
        (Must("≤", {"a": 10}), {"a": 9, "b": 11}, True),
        (Must("≤", {"a": 10, "b": 5}), {"a": 9, "b": 6}, False),
        (Must("≤", 10), float("nan"), False),
    ],
)
def test_a_value_is_judged(must: Must, value: Value, met: bool) -> None:
    assert must.met_by(value) == met


def test_a_part_that_must_hold_and_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        Must("≤", {"1000": 10}).met_by({"10": 1})


# --- the command -------------------------------------------------------------------------------


def test_unknown_field_is_refused_and_nothing_is_measured(
    figures: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    figures(figure("cold_start_s", fails))
    assert main(["bench", "--only", "cold_strat_s"]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        '--only: there is no figure "cold_strat_s"; did you mean cold_start_s?\n'
    )
    assert not captured.out


def test_all_hold(figures: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    figures(figure("a_ms", lambda: 3), figure("b_ms", lambda: {"x": 4.5}))
    assert main(["bench", "--json"]) == 0
    *lines, answer = said(capsys)
    assert lines == [
        "holds   a_ms: 3 ms; must be ≤ 10",
        "holds   b_ms: x: 4.5 ms; must be ≤ 10",
    ]
    found = json.loads(answer)
    assert (found["a_ms"], found["b_ms"]) == (3, {"x": 4.5})
    assert (found["disturbed"], found["missed"], found["not_measured"]) == ([], [], {})


def test_one_that_misses_is_named(
    figures: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    figures(figure("a_ms", lambda: 3), figure("b_ms", lambda: 11))
    assert main(["bench", "--json"]) == 1
    *lines, answer = said(capsys)
    assert lines[1] == "MISSES  b_ms: 11 ms; must be ≤ 10"
    assert json.loads(answer)["missed"] == ["b_ms"]


def test_one_that_cannot_be_measured_is_no_success(
    figures: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    figures(figure("a_ms", lambda: 3), figure("b_ms", fails))
    assert main(["bench", "--json"]) == 1
    *lines, answer = said(capsys)
    assert lines[1] == "NOT MEASURED  b_ms: there is nobody to measure"
    found = json.loads(answer)
    assert "b_ms" not in found
    assert found["not_measured"] == {"b_ms": "there is nobody to measure"}
    assert main(["bench", "--only", "a_ms"]) == 0


def test_one_measurement_serves_all_its_figures_that_are_asked_for(
    figures: Callable[..., None],
) -> None:
    calls: list[None] = []

    def both() -> dict[str, Value]:
        calls.append(None)
        return {"a": 1, "b": {"x": 2}}

    figures(figure("a_ms", both, part="a"), figure("b_ms", both, part="b"))
    assert main(["bench"]) == 0
    assert len(calls) == 1


class Stalled:
    """A canary that saw the machine stand still in the first measurements."""

    left = 0

    def __init__(self) -> None:
        self.worst_ns = 2 * STALL_NS if Stalled.left > 0 else 0
        Stalled.left -= 1

    @property
    def disturbed(self) -> bool:
        return self.worst_ns > STALL_NS

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("stalls", "value"), [(0, 7), (1, 8), (2, 9)])
def test_a_disturbed_measurement_is_repeated(
    figures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stalls: int,
    value: int,
) -> None:
    values = iter([7, 8, 9])
    Stalled.left = stalls
    monkeypatch.setattr(measuring, "Canary", Stalled)
    figures(figure("a_ms", lambda: next(values)))
    assert main(["bench", "--json"]) == 0
    found = json.loads(said(capsys)[-1])
    assert found["a_ms"] == value
    assert found["disturbed"] == []


def test_what_stays_disturbed_is_marked(
    figures: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Stalled.left = TIMES
    monkeypatch.setattr(measuring, "Canary", Stalled)
    figures(figure("a_ms", lambda: 3))
    assert main(["bench", "--json", "--table"]) == 0
    lines = said(capsys)
    assert sum("once more" in line for line in lines) == TIMES - 1
    assert json.loads(lines[-1])["disturbed"] == ["a_ms"]
    assert "| `a_ms` | 3 ms (disturbed) | ≤ 10 | how long it takes |" in lines


def test_table_goes_between_its_marks(
    figures: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / performance.PAGE
    page.parent.mkdir()
    page.write_text(
        "# Above\n\n<!-- written by python -m hil bench --write -->\n\n| old |\n\n"
        "<!-- end of what is written -->\n\nBelow.\n"
    )
    monkeypatch.setattr(performance, "_ROOT", tmp_path)
    figures(figure("a_ms", lambda: 3), figure("b_ms", lambda: 4), figure("c_ms", fails))
    main(["bench", "--write", "--only", "a_ms", "--only", "c_ms"])
    text = page.read_text()
    assert text.startswith("# Above\n")
    assert text.endswith("\n\nBelow.\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `a_ms` | 3 ms | ≤ 10 | how long it takes |",
        "| `b_ms` | not measured | ≤ 10 | how long it takes |",
        "| `c_ms` | not measured: there is nobody to measure | ≤ 10 | how long it takes |",
    ]


def test_blocks_alternate() -> None:
    order: list[str] = []

    def block(kind: str, *values: float) -> Callable[[], float]:
        left = iter(values)

        def run() -> float:
            order.append(kind)
            return next(left)

        return run

    kinds = {"ours": block("ours", 1, 9, 2), "theirs": block("theirs", 40, 20, 30)}
    assert alternated(kinds, blocks=3) == {"ours": 2, "theirs": 30}
    assert order == ["ours", "theirs"] * 3
