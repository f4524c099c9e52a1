"""What docs/mqtt.md tells integrators is what the code does."""

import json
import re
from pathlib import Path
from typing import get_args

import jsonschema

from controller.clock import SystemWallClock
from controller.desired import Step, read_message
from controller.document.operation import faults
from controller.limits import parse
from controller.link.bulletin import Bulletin
from controller.reported import Reported
from hil.schemas import schemas
from tests.test_wire import REPORT, FakeDesk

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
STATUS, LIMIT, ANSWER, LIMITS, EVENT, DESIRED, REPORTED = map(
    json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
)


def test_the_limit_shown_is_a_good_one() -> None:
    parse(json.dumps(LIMIT))


def test_what_is_published_has_the_keys_shown() -> None:
    bulletin = Bulletin(SystemWallClock())
    bulletin.refused("cloud", "late", "too late")
    limits = bulletin.limits(REPORT)
    assert list(bulletin.status("nonce", FakeDesk().welcome(), REPORT)) == list(STATUS)
    assert list(limits) == list(LIMITS)
    assert limits["refused"] == [{**LIMITS["refused"][0], **bulletin.limits(None)["refused"][0]}]  # type: ignore[index]
    assert list(ANSWER) == ["source", "accepted", "code", "reason"]


def test_every_refusal_is_explained() -> None:
    told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| `.*", PAGE, re.MULTILINE))))
    sources = [ROOT / "controller" / "limits.py", ROOT / "controller" / "link" / "errands.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    codes = set(re.findall(r"(?:RefusedLimitError\(|_refuse\(asked,)\s*\"(\w+)\"", text))
    assert len(codes) > 10
    assert codes <= told


def test_the_document_shown_is_a_good_one() -> None:
    message, _ = read_message(json.dumps(DESIRED))
    assert not faults(message.document.operation)


def test_what_is_reported_has_the_keys_shown() -> None:
    reported = Reported.model_validate_json(json.dumps(REPORTED))
    assert list(reported.model_dump(exclude={"type"})) == list(REPORTED)


def test_every_step_is_explained() -> None:
    steps = re.findall(r"^\d\. `(\w+)`", PAGE, re.MULTILINE)
    assert steps == list(get_args(Step))


def test_the_published_schemas_are_up_to_date_and_fit_what_is_shown() -> None:
    """`make schemas` writes them."""
    for name, shown in (("desired", DESIRED), ("reported", REPORTED)):
        published = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert published == schemas()[f"{name}.schema.json"]
        jsonschema.validate(shown, published)
    operation = json.loads((ROOT / "docs" / "operation.schema.json").read_text(encoding="utf-8"))
    assert operation == schemas()["operation.schema.json"]
    jsonschema.validate(DESIRED["document"]["operation"], operation)
