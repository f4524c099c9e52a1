"""What a story can expect of the depot as the plant measures it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hil.story.words import Amps, Chargers, Id, Instant, NotNegative, Part, Positive

Count = Annotated[int, Field(strict=True, ge=0, le=10_000)]


class Expect(Part):
    """An expectation of the depot as the plant measures it."""

    why: Annotated[str, Field(min_length=1, description="the reason, in a few words")]


class Window(Expect):
    """Holds from `from_s` to `to_s`, by default for the whole run."""

    from_s: Instant = 0.0
    to_s: Instant | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.to_s is not None and self.to_s <= self.from_s:
            raise ValueError("to_s must come after from_s")
        return self


class Over(Window):
    """A circuit (absent: any) stands above its true cap at most so far, and so long."""

    kind: Literal["over"]
    circuit: Id | None = None
    worst_a: NotNegative
    longest_s: NotNegative


class Down(Expect):
    """The sum over the chargers is at or below `to_a` within `within_s` of `after_s`."""

    kind: Literal["down"]
    charger: Chargers = ("*",)
    what: Literal["offered", "drawn"] = "offered"
    to_a: NotNegative
    after_s: Instant
    within_s: Positive


class Energy(Expect):
    """The chargers together deliver at least this much in the whole run."""

    kind: Literal["energy"]
    at_least_kwh: Positive


class NotRising(Window):
    """What each charger offers never rises above its own lowest value so far."""

    kind: Literal["not_rising"]
    charger: Chargers = ("*",)
    alone_a: NotNegative = Field(
        0.0, description="its fallback: so far it may rise by itself, when nobody speaks to it"
    )


class Settles(Window):
    """The load of a circuit stays within `around_a` ± `band_a`, on each phase."""

    kind: Literal["settles"]
    circuit: Id
    around_a: Amps
    band_a: Positive


class Offered(Expect):
    """Each charger offers between `min_a` and `max_a` at an instant, all of them at once.

    With `within_s` each for itself, at any instant from then until so much later: whose turn it
    is, and who waits out a dwell time, is no question then.
    """

    kind: Literal["offered"]
    charger: Chargers = ("*",)
    at_s: Instant
    within_s: NotNegative = 0.0
    min_a: NotNegative = 0.0
    max_a: NotNegative = 1e6


class Switched(Expect):
    """A contactor truly gets into a position within `within_s` of `after_s`, or is in it."""

    kind: Literal["switched"]
    contactor: Id
    closed: bool
    after_s: Instant
    within_s: Positive


class Stays(Window):
    """A contactor truly stays in a position."""

    kind: Literal["stays"]
    contactor: Id
    closed: bool


class Restarts(Window):
    """How often the enforcer was started anew, or a charger's watchdog ran out."""

    kind: Literal["restarts"]
    of: Literal["enforcer", "chargers"]
    least: Count = 0
    most: Count = 0


class Apart(Window):
    """No two of the chargers begin to offer current within `at_least_s` of each other."""

    kind: Literal["apart"]
    charger: Chargers = ("*",)
    at_least_s: Positive
    count: Annotated[int, Field(strict=True, ge=2)] = Field(
        2, description="so many must begin, or more"
    )


Expectation = Annotated[
    Over | Down | Energy | NotRising | Settles | Offered | Apart | Restarts | Switched | Stays,
    Field(discriminator="kind"),
]
