"""docs/devices.md is what the profiles say now, and has every device."""

import tomllib

from drivers.library import library
from hil.proving.page import LEFT_OUT, PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make devices"


def test_every_device_is_on_it() -> None:
    text = page()
    for name in library().names():
        assert f"[`{name}`](#{name})" in text
        assert f'<a id="{name}"></a>' in text


def test_what_was_assumed_is_said() -> None:
    part = page().split('<a id="sbc_ale3_awd3"></a>')[1].split("<a id=")[0]
    assert "*assumed*: `current_sign`, `error_a`, `lag_s`" in part
    assert "nothing tells a direction" in part


def test_devices_that_have_no_profile_are_named_with_the_reason() -> None:
    part = page().split("## Left out")[1].split("## Each device")[0]
    assert "**Webasto / Ampure NEXT**: its setpoint can only be written" in part
    named = {each["name"] for each in tomllib.loads(LEFT_OUT.read_text())["device"]}
    devices = {f"{each.vendor} {each.model}" for each in map(library().find, library().names())}
    assert not named & devices
