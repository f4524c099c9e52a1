"""The demo's picture: what is true in the depot, beside what Loadkeeper believes of it.

A pure function of a scene and the terminal's size; 80 columns by 24 lines are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.status_report import CircuitReport, LimitReport, StatusReport
from hil.demo.bays import BELIEF, QUIET, TRUTH, Bay, ChargerTruth, bays, lines_of

_EVENTS_AT_LEAST = 2
_NAME_WIDTH = 13
_PHASES = ("L1", "L2", "L3")
_NEAR = 0.95  # of the cap: amber


@dataclass(frozen=True, slots=True)
class Part:
    """One of the moving parts: how it is, in a few words."""

    name: str
    well: bool
    words: str


@dataclass(frozen=True, slots=True)
class CircuitTruth:
    """A circuit as the plant has it, in amperes per phase."""

    id: str
    depth: int
    load_a: tuple[float, float, float]
    cap_a: tuple[float, float, float]
    rating_a: tuple[float, float, float]
    metered: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the viewer's: what it switches, and whether that is on."""

    key: str
    word: str
    on: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is to be seen at one moment."""

    site: str
    energy_kwh: float
    worst_over_a: float
    longest_over_s: float
    parts: Sequence[Part]
    circuits: Sequence[CircuitTruth]
    chargers: Sequence[ChargerTruth]
    report: StatusReport | None  # the last that Loadkeeper gave
    stale: bool  # and it gives none now
    events: Sequence[str] = ()
    keys: Sequence[Key] = ()


def picture(scene: Scene, width: int, height: int) -> RenderableType:
    """The whole screen; the newest events take the lines that are left."""
    keys = _keys(scene.keys, width)
    limits = _limits(scene)
    parts = _parts(scene.parts, width)
    taken = 1 + len(parts) + 1 + 2 * len(scene.circuits) + len(limits) + len(keys)
    room = max(2, height - taken - _EVENTS_AT_LEAST)
    blocks = [
        [_head(scene, width), *parts],
        _circuits(scene, width),
        [bays(_shown(scene), width, room)],
        limits,
    ]
    spare = height - taken - lines_of(len(scene.chargers), width, room)
    gap = 1 if spare >= 10 else 0  # air between the blocks where there is room for it
    shown = max(0, spare - 5 * gap)
    events = [Text(event, style=QUIET, no_wrap=True, overflow="ellipsis") for event in scene.events]
    events = events[-shown:] if shown else []
    blocks.append([*events, *[Text("")] * (shown - len(events))])
    pieces: list[RenderableType] = []
    for block in blocks:
        pieces += [*block, *[Text("")] * gap]
    return Group(*pieces, *keys)


def _head(scene: Scene, width: int) -> RenderableType:
    left = Text.assemble(
        f"Loadkeeper {scene.site}  ",
        ("bold: true", TRUTH),
        "  ",
        ("cyan: Loadkeeper's view", BELIEF),
    )
    if scene.report is not None:
        left.append(f"  {scene.report.mode}, up {_clock(scene.report.uptime_s)}", style=BELIEF)
    over = f"worst {scene.worst_over_a:.1f} A over for {scene.longest_over_s:.1f} s"
    right = Text(f"{scene.energy_kwh:.2f} kWh  {over}" if width > 110 else "")
    return _sides(left, right)


def _parts(parts: Sequence[Part], width: int) -> list[Text]:
    return _flow(
        [
            Text.assemble(
                ("● ", "green") if part.well else ("✖ ", "bold red"),
                f"{part.name} ",
                (f"{part.words}  ", QUIET if part.well else "bold red"),
            )
            for part in parts
        ],
        width,
    )


def _circuits(scene: Scene, width: int) -> list[RenderableType]:
    cell = max(3, (width - _NAME_WIDTH) // 3)
    believed = {circuit.id: circuit for circuit in scene.report.circuits} if scene.report else {}
    table = Table.grid(padding=(0, 1, 0, 0))
    for size in (_NAME_WIDTH - 1, cell - 1, cell - 1, cell - 1):
        table.add_column(width=size, no_wrap=True, overflow="ellipsis")
    table.add_row(
        Text("circuit", style=QUIET),
        *(Text(f"{phase}: load │ cap, A", style=QUIET) for phase in _PHASES),
    )
    for circuit in scene.circuits:
        belief = believed.get(circuit.id)
        bars = [_bar(circuit, phase, cell - 2) for phase in range(3)]
        table.add_row(Text(" " * circuit.depth + circuit.id), *bars)
        numbers = [_numbers(circuit, belief, phase, scene.stale) for phase in range(3)]
        table.add_row(_bound(circuit, belief, scene.stale), *numbers)
    return [table]


def _bar(circuit: CircuitTruth, phase: int, size: int) -> Text:
    """Load as a bar against the rating, with the cap as a stroke in it."""
    load, cap, rating = (
        values[phase] for values in (circuit.load_a, circuit.cap_a, circuit.rating_a)
    )
    filled = min(size, round(size * max(0.0, load) / rating))
    stroke = min(size - 1, round(size * cap / rating))
    colour = "red" if load > cap + 0.5 else "yellow" if load > _NEAR * cap else "green"
    bar = Text(no_wrap=True)
    for place in range(size):
        if place == stroke:
            bar.append("│", style=TRUTH)
        elif place < filled:
            bar.append("█", style=colour)
        else:
            bar.append("·", style=QUIET)
    return bar


def _numbers(circuit: CircuitTruth, belief: CircuitReport | None, phase: int, stale: bool) -> Text:
    load, cap = circuit.load_a[phase], circuit.cap_a[phase]
    text = Text.assemble((f"{load:.0f}", TRUTH), f" of {cap:.0f} ")
    if belief is None or stale:
        text.append("seen ?", style=BELIEF)
    elif belief.load_a is not None:
        text.append(f"seen {belief.load_a[phase]:.0f}", style=BELIEF)
    elif circuit.metered:
        text.append("not seen", style="bold magenta")
    else:  # nobody measures it: what it can be at most
        most_a = belief.base_hi_a[phase] + belief.draw_hi_a[phase]
        text.append(f"max {most_a:.0f}", style=BELIEF)
    return text


def _bound(circuit: CircuitTruth, belief: CircuitReport | None, stale: bool) -> Text:
    if belief is None or stale:
        return Text("")
    words = " or ".join(dict.fromkeys(belief.bound_by))
    return Text(
        " " * circuit.depth + f"cap: {words}", style=BELIEF, no_wrap=True, overflow="ellipsis"
    )


def _shown(scene: Scene) -> list[Bay]:
    """Each charger with what is believed of it now."""
    believed = {}
    if scene.report is not None and not scene.stale:
        believed = {charger.id: charger for charger in scene.report.chargers}
    return [Bay(charger, believed.get(charger.id)) for charger in scene.chargers]


def _limits(scene: Scene) -> list[RenderableType]:
    if scene.report is None or scene.stale:
        return [Text("Loadkeeper does not answer", style="bold red")]
    return [Text.assemble("limit ", _limit(limit)) for limit in scene.report.limits] or [Text("")]


def _limit(limit: LimitReport) -> Text:
    where = f"{limit.source} on {limit.circuit}: "
    left = "" if limit.left_s is None else f", {limit.left_s:.0f} s left"
    asked = "no limit" if limit.limit_a is None else f"{_three(limit.limit_a)} A"
    words = {
        "live": f"{asked}{left}",
        "unlimited": f"asks for nothing{left}",
        "ended": "ended as planned",
        "lost": "not heard in time: fail-safe cap",
    }[limit.state]
    if limit.state == "lost" and limit.cap_a is not None:
        words += f" {_three(limit.cap_a)} A"
    style = "bold magenta" if limit.state == "lost" else BELIEF
    return Text(where + words, style=style, no_wrap=True, overflow="ellipsis")


def _keys(keys: Sequence[Key], width: int) -> list[Text]:
    """Every key with its word; what is on stands out."""
    return _flow(
        [
            Text.assemble((f" {key.key} ", "reverse"), (f"{key.word} ", "bold red" * key.on))
            for key in keys
        ],
        width,
    )


def _flow(cells: Sequence[Text], width: int) -> list[Text]:
    """Cells one after the other, over as many lines as they take."""
    lines = [Text(no_wrap=True, overflow="ellipsis")]
    for cell in cells:
        if len(lines[-1]) and len(lines[-1]) + len(cell.plain.rstrip()) > width:
            lines.append(Text(no_wrap=True, overflow="ellipsis"))
        lines[-1].append_text(cell)
    return lines


def _sides(left: Text, right: Text) -> Table:
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    table.add_row(left, right)
    return table


def _three(values: tuple[float, float, float]) -> str:
    alike = len(set(values)) == 1
    return f"{values[0]:g}" if alike else "/".join(f"{value:g}" for value in values)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
