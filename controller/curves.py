"""How long a fuse or breaker carries an overload, at the least: figures by kind, and sums.

A device is taken for the fastest that its kind admits. Two bounds hold together, and the lesser
counts: a thermal image, one body that follows the square of the current and trips at the square of
the pickup; and steps of time from cold, for currents where a device may be faster than such a
body. What the standards let a device carry for an hour without a trip counts for an hour, not for
ever. Nothing here makes a real device slower than it is; all of it is rounded towards a trip.

The figures, with their marks in brackets as in the rest of the documentation: two or more
independent sources [2], one [1], common knowledge that was checked nowhere [m]:

- MCB (IEC 60898-1): carries 1.13 In for an hour [1]; at 2.55 In not before 1 s [m]; up to 3, 5 or
  10 In (B, C, D) not before 0.1 s [m]. Calibrated at 30 °C [2].
- MCCB (IEC 60947-2): carries 1.05 In for an hour [1]. The standard has no second point: at 2 In not
  before 10 s is a figure of common devices [m]. Nothing trips without delay below 2.4 In: 3 In, the
  lowest that releases for generators are made with, less 20 % [m]. Calibrated at 40 °C [2].
- gG fuse (IEC 60269-1): carries 1.25 In for an hour [m]; at 2.06 In not before 10 s, and up to
  5.3 In not before 0.1 s: the least gates from 16 A upwards [m]; below, only its maker knows.
  Tested at 20 °C; carries its rated current in air of up to 40 °C [m].
- Electronic release: pickup at 1.05 Ir, t = tr (6 / I)² [1], up to 20 % faster [m], its image too;
  it may be set to trip by a short delay from 1.5 Ir less 10 % [2]. It does not depend on the air
  around it [m].
- Derating: 1 % per kelvin above the calibration. Makers' tables go from 0.5 to 1 % [2].

First-order bodies that carry the pickup for ever and one point for its time are all at least as
slow, below that point's current, as the one that just does both: so the image is a bound there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, localcontext

from controller.document.entries.circuit import Electronic, Fuse, Mcb, Mccb, Protection
from controller.units import NS_PER_S, PPM, amperes_text, seconds_text

NEVER_NS = 2**63 - 1
TAU_MOST_NS = 2**42 - 1  # 73 minutes: what the kernel's fixed point has room for
STEPS_MOST = 40  # cext.types.CURVE_STEPS

HELD_NS = 3600 * NS_PER_S  # the least conventional time: above what is carried for ever
SHORT_NS = NS_PER_S // 10  # what a device needs at the least below its instantaneous release
MAGNETIC = {"B": 3, "C": 5, "D": 10}  # times In
DERATES_PPM = 10_000  # per kelvin

_PRECISE = Context(prec=40)


@dataclass(frozen=True, slots=True)
class _Body:
    """A kind's own figures, in parts per million of its rated current."""

    pickup_ppm: int  # carried for HELD_NS
    at_ppm: int  # and so much, from cold,
    for_ns: int  # for so long
    short_ppm: int  # above `at_ppm` up to here for SHORT_NS; beyond not at all
    calibrated_c: int
    serves_c: int  # carries its rated current for ever up to here


MCB = _Body(1_130_000, 2_550_000, NS_PER_S, 0, 30, 30)
MCCB = _Body(1_050_000, 2_000_000, 10 * NS_PER_S, 2_400_000, 40, 40)
FUSE = _Body(1_250_000, 2_060_000, 10 * NS_PER_S, 5_300_000, 20, 40)
FUSE_GATES_FROM_MA = 16_000

ELECTRONIC_PICKUP_PPM = 1_050_000
ELECTRONIC_FASTER_PPM = 800_000
ELECTRONIC_SHORT_PPM = 1_350_000


@dataclass(frozen=True, slots=True)
class Curve:
    """The fastest device of a kind.

    `steps` are pairs of current and time, both rising and falling: up to that current it does not
    trip sooner, from cold; None: the image alone says. Above the last it trips at once.
    """

    device: str
    rated_ma: int
    carried_ma: int  # for ever
    pickup_ma: int  # for HELD_NS; the kernel, which never permits an excess, takes it for ever
    tau_ns: int
    steps: tuple[tuple[int, int | None], ...]


def curve(protection: Protection) -> Curve:
    """Of a device as the document states it."""
    match protection:
        case Mcb():
            device = f"MCB {protection.curve}{amperes_text(protection.carries_ma)}"
            return _bimetal(protection, MCB, MAGNETIC[protection.curve] * PPM, device)
        case Mccb():
            device = f"MCCB {amperes_text(protection.carries_ma)} A"
            instant_ppm = MCCB.short_ppm
            if protection.instant_ma is not None:
                instant_ppm = protection.instant_ma * PPM // protection.carries_ma
            return _bimetal(protection, MCCB, instant_ppm, device)
        case Fuse():
            device = f"gG fuse {amperes_text(protection.carries_ma)} A"
            return _bimetal(protection, FUSE, FUSE.short_ppm, device)
        case Electronic():
            return _electronic(protection)


def carries_ma(protection: Protection) -> int:
    """What it carries for ever: its rated current, or less in warm air."""
    return curve(protection).carried_ma


def _bimetal(protection: Fuse | Mcb | Mccb, body: _Body, short_ppm: int, device: str) -> Curve:
    derated_ma = _derated_ma(protection, body.calibrated_c)
    at_ppm, for_ns = body.at_ppm, body.for_ns
    if protection.fastest is not None:
        at_ppm, for_ns = protection.fastest.times_ppm, protection.fastest.carries_ns
    steps: list[tuple[int, int | None]] = [(_floor(derated_ma, min(at_ppm, short_ppm)), None)]
    if short_ppm > at_ppm:
        steps.append((_floor(derated_ma, short_ppm), SHORT_NS))
    pickup_ma = _floor(derated_ma, body.pickup_ppm)
    return Curve(
        device=device,
        rated_ma=protection.carries_ma,
        carried_ma=min(_derated_ma(protection, body.serves_c), pickup_ma),
        pickup_ma=pickup_ma,
        tau_ns=_tau_ns(body, at_ppm, for_ns),
        steps=tuple(steps),
    )


def _derated_ma(protection: Fuse | Mcb | Mccb, up_to_c: int) -> int:
    warmer_k = max(0, protection.ambient_c - up_to_c)
    return protection.carries_ma * (PPM - warmer_k * DERATES_PPM) // PPM


def _electronic(protection: Electronic) -> Curve:
    """Its image by tr, and t = tr (6 / I)² in steps; both less its tolerance."""
    ir_ma = protection.carries_ma
    pickup_ma = _floor(ir_ma, ELECTRONIC_PICKUP_PPM)
    last_ma = protection.instant_ma or _floor(ir_ma, ELECTRONIC_SHORT_PPM)
    with localcontext(_PRECISE):
        p2 = (Decimal(ELECTRONIC_PICKUP_PPM) / PPM) ** 2
        fast = Decimal(protection.release_ns) * ELECTRONIC_FASTER_PPM / PPM
        tau = fast / (36 / (36 - p2)).ln()
        steps = []
        if last_ma > pickup_ma:
            factor = (Decimal(last_ma) / pickup_ma) ** (Decimal(1) / STEPS_MOST)
            for n in range(1, STEPS_MOST + 1):
                to_ma = last_ma if n == STEPS_MOST else int(pickup_ma * factor**n)
                times = Decimal(to_ma) / ir_ma
                steps.append((to_ma, int(fast * 36 / times**2)))
    setting = f"{amperes_text(ir_ma)} A, tr {seconds_text(protection.release_ns)} s"
    return Curve(
        device=f"electronic release {setting}",
        rated_ma=ir_ma,
        carried_ma=min(ir_ma, last_ma),
        pickup_ma=min(pickup_ma, last_ma),
        tau_ns=int(tau),
        steps=tuple(dict(steps).items()),
    )


def _floor(ma: int, ppm: int) -> int:
    return ma * ppm // PPM


def _tau_ns(body: _Body, at_ppm: int, for_ns: int) -> int:
    with localcontext(_PRECISE):
        square = (Decimal(at_ppm) / body.pickup_ppm) ** 2
        return int(Decimal(for_ns) / (square / (square - 1)).ln())


# --- sums over a load ---------------------------------------------------------------------------

Load = Sequence[tuple[int, int]]  # so much current, mA, for so long, ns


def step_ns(curve: Curve, ma: int) -> int | None:
    """From cold, by the steps; None: the image alone says."""
    return next((ns for to_ma, ns in curve.steps if ma <= to_ma), 0)


def trips_after_ns(curve: Curve, before_ma: int, load: Load) -> int | None:
    """When it trips at the earliest, counted from the load's begin; None: not while that lasts.

    Before that it has carried `before_ma` for ever.
    """
    with localcontext(_PRECISE) as context:
        context.rounding = ROUND_FLOOR
        image = _square(before_ma, curve)
        worn = Decimal(0)
        passed_ns, held_ns = 0, 0
        for ma, lasts_ns in load:
            left_ns = _left_ns(curve, ma, image, worn)
            if ma > curve.carried_ma:
                held_left_ns = HELD_NS - held_ns
                left_ns = held_left_ns if left_ns is None else min(left_ns, held_left_ns)
                held_ns += lasts_ns
            if left_ns is not None and left_ns <= lasts_ns:
                return passed_ns + left_ns
            passed_ns += lasts_ns
            decay = (-Decimal(lasts_ns) / curve.tau_ns).exp()
            image = _square(ma, curve) + (image - _square(ma, curve)) * decay
            by_step_ns = step_ns(curve, ma)
            if ma <= curve.pickup_ma:
                worn *= decay
            elif by_step_ns:
                worn += Decimal(lasts_ns) / by_step_ns
        return None


def _left_ns(curve: Curve, ma: int, image: Decimal, worn: Decimal) -> int | None:
    if ma <= curve.pickup_ma:
        return None
    goal = _square(ma, curve)
    left = Decimal(0)
    if image < 1:
        left = curve.tau_ns * ((goal - image) / (goal - 1)).ln()
    by_step_ns = step_ns(curve, ma)
    if by_step_ns is not None:
        left = min(left, max(Decimal(0), (1 - worn) * by_step_ns))
    return int(left.to_integral_value(ROUND_FLOOR))


def _square(ma: int, curve: Curve) -> Decimal:
    """Where the image goes, 1 being a trip."""
    return (Decimal(ma) / curve.pickup_ma) ** 2
