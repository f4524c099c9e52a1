"""What docs/mqtt.md tells integrators is what the code does."""

import json
import re
from pathlib import Path

from controller.clock import SystemWallClock
from controller.limits import parse
from controller.link.bulletin import Bulletin
from tests.test_wire import REPORT, FakeDesk

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
STATUS, LIMIT, ANSWER, LIMITS, EVENT = map(
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
    sources = [ROOT / "controller" / "limits.py", ROOT / "controller" / "link" / "process.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    codes = set(re.findall(r"(?:RefusedLimitError\(|_refuse\(asked,)\s*\"(\w+)\"", text))
    assert len(codes) > 10
    assert codes <= told
