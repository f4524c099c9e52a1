"""What the installed system does when it hangs, measured on the gateway bench."""

from __future__ import annotations

from hil import bench_gateway
from hil.figures import CannotMeasureError, Figure, Must
from hil.profiles import StoryProfiles
from hil.story.script import STORIES, StoryError, load

STORY = "gateway_hangs"
FIELD = "hang_to_safe_s"


def hang_to_safe_s() -> float:
    """The longest of the story's hangs: of the whole process, and of the kernel's thread alone."""
    try:
        outcome = bench_gateway.run(load(STORIES / f"{STORY}.toml"), StoryProfiles())
    except StoryError as error:
        raise CannotMeasureError(str(error).splitlines()[0]) from error
    if FIELD not in outcome.measured:
        why = outcome.broken or "no hang was measured"
        raise CannotMeasureError(f"{STORY}: {why.splitlines()[0]}")
    return outcome.measured[FIELD]


FIGURES = (
    Figure(
        field=FIELD,
        unit="s",
        must=Must("≤", 3),
        how="installed, under systemd: from a hang (SIGSTOP, or the kernel's thread held) until a "
        "new enforcer has told every charger, and none offers more than its fallback",
        measure=hang_to_safe_s,
    ),
)
