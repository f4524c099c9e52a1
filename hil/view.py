"""The demo's picture: what is true in the depot, beside what Loadkeeper believes of it.

A pure function of a scene and the terminal's size; 80 columns by 24 lines are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.wire import ChargerReport, CircuitReport, LimitReport, StatusReport

TRUTH, BELIEF, QUIET = "bold", "cyan", "bright_black"
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
class ChargerTruth:
    """A charger as the plant has it, in amperes on its highest phase."""

    id: str
    vehicle: str
    charged: float | None  # of what it wants, 0 to 1
    offers_a: float
    draws_a: float


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
    keys: Sequence[tuple[str, str]] = field(default_factory=tuple)


def picture(scene: Scene, width: int, height: int) -> RenderableType:
    """The whole screen; the newest events take the lines that are left."""
    blocks = [
        [_head(scene, width), _parts(scene.parts)],
        _circuits(scene, width),
        [_chargers(scene, width)],
        _limits(scene),
    ]
    lines = 2 + 1 + 2 * len(scene.circuits) + 1 + len(scene.chargers) + len(blocks[3])
    spare = height - lines - 1
    gap = 1 if spare >= 10 else 0  # air between the blocks where there is room for it
    shown = max(0, spare - 5 * gap)
    events = [Text(event, style=QUIET, no_wrap=True, overflow="ellipsis") for event in scene.events]
    events = events[-shown:] if shown else []
    blocks.append([*events, *[Text("")] * (shown - len(events))])
    pieces: list[RenderableType] = []
    for block in blocks:
        pieces += [*block, *[Text("")] * gap]
    return Group(*pieces, _keys(scene.keys))


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


def _parts(parts: Sequence[Part]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        line.append("● " if part.well else "✖ ", style="green" if part.well else "bold red")
        line.append(f"{part.name} ")
        line.append(f"{part.words}  ", style=QUIET if part.well else "bold red")
    return line


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


def _chargers(scene: Scene, width: int) -> RenderableType:
    believed = {charger.id: charger for charger in scene.report.chargers} if scene.report else {}
    table = Table.grid(padding=(0, 1, 0, 0))
    names = max((len(charger.id) for charger in scene.chargers), default=3)
    sizes = (max(3, min(names, width // 12)), 11, 4, 5, 6, 5, 5)
    for size, side in zip(sizes, ("left", "left", *["right"] * 5), strict=True):
        table.add_column(width=size, no_wrap=True, justify=side, overflow="ellipsis")  # type: ignore[arg-type]
    table.add_column(
        width=max(1, width - sum(sizes) - len(sizes)), no_wrap=True, overflow="ellipsis"
    )
    heads = ("bay", "vehicle", "full", "draws", "offers", "told", "seen", "why")
    styles = (*[QUIET] * 5, *[BELIEF] * 3)
    table.add_row(*(Text(head, style=style) for head, style in zip(heads, styles, strict=True)))
    for charger in scene.chargers:
        table.add_row(*_charger(charger, believed.get(charger.id), scene.stale))
    return table


def _charger(truth: ChargerTruth, belief: ChargerReport | None, stale: bool) -> list[Text]:
    row = [
        Text(truth.id),
        Text(truth.vehicle or "-", style="" if truth.vehicle else QUIET),
        Text("" if truth.charged is None else f"{truth.charged:.0%}", style=QUIET),
        Text(f"{truth.draws_a:.1f}", style=TRUTH if truth.draws_a else QUIET),
        Text(f"{truth.offers_a:.1f}", style=TRUTH if truth.offers_a else QUIET),
    ]
    if belief is None or stale:
        return [*row, Text("?", style=BELIEF), Text("?", style=BELIEF), Text("")]
    seen = None if belief.current_a is None else max(belief.current_a)
    return [
        *row,
        Text(_amps(belief.setpoint_a), style=BELIEF),
        Text(_amps(seen), style=BELIEF),
        Text(
            belief.reason if belief.online else f"offline: {belief.reason}",
            style=BELIEF if belief.online else "bold magenta",
            no_wrap=True,
            overflow="ellipsis",
        ),
    ]


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


def _keys(keys: Sequence[tuple[str, str]]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for key, what in keys:
        line.append(f" {key} ", style="reverse")
        line.append(f"{what} ")
    return line


def _sides(left: Text, right: Text) -> Table:
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    table.add_row(left, right)
    return table


def _amps(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"


def _three(values: tuple[float, float, float]) -> str:
    alike = len(set(values)) == 1
    return f"{values[0]:g}" if alike else "/".join(f"{value:g}" for value in values)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
