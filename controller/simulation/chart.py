"""A day's loads as pictures: rows of letters for a terminal, and SVG, which every browser shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from controller.simulation.course import Course, Minute
from controller.site import Site
from controller.units import MA_PER_A, amperes_text

COLUMNS = 72
LEVELS = " ▁▂▃▄▅▆▇█"
WIDTH, PANEL, LEFT, TOP, GAP = 1000, 150, 60, 24, 46
CAP, MOST, MEAN = "#b3261e", "#9db8d2", "#1f4e79"


def clock(at_s: float, seconds: bool = False) -> str:
    """Time of day."""
    total = int(at_s) % 86_400
    text = f"{total // 3600:02}:{total // 60 % 60:02}"
    return f"{text}:{total % 60:02}" if seconds else text


def row(minutes: Sequence[Minute]) -> str:
    """One letter for each stretch of the day: its highest load; full at the cap, "!" above."""
    return "".join(_letter(part) for part in _parts(minutes))


def _parts(minutes: Sequence[Minute]) -> Iterator[Sequence[Minute]]:
    columns = min(COLUMNS, len(minutes))
    for column in range(columns):
        first, last = (len(minutes) * each // columns for each in (column, column + 1))
        yield minutes[first:last]


def _letter(minutes: Sequence[Minute]) -> str:
    worst = max(minutes, key=lambda minute: minute.most_ma - minute.cap_ma)
    if worst.most_ma > worst.cap_ma:
        return "!"
    if worst.most_ma <= 0:
        return LEVELS[0]
    return LEVELS[1 + min(7, worst.most_ma * 8 // max(1, worst.cap_ma))]


def axis(minutes: Sequence[Minute]) -> str:
    """Times of day below such a row."""
    columns = min(COLUMNS, len(minutes))
    line = [" "] * (columns + 5)
    for column in range(0, columns, 12):
        line[column : column + 5] = clock(minutes[len(minutes) * column // columns].at_s)
    return "".join(line).rstrip()


def svg(site: Site, course: Course) -> str:
    """A panel for each circuit: its cap, the highest load of each minute, and the mean."""
    height = TOP + len(site.circuits) * (PANEL + GAP)
    panels = [
        _panel(circuit.id, course.minutes[index], TOP + index * (PANEL + GAP))
        for index, circuit in enumerate(site.circuits)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{LEFT + WIDTH + 20}" height="{height}" fill="white"/>',
            f"<title>{escape(site.name or site.id)}</title>",
            *panels,
            "</svg>\n",
        ]
    )


def _panel(circuit: str, minutes: Sequence[Minute], top: int) -> str:
    highest_ma = max(1, *(max(minute.most_ma, minute.cap_ma) for minute in minutes))
    scale_ma = highest_ma * 21 // 20 + 1

    def x(index: int) -> float:
        return round(LEFT + WIDTH * index / max(1, len(minutes) - 1), 1)

    def y(ma: int) -> float:
        return round(top + PANEL * (1 - max(0, ma) / scale_ma), 1)

    def line(values_ma: Sequence[int], color: str, width: float) -> str:
        points = " ".join(f"{x(i)},{y(ma)}" for i, ma in enumerate(values_ma))
        return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"/>'

    times = [
        f'<text x="{x(i)}" y="{top + PANEL + 16}" text-anchor="middle">{clock(minute.at_s)}</text>'
        f'<line x1="{x(i)}" y1="{top}" x2="{x(i)}" y2="{top + PANEL}" stroke="#e4e4e4"/>'
        for i, minute in enumerate(minutes)
        if i % max(60, len(minutes) // 12 // 60 * 60) == 0
    ]
    cap_ma = max(minute.cap_ma for minute in minutes)
    most_ma = max(minute.most_ma for minute in minutes)
    return "\n".join(
        [
            *times,
            f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{escape(circuit)}</text>',
            f'<text x="{LEFT + WIDTH}" y="{top - 6}" text-anchor="end">'
            f"cap {amperes_text(cap_ma)} A, highest {most_ma / MA_PER_A:.1f} A</text>",
            *(
                f'<text x="{LEFT - 6}" y="{y(ma) + 4}" text-anchor="end">{ma // MA_PER_A} A</text>'
                for ma in (0, cap_ma)
            ),
            line([minute.most_ma for minute in minutes], MOST, 1),
            line([minute.mean_ma for minute in minutes], MEAN, 1.2),
            line([minute.cap_ma for minute in minutes], CAP, 1.5),
        ]
    )
