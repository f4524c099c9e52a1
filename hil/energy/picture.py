"""The fleet days as a picture: how much of the grid connection was used, where the rest went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hil.energy.account import WORDS
from hil.energy.day import BEGIN_S, HOUR_S
from hil.energy.report import OURS, Told

MINUTE_S = 60
COLOURS = {OURS: "#0b6e4f", "equal split": "#c8553d", "first come first served": "#d9a441"}
COLOURS["fixed cap per charger"] = "#5f6f8c"
REST = ("#c8553d", "#d9a441", "#5f6f8c", "#8c6f9c", "#a0a0a0")


def draw(told: Sequence[Told], path: Path) -> None:
    """Writes a PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - the workshop's, and slow to load

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(
        len(told), 2, figsize=(15, 4.6 * len(told)), width_ratios=(3, 1.25), squeeze=False
    )
    for row, day in zip(axes, told, strict=True):
        _course(row[0], day)
        _rest(row[1], day)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _course(axis: Any, told: Told) -> None:
    """L1 of the grid connection, minute by minute; the product's extremes behind it."""
    cap_a = told.day.site.circuits[0].rating_ma[0] / 1000
    hours = [(BEGIN_S + at) / HOUR_S for at in range(0, told.seconds, MINUTE_S)]
    base_a = [told.day.below_ma(0, at)[0] / 1000 for at in range(told.seconds)]
    axis.fill_between(hours, _minutes(base_a), color="#d8d8d8", label="building")
    for name, course in told.courses.items():
        load_a = [load[0] / 1000 for load in course.load_ma]
        if name == OURS:
            least = [min(load_a[i : i + MINUTE_S]) for i in range(0, len(load_a), MINUTE_S)]
            most = [max(load_a[i : i + MINUTE_S]) for i in range(0, len(load_a), MINUTE_S)]
            axis.fill_between(hours, least, most, color=COLOURS[name], alpha=0.25, linewidth=0)
        axis.plot(hours, _minutes(load_a), color=COLOURS[name], linewidth=1.1, label=name)
    axis.axhline(cap_a, color="black", linewidth=1.2, label="rating")
    axis.axvspan(*(at / HOUR_S for at in told.day.congested_s), color="#f4ecd8", zorder=-1)
    axis.set(
        xlim=(hours[0], hours[-1]),
        ylim=(0, cap_a * 1.12),
        xlabel="time of day (hours); shaded: the congested hours",
        ylabel="grid connection, L1 (A)",
        title=f"The {told.day.name} day, means of minutes (band: least and most of each)",
    )
    axis.legend(loc="lower right", ncols=2, fontsize=8, framealpha=0.95)


def _minutes(values: Sequence[float]) -> list[float]:
    parts = [values[i : i + MINUTE_S] for i in range(0, len(values), MINUTE_S)]
    return [sum(part) / len(part) for part in parts]


def _rest(axis: Any, told: Told) -> None:
    """What each charged of the optimum, and what the product did not."""
    names = list(told.courses)
    percents = [told.percent(name) for name in names]
    axis.bar(range(len(names)), percents, color=[COLOURS[name] for name in names], width=0.7)
    for place, percent in enumerate(percents):
        axis.text(place, percent - 4, f"{percent:.1f}", ha="center", color="white", fontsize=9)
    bottom = percents[0]
    for (word, part), colour in zip(told.rest(), REST, strict=True):
        height = max(0.0, part)
        axis.bar(0, height, bottom=bottom, width=0.7, color=colour, alpha=0.85)
        bottom += height
        axis.bar(0, 0, color=colour, label=f"{WORDS[word]}: {part:.1f}")
    axis.axhline(told.day.must, color="black", linestyle="--", linewidth=1)
    axis.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], fontsize=8)
    axis.set(ylim=(40, 104), ylabel="energy, % of the optimum", title="Charged, and lost by us")
    axis.legend(loc="upper right", fontsize=7.5, framealpha=0.95)
