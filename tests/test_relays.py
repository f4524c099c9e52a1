"""The proof counts nothing for what a relay drops without us, and names what would not be safe."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.proof import Line, Proof, prove
from controller.relays import relays, unsafe
from controller.remedies import Cost
from tests.documents import S, charger, site
from tests.test_gpio_document import DIMMER, GPIO, contactor, dim, relay
from tests.test_proof import found

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "north-depot.toml"


def proof(*outputs: dict[str, Any], **keys: Any) -> Proof:
    """Four chargers that nobody knows the fallback of, behind such outputs."""
    entries = keys.pop("entries", [charger(**{"count": 4, "fallback_a": None} | keys)])
    return prove(site(charger=entries, gpio=GPIO, output=list(outputs)))


def sums(of: Proof, where: str = "row") -> tuple[int, int]:
    """Lines 1 and 2."""
    return found(of, Line.UNATTENDED, where).sum_ma, found(of, Line.POWER_CUT, where).sum_ma


def test_without_a_relay_unknown_counts_at_its_worst() -> None:
    assert sums(prove(site(charger=[charger(count=4, fallback_a=None)]))) == (128_000, 128_000)


@pytest.mark.parametrize("profile", ["plain", "hungry", "stubborn", "forgetful"])
def test_behind_a_contactor_a_charger_counts_nothing_not_even_its_standby(profile: str) -> None:
    """After a power cut, too: it is open until the gateway closes it, one at a time."""
    made = proof(contactor(), profile=profile)
    assert sums(made) == (0, 0)
    assert sums(made, "grid") == (20_000, 20_000)
    assert found(made, Line.FAILSAFE_CAP, "grid").sum_ma == 20_000
    assert made.passed
    terms = found(made, Line.UNATTENDED, "row").terms
    assert [(term.what, term.count, term.each_ma) for term in terms] == [
        ("base load", 1, 0),
        ("4 chargers in row: dropped by row-contactor", 4, 0),
    ]


def test_a_health_relay_gives_all_their_power_back_at_once() -> None:
    """It drops them without us; but when it holds again, all begin at their power-on current."""
    assert sums(proof(relay())) == (0, 128_000)  # unknown
    assert sums(proof(relay(), profile="forgetful", power_on_a=7)) == (0, 28_000)
    assert sums(proof(relay(), profile="forgetful", power_on_a=0, fallback_a=16)) == (0, 0)


def test_behind_both_the_contactor_recloses_one_at_a_time() -> None:
    assert sums(proof(relay(), contactor())) == (0, 0)
    assert sums(proof(contactor(), relay())) == (0, 0)


def test_only_those_behind_it_count_nothing() -> None:
    one = contactor(drops=None, charger="bay-2")
    assert sums(proof(one)) == (96_000, 96_000)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"active_high": False}, "closes when the gateway's software dies"),
        ({"energised": "open"}, "closes when its coil loses its supply"),
        ({"active_high": False, "energised": "open"}, "closes when its coil loses its supply"),
        ({"pin": 5}, "closes from power-up until the gateway drives it: GPIO5 is pulled up"),
    ],
)
def test_a_contactor_that_does_not_open_by_itself_is_named_and_not_relied_upon(
    keys: dict[str, Any], what: str
) -> None:
    made = proof(contactor(**keys))
    assert sums(made) == (128_000, 128_000)
    assert not made.relays
    assert [each.id for each in made.unsafe if what in each.what] == ["row-contactor"]


def test_a_contactor_whose_pin_may_stay_high_is_named_and_not_relied_upon() -> None:
    """Killed, the process leaves the pin as it was, on some boards: only a health relay drops."""
    entries, untried = [charger(count=4, fallback_a=None)], {"factory": "mock"}
    stays = prove(site(charger=entries, gpio=untried, output=[contactor()]))
    assert sums(stays) == (128_000, 128_000)
    assert not stays.relays
    assert [each.what.split(":")[0] for each in stays.unsafe] == [
        "may stay closed when the gateway's software dies, unless its pin falls then"
    ]
    assert "loadkeeper rest SITE --try row-contactor" in stays.unsafe[0].what
    held = prove(site(charger=entries, gpio=untried, output=[contactor(), relay()]))
    assert [each.id for each in held.relays] == ["health"]
    assert held.unsafe == ()
    part = relay(drops=None, charger="bay-2")
    assert prove(site(charger=entries, gpio=untried, output=[contactor(), part])).unsafe


def test_contacts_whose_broken_wire_would_not_be_noticed_are_named() -> None:
    loose = contactor(feedback_pin=27, feedback="normally_open")
    depot = site(gpio=GPIO, output=[loose], input=[dim(active="closed")], limit_source=[DIMMER])
    assert [(each.id, each.pin) for each in unsafe(depot)] == [("row-contactor", 27), ("dim", 23)]
    assert [each.id for each in relays(depot)] == ["row-contactor"]  # it opens all the same


def test_nothing_is_named_where_everything_is_safe() -> None:
    tight = contactor(feedback_pin=27, feedback="normally_closed")
    lamp = {"id": "led", "kind": "led", "pin": 2, "active_high": False}  # lit or dark, no matter
    depot = site(gpio=GPIO, output=[tight, relay(), lamp], input=[dim()], limit_source=[DIMMER])
    assert unsafe(depot) == ()


def test_how_long_a_relay_holds_after_the_last_decision() -> None:
    depot = site(gpio=GPIO, output=[contactor(opens_s=0.3), relay(release_s=6)])
    assert [(each.id, each.holds_ns) for each in relays(depot)] == [
        ("row-contactor", 2 * S + 3 * S // 10),
        ("health", 8 * S),
    ]


def test_what_is_dropped_needs_no_remedy() -> None:
    entries = [
        charger(count=4, fallback_a=None),
        charger(id="yard", bus="tcp://yard", circuit="grid", fallback_a=None, max_a=100),
    ]
    made = proof(contactor(), entries=entries)
    finding = found(made, Line.UNATTENDED, "grid")
    assert not finding.passed
    assert not [each for each in finding.remedies if "row" in each.action]
    assert finding.remedies[0].cost is Cost.SET


def test_check_tells_what_drops_and_what_is_not_safe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = EXAMPLE.read_text()
    path = tmp_path / "site.toml"
    path.write_text(written.replace("pin = 17\n", "pin = 17\nactive_high = false\n"))
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "health drops 10 chargers without us, at most 8 s after the last decision" in out
    assert "row-b-contactor (GPIO17) closes when the gateway's software dies" in out
    assert main(["check", "--json", str(path)]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["id"] for each in told["relays"]] == ["health"]
    assert [(each["id"], each["pin"]) for each in told["unsafe"]] == [("row-b-contactor", 17)]
