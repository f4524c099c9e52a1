"""Duty cycles of the control pilot as currents, by IEC 61851-1. Whole milliamps; pure.

6 to 51 A: duty in percent = A / 0.6; above, to 80 A: A / 2.5 + 64. 8 to 10 % is 6 A. Below 8 % a
vehicle may be told any current by digital communication; above 97 % it is told none.
"""

from fractions import Fraction

LEAST_PCT, PCT_OF_6A, PCT_OF_51A, PCT_OF_80A, MOST_PCT, NO_PULSE_PCT = 8, 10, 85, 96, 97, 100
MA_PER_PCT, STEEP_MA_PER_PCT, STEEP_FROM_PCT = 600, 2500, 64
LEAST_MA, KNEE_MA, DUTY_MAX_MA = 6_000, 51_000, 80_000


def duty_pct(ma: int) -> Fraction:
    """What permits a current and no more; 100, without a pulse, for less than 6 A."""
    if ma < LEAST_MA:
        return Fraction(NO_PULSE_PCT)
    if ma <= KNEE_MA:
        return Fraction(ma, MA_PER_PCT)
    return Fraction(min(ma, DUTY_MAX_MA), STEEP_MA_PER_PCT) + STEEP_FROM_PCT


def permitted_ma(pct: Fraction) -> int | None:
    """The most that a vehicle may draw at it, rounded up; None for what no duty cycle can be."""
    if pct > NO_PULSE_PCT:
        return None
    if pct > MOST_PCT:
        return 0
    if pct < LEAST_PCT:
        return DUTY_MAX_MA
    if pct <= PCT_OF_6A:
        return LEAST_MA
    if pct <= PCT_OF_51A:
        exact = pct * MA_PER_PCT
    else:
        exact = (min(pct, Fraction(PCT_OF_80A)) - STEEP_FROM_PCT) * STEEP_MA_PER_PCT
    return -(-exact.numerator // exact.denominator)
