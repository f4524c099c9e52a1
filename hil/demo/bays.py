"""The chargers in the demo's picture: as many side by side as the terminal's height asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from controller.status_report import ChargerReport

TRUTH, BELIEF, QUIET = "bold", "cyan", "bright_black"
LOST = "bold magenta"
_GAP = 2  # between two columns of chargers
_NARROWEST = 25  # what a charger needs at least
_REASON_AT_LEAST = 14
_ID_AT_LEAST = 4


@dataclass(frozen=True, slots=True)
class ChargerTruth:
    """A charger as the plant has it, in amperes on its highest phase."""

    id: str
    vehicle: str
    charged: float | None  # of what it wants, 0 to 1
    offers_a: float
    draws_a: float


@dataclass(frozen=True, slots=True)
class Bay:
    """A charger's truth, and what Loadkeeper believes of it; None: nothing now."""

    truth: ChargerTruth
    belief: ChargerReport | None


@dataclass(frozen=True, slots=True)
class _Field:
    head: str
    width: int
    text: Callable[[Bay], Text]
    side: Literal["left", "right"] = "right"
    believed: bool = False


def lines_of(chargers: int, width: int, room: int) -> int:
    """How many lines `chargers` take, their heading included, where `room` would be welcome."""
    columns = _columns(chargers, width, room)
    return 1 + -(-chargers // columns)


def bays(shown: Sequence[Bay], width: int, room: int) -> RenderableType:
    """The chargers in reading order, down each column."""
    columns = _columns(len(shown), width, room)
    high = -(-len(shown) // columns)
    each = (width - _GAP * (columns - 1)) // columns
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for _ in range(columns):
        table.add_column(width=each)
    table.add_row(*(_column(shown[i * high : (i + 1) * high], each) for i in range(columns)))
    return table


def _columns(chargers: int, width: int, room: int) -> int:
    wanted = -(-chargers // max(1, room - 1))
    return max(1, min(wanted, (width + _GAP) // (_NARROWEST + _GAP)))


def _column(shown: Sequence[Bay], width: int) -> Table:
    fields = _fields(shown, width)
    table = Table.grid(padding=(0, 1, 0, 0))
    for each in fields:
        table.add_column(width=each.width, no_wrap=True, justify=each.side, overflow="ellipsis")
    table.add_row(*(Text(each.head, style=BELIEF if each.believed else QUIET) for each in fields))
    for bay in shown:
        table.add_row(*(each.text(bay) for each in fields))
    return table


def _fields(shown: Sequence[Bay], width: int) -> list[_Field]:
    """What a width has room for, the most telling first; the reason takes what is left."""
    longest = max((len(bay.truth.id) for bay in shown), default=_ID_AT_LEAST)
    name = _Field("bay", max(_ID_AT_LEAST, min(longest, width // 4)), _name, "left")
    draws = _Field("draws", 5, _draws)
    offers = _Field("offer", 5, _offers)
    told = _Field("told", 5, _told, believed=True)
    seen = _Field("seen", 5, _seen, believed=True)
    full = _Field("full", 4, _full)
    vehicle = _Field("vehicle", 11, _vehicle, "left")
    left = width - sum(each.width + 1 for each in (name, draws, offers, told))
    taken = set()
    if left >= _REASON_AT_LEAST + 1:
        left -= _REASON_AT_LEAST + 1
        for extra in (vehicle, seen, full):
            if left >= extra.width + 1:
                taken.add(extra.head)
                left -= extra.width + 1
        left += _REASON_AT_LEAST
        why = [_Field("why", left, _why, "left", believed=True)]
    else:
        why = []
    order = (name, vehicle, full, draws, offers, told, seen)
    always = {name.head, draws.head, offers.head, told.head}
    return [each for each in order if each.head in always | taken] + why


def _name(bay: Bay) -> Text:
    sick = bay.belief is not None and not bay.belief.online
    return Text(bay.truth.id, style=LOST if sick else "")


def _vehicle(bay: Bay) -> Text:
    return Text(bay.truth.vehicle or "-", style="" if bay.truth.vehicle else QUIET)


def _full(bay: Bay) -> Text:
    return Text("" if bay.truth.charged is None else f"{bay.truth.charged:.0%}", style=QUIET)


def _draws(bay: Bay) -> Text:
    return Text(f"{bay.truth.draws_a:.1f}", style=TRUTH if bay.truth.draws_a else QUIET)


def _offers(bay: Bay) -> Text:
    return Text(f"{bay.truth.offers_a:.1f}", style=TRUTH if bay.truth.offers_a else QUIET)


def _told(bay: Bay) -> Text:
    return _amps(None if bay.belief is None else bay.belief.setpoint_a)


def _seen(bay: Bay) -> Text:
    current_a = None if bay.belief is None else bay.belief.current_a
    return _amps(None if current_a is None else max(current_a))


def _why(bay: Bay) -> Text:
    if bay.belief is None:
        return Text("")
    if bay.belief.online:
        return Text(bay.belief.reason, style=BELIEF)
    return Text(f"offline: {bay.belief.reason}", style=LOST)


def _amps(value: float | None) -> Text:
    return Text("?" if value is None else f"{value:.1f}", style=BELIEF)
