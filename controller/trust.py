"""Signatures: Ed25519 over the canonical form of a document, its site and its revision.

The only module that knows `cryptography`. What is signed begins with words that nothing else
ever signed begins with, and names site and revision: no signature counts for another purpose,
another site, or an older state.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from controller.canonical import canonical

PURPOSE = b"loadkeeper site document v1\n"
KEY_FILE_BYTES = 4096


class KeyFileError(Exception):
    """A key file that cannot be used, with the reason in words."""


def signed_bytes(site: str, revision: int, document: Mapping[str, Any]) -> bytes:
    """What is signed. Raises NotCanonicalError."""
    return PURPOSE + canonical({"site": site, "revision": revision, "document": document})


def sign(
    key: Ed25519PrivateKey, site: str, revision: int, document: Mapping[str, Any]
) -> dict[str, str]:
    """The `signature` of a message. Raises NotCanonicalError."""
    signature = key.sign(signed_bytes(site, revision, document))
    return {"key": public_text(key), "ed25519": b64encode(signature).decode()}


def complaint(
    signature: Mapping[str, str],
    trusted: Collection[str],
    site: str,
    revision: int,
    document: Mapping[str, Any],
) -> str | None:
    """Why a signature does not count; None when it does. `trusted` are public keys in Base64."""
    if signature["key"] not in trusted:
        return "the key is none of this site's: no [[key]] has this ed25519"
    try:
        public = Ed25519PublicKey.from_public_bytes(b64decode(signature["key"], validate=True))
        raw = b64decode(signature["ed25519"], validate=True)
        public.verify(raw, signed_bytes(site, revision, document))
    except (InvalidSignature, binascii.Error, ValueError):
        return f"is not this key's signature of this document as revision {revision} of {site}"
    return None


def make_key(path: Path) -> Ed25519PrivateKey:
    """Makes a key and writes it to a new file that only its owner can read. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(KEY_FILE_BYTES), None)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: is no private key as `loadkeeper keys` writes it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is another kind of key than Ed25519")
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half in Base64, as a [[key]] entry has it."""
    return b64encode(key.public_key().public_bytes_raw()).decode()
