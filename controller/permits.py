"""What a process must be permitted for a site: addresses, serial ports, pins.

Under systemd the enforcer reaches nothing else. `loadkeeper unit` writes for each site what its
unit has to permit, and the same words into the variable `LOADKEEPER_PERMITS`: so the enforcer
knows what it can reach, and says so before a document sends it somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from controller.document.buses import PinAddress, SerialAddress, TcpAddress
from controller.document.problems import Problem, found
from controller.site import Site

VARIABLE = "LOADKEEPER_PERMITS"
PINS = "char-gpiochip"
PIN_FACTORY = "lgpio"  # the one that works through gpiochip
LOOPBACK = "localhost"  # systemd's word for all of 127.0.0.0/8, and ::1
_USB = ("char-ttyUSB", "char-ttyACM")  # by kind: an adapter's number changes when it is plugged in
_PORTS = (
    (re.compile(r"/dev/ttyUSB\d+"), _USB[:1]),
    (re.compile(r"/dev/ttyACM\d+"), _USB[1:]),
    (re.compile(r"/dev/(serial/by-(id|path)|loadkeeper)/.+"), _USB),
    (re.compile(r"/dev/serial[01]"), ("char-ttyAMA", "/dev/ttyS0")),  # Raspberry Pi OS's links
    (re.compile(r"/dev/pts/\d+"), ("char-pts",)),
)
_ON_BOARD = re.compile(r"/dev/tty(AMA|S)\d+")


@dataclass(frozen=True, slots=True)
class Needs:
    """In systemd's words, each with those who need it."""

    addresses: Mapping[str, str]
    ports: Mapping[str, str]
    pins: bool  # through gpiochip; what another pin factory needs, nobody knows here

    @property
    def words(self) -> dict[str, str]:
        return {**self.addresses, **self.ports, **({PINS: "gpio"} if self.pins else {})}


def needs(site: Site) -> tuple[Needs, list[Problem]]:
    """What the enforcer of that site needs, and what cannot be said in such words."""
    addresses: dict[str, str] = {}
    ports: dict[str, str] = {}
    problems: list[Problem] = []
    for who, address in _lines(site):
        if isinstance(address, TcpAddress):
            word = _word_of(address.host)
            if word is None:
                problems.append(Problem(f"bus {address.url}", _NAME.format(found(address.host))))
            else:
                addresses.setdefault(word, who)
        else:
            words = _words_of(Path(address))
            if not words:
                problems.append(Problem(f"port {address} ({who})", _UNKNOWN_PORT))
            for word in words:
                ports.setdefault(word, who)
    pins = site.gpio is not None and site.gpio.used and site.gpio.factory == PIN_FACTORY
    in_order = dict(sorted(addresses.items(), key=_in_order))
    return Needs(in_order, ports, pins), list(dict.fromkeys(problems))


def lacking(environ: Mapping[str, str], site: Site) -> list[Problem]:
    """What that site needs and this process is not permitted; nothing where nobody said."""
    if VARIABLE not in environ:
        return []
    permitted = set(environ[VARIABLE].split())
    needed, problems = needs(site)
    return problems + [
        Problem(who, _LACKING.format(word))
        for word, who in needed.words.items()
        if word not in permitted and not (LOOPBACK in permitted and is_loopback(word))
    ]


def is_loopback(word: str) -> bool:
    """Whether an address word is the gateway itself."""
    try:
        return word == LOOPBACK or ip_address(word).is_loopback
    except ValueError:
        return False


_NAME = (
    "is not an address: {}. The enforcer asks no name server, and systemd permits addresses "
    "only: write the device's address, and have the router always give it the same one"
)
_UNKNOWN_PORT = (
    "is of no known kind, and not here to be looked at: name it as /dev/ttyUSB0, "
    "/dev/ttyAMA0, or by its link in /dev/serial/by-path, or run this where it is plugged in"
)
_LACKING = (
    "the unit of this gateway does not permit {}: on the gateway, write its drop-in from a "
    "document that names it (loadkeeper unit), and restart"
)


def _lines(site: Site) -> Iterator[tuple[str, TcpAddress | str]]:
    """Each device's line: an address, or the path of its port."""
    buses = [(meter.id, meter.bus) for meter in site.meters]
    buses += [(charger.id, charger.bus) for charger in site.chargers]
    for who, bus in buses:
        match bus.address:
            case TcpAddress() as address:
                yield who, address
            case SerialAddress(port=port):
                yield who, port
            case PinAddress():
                continue  # pins are permitted all together
    for clamp in site.clamps:
        yield clamp.id, clamp.address.port


def _word_of(host: str) -> str | None:
    if host == LOOPBACK:
        return LOOPBACK
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _words_of(port: Path) -> tuple[str, ...]:
    """One of the board is named as such; what is plugged in, by its kind."""
    for name in dict.fromkeys((str(port), str(port.resolve()))):
        if _ON_BOARD.fullmatch(name):
            return (name,)
        for known, words in _PORTS:
            if known.fullmatch(name):
                return words
    return ()


def _in_order(item: tuple[str, str]) -> tuple[int, int]:
    """localhost, then by number."""
    if item[0] == LOOPBACK:
        return (0, 0)
    address = ip_address(item[0])
    return (address.version, int(address))
