"""The stories of lying meters and clamps fail where nobody doubts a reading: they can tell."""

from __future__ import annotations

from typing import Any

import pytest

from controller.image import Image
from hil.bench_plant import run
from hil.profiles import StoryProfiles
from hil.story.script import STORIES, load


@pytest.mark.parametrize(
    "name",
    [
        "clamp_disputed",
        "meter_frozen",
        "meter_frozen_beside_clamp",
        "meter_halved_beside_clamp",
        "meter_phase_dead",
        "meter_reversed",
        "meter_swapped",
    ],
)
def test_without_doubt_the_depot_goes_over_or_rises(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believe(*_: Any) -> None:
        """Whatever is suspected, the kernel is not told."""

    story = load(STORIES / f"{name}.toml")
    assert run(story, StoryProfiles()).passed
    monkeypatch.setattr(Image, "_doubt", believe)
    assert not run(story, StoryProfiles()).passed
