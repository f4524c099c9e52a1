"""The files that the link shows to its broker, or checks the broker with."""

from __future__ import annotations

import ssl
from pathlib import Path

from controller.document.link import Link, Tls
from controller.document.problems import Problem

PASSWORD_BYTES = 4096


class CredentialsError(Exception):
    """A file that cannot be used: `key` in the document, and a sentence that names the file."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


def problems(link: Link) -> list[Problem]:
    """Everything wrong with the files that a document names, for whoever runs `check`."""
    found = []
    for read in (lambda: password(link), lambda: context(link.tls)):
        try:
            read()
        except CredentialsError as error:
            found.append(Problem(error.key, error.why))
    return found


def password(link: Link) -> str | None:
    """Raises CredentialsError."""
    if link.password_file is None:
        return None
    try:
        with link.password_file.open(encoding="utf-8") as file:
            return file.read(PASSWORD_BYTES).rstrip("\r\n")
    except OSError as error:
        raise _unreadable("link.password_file", link.password_file, error) from error
    except UnicodeDecodeError as error:
        raise CredentialsError("link.password_file", f"{link.password_file}: not UTF-8") from error


def context(tls: Tls | None) -> ssl.SSLContext | None:
    """TLS 1.2 or later, the broker's name checked; None without TLS. Raises CredentialsError."""
    if tls is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca is None:
        made.load_default_certs()
    else:
        _probe("link.tls.ca", tls.ca)
        try:
            made.load_verify_locations(tls.ca)
        except ssl.SSLError as error:
            raise CredentialsError("link.tls.ca", f"{tls.ca}: holds no certificate") from error
    if tls.cert is not None and tls.key is not None:
        _probe("link.tls.cert", tls.cert)
        _probe("link.tls.key", tls.key)
        try:
            made.load_cert_chain(tls.cert, tls.key, password=_no_passphrase)
        except (ssl.SSLError, ValueError) as error:
            why = f"{tls.cert} and {tls.key} are no certificate with its key, without passphrase"
            raise CredentialsError("link.tls.cert", why) from error
    return made


def _probe(key: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unreadable(key, path, error) from error


def _unreadable(key: str, path: Path, error: OSError) -> CredentialsError:
    return CredentialsError(key, f"{path}: {error.strerror}")


def _no_passphrase() -> str:
    """Instead of a question at a terminal that nobody sees."""
    raise ValueError("the key has a passphrase")
