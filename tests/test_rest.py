"""`loadkeeper rest`: pins that a killed enforcer left as they were, and who brings them to rest."""

import json
import shutil
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from controller.__main__ import main
from controller.alone import nobody_else, only_one, with_the_pins
from controller.clock import boot_id
from controller.document.gpio import Gpio
from controller.document.outputs import AtRest, at_rest
from controller.driven import FILE_BYTES, PinMemory, driven, wanted
from controller.places import PlaceError, Places
from controller.saver import UnreadableError
from controller.site import parse
from drivers.library import library
from drivers.pins import pins_of
from drivers.resting import bring_to_rest, rest_what_was_left
from tests.documents import circuit
from tests.pinned import installed

__all__ = ["installed"]

OUTPUTS = [
    {"id": "row", "pin": 17, "drops": "grid", "feedback_pin": 27, "feedback": "normally_closed"},
    {"id": "far", "pin": 18, "charger": "bay", "active_high": False},
    {"id": "health", "kind": "health", "pin": 22, "drops": "grid", "release_s": 5},
    {"id": "led", "kind": "led", "pin": 21},
]
GUEST = {"id": "guest", "circuit": "grid", "pin": 19, "rated_a": 16}
RESTING = [
    AtRest("guest", 19, high=False),
    AtRest("row", 17, high=False),
    AtRest("far", 18, high=True),
    AtRest("health", 22, high=False),
    AtRest("led", 21, high=False),
]


def document(**more: Any) -> dict[str, Any]:
    bay = {"id": "bay", "circuit": "grid", "profile": "alfen_eve", "bus": "tcp://192.0.2.1"}
    return {
        "schema": 1,
        "site": {"id": "depot"},
        "circuit": [circuit("grid", rating_a=125)],
        "charger": [bay | {"max_a": 32, "fallback_a": 6}, GUEST],
        "gpio": {"factory": "mock"},
        "output": OUTPUTS,
        **more,
    }


def gpio(**more: Any) -> Gpio:
    found = parse(document(**more), library()).gpio
    assert found is not None
    return found


class Desk:
    """A gateway's directories, and the command on it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.site = directory / "site.json"
        self.places = Places(directory / "run", directory / "state")
        self.places.prepare()
        self._capsys = capsys
        self.write(document())

    def write(self, written: dict[str, Any]) -> None:
        self.site.write_text(json.dumps(written), encoding="utf-8")

    def remember(self, of: Gpio, boot: str | None = None) -> None:
        memory = PinMemory(self.places.pins, boot or boot_id())
        memory.keep(of, drives=True)
        memory.close()

    def rest(self, *words: str) -> tuple[int, Any, str]:
        where = ("--runtime", str(self.places.runtime), "--state", str(self.places.state))
        status = main(["rest", str(self.site), *where, *words])
        out, err = self._capsys.readouterr()
        return status, json.loads(out.splitlines()[-1]) if "--json" in words else out, err


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], installed: dict[str, str]) -> Desk:
    return Desk(tmp_path, capsys)


def left_high(*pins: int) -> None:
    """As a killed process left them."""
    for number in pins:
        pin = pins_of("mock")._factory.pin(number)
        pin.function = "output"
        pin.state = 1


def levels(pin: int) -> list[bool]:
    """That it was driven to since then."""
    return [bool(each.state) for each in pins_of("mock")._factory.pin(pin).states]


# --- what is at rest ----------------------------------------------------------------------------


def test_each_output_has_a_level_of_rest() -> None:
    assert list(at_rest(gpio())) == RESTING
    dark = gpio(output=[{"id": "led", "kind": "led", "pin": 21, "active_high": False}])
    assert list(at_rest(dark))[1:] == [AtRest("led", 21, high=True)]


def test_it_brings_each_to_rest_and_says_so(desk: Desk) -> None:
    left_high(17, 18, 19, 21, 22)
    status, said, err = desk.rest()
    assert (status, err) == (0, "")
    assert said.splitlines() == [
        "guest   GPIO19  at rest, low",
        "row     GPIO17  at rest, low",
        "far     GPIO18  at rest, high",
        "health  GPIO22  at rest, low",
        "led     GPIO21  at rest, low",
    ]
    for pin, high in ((17, False), (18, True), (19, False), (21, False), (22, False)):
        assert levels(pin)[-1] is high
    assert not levels(27)[1:]  # an auxiliary contact's is none of its business


def test_one_pin_that_cannot_be_had_stops_no_other(desk: Desk) -> None:
    left_high(17, 19)
    taken = pins_of("mock").input("somebody", 19)
    status, told, err = desk.rest("--json")
    taken.close()
    assert status == 1
    assert [each["id"] for each in told["outputs"] if each["error"]] == ["guest"]
    assert "not at rest: guest (GPIO19): is in use as one that is read" in err
    assert levels(17)[-1] is False


def test_a_factory_that_cannot_be_had_is_told_for_each(desk: Desk) -> None:
    found = bring_to_rest("lgpoi", RESTING[:2])
    assert all("there is no such pin factory" in str(each.error) for each in found)
    desk.write(document(gpio={"factory": "lgpoi"}))
    status, said, _ = desk.rest()
    assert status == 1
    assert said.count("NOT AT REST") == 5


# --- while an enforcer runs ---------------------------------------------------------------------


def test_it_touches_nothing_while_an_enforcer_runs(desk: Desk) -> None:
    left_high(17)
    with with_the_pins(desk.places, lambda: None), only_one(desk.places):
        status, _, err = desk.rest()
    assert status == 1
    assert "nothing is touched: an enforcer, or another loadkeeper rest, is at work with" in err
    assert levels(17)[-1] is True
    assert desk.rest()[0] == 0
    assert levels(17)[-1] is False


def test_no_enforcer_starts_meanwhile_wherever_its_runtime_directory_went(tmp_path: Path) -> None:
    """systemd takes that away with the unit: the lock is the state directory."""
    places = Places(tmp_path / "run", tmp_path / "state")
    waited: list[str] = []

    def enforcer(patience_s: float = 0.3) -> AbstractContextManager[None]:
        return with_the_pins(places, lambda: waited.append("waits"), patience_s)

    with nobody_else(places):
        assert places.state.stat().st_mode & 0o777 == 0o700
        with pytest.raises(PlaceError, match="loadkeeper rest, is still at work"), enforcer():
            pass
        with pytest.raises(PlaceError, match="another loadkeeper rest"), nobody_else(places):
            pass
    assert waited == ["waits"]
    with enforcer():
        shutil.rmtree(places.runtime)
        with pytest.raises(PlaceError, match="at work with"), nobody_else(places):
            pass
    with nobody_else(places):
        pass
    assert waited == ["waits"]  # nobody is waited for who is not there


def test_a_start_waits_for_the_end_of_who_brings_pins_to_rest(tmp_path: Path) -> None:
    places = Places(tmp_path / "run", tmp_path / "state")
    resting = ExitStack()
    resting.enter_context(nobody_else(places))
    with with_the_pins(places, resting.close, patience_s=20):  # it ends as it is waited for
        pass


def test_an_enforcer_with_another_state_directory_is_found_by_its_runtime_directory(
    tmp_path: Path,
) -> None:
    own, elsewhere = Places(tmp_path / "run", tmp_path / "s"), Places(tmp_path / "b", tmp_path)
    elsewhere.prepare()
    with nobody_else(own, elsewhere.runtime):
        pass
    with (
        only_one(elsewhere),
        pytest.raises(PlaceError, match=r"an enforcer is running in .*/b, and holds the pins"),
        nobody_else(own, elsewhere.runtime),
    ):
        pass


def test_without_any_place_for_a_lock_pins_come_to_rest_but_none_is_tried(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = Places(tmp_path / "run", tmp_path / "file" / "state")
    with nobody_else(places):
        pass
    with pytest.raises(PlaceError, match="Not a directory"), nobody_else(places, surely=True):
        pass


def test_whoever_may_not_lock_the_installed_state_directory_touches_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_high(17)
    asked: list[object] = []

    def elsewhere(state: object) -> Path:
        asked.append(state)
        raise PlaceError("/var/lib/loadkeeper: Permission denied")

    monkeypatch.setattr("controller.alone._state", lambda places, surely: elsewhere(places.state))
    status, _, err = desk.rest()
    assert (status, asked) == (1, [desk.places.state])
    assert "nothing is touched: /var/lib/loadkeeper: Permission denied" in err
    assert levels(17)[-1] is True


# --- with another document, or none -------------------------------------------------------------


@pytest.mark.parametrize("text", ["{", '{"schema": 1}'])
def test_what_was_driven_is_known_without_a_document(desk: Desk, text: str) -> None:
    desk.remember(gpio())
    desk.site.write_text(text, encoding="utf-8")
    left_high(17, 18, 19)
    status, told, err = desk.rest("--json")
    assert status == 0
    assert [each["id"] for each in told["outputs"]] == [each.id for each in RESTING]
    assert "cannot be read (see loadkeeper check): only what was driven is known" in err
    assert [levels(pin)[-1] for pin in (17, 18, 19)] == [False, True, False]


def test_what_was_driven_before_this_boot_is_driven_no_more(desk: Desk) -> None:
    desk.remember(gpio(), boot="another")
    desk.site.write_text("{", encoding="utf-8")
    status, told, _ = desk.rest("--json")
    assert (status, told) == (1, {"outputs": [], "whole": False})


def test_a_memory_that_cannot_be_read_is_told_and_the_document_serves(desk: Desk) -> None:
    desk.places.pins.write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableError):
        driven(desk.places.pins, boot_id())
    status, said, err = desk.rest()
    assert status == 1  # there may have been more
    assert said.count("at rest") == 5
    assert f"{desk.places.pins}: " in err
    assert "what was driven before is not known" in err
    desk.site.write_text("{", encoding="utf-8")
    assert desk.rest()[0] == 1  # nobody knows anything


def test_what_the_document_lacks_now_is_brought_to_rest_and_what_it_reads_is_not(
    desk: Desk,
) -> None:
    """GPIO19 was a charger's relay, and a contact hangs there now: it must not be driven."""
    desk.remember(gpio())
    kept = OUTPUTS[0] | {"feedback_pin": 19}
    desk.write(document(charger=[document()["charger"][0]], output=[kept]))
    left_high(17, 18)
    status, told, _ = desk.rest("--json")
    assert status == 0
    assert [each["pin"] for each in told["outputs"]] == [17, 18, 22, 21]
    assert len(levels(19)) == 1


def test_a_site_that_is_only_observed_has_nothing_driven(desk: Desk) -> None:
    desk.write(document(mode="observe"))
    assert desk.rest()[:2] == (0, "no output is on a pin\n")
    desk.remember(gpio())  # but what was driven before it was observed
    assert desk.rest()[1].count("at rest") == 5


def test_without_a_site_document_what_was_driven_is_brought_to_rest(desk: Desk) -> None:
    """The next start ends for want of it, and is the last: then systemd runs this."""
    desk.remember(gpio())
    desk.site.unlink()
    left_high(17, 18, 19)
    status, told, err = desk.rest("--json")
    assert status == 0
    assert [each["id"] for each in told["outputs"]] == [each.id for each in RESTING]
    assert "only what was driven is known" in err
    assert [levels(pin)[-1] for pin in (17, 18, 19)] == [False, True, False]
    desk.places.pins.write_text("{", encoding="utf-8")
    assert desk.rest()[0] == 1  # nobody knows anything


def test_without_a_site_document_and_nothing_driven_it_was_used_wrongly(desk: Desk) -> None:
    desk.site.unlink()
    status, _, err = desk.rest()
    assert status == 2
    assert "there is no such file" in err
    desk.remember(gpio())
    assert desk.rest("--try", "row")[0] == 2


def test_a_start_brings_to_rest_what_its_document_does_not_have_any_more(desk: Desk) -> None:
    """The document was changed, and the enforcer killed before it was put in force."""
    desk.remember(gpio())
    left_high(17, 18, 19)
    fewer = gpio(charger=[document()["charger"][0]], output=OUTPUTS[:1])
    found = rest_what_was_left(desk.places, boot_id(), fewer, drives=True)
    assert [each.output.id for each in found] == ["guest", "far", "health", "led"]
    assert {each.error for each in found} == {None}
    assert [levels(pin)[-1] for pin in (17, 18, 19)] == [True, True, False]
    assert rest_what_was_left(desk.places, boot_id(), gpio(), drives=True) == []
    assert rest_what_was_left(desk.places, "another", fewer, drives=True) == []
    with only_one(desk.places), structlog.testing.capture_logs() as logs:
        assert rest_what_was_left(desk.places, boot_id(), fewer, drives=True) == []
    assert [each["event"] for each in logs] == ["pins stay as they were left: an enforcer runs"]
    desk.places.pins.write_text("{", encoding="utf-8")
    with structlog.testing.capture_logs() as logs:
        assert rest_what_was_left(desk.places, boot_id(), fewer, drives=True) == []
    assert [each["event"] for each in logs] == ["nobody knows which pins were left on"]


def test_a_start_that_only_observes_brings_to_rest_what_a_killed_one_drove(desk: Desk) -> None:
    """And nothing that no enforcer of this boot has driven, or that is a contact now."""
    left_high(17, 18, 19)
    assert rest_what_was_left(desk.places, boot_id(), gpio(), drives=False) == []
    kept = OUTPUTS[0] | {"feedback_pin": 19}
    desk.remember(gpio(output=OUTPUTS[:1]))
    now = gpio(charger=[document()["charger"][0]], output=[kept, OUTPUTS[1]])
    found = rest_what_was_left(desk.places, boot_id(), now, drives=False)
    assert [(each.output, each.error) for each in found] == [(AtRest("row", 17, high=False), None)]
    assert [levels(pin)[-1] for pin in (17, 18, 19)] == [False, True, True]
    desk.write(document(mode="observe", charger=[document()["charger"][0]], output=[kept]))
    left_high(17)
    assert desk.rest()[:2] == (0, "row  GPIO17  at rest, low\n")
    assert [levels(pin)[-1] for pin in (17, 18, 19)] == [False, True, True]


def test_pins_are_the_boards_by_whatever_factory(desk: Desk) -> None:
    desk.remember(gpio())
    before = driven(desk.places.pins, boot_id())
    kept = OUTPUTS[0] | {"feedback_pin": 19, "active_high": False}
    now = gpio(gpio={"factory": "other"}, charger=[document()["charger"][0]], output=[kept])
    assert wanted(now, before) == [
        ("other", (AtRest("row", 17, high=True),)),  # as it is wired now
        ("mock", (RESTING[2], RESTING[3], RESTING[4])),
    ]


def test_what_could_not_be_brought_to_rest_is_kept_and_tried_again(desk: Desk) -> None:
    desk.remember(gpio())
    left_high(19, 22)
    taken = pins_of("mock").input("somebody", 19)
    fewer = gpio(gpio={"factory": "other"}, charger=[document()["charger"][0]], output=OUTPUTS[:1])
    found = rest_what_was_left(desk.places, boot_id(), fewer, drives=True)
    taken.close()
    failed = [(each.factory, (each.output,)) for each in found if each.error is not None]
    assert failed == [("mock", (RESTING[0],))]
    memory = PinMemory(desk.places.pins, boot_id())
    memory.keep(fewer, drives=True, left=failed)
    memory.close()
    before = driven(desk.places.pins, boot_id())
    assert wanted(None, before) == [("other", (RESTING[1],)), ("mock", (RESTING[0],))]
    desk.write(document(charger=[document()["charger"][0]], output=OUTPUTS[:1]))
    left_high(19)
    status, said, _ = desk.rest()
    assert (status, said.count("at rest, low")) == (0, 2)
    assert levels(19)[-2:] == [False, True]  # driven low; let go, somebody pulls it up


# --- what an enforcer keeps ---------------------------------------------------------------------


def test_what_is_driven_is_kept_once_and_only_if_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    for of, drives in ((gpio(), False), (None, True)):
        memory = PinMemory(path, "boot")
        memory.keep(of, drives=drives)
        memory.close()
        assert not path.exists()
    memory = PinMemory(path, "boot")
    memory.keep(gpio(), drives=True)
    memory.close()
    written = path.stat().st_ino
    again = PinMemory(path, "boot")
    again.keep(gpio(), drives=True)
    again.close()
    assert path.stat().st_ino == written
    found = driven(path, "boot")
    assert found is not None
    assert wanted(None, found) == [("mock", tuple(RESTING))]
    assert wanted(gpio(), found) == [("mock", tuple(RESTING))]
    assert driven(path, "the next") is None
    assert path.stat().st_size < FILE_BYTES // 8


# --- what can be tried ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "why"), [("health", "held by pulses"), ("led", "is a lamp")])
def test_what_tells_nothing_of_the_board_is_not_tried(desk: Desk, name: str, why: str) -> None:
    """A health relay drops by itself: that would be taken for a board whose pins fall."""
    left_high(17, 22)
    status, said, err = desk.rest("--try", name)
    assert (status, said) == (1, "")
    assert f"nothing is touched: {name}" in err
    assert why in err
    assert [levels(pin)[-1] for pin in (17, 22)] == [True, True]


def test_only_what_there_is_can_be_tried(desk: Desk) -> None:
    left_high(17)
    status, _, err = desk.rest("--try", "rwo")
    assert status == 1
    assert "no contactor and no charger on a pin is called 'rwo'; there are guest, row, far" in err
    assert levels(17)[-1] is True
    desk.write(document(mode="observe"))
    assert "there are guest, row" in desk.rest("--try", "rwo")[2]
    desk.write(document(gpio={"factory": "lgpoi"}))
    status, _, err = desk.rest("--try", "row")
    assert status == 1
    assert 'not switched on: gpio.factory "lgpoi": there is no such pin factory' in err
    assert levels(17)[-1] is True
