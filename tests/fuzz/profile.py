"""A profile's bytes: a profile, or every problem that it has, in printable words."""

from __future__ import annotations

from controller.document.problems import DocumentError
from drivers.chargerprofile import ChargerProfile
from drivers.library import library, of_bytes
from drivers.meterprofile import MeterProfile

SEEDS = [path.read_bytes() for path in library().names().values()]
_KEYS = (*MeterProfile.model_fields, *ChargerProfile.model_fields)
WORDS = [key.encode() for key in dict.fromkeys(_KEYS)]
WORDS += [b'"float32"', b'"int16"', b'"low_first"', b"scale = 0.1", b"[[block]]", b"[registers]"]


def execute(data: bytes) -> str:
    try:
        profile = of_bytes(data, "fuzzed")
    except DocumentError as error:
        assert error.problems
        assert all(each.path and each.message for each in error.problems)
        return "refused"
    for name, register in profile.registers.items():
        assert register.write_only or any(block.covers(register) for block in profile.blocks), name
        assert not any(block.cuts(register) for block in profile.blocks), name
    assert profile.facts.name == "fuzzed"
    return "taken"
