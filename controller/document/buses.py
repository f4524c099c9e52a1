"""The wires devices hang on: Modbus over TCP or over a serial line, each by its URL."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from controller.document.draft import Draft
from controller.document.problems import found
from controller.units import NS_PER_S

MODBUS_PORT = 502
TIMEOUT_NS = NS_PER_S // 2
BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
_PORT = re.compile(r"/dev(/[A-Za-z0-9_][A-Za-z0-9_.:+-]*)+")
SERIAL = ("rtu:", "ascii:")  # how URLs of serial lines begin
_LIKE = {
    "rtu": "must look like rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1",
    "ascii": "must look like ascii:///dev/ttyUSB0?baud=9600&bits=7&parity=E&stop=1",
}
_SETTINGS = {"rtu": ("baud", "parity", "stop"), "ascii": ("baud", "bits", "parity", "stop")}
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"

    @property
    def place(self) -> str:
        """Where two addresses are the same one."""
        return self.url


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A serial port, how it is set, and how messages stand on it: RTU has always 8 data bits."""

    port: str  # its path
    baud: int
    parity: Literal["N", "E", "O"]
    stop: int  # bits, 1 or 2
    framing: Literal["rtu", "ascii"] = "rtu"
    bits: int = 8  # of data, 7 or 8

    @property
    def url(self) -> str:
        bits = f"&bits={self.bits}" if self.framing == "ascii" else ""
        settings = f"baud={self.baud}{bits}&parity={self.parity}&stop={self.stop}"
        return f"{self.framing}://{self.port}?{settings}"

    @property
    def place(self) -> str:
        """One port is one line, however it is set."""
        return _place_of(self.port)

    @property
    def character_s(self) -> float:
        """How long one byte takes: with its start, parity and stop bits."""
        return (1 + self.bits + (self.parity != "N") + self.stop) / self.baud


@dataclass(frozen=True, slots=True)
class PinAddress:
    """A pin of the gateway's own, of a charger that has no bus."""

    pin: int

    @property
    def url(self) -> str:
        return f"gpio:{self.pin}"

    @property
    def place(self) -> str:
        return self.url


Wire = TcpAddress | SerialAddress
Address = Wire | PinAddress


@dataclass(frozen=True, slots=True)
class Bus:
    """One Modbus line, or a charger's own pin; equal buses are the same one."""

    id: str  # of the [[bus]], else its URL
    address: Address
    timeout_ns: int

    @property
    def url(self) -> str:
        """Normalised."""
        return self.address.url


class Buses:
    """Finds the bus that a device names, by id or URL."""

    def __init__(self, draft: Draft) -> None:
        draft.unique("bus")
        self._draft = draft
        self._by_id: dict[str, Bus] = {}
        self._by_place: dict[str, Bus] = {}
        self._taken: dict[str, str] = {}  # ports of devices that share theirs with nobody
        for index, entry in draft.buses.items():
            bus = self._bus(entry.id, entry.url, entry.timeout_ns, "bus", index, "url")
            if bus is None:
                continue
            other = self._by_place.setdefault(bus.address.place, bus)
            if other is not bus:
                draft.complain(
                    f"is the same connection as bus {found(other.id)}", *("bus", index, "url")
                )
            self._by_id.setdefault(bus.id, bus)

    def find(self, name: str, *loc: str | int) -> Bus | None:
        """The bus, or None after a complaint (of its own entry, where that is unreadable)."""
        if "://" not in name:
            instead = "; a URL would do as well, such as tcp://192.0.2.10:502"
            known = self._draft.refer("bus", name, *loc, instead=instead)
            return self._by_id.get(name) if known else None
        bus = self._bus(name, name, TIMEOUT_NS, *loc)
        if bus is None:
            return None
        same = self._by_place.setdefault(bus.address.place, bus)
        if same.address != bus.address:
            self._draft.complain(
                f"is set otherwise elsewhere: {found(same.url)}; one port is one line", *loc
            )
            return None
        return same

    def take_port(self, port: str, device: str, *loc: str | int) -> str | None:
        """A serial port for one device alone; None after a complaint."""
        if not is_port(port):
            self._draft.complain(
                f"must be the path of a port in /dev, such as /dev/ttyAMA0; found {found(port)}",
                *loc,
            )
            return None
        bus = self._by_place.get(_place_of(port))
        if bus is not None:
            self._draft.complain(f"is the port of bus {found(bus.id)}: one line, one use", *loc)
            return None
        other = self._taken.setdefault(port, device)
        if other != device:
            self._draft.complain(f"is the port of {found(other)}, too", *loc)
            return None
        return port

    def _bus(self, name: str, url: str, timeout_ns: int, *loc: str | int) -> Bus | None:
        try:
            address = bus_address(url)
        except ValueError as error:
            self._draft.complain(str(error), *loc)
            return None
        return Bus(address.url if name == url else name, address, timeout_ns)


def is_port(path: str) -> bool:
    """Whether it is the path of something in /dev."""
    return _PORT.fullmatch(path) is not None


def bus_address(url: str) -> Wire:
    """What a bus's URL names. Raises ValueError with a sentence."""
    if url.startswith(SERIAL):
        return _serial_address(url)
    return TcpAddress(*host_and_port(url, "tcp", MODBUS_PORT))


def _place_of(port: str) -> str:
    return f"serial:{port}"


def _serial_address(url: str) -> SerialAddress:
    framing: Literal["rtu", "ascii"] = "ascii" if url.startswith("ascii:") else "rtu"
    like, wanted = _LIKE[framing], _SETTINGS[framing]
    try:
        parts = urlsplit(url)
        settings = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise ValueError(f"{like}; found {found(url)}") from None
    if parts.netloc or "#" in url or not _PORT.fullmatch(parts.path):
        raise ValueError(f"{like}, with the path of a port in /dev; found {found(url)}")
    given = dict(settings)
    if sorted(key for key, _ in settings) != sorted(wanted):
        each = f"{', '.join(wanted[:-1])} and {wanted[-1]}"
        raise ValueError(f"{like}, each of {each} once, as set in the devices; found {found(url)}")
    if given["baud"] not in map(str, BAUDS):
        raise ValueError(f"needs a baud of {', '.join(map(str, BAUDS))}; found {found(url)}")
    bits = {"7": 7, "8": 8}.get(given.get("bits", "8"))
    if bits is None:
        raise ValueError(f"needs 7 or 8 data bits; found {found(url)}")
    stop = {"1": 1, "2": 2}.get(given["stop"])
    match given["parity"]:
        case "N" | "E" | "O" as parity if stop is not None:
            baud = int(given["baud"])
            return SerialAddress(parts.path, baud, parity, stop, framing, bits)
    raise ValueError(f"needs a parity of N, E or O, and stop bits 1 or 2; found {found(url)}")


def host_and_port(url: str, scheme: str, default_port: int) -> tuple[str, int]:
    """Of `scheme`://host[:port] and nothing more. Raises ValueError with a sentence."""
    if "@" in url:  # not to be repeated in a message
        raise ValueError(f"must look like {scheme}://host:port, without user and password")
    wrong = ValueError(f"must look like {scheme}://192.0.2.10:{default_port}; found {found(url)}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or default_port
    except ValueError:
        raise wrong from None
    if parts.scheme != scheme or not _is_host(host):
        raise wrong
    if parts.path not in ("", "/") or "?" in url or "#" in url or parts.port == 0:
        raise wrong
    return host, port


def _is_host(host: str) -> bool:
    try:
        if ":" in host:
            return bool(IPv6Address(host))
        if re.fullmatch(r"[0-9.]+", host):
            return bool(IPv4Address(host))
    except AddressValueError:
        return False
    return _HOST.fullmatch(host) is not None
