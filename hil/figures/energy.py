"""How much of the energy that could have been charged on a fleet day was charged (hil.energy)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from controller.commands.output import say
from hil.energy.day import DAYS
from hil.energy.picture import draw
from hil.energy.report import OURS, table, tell
from hil.figures import CannotMeasureError, Figure, Must

PICTURE = Path("build/energy_vs_optimum.png")  # in the project
_ROOT = Path(__file__).parents[2]


def percents() -> dict[str, float]:
    """By kind of day; says how everybody else did, and draws it."""
    for name in ("scipy", "matplotlib"):
        if find_spec(name) is None:
            raise CannotMeasureError(f"{name} is not here: pip install -e '.[dev]'")
    told = tell()
    for line in table(told):
        say(line)
    draw(told, _ROOT / PICTURE)
    say(f"  drawn in {PICTURE}")
    for each in told:
        if wrong := each.wrong():
            raise CannotMeasureError(f"the {each.day.name} day is void: {wrong}")
    return {each.day.name: round(each.percent(OURS), 2) for each in told}


FIGURES = (
    Figure(
        field="energy_vs_optimum",
        unit="% by kind of day",
        must=Must("≥", {day.name: day.must for day in DAYS}),
        how="energy charged in the congested hours of a fleet day with 104 chargers on the plant, "
        "of a clairvoyant linear program's; void if a cap was not kept, a setpoint moved more than "
        "once a minute (median) or a vehicle that charged was paused",
        measure=percents,
        timed=False,
    ),
)
