"""What chargers' states are called, and who they say that they are, as their documents have it.

Those that have a table in tests/chargers/ have it there.
"""

STATES: dict[str, str] = {  # its own code, and the state
    "alfen_eve": "A A  B1 B  B2 B  C1 C  C2 C  D1 D  D2 D  E E  F F",
    "alpitronic_hyc": "0 A  1 A  2 B  3 C  4 B  5 B  6 B  7 A  8 F  9 F  10 E  11 F",
    "heidelberg_energy_control": "2 A  3 A  4 B  5 B  6 B  7 C  8 C  9 E  10 F  11 E",
    "keba_p40": "0 B  1 B  2 B  3 C  4 E  5 B",  # B: the cable tells whether it is A
}


WHO: dict[str, str] = {  # what the registers read that tell it from its like
    "alpitronic_hyc": "serial HYC-300-0001-ABCDEFGHIJK",
    "keba_p40": "serial 2169817815  firmware 2147549697  model 400000",
}


def document(name: str) -> str:
    """The part of a capture file that shows both."""
    lines: list[str] = []
    for part, its in (("codes", STATES), ("identity", WHO)):
        words = its.get(name, "").split()
        lines += ["", f"[{part}]"] if words else []
        lines += [f'{key} = "{value}"' for key, value in zip(words[::2], words[1::2], strict=True)]
    return "\n".join([*lines, ""]) if lines else ""
