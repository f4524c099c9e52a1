"""`loadkeeper unit`: what systemd is to permit for a site, and an enforcer that knows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.__main__ import main
from controller.permits import VARIABLE, lacking, needs
from controller.site import Site, parse
from drivers.library import library

METER = {"id": "meter", "circuit": "grid", "profile": "carlo_gavazzi_em24_ethernet"}
BASE: dict[str, Any] = {
    "schema": 1,
    "site": {"id": "small"},
    "circuit": [{"id": "grid", "rating_a": 100, "worst_base_a": 20}],
}


def document(*urls: str, **more: Any) -> dict[str, Any]:
    """A meter at each of these."""
    meters = [METER | {"id": f"m{n}", "bus": url} for n, url in enumerate(urls)]
    return BASE | {"meter": meters} | more


def site(*urls: str, **more: Any) -> Site:
    return parse(document(*urls, **more), library())


def rtu(port: str) -> str:
    return f"rtu://{port}?baud=19200&parity=E&stop=1"


@pytest.fixture
def unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Its answer in JSON, and its exit status."""

    def ask(written: dict[str, Any], *words: str) -> tuple[int, Any, str]:
        path = tmp_path / "site.json"
        path.write_text(json.dumps(written), encoding="utf-8")
        status = main(["unit", str(path), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out.splitlines()[-1]), err

    return ask


def test_each_device_s_address_is_open_to_the_enforcer_and_shut_to_the_link(
    unit: Callable[..., Any],
) -> None:
    urls = ("tcp://192.0.2.21", "tcp://192.0.2.9:5020", "tcp://[2001:db8::9]", "tcp://192.0.2.9")
    status, told, _ = unit(document(*urls, link={"broker": "mqtts://broker.example"}))
    assert status == 0
    addresses = "192.0.2.9 192.0.2.21 2001:db8::9"
    assert told["enforcer"]["addresses"] == addresses.split()
    lines = told["enforcer"]["text"].splitlines()
    assert f"IPAddressAllow={addresses}" in lines
    assert f'Environment="{VARIABLE}={addresses}"' in lines
    assert not [each for each in lines if each.startswith(("Device", "Private", "Supp"))]
    assert f"IPAddressDeny={addresses}" in told["link"]["text"].splitlines()
    assert told["enforcer"]["path"] == "/etc/systemd/system/loadkeeper.service.d/site.conf"
    assert told["link"]["path"] == "/etc/systemd/system/loadkeeper-link.service.d/site.conf"


def test_localhost_is_open_only_where_a_device_is(unit: Callable[..., Any]) -> None:
    _, told, _ = unit(document("tcp://localhost:5020", "tcp://192.0.2.9"))
    assert "IPAddressAllow=localhost 192.0.2.9" in told["enforcer"]["text"].splitlines()
    _, told, _ = unit(document("tcp://192.0.2.9"))
    assert "localhost" not in told["enforcer"]["text"]
    assert "127." not in told["enforcer"]["text"]


@pytest.mark.parametrize(
    ("port", "words", "module"),
    [
        ("/dev/ttyUSB3", ["char-ttyUSB"], "usbserial"),  # another number, plugged in again
        ("/dev/ttyACM0", ["char-ttyACM"], "cdc_acm"),
        ("/dev/serial/by-path/platform-1.2:1.0", ["char-ttyUSB", "char-ttyACM"], "usbserial"),
        ("/dev/loadkeeper/usb-1-1.2", ["char-ttyUSB", "char-ttyACM"], "cdc_acm"),
        ("/dev/ttyAMA0", ["/dev/ttyAMA0"], None),  # always there, and the only one of its number
        ("/dev/serial0", ["char-ttyAMA", "/dev/ttyS0"], None),
    ],
)
def test_serial_ports_are_opened_by_kind(
    unit: Callable[..., Any], port: str, words: list[str], module: str | None
) -> None:
    _, told, _ = unit(document(rtu(port)))
    made = told["enforcer"]
    assert (made["devices"], made["groups"]) == (words, ["dialout"])
    lines = made["text"].splitlines()
    assert [each for each in lines if each.startswith("DeviceAllow=")] == [
        f"DeviceAllow={word} rw" for word in words
    ]
    assert "PrivateDevices=no" in lines  # else there would be no such port to open
    assert ("modprobe@" in made["text"]) == (module is not None)
    if module is not None:
        assert f"modprobe@{module}.service" in made["text"]


def test_a_port_of_the_site_s_own_name_is_looked_at(
    unit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, told, err = unit(document(rtu("/dev/row-a")))
    assert status == 1
    assert [each["path"] for each in told["problems"]] == ["port /dev/row-a (m0)"]
    assert "/dev/serial/by-path" in err
    monkeypatch.setattr(Path, "resolve", lambda _path: Path("/dev/ttyUSB1"))
    assert needs(site(rtu("/dev/row-a")))[0].ports == {"char-ttyUSB": "m0"}


def test_names_are_refused_all_at_once_and_nothing_is_opened_instead(
    unit: Callable[..., Any],
) -> None:
    urls = ("tcp://meter.lan", "tcp://192.0.2.9", "tcp://plc.lan:503")
    status, told, err = unit(document(*urls))
    assert status == 1
    assert told["enforcer"] is None
    paths = [each["path"] for each in told["problems"]]
    assert paths == ["bus tcp://meter.lan:502", "bus tcp://plc.lan:503"]
    assert "write the device's address" in err


def test_a_document_that_is_wrong_is_told_all_its_problems(unit: Callable[..., Any]) -> None:
    status, told, _ = unit(document("tcp://192.0.2.9") | {"colour": 1, "mode": "x"})
    assert status == 1
    assert len(told["problems"]) == 2


def test_pins_are_opened_for_the_factory_that_is_known(unit: Callable[..., Any]) -> None:
    pins = {"output": [{"id": "contactor", "pin": 17, "drops": "grid"}]}
    charger = {"id": "bay", "circuit": "grid", "profile": "alfen_eve", "bus": "tcp://192.0.2.9"}
    pins["charger"] = [charger | {"max_a": 16, "fallback_a": 6, "fallback_delay_s": 60}]
    status, told, err = unit(document(gpio={"factory": "lgpio"}, **pins))
    assert (status, err) == (0, "")
    assert told["enforcer"]["devices"] == ["char-gpiochip"]
    assert told["enforcer"]["groups"] == ["gpio"]
    status, told, err = unit(document(gpio={"factory": "other"}, **pins))
    assert (status, told["enforcer"]["devices"]) == (0, [])
    assert "nothing is opened for it" in err
    assert "and one for loadkeeper-rest.service" in err


@pytest.mark.parametrize(
    ("broker", "bus", "why"),
    [
        ("mqtt://192.0.2.9", "tcp://192.0.2.9", "is the broker's as well"),
        ("mqtt://broker.example", "tcp://127.0.0.1:5020", "talks to itself"),
    ],
)
def test_what_the_link_itself_needs_is_not_denied_and_that_is_said(
    unit: Callable[..., Any], broker: str, bus: str, why: str
) -> None:
    _, told, _ = unit(document(bus, "tcp://192.0.2.10", link={"broker": broker}))
    assert told["link"]["denied"] == ["192.0.2.10"]
    assert len(told["link"]["not_denied"]) == 1
    assert "NOT DENIED" in told["link"]["text"]
    assert why in told["link"]["text"]


def test_files_that_the_link_cannot_see_are_named(unit: Callable[..., Any]) -> None:
    link = {"broker": "mqtt://192.0.2.9", "username": "u", "password_file": "/home/me/password"}
    status, told, _ = unit(document(link=link))
    assert status == 1
    assert [each["path"] for each in told["problems"]] == ["link.password_file"]
    link["password_file"] = "link/password"  # beside the document, wherever that will be
    assert unit(document(link=link))[0] == 0


def test_a_site_without_a_broker_has_no_link(unit: Callable[..., Any]) -> None:
    assert unit(document())[1]["link"] is None
    status, told, err = unit(document(), "--for", "link")
    assert (status, told) == (1, {"link": None})
    assert "enable no link" in err


# --- an enforcer that knows what it may --------------------------------------------------------


def test_what_the_unit_does_not_permit_is_known_before_it_is_tried() -> None:
    here = {VARIABLE: "192.0.2.9 char-ttyUSB"}
    assert lacking(here, site("tcp://192.0.2.9", rtu("/dev/ttyUSB7"))) == []
    (problem,) = lacking(here, site("tcp://192.0.2.9", "tcp://192.0.2.10"))
    assert problem.path == "m1"
    assert "does not permit 192.0.2.10" in problem.message
    assert "loadkeeper unit" in problem.message
    assert len(lacking(here, site("tcp://meter.lan", rtu("/dev/ttyAMA0")))) == 2


def test_loopback_is_one_thing_to_permit() -> None:
    assert lacking({VARIABLE: "localhost"}, site("tcp://127.0.0.3", "tcp://[::1]")) == []
    assert lacking({VARIABLE: "127.0.0.1"}, site("tcp://127.0.0.3"))


def test_where_nobody_said_nothing_is_lacking() -> None:
    assert lacking({}, site("tcp://meter.lan", rtu("/dev/row-a"))) == []


def test_nothing_is_permitted_to_a_site_without_devices() -> None:
    assert lacking({VARIABLE: ""}, site()) == []
    assert lacking({VARIABLE: ""}, site("tcp://192.0.2.9"))
