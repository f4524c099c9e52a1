"""docs/devices.md is what the profiles say now, and has every device."""

from drivers.library import library
from hil.proving.page import PAGE, page


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
