"""Whose signature counts."""

import binascii
from base64 import b64decode
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictStr

from controller.document.entries.base import Entry, Slug

KEY_BYTES = 32


def _public(text: str) -> str:
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ValueError(f"must be {KEY_BYTES} bytes in Base64, as `loadkeeper keys` prints them")
    return text


class KeyEntry(Entry):
    """The public half of a key; the other half never comes to the gateway."""

    id: Slug
    role: Literal["installer"] = Field(
        description="The installer's signature may change the whole document over MQTT."
    )
    ed25519: Annotated[StrictStr, AfterValidator(_public)] = Field(
        description="The public key in Base64, as `loadkeeper keys` prints it."
    )
