"""`python -m hil devices`: writes docs/devices.md, what is proven about each device."""

from __future__ import annotations

import tomllib
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterable, Iterator
from pathlib import Path

from controller.commands.output import FINE, say
from controller.units import seconds_text
from drivers.library import AnyProfile, library
from drivers.meterprofile import MeterProfile
from drivers.profile import Profile
from hil.devices.simulated import SIMULATED
from hil.proving.captures import captures

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"
LEFT_OUT = Path(__file__).parent / "left_out.toml"
LINES = {"tcp": "TCP", "rtu": "RTU", "ascii": "ASCII"}
FEEDS = {
    "none": "it has no watchdog",
    "unknown": "unknown",
    "setpoint_rewrite": "a written setpoint",
    "any_traffic": "any request",
    "timeout_rewrite": "its time, written again",
    "life_bit": "a life bit",
    "token": "a token",
}
SURE = ("two-sources", "one-source", "inferred", "disputed", "unverified", "assumed")
HEAD = """# Devices

<!-- Written by `make devices` from the profiles and their captures; a test compares. -->

What Loadkeeper speaks to, and what is proven about each. **None of it has been tried on hardware
yet.** What there is instead:

- *facts*: how many sources say what the profile says (two may go back to one document of its
  maker's). What only one says, what they dispute, and what we assumed on the safe side, stands
  below, device by device.
- *captures*: states of the device whose exchanges are replayed, byte by byte, with each test. The
  bytes are made from the documents, not by what decodes them. `make mutate-profiles` tells what
  they would notice ([adding a device](adding-a-device.md)).
- *rig*: a simulated device, written from the documents a second time, is driven by stories.
- SunSpec meters are held against pysunspec2, another reader of the same models.

How often devices are asked, what a power means in amperes, and how serial lines are shared, stands
in [lines](lines.md).
"""


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    subparsers.add_parser("devices", help="write docs/devices.md from the profiles")


def run(_args: Namespace) -> int:
    PAGE.write_text(page(), encoding="utf-8")
    say(str(PAGE.relative_to(PAGE.parents[1])))
    return FINE


def page() -> str:
    profiles = [library().find(name) for name in sorted(library().names())]
    meters = [each for each in profiles if isinstance(each, MeterProfile)]
    chargers = [each for each in profiles if not isinstance(each, MeterProfile)]
    parts = [
        HEAD,
        f"## Meters ({len(meters)})\n",
        *_table(
            ("profile", "device", "line", "guards a circuit", "facts", "captures", "rig"),
            ((*_who(each), _guards(each), *_proof(each)) for each in meters),
        ),
        "",
        f"## Chargers ({len(chargers)})\n",
        *_table(
            (
                "profile",
                "device",
                "line",
                "in",
                "its watchdog is fed by",
                "facts",
                "captures",
                "rig",
            ),
            ((*_who(each), _unit(each), _fed(each), *_proof(each)) for each in chargers),
        ),
        "\nWhere any request feeds a charger's watchdog, nothing at all is sent while there is no "
        "decision,\nso that the charger falls back.\n",
        "## Left out\n",
        *_left_out(),
        "## Each device\n",
    ]
    for profile in profiles:
        parts += _details(profile)
    return "\n".join(parts).rstrip() + "\n"


def _left_out() -> Iterator[str]:
    """Devices that were looked at, and have no profile."""
    for each in tomllib.loads(LEFT_OUT.read_text(encoding="utf-8"))["device"]:
        yield f"- **{each['name']}**: {each['why']}."
    yield ""


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def _who(profile: Profile) -> tuple[str, str, str]:
    lines = " or ".join(LINES.get(each, each) for each in profile.transports)
    link = f"[`{profile.name}`](#{profile.name})"
    return link, f"{profile.vendor} {profile.model}", lines or "a pin"


def _proof(profile: Profile) -> tuple[str, str, str]:
    shown = len(list(captures(profile.name)))
    rig = "yes" if profile.name in SIMULATED else ""
    return profile.confidence.replace("-", " "), str(shown), rig


def _guards(profile: MeterProfile) -> str:
    if not profile.currents:
        return "no: it tells no currents"
    if profile.phases < 3:
        return f"one of {'one phase' if profile.phases == 1 else 'two phases'}"
    return "yes" if profile.current_sign != "none" else "yes; all counts as import"


def _unit(profile: AnyProfile) -> str:
    return "A" if getattr(profile, "watts", None) is None else "W"


def _fed(profile: AnyProfile) -> str:
    assert not isinstance(profile, MeterProfile)
    watchdog = profile.watchdog
    fed = FEEDS.get(watchdog.kind, watchdog.kind.replace("_", " "))
    if watchdog.kind in ("none", "unknown"):
        return fed
    if not watchdog.timeout_ns:
        off = watchdog.timeout_ns == 0
        return f"{fed}; {'off as delivered' if off else 'its time is not documented'}"
    return f"{fed}, within {seconds_text(watchdog.timeout_ns)} s"


def _details(profile: AnyProfile) -> Iterator[str]:
    yield f'<a id="{profile.name}"></a>\n'
    yield f"### {profile.vendor} {profile.model}\n"
    yield from (f"- {note}" for note in profile.notes)
    for level, where in _by_confidence(profile):
        yield f"- *{level.replace('-', ' ')}*: {', '.join(f'`{each}`' for each in where)}"
    yield f"- sources: {'; '.join(profile.sources)}"
    yield ""


def _by_confidence(profile: Profile) -> Iterator[tuple[str, list[str]]]:
    """What differs from the profile's own confidence, the surer first."""
    for level in SURE:
        where = [name for name, told in profile.conf.items() if told == level]
        if where:
            yield level, where
