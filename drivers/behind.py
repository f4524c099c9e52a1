"""What stands behind one TCP address: one device, or a converter to a serial line with several.

Behind a converter the traps of a serial line are back. A unit that did not answer in time may do so
later, and some converters take that for the answer to what was asked meanwhile: it has the right
transaction then, the right unit, and, among reads of one length, the right length. A new connection
does not help: the converter's line is the old one. So the books of drivers.debts are kept of units
that a converter called silent (exception 11) and, where a converter may stand (several units, or
one that speaks over serial lines, too), of all from which no right reply came: such a unit is first
asked for another number of registers. One that cannot be asked so is left alone for a while.

Writes never wait: an order goes out at once. But what acknowledges one that looks like one before,
whose answer may still come, is not believed: it is written again, once a read has shown that the
unit owes nothing.
"""

import asyncio

from drivers.debts import Debts
from drivers.device import (
    GatewaySilenceError,
    HeldError,
    NoReplyError,
    PathError,
    RefusedError,
    Request,
)

LATEST_S = 3.0  # so long a unit that cannot be sounded is left alone after its last lost answer


class Behind:
    """The units of one address, as far as they were asked. Costs next to nothing in good order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: tuple[int, ...] = ()  # nearly always one, at hundreds of addresses
        self._known: dict[int, Request] = {}  # reads that can be asked with other counts
        self._debts: dict[int, Debts] = {}  # of those that may owe something
        self._forgive_s: dict[int, float] = {}  # when units that cannot be sounded owe nothing
        self._unsounded: frozenset[int] = frozenset()  # those that refuse to be
        self._serial = False  # one of them speaks over serial lines, too
        self._doubtful = False  # the write under way may get the answer to one before

    @property
    def several(self) -> bool:
        return len(self._seen) > 1

    @property
    def perhaps(self) -> bool:
        """Whether a converter may stand here."""
        return self._serial or self.several

    def asks(self, request: Request) -> None:
        """It is about to be sent."""
        if request.unit not in self._seen:
            self._seen += (request.unit,)
        if request.fewer[1:]:
            self._known[request.unit] = request
        if request.serial:
            self._serial = True
        self._doubtful = False
        if self._debts and request.unit in self._debts:
            self._doubtful = request.writes and self._doubts(request)
            self._debts[request.unit].sent(request)

    def lost(self, request: Request) -> None:
        """No right reply came to it, and may come yet."""
        unit = request.unit
        if not request.writes:
            self._forgive_s[unit] = asyncio.get_running_loop().time() + LATEST_S
        if unit not in self._debts:
            self._debts[unit] = Debts()
            self._debts[unit].sent(request)

    def answered(self, request: Request) -> None:
        """Raises NoReplyError where that may have been another write's answer."""
        debts = self._debts.get(request.unit)
        if debts is not None:
            if self._doubtful:
                what = "its answer may be that to an earlier write: it is written again"
                raise NoReplyError(what, line=self._url, request=request)
            debts.answered(request)
            self._look(request.unit, debts)

    def refused(self, request: Request, error: RefusedError) -> None:
        """By the unit itself, or by the converter for it."""
        if isinstance(error, GatewaySilenceError):
            self.lost(request)
        if isinstance(error, GatewaySilenceError | PathError):
            return
        debts = self._debts.get(request.unit)
        if debts is None:
            return
        certain = debts.refused(request)
        if not (certain or request.writes or request.fewer or error.passing):
            self._unsounded |= {request.unit}
        self._look(request.unit, debts)

    def first(self, request: Request) -> Request | None:
        """What to ask before it, as something late could be taken for its answer; None: nothing.

        Raises HeldError where that cannot be found out.
        """
        if not self._debts or request.writes or not self._doubts(request):
            return None
        unit, now_s = request.unit, asyncio.get_running_loop().time()
        debts = self._debts[unit]
        for read in (request, self._known.get(unit)):
            if read is not None:
                debts.learn(read)
        sounding = debts.sounding()
        if sounding is not None and unit not in self._unsounded:
            return sounding
        again_s = self._forgive_s.get(unit, 0.0) - now_s
        if again_s > 0:
            what = f"not asked for {LATEST_S:g} s: a late answer could be taken for another"
            raise HeldError(what, line=self._url, request=request, again_s=again_s)
        debts.forgive()
        self._look(unit, debts)
        return None

    def settled(self, request: Request) -> Request:
        """It may be asked now that the other one was. Raises NoReplyError where it may not."""
        if self.first(request) is not None:
            what = "late answers are still on their way"
            raise NoReplyError(what, line=self._url, request=request)
        return request

    def _doubts(self, request: Request) -> bool:
        debts = self._debts.get(request.unit)
        return debts is not None and not debts.clear_for(request)

    def _look(self, unit: int, debts: Debts) -> None:
        if not debts.owes:
            del self._debts[unit]
            self._forgive_s.pop(unit, None)
            self._unsounded -= {unit}
