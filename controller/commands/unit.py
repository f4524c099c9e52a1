"""`loadkeeper unit SITE`: drop-ins for the two systemd units, with what this site needs.

The units themselves reach no device. For the enforcer the drop-in opens the addresses and ports of
the site's devices, and nothing else; for the link it shuts the same addresses.
"""

from __future__ import annotations

import pwd
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from controller.commands.output import (
    FINE,
    MISUSED,
    NO,
    add_json_option,
    answer_json,
    complain,
    say,
)
from controller.document.problems import DocumentError, Problem
from controller.permits import PIN_FACTORY, PINS, VARIABLE, Needs, is_loopback, needs
from controller.site import Link, Site, load
from drivers.library import library

SYSTEM = Path("/etc/systemd/system")
A_LINE = 8  # addresses
DRIVERS = {"char-ttyUSB": "usbserial", "char-ttyACM": "cdc_acm"}
HIDDEN = (  # from the link, by its unit
    "/home",
    "/run/user",
    "/tmp",
    "/var/tmp",
    pwd.getpwuid(0).pw_dir,
)


@dataclass(frozen=True, slots=True)
class DropIn:
    path: Path
    text: str
    facts: Mapping[str, object]


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("unit", description=__doc__)
    parser.add_argument("site", type=Path, metavar="SITE", help="site document, TOML or JSON")
    parser.add_argument(
        "--for",
        dest="whom",
        choices=("enforcer", "link"),
        help="that one's drop-in alone, as its file is to be",
    )
    add_json_option(parser)


def run(args: Namespace) -> int:
    """0: printed; 1: the document is wrong, or asks for what no unit can permit."""
    try:
        site = load(args.site, library())
    except OSError as error:
        complain(f"loadkeeper unit: {args.site}: {error.strerror or error}")
        return MISUSED
    except DocumentError as error:
        return _refuse(args, error.problems)
    needed, problems = needs(site)
    if site.link is not None:
        problems += _hidden(site.link, args.site.absolute().parent)
    if problems:
        return _refuse(args, problems)
    if site.gpio is not None and site.gpio.used and not needed.pins:
        complain(
            f'gpio.factory "{site.gpio.factory}": nothing is opened for it, only for '
            f"{PIN_FACTORY}: write a drop-in of your own with what it needs, and one for "
            "loadkeeper-rest.service, which brings the pins to rest when the enforcer has given up"
        )
    made = {"enforcer": _enforcer(site, needed), "link": _link(site, needed)}
    wanted = {whom: each for whom, each in made.items() if args.whom in (None, whom)}
    if args.json:
        answer_json({whom: each and _answer(each) for whom, each in wanted.items()})
    elif args.whom is None:
        say("\n".join(f"# {each.path}\n{each.text}" for each in wanted.values() if each).rstrip())
    elif (only := wanted[args.whom]) is not None:
        say(only.text.rstrip())
    if args.whom == "link" and made["link"] is None:
        complain("the site document has no [link]: nothing is to be connected, enable no link")
        return NO
    return FINE


def _refuse(args: Namespace, problems: Iterable[Problem]) -> int:
    if args.json:
        told = [{"path": each.path, "message": each.message} for each in problems]
        answer_json({"enforcer": None, "link": None, "problems": told})
    for problem in problems:
        complain(f"{problem.path}\n    {problem.message}")
    return NO


def _answer(made: DropIn) -> dict[str, object]:
    return {"path": str(made.path), "text": made.text, **made.facts}


# The enforcer's.


def _enforcer(site: Site, needed: Needs) -> DropIn:
    devices = [*needed.ports, *([PINS] if needed.pins else [])]
    groups = [name for name, of in (("dialout", needed.ports), ("gpio", needed.pins)) if of]
    drivers = [DRIVERS[each] for each in devices if each in DRIVERS]
    lines = [
        f"# Site {site.id}: what its enforcer may reach, and nothing else. Written by",
        "# `loadkeeper unit`; to be written again when a device comes, goes or moves.",
        "",
    ]
    if drivers:
        # A kind of device that the kernel does not know yet when the unit starts stays shut.
        modules = " ".join(f"modprobe@{each}.service" for each in drivers)
        lines += ["[Unit]", f"Wants={modules}", f"After={modules}", ""]
    lines.append("[Service]")
    lines += _by_lines("IPAddressAllow", needed.addresses)
    if devices:
        lines.append("PrivateDevices=no")
        lines += [f"DeviceAllow={each} rw" for each in devices]
        lines.append(f"SupplementaryGroups={' '.join(groups)}")
    lines.append(f'Environment="{VARIABLE}={" ".join(needed.words)}"')
    facts = {"addresses": list(needed.addresses), "devices": devices, "groups": groups}
    return _drop_in("loadkeeper.service", lines, facts)


# The link's.


def _link(site: Site, needed: Needs) -> DropIn | None:
    """None for a site without a broker."""
    if site.link is None:
        return None
    left = {word: why for word in needed.addresses if (why := _why_open(word, site.link.host))}
    denied = [word for word in needed.addresses if word not in left]
    lines = [
        f"# Site {site.id}: its meters and chargers are none of the link's business. Written by",
        "# `loadkeeper unit`; to be written again when a device comes, goes or moves.",
        *(f"# NOT DENIED: {word}, a device's address, {why}." for word, why in left.items()),
        "",
        "[Service]",
        *_by_lines("IPAddressDeny", denied),
    ]
    return _drop_in("loadkeeper-link.service", lines, {"denied": denied, "not_denied": list(left)})


def _why_open(word: str, broker: str) -> str | None:
    """Why the link must reach a device's address all the same; systemd knows no ports."""
    if is_loopback(word):
        return "is the gateway's own, where paho-mqtt talks to itself"
    try:
        same = ip_address(word) == ip_address(broker)
    except ValueError:
        return None  # the broker's name, which may mean another address tomorrow
    return "is the broker's as well" if same else None


def _hidden(link: Link, beside: Path) -> Iterator[Problem]:
    """Files that the link cannot see from inside its unit."""
    tls = link.tls
    files = {"link.password_file": link.password_file}
    if tls is not None:
        files |= {"link.tls.ca": tls.ca, "link.tls.cert": tls.cert, "link.tls.key": tls.key}
    for key, file in files.items():
        if file is None or file.is_relative_to(beside):
            continue  # not named, or moves with the document
        if any(file.is_relative_to(place) for place in HIDDEN):
            why = f"{file} is hidden from the link by its unit: put it into /etc/loadkeeper/link"
            yield Problem(key, why)


def _drop_in(unit: str, lines: Iterable[str], facts: Mapping[str, object]) -> DropIn:
    return DropIn(SYSTEM / f"{unit}.d" / "site.conf", "\n".join(lines) + "\n", facts)


def _by_lines(key: str, addresses: Iterable[str]) -> Iterator[str]:
    every = list(addresses)
    for first in range(0, len(every), A_LINE):
        yield f"{key}={' '.join(every[first : first + A_LINE])}"
