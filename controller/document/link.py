"""The way to the broker, with its files; they are looked at only where they are needed."""

from dataclasses import dataclass
from pathlib import Path

from controller.document.buses import host_and_port
from controller.document.draft import Draft
from controller.document.entries.link import LinkEntry

MQTT_PORT, MQTTS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates: PEM files."""

    ca: Path | None  # who vouches for the broker; None: whoever the system trusts
    cert: Path | None  # who we are; None: the password tells
    key: Path | None


@dataclass(frozen=True, slots=True)
class Link:
    host: str
    port: int
    client_id: str | None
    username: str | None
    password_file: Path | None
    tls: Tls | None = None  # None: nothing is encrypted


def resolve_link(draft: Draft, directory: Path) -> Link | None:
    """Complains about what contradicts itself; None without a usable [link]."""
    entry = draft.link
    if entry is None:
        return None
    if (entry.username is None) != (entry.password_file is None):
        draft.complain("needs both username and password_file, or neither", "link")
    encrypted = entry.broker.startswith("mqtts:")
    scheme, port = ("mqtts", MQTTS_PORT) if encrypted else ("mqtt", MQTT_PORT)
    try:
        host, port = host_and_port(entry.broker, scheme, port)
    except ValueError as error:
        draft.complain(str(error), "link", "broker")
        return None
    tls = _tls(draft, entry, directory, encrypted)
    password_file = _file(directory, entry.password_file)
    return Link(host, port, entry.client_id, entry.username, password_file, tls)


def _tls(draft: Draft, entry: LinkEntry, directory: Path, encrypted: bool) -> Tls | None:
    if not encrypted:
        if entry.tls is not None:
            draft.complain("needs a broker with mqtts://, or nothing is encrypted", "link", "tls")
        return None
    if entry.tls is None:
        return Tls(None, None, None)
    if (entry.tls.cert is None) != (entry.tls.key is None):
        draft.complain("needs both cert and key, or neither", "link", "tls")
    return Tls(*(_file(directory, each) for each in (entry.tls.ca, entry.tls.cert, entry.tls.key)))


def _file(directory: Path, name: str | None) -> Path | None:
    return None if name is None else directory / name
