"""The wires devices hang on: Modbus TCP, each by its URL."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

from controller.document.draft import Draft
from controller.document.problems import found
from controller.units import NS_PER_S

MODBUS_PORT = 502
TIMEOUT_NS = NS_PER_S // 2
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Bus:
    """One Modbus TCP connection; equal buses are the same one."""

    id: str  # of the [[bus]], else its URL
    url: str  # tcp://host:port, normalised
    host: str
    port: int
    timeout_ns: int


class Buses:
    """Finds the bus that a device names, by id or URL."""

    def __init__(self, draft: Draft) -> None:
        draft.unique("bus")
        self._draft = draft
        self._by_id: dict[str, Bus] = {}
        self._by_url: dict[str, Bus] = {}
        for index, entry in draft.buses.items():
            bus = self._bus(entry.id, entry.url, entry.timeout_ns, "bus", index, "url")
            if bus is None:
                continue
            if bus.url in self._by_url:
                draft.complain(
                    f"is the same connection as bus {found(self._by_url[bus.url].id)}",
                    *("bus", index, "url"),
                )
            self._by_id.setdefault(bus.id, bus)
            self._by_url.setdefault(bus.url, bus)

    def find(self, name: str, *loc: str | int) -> Bus | None:
        """The bus, or None after a complaint (of its own entry, where that is unreadable)."""
        if "://" not in name:
            return self._by_id.get(name) if self._draft.refer("bus", name, *loc) else None
        bus = self._bus(name, name, TIMEOUT_NS, *loc)
        return None if bus is None else self._by_url.setdefault(bus.url, bus)

    def _bus(self, name: str, url: str, timeout_ns: int, *loc: str | int) -> Bus | None:
        try:
            host, port = tcp_address(url)
        except ValueError as error:
            self._draft.complain(str(error), *loc)
            return None
        plain = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        return Bus(plain if name == url else name, plain, host, port, timeout_ns)


def tcp_address(url: str) -> tuple[str, int]:
    """Host and port of tcp://host:port. Raises ValueError with a sentence."""
    if url.startswith("rtu:"):
        raise ValueError(f"serial lines are not supported yet, only tcp://host:port; {found(url)}")
    return host_and_port(url, "tcp", MODBUS_PORT)


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
