"""A run in Markdown: what was told, how it went, and each circuit's load against its cap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hil.stage import Outcome
from hil.story.expect import Failure, Sample, Trace
from hil.story.script import Story

COLUMNS = 72
BARS = "▁▂▃▄▅▆▇█"


def markdown(told: Sequence[tuple[Story, Outcome]]) -> str:
    """The report of all stories told in one run."""
    return "\n".join(_lines(told)) + "\n"


def _lines(told: Sequence[tuple[Story, Outcome]]) -> Iterator[str]:
    passed = sum(outcome.passed for _, outcome in told)
    yield from ("# Stories", "", f"{passed} of {len(told)} went as expected.", "")
    yield "| story | bench | as expected | worst over A | longest over s | energy kWh |"
    yield "|---|---|---|--:|--:|--:|"
    for story, outcome in told:
        line = outcome.as_json()
        yield (
            f"| [{story.name}](#{story.name}) | {outcome.bench} "
            f"| {'yes' if outcome.passed else '**no**'} | {line['worst_over_a']:.1f} "
            f"| {line['longest_over_s']:.1f} | {line['energy_kwh']:.2f} |"
        )
    for story, outcome in told:
        yield from _story(story, outcome)


def _story(story: Story, outcome: Outcome) -> Iterator[str]:
    yield from ("", f"## {story.name}", "", story.about, "")
    for remark in outcome.remarks:
        yield from (f"*{remark}*", "")
    if outcome.broken:
        yield from (f"The bench broke: {outcome.broken}", "")
    for failure in outcome.failures:
        yield f"- **{failure.expected.why}**: {_measured(failure)}"
    if outcome.failures:
        yield ""
    if outcome.trace.samples:
        yield "```text"
        yield from plots(outcome.trace)
        yield "```"


def _measured(failure: Failure) -> str:
    wanted = failure.expected.model_dump(exclude_defaults=True, exclude={"why"})
    return f"expected {_words(wanted.items())}; measured {_words(failure.measured.items())}"


def _words(pairs: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs)


def plots(trace: Trace) -> Iterator[str]:
    """Per circuit the highest load in each stretch of time; where it exceeded its cap, a mark."""
    stretches = list(_stretches(trace))
    width = max(len(circuit) for circuit in trace.circuits)
    for index, circuit in enumerate(trace.circuits):
        most_ma = max(max(*s.load_ma[index], *s.cap_ma[index]) for s in trace.samples) or 1
        loads = (max(max(s.load_ma[index]) for s in stretch) for stretch in stretches)
        over = (max(s.excess_ma[index] for s in stretch) for stretch in stretches)
        bars = "".join(BARS[max(0, load) * (len(BARS) - 1) // most_ma] for load in loads)
        marks = "".join("!" if excess > trace.tolerance_ma else " " for excess in over)
        yield f"{circuit:{width}} {bars} of {most_ma / 1000:.0f} A"
        if marks.strip():
            yield f"{'over':{width}} {marks}".rstrip()


def _stretches(trace: Trace) -> Iterator[Sequence[Sample]]:
    size = -(-len(trace.samples) // COLUMNS)
    for begin in range(0, len(trace.samples), size):
        yield trace.samples[begin : begin + size]
