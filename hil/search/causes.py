"""What explains that more flows on a circuit than may, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from cext.rows import Phases
from hil.search import flows
from hil.search.flows import FLOWS, FOR_EVER_MA, NOTHING, Flow


class Cause(NamedTuple):
    """What explains some of an excess."""

    until_ns: int
    size_ma: Flow
    is_base: bool = False  # the base load rose: when it falls again, that is over


@dataclass(slots=True)
class Stand:
    """How one circuit stands."""

    excused_ns: int = 0  # until then an excess is the answer under way
    wakes_ns: int = 0  # until then what is permitted may be more than fits
    fallen_ma: Flow = NOTHING  # while nobody feeds chargers: some fall back to more than they had
    ill_ns: int = 0  # until then a source here is not what it should be
    stands_ma: list[int] = field(default_factory=lambda: [0] * FLOWS)  # over, nothing to lower
    causes: list[Cause] = field(default_factory=list)
    over_ma: Flow = NOTHING  # at the last look
    waits_ns: int = 0  # until then nobody answers: threads stand still
    alone_ns: int = 0  # then its chargers have fallen back by themselves, if nobody is back


def less(causes: list[Cause], fall_ma: Phases) -> Iterator[Cause]:
    """What base load that falls takes back of its rises: the newest first."""
    left_ma, kept = list(fall_ma), []
    for cause in reversed(causes):
        if not cause.is_base:
            kept.append(cause)
            continue
        taken_ma = tuple(map(min, left_ma, cause.size_ma[:3]))
        left_ma = list(map(int.__sub__, left_ma, taken_ma))
        first, second, third = map(int.__sub__, cause.size_ma[:3], taken_ma)
        kept.append(cause._replace(size_ma=flows.load((first, second, third))))
    return reversed(kept)


def explains_all(size_ma: Flow) -> bool:
    return max(size_ma) >= FOR_EVER_MA
