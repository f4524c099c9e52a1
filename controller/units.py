"""Amperes and seconds, as people write them, into the core's whole milliamps and nanoseconds.

The only place where that happens. Rounding is half-even on the decimal digits that were
written, so 0.1 means a tenth and not its nearest binary fraction.
"""

from decimal import ROUND_HALF_EVEN, Decimal

MA_PER_A = 1_000
VA_PER_KVA = 1_000
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
PPM_PER_PCT = 10_000
PPM = 1_000_000
MA_MAX = 2**31 - 1  # the kernel's currents are int32
NS_MAX = 2**63 - 1  # and its times int64


def milliamps(amperes: float) -> int:
    """Whole mA. Raises ValueError for what is not finite or does not fit int32."""
    return whole(amperes, MA_PER_A, MA_MAX)


def nanoseconds(seconds: float) -> int:
    """Whole ns. Raises ValueError for what is not finite or does not fit int64."""
    return whole(seconds, NS_PER_S, NS_MAX)


def whole(value: float, per_unit: int, limit: int) -> int:
    """`value` times `per_unit` as a whole number, half-even, never beyond ±`limit`."""
    bound = limit // per_unit
    if not -bound <= value <= bound:  # false for NaN, too
        raise ValueError(f"not a number between -{bound} and {bound}")
    exact = Decimal(repr(value)) * per_unit
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def less(cap_ma: tuple[int, int, int], kept_ma: tuple[int, int, int]) -> tuple[int, int, int]:
    """A cap per phase without what is kept free below it; never below 0."""
    l1, l2, l3 = (max(0, cap - kept) for cap, kept in zip(cap_ma, kept_ma, strict=True))
    return l1, l2, l3


def whole_ms(at_ns: int) -> int:
    """An instant as the kernel is told it: the beginning of its millisecond.

    All instants alike, so that none overtakes another. What follows an instant of a clock that
    counts nanoseconds is chance, and would be most of what the black box had to keep.
    """
    return at_ns - at_ns % NS_PER_MS


def amperes_text(ma: int) -> str:
    """Exact and short: 16000 is "16", 12500 is "12.5"."""
    return _text(ma, MA_PER_A)


def seconds_text(ns: int) -> str:
    """Exact and short: 200_000_000 is "0.2"."""
    return _text(ns, NS_PER_S)


def _text(value: int, per_unit: int) -> str:
    text = f"{Decimal(value) / per_unit:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
