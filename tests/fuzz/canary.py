"""Breaks its promise for one input, which only who sees branches finds: is the fuzzer awake?"""

from __future__ import annotations

SEEDS = (b"begin",)
WORDS = (b"none of it",)
OPENS = b"\xa5key"


def execute(data: bytes) -> str:
    for i, byte in enumerate(OPENS):
        if data[i : i + 1] != bytes((byte,)):
            return "closed"
    raise AssertionError("opened")
