"""Lines as CT clamps write them: a second hand than the parser's."""

from __future__ import annotations

import json
from collections.abc import Sequence

END = b"\r\n"


def rpict7v1(
    amps: Sequence[float], node: int = 11, volts: float = 231.4, between: str = " "
) -> bytes:
    """Amperes of up to 7 CTs; the others lie idle."""
    currents = [*amps, *[0.03] * (7 - len(amps))]
    words = [str(node)]
    words += [f"{each * volts * 0.98:.2f}" for each in currents]
    words += [f"{each:.3f}" for each in currents]
    words.append(f"{volts:.2f}")
    return between.join(words).encode() + END


def rpict3v1(amps: Sequence[float], node: int = 11, volts: float = 231.4) -> bytes:
    words = [str(node)]
    for each in amps:
        words += [f"{each * volts * 0.98:.2f}", f"{each * volts:.2f}", f"{each:.3f}"]
        words += [f"{volts:.2f}", "0.980"]
    return " ".join(words).encode() + END


def rpict3t1(amps: Sequence[float], node: int = 11, assumed_v: float = 240.0) -> bytes:
    words = [str(node), *(f"{each * assumed_v:.2f}" for each in amps), "21.56"]
    return " ".join(words).encode() + END


def emontx3(amps: Sequence[float], number: int, volts: float = 246.81) -> bytes:
    powers = ",".join(f"P{i}:{round(each * volts)}" for i, each in enumerate(amps, 1))
    return f"MSG:{number},Vrms:{volts:.2f},{powers},E1:0,E2:0,E3:0,pulse:1".encode() + END


def emontx4(amps: Sequence[float], number: int, volts: float = 239.5) -> bytes:
    voltages = ",".join(f"V{i}:{volts + i:.2f}" for i in (1, 2, 3))
    powers = ",".join(f"P{i}:{round(each * (volts + i))}" for i, each in enumerate(amps, 1))
    return f"MSG:{number},{voltages},F:50.01,{powers},E1:12,E2:0,E3:7".encode() + END


def emontx4_json(amps: Sequence[float], number: int, volts: float = 239.5) -> bytes:
    pairs = {"MSG": number, "V1": volts, "V2": volts, "V3": volts, "F": 50.01}
    pairs |= {f"P{i}": round(each * volts) for i, each in enumerate(amps, 1)}
    return json.dumps(pairs, separators=(",", ":")).encode() + END
