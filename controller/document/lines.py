"""The commissioning proof's lines, by the numbers and names they are spoken of."""

from enum import IntEnum


class Line(IntEnum):
    UNATTENDED = 1
    POWER_CUT = 2
    TRANSITION = 3
    FAILSAFE_CAP = 4
    REACTION = 5


NAMES = {line.name.lower(): line for line in Line}
