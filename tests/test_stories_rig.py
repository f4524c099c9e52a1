"""Every story on the rig: real processes, real Modbus TCP, a real broker, in real time."""

import json

import pytest

from hil.bench_rig import run, run_all
from hil.profiles import StoryProfiles
from hil.stage import Outcome
from hil.story.script import Story, find, load
from tests.conftest import TOLD

STORIES = {
    story.name: story for story in (load(path) for path in find([])) if "rig" in story.benches
}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """All stories that were asked for, some at a time; empty where pytest itself runs several."""
    if hasattr(request.config, "workerinput"):
        return {}
    asked = {item.name for item in request.session.items}
    stories = [each for each in STORIES.values() if f"test_story_on_the_rig[{each.name}]" in asked]
    return {outcome.story: outcome for outcome in run_all(stories, StoryProfiles())}


@pytest.mark.rig
@pytest.mark.parametrize("name", STORIES)
def test_story_on_the_rig(
    name: str, outcomes: dict[str, Outcome], request: pytest.FixtureRequest
) -> None:
    story: Story = STORIES[name]
    outcome = outcomes.get(name) or run(story, StoryProfiles())
    told = json.dumps(outcome.as_json(), indent=2)
    request.config.stash.setdefault(TOLD, []).append(outcome)
    assert outcome.passed, "\n".join((told, *outcome.remarks, outcome.last_words))
