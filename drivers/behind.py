"""What stands behind one TCP address: one device, or a converter to a serial line with several.

Behind a converter the traps of a serial line are back. A unit that did not answer in time may do so
later, and some converters take that for the answer to what was asked meanwhile: it has the right
transaction then, the right unit, and, among reads of one length, the right length. So the books of
drivers.debts are kept of units that a converter called silent (exception 11), and where several
answer at one address, of all from which no right reply came: it is first asked for another number
of registers. One of which nothing is known that could be asked so is asked as before, unless this
converter was seen to mix replies up; then it is left alone for a while. Writes stand outside: their
replies say what was written, and an order must not wait.
"""

import asyncio

from drivers.debts import Debts
from drivers.device import (
    DeviceError,
    GatewaySilenceError,
    NoReplyError,
    PathError,
    RefusedError,
    Request,
    ShortReplyError,
    WrongUnitError,
)

LATEST_S = 3.0  # so long a unit is left alone that cannot be sounded, where replies are mixed up


class Behind:
    """The units of one address, as far as they were asked. Costs next to nothing in good order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: tuple[int, ...] = ()  # nearly always one, at hundreds of addresses
        self._known: dict[int, Request] = {}  # reads that can be asked with other counts
        self._debts: dict[int, Debts] = {}  # of those that may owe something
        self._forgive_s: dict[int, float] = {}  # when units that cannot be sounded owe nothing
        self._unsounded: frozenset[int] = frozenset()  # those that refuse to be
        self._mixes = False  # the wrong reply came once: to another unit, or of another length

    @property
    def several(self) -> bool:
        return len(self._seen) > 1

    def asks(self, request: Request) -> None:
        """It is about to be sent."""
        if request.unit not in self._seen:
            self._seen += (request.unit,)
        if request.fewer[1:]:
            self._known[request.unit] = request
        if self._debts and not request.writes and request.unit in self._debts:
            self._debts[request.unit].sent(request)

    def lost(self, request: Request, error: DeviceError) -> None:
        """No right reply came to it, and may come yet."""
        if isinstance(error, WrongUnitError | ShortReplyError):
            self._mixes = True
        if request.writes or request.unit in self._debts:
            return
        debts = self._debts[request.unit] = Debts()
        debts.sent(request)

    def answered(self, request: Request) -> None:
        debts = None if request.writes else self._debts.get(request.unit)
        if debts is not None:
            debts.answered(request)
            self._look(request.unit, debts)

    def refused(self, request: Request, error: RefusedError) -> None:
        """By the unit itself, or by the converter for it."""
        if isinstance(error, GatewaySilenceError):
            self.lost(request, error)
        if isinstance(error, GatewaySilenceError | PathError):
            return
        debts = None if request.writes else self._debts.get(request.unit)
        if debts is None:
            return
        if not debts.refused(request) and not (request.fewer or error.passing):
            self._unsounded |= {request.unit}
        self._look(request.unit, debts)

    def first(self, request: Request) -> Request | None:
        """What to ask before it, as something late could be taken for its answer; None: nothing.

        Raises NoReplyError where that cannot be found out.
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
        if self._mixes and now_s < self._forgive_s.setdefault(unit, now_s + LATEST_S):
            what = f"not asked for {LATEST_S:g} s: a late answer could be taken for another"
            raise NoReplyError(what, line=self._url, request=request)
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
