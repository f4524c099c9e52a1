"""What hangs on the gateway's pins, as the document tells it: contactors, relays, contacts."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.document.contacts import Feedback
from controller.document.gpio import Contactor, HealthRelay
from controller.document.inputs import DimInput, Step
from tests.documents import S, charger, problems, site, source

GPIO = {"factory": "mock", "pins_fall": True}
DIMMER = source(id="dso", circuit="row", lease_s=2, failsafe_a=30)


def contactor(**keys: Any) -> dict[str, Any]:
    common = {"id": "row-contactor", "pin": 17, "drops": "row"}
    return {key: value for key, value in (common | keys).items() if value is not None}


def relay(**keys: Any) -> dict[str, Any]:
    return {"id": "health", "kind": "health", "pin": 22, "drops": "row", "release_s": 5} | keys


def dim(**keys: Any) -> dict[str, Any]:
    common = {"id": "dim", "pin": 23, "source": "dso", "limit_a": 16, "active": "open"}
    return common | keys


# --- what is taken -----------------------------------------------------------------------------


def test_a_site_without_pins_has_none() -> None:
    assert site().gpio is None
    assert site().contactors == ()


def test_pins_with_everything_filled_in() -> None:
    own = contactor(
        id="own",
        pin=5,
        drops=None,
        charger="bay-2",
        name="Bay two",
        active_high=False,
        energised="open",
        feedback_pin=6,
        feedback="normally_open",
        opens_s=0.2,
    )
    depot = site(
        gpio=GPIO,
        output=[contactor(), own, relay(drops="grid")],
        input=[dim(debounce_s=0.1)],
        limit_source=[source(), DIMMER],
    )
    every = ("bay-1", "bay-2", "bay-3", "bay-4")
    assert depot.gpio is not None
    assert depot.gpio.factory == "mock"
    group, single = depot.contactors
    assert group == Contactor(
        id="row-contactor",
        name="",
        pin=17,
        active_high=True,
        closed_energised=True,
        circuit="row",
        chargers=every,
        feedback=None,
        opens_ns=S // 2,
    )
    assert (group.group, group.drops, single.group, single.drops) == (True, "row", False, "bay-2")
    assert single.feedback == Feedback(6, normally_closed=False)
    assert (single.chargers, single.opens_ns) == (("bay-2",), S // 5)
    assert depot.gpio.relays == (HealthRelay("health", "", 22, "grid", every, 5 * S),)
    assert depot.gpio.inputs == (
        DimInput("dim", "", "dso", (Step(23, (16_000, 16_000, 16_000)),), True, S // 10),
    )


def test_a_circuit_is_dropped_with_all_circuits_below_it() -> None:
    far = charger(id="far", bus="tcp://far", circuit="grid")
    depot = site(
        charger=[charger(count=2), far],
        gpio=GPIO,
        output=[contactor(id="top", drops="grid"), contactor(pin=18)],
    )
    assert [each.chargers for each in depot.contactors] == [
        ("bay-1", "bay-2", "far"),
        ("bay-1", "bay-2"),
    ]


@pytest.mark.parametrize(
    ("active_high", "energised", "open_high", "alone"),
    [
        (True, "closed", False, True),  # high, so energised, so closed
        (False, "closed", True, False),  # a dead process leaves its line low: energised, closed
        (True, "open", True, False),  # without power it closes
        (False, "open", False, False),  # opens with a dead process, closes in a power cut
    ],
)
def test_which_level_opens_a_contactor_and_whether_it_opens_alone(
    active_high: bool, energised: str, open_high: bool, alone: bool
) -> None:
    entry = contactor(active_high=active_high, energised=energised)
    (made,) = site(gpio=GPIO, output=[entry]).contactors
    assert (made.open_high, made.opens_alone) == (open_high, alone)


def test_a_pin_that_is_pulled_up_from_power_up_does_not_open_alone() -> None:
    for pin in range(2, 28):
        (made,) = site(gpio=GPIO, output=[contactor(pin=pin)]).contactors
        assert made.opens_alone == (pin > 8)


def test_contacts_are_read_with_their_polarity_and_a_broken_wire_is_an_open_contact() -> None:
    high = True  # contact open, or wire broken: the pin is pulled up
    mirror, other = Feedback(6, normally_closed=True), Feedback(6, normally_closed=False)
    assert (mirror.closed(high), mirror.closed(not high), mirror.safe) == (True, False, True)
    assert (other.closed(high), other.closed(not high), other.safe) == (False, True, False)
    for active, expected in (("open", True), ("closed", False)):
        depot = site(gpio=GPIO, input=[dim(active=active)], limit_source=[DIMMER])
        assert depot.gpio is not None
        (contact,) = depot.gpio.inputs
        assert (contact.active(high), contact.active(not high)) == (expected, not expected)
        assert contact.safe == expected


def test_pins_belong_to_the_installation() -> None:
    bare = site(gpio=GPIO, output=[contactor()]).installation_hash
    moved = site(gpio=GPIO, output=[contactor(pin=18)]).installation_hash
    other = site(gpio={"factory": "lgpio"}, output=[contactor()]).installation_hash
    assert len({site().installation_hash, bare, moved, other}) == 4


# --- what is refused ---------------------------------------------------------------------------

SLOW = source(id="dso", circuit="row", lease_s=60, failsafe_a=30)
REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    ({"output": [contactor()], "gpio": None}, "gpio", "[[output]] needs the name of the pin fac"),
    ({"input": [dim()], "gpio": None}, "gpio", "[[input]] needs the name"),
    ({"gpio": {}}, "gpio.factory", "is missing: gpiozero's pin factory"),
    ({"output": [contactor(pin=28)]}, "output[0].pin (row-contactor)", "at most 27, found 28"),
    ({"output": [contactor(pin=1)]}, "output[0].pin (row-contactor)", "at least 2, found 1"),
    ({"output": [contactor(pin="GPIO17")]}, "output[0].pin (row-contactor)", "a whole number"),
    (
        {"output": [contactor(kind="relay")]},
        "output[0].kind (row-contactor)",
        "'contactor', 'health' or 'led'",
    ),
    (
        {"output": [contactor(), contactor(id="b")]},
        "output[1].pin (b)",
        "is the pin of output[0].pin, too; found 17",
    ),
    (
        {"output": [contactor(feedback_pin=17, feedback="normally_closed")]},
        "output[0].feedback_pin (row-contactor)",
        "is the pin of output[0].pin, too",
    ),
    (
        {"output": [contactor(pin=23)], "input": [dim()]},
        "input[0].pin (dim)",
        "is the pin of output[0].pin, too",
    ),
    ({"output": [contactor(drops="rwo")]}, "output[0].drops (row-contactor)", 'mean "row"?'),
    (
        {"output": [contactor(drops="rwo", pin=99)]},
        "output[0].drops (row-contactor)",
        'mean "row"?',
    ),
    ({"output": [contactor(drops=None)]}, "output[0] (row-contactor)", "needs either drops"),
    ({"output": [contactor(charger="bay-1")]}, "output[0] (row-contactor)", "needs either drops"),
    (
        {"output": [contactor(drops=None, charger="bay-5")]},
        "output[0].charger (row-contactor)",
        'no [[charger]] has the id "bay-5"',
    ),
    (
        {"output": [contactor()], "charger": [charger(circuit="grid")]},
        "output[0].drops (row-contactor)",
        'drops nothing: no charger hangs on "row"',
    ),
    (
        {
            "output": [
                contactor(drops=None, charger="bay-1"),
                contactor(id="b", pin=18, drops=None, charger="bay-1"),
            ]
        },
        "output[1].charger (b)",
        'behind "row-contactor" already',
    ),
    ({"output": [contactor(id="bay-1")]}, "output[0].id (bay-1)", "every device needs its own"),
    ({"input": [dim(id="main")]}, "input[0].id (main)", "meter[0] has the id"),
    ({"output": [contactor(feedback_pin=6)]}, "output[0] (row-contactor)", "needs both feedback"),
    (
        {"output": [contactor(feedback="normally_open")]},
        "output[0] (row-contactor)",
        "needs both feedback",
    ),
    ({"output": [contactor(release_s=5)]}, "output[0].release_s (row-contactor)", '"health" only'),
    ({"output": [relay(opens_s=1)]}, "output[0].opens_s (health)", '"contactor" only'),
    (
        {"output": [relay(active_high=True)]},
        "output[0].active_high (health)",
        '"contactor" or "led" only',
    ),
    (
        {"output": [{"id": "health", "kind": "health", "pin": 22, "drops": "row"}]},
        "output[0].release_s (health)",
        "how long the relay holds",
    ),
    ({"output": [relay(release_s=3.9)]}, "output[0].release_s (health)", "twice dead_man_s, 4 s"),
    ({"input": [dim(source="dos")]}, "input[0].source (dim)", 'mean "dso"?'),
    ({"input": [dim(), dim(id="b", pin=24)]}, "input[1].source (b)", "input[0] speaks for"),
    ({"input": [dim(active="off")]}, "input[0].active (dim)", "'closed' or 'open'"),
    ({"input": [dim(limit_a=64)]}, "input[0].limit_a (dim)", 'rating of "row", 63 A; found 64'),
    ({"input": [dim()], "limit_source": [SLOW]}, "limit_source[0].lease_s (dso)", "at most 10"),
]


@pytest.mark.parametrize(("sections", "path", "words"), REFUSED)
def test_what_is_wrong_is_told_with_its_place(
    sections: Mapping[str, Any], path: str, words: str
) -> None:
    told = problems(**{"gpio": GPIO, "limit_source": [source(), DIMMER], **sections})
    assert path in told, told
    assert words in told[path]


def test_nobody_is_blamed_for_naming_a_charger_that_cannot_be_read() -> None:
    told = problems(
        charger=[charger(count=4, min_a="six")],
        gpio=GPIO,
        output=[contactor(drops=None, charger="bay-3"), contactor(id="b", pin=18)],
    )
    assert list(told) == ["charger[0].min_a (bay-{n})"]
