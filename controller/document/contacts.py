"""Wires on the gateway's pins: what a level means, and what it is when nobody drives it."""

from dataclasses import dataclass

from cext.rows import Phases

PULLED_UP = range(9)  # GPIO0 to GPIO8: high from power-up until somebody drives them


@dataclass(frozen=True, slots=True)
class Feedback:
    """An auxiliary contact between its pin and ground."""

    pin: int
    normally_closed: bool  # closed while the contactor is open

    @property
    def safe(self) -> bool:
        """Whether a broken wire reads as a closed contactor."""
        return self.normally_closed

    def closed(self, pin_high: bool) -> bool:
        """What the contactor is. The pin is pulled up: low while the contact is closed."""
        return pin_high == self.normally_closed


@dataclass(frozen=True, slots=True)
class Switch:
    """What switches a charger that has no bus: its supply, or a contact that enables it."""

    charger: str
    pin: int
    active_high: bool
    on_energised: bool
    rated_ma: int  # what it draws while it is on
    phases: Phases  # grid phases at its terminals 1, 2, 3; NO_PHASE where not wired
    feedback: Feedback | None  # closed: it is on
    opens_ns: int  # the longest from its order until the contact has followed
    meter: str | None  # the one that measures it alone

    @property
    def off_high(self) -> bool:
        """The pin's level that switches it off."""
        return self.active_high != self.on_energised

    @property
    def off_alone(self) -> bool:
        """Whether it is off when nobody drives its pin, and when its relay has no power."""
        return self.active_high and self.on_energised and self.pin not in PULLED_UP

    @property
    def tells(self) -> bool:
        """Whether a welded relay would be found: else it draws its rated current, and reads 0."""
        return self.meter is not None or (self.feedback is not None and self.feedback.safe)
