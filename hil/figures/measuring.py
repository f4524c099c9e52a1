"""Measures figures while a canary watches the machine, and again when it was disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hil.canary import Canary
from hil.figures import CannotMeasureError, Figure, Value

TIMES = 3  # a measurement is made at most, while the machine is disturbed


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one figure."""

    figure: Figure
    value: Value | None = None  # None: there is none, and why
    why: str = ""
    disturbed: bool = False  # the machine stalled in the last attempt, too

    @property
    def met(self) -> bool:
        return self.value is not None and self.figure.must.met_by(self.value)


def measured(figures: Sequence[Figure], remark: Callable[[str], None]) -> Iterator[Result]:
    """Each in turn; those that one measurement shows are measured together."""
    together: dict[object, list[Figure]] = {}
    for figure in figures:
        together.setdefault(figure.measure, []).append(figure)
    for group in together.values():
        yield from _measure(group, remark)


def _measure(group: Sequence[Figure], remark: Callable[[str], None]) -> list[Result]:
    for attempt in range(1, TIMES + 1):
        disturbed, results = _once(group)
        if not disturbed or not group[0].timed or attempt == TIMES:
            break
        names = ", ".join(figure.field for figure in group)
        remark(f"{names}: the machine stood still for {disturbed} ms, so once more.")
    return results


def _once(group: Sequence[Figure]) -> tuple[int, list[Result]]:
    """For how many ms at most the machine stood still, 0 if it did not; and what came out."""
    canary = Canary()
    try:
        with canary:
            found = group[0].measure()
    except CannotMeasureError as error:
        return _stall_ms(canary), [
            Result(figure, why=str(error), disturbed=figure.timed and canary.disturbed)
            for figure in group
        ]
    return _stall_ms(canary), [
        Result(figure, _value(figure, found), disturbed=figure.timed and canary.disturbed)
        for figure in group
    ]


def _stall_ms(canary: Canary) -> int:
    return canary.worst_ns // 1_000_000 if canary.disturbed else 0


def _value(figure: Figure, found: Value | Mapping[str, Value]) -> Value:
    if figure.part is None:
        assert isinstance(found, int | float) or all(
            isinstance(each, int | float) for each in found.values()
        )
        return found  # type: ignore[return-value]  # just looked
    assert isinstance(found, Mapping)
    return found[figure.part]


def sentence(result: Result) -> str:
    """Measured against what must be, in one line."""
    figure = result.figure
    if result.value is None:
        return f"NOT MEASURED  {figure.field}: {result.why}"
    word = "holds " if result.met else "MISSES"
    doubt = " (disturbed: the machine stood still meanwhile)" if result.disturbed else ""
    return (
        f"{word}  {figure.field}: {shown(result.value)} {figure.unit}; must be {figure.must}{doubt}"
    )


def shown(value: Value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{part}: {number:g}" for part, number in value.items())
    return f"{value:g}"
