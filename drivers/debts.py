"""Which replies a unit on a serial line may still owe. Pure: no port, no time.

A serial reply does not say which request it answers: it has a unit, a function and a count, but no
transaction number. One that comes late is therefore known only by its *shape*, its first bytes.
A unit answers in the order it was asked, so a reply of one shape proves that nothing is owed from
before it was asked for. What makes it certain that no late reply is taken for another one's:

- While a unit may owe a reply of a shape, no other request whose reply has that shape is sent.
- Instead the unit is *sounded*: something is read with another count, again and again, until it
  answers. Then it owes nothing from before, however late it was.
- A sounding that was sent more than once may be answered more than once: its own shape stays owed,
  and the next sounding has another one. Two other counts are enough for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from drivers.device import Request
from drivers.frames import REFUSED, shape, shape_of


@dataclass(eq=False, slots=True)
class Debts:
    """What one unit may still send although nobody waits for it.

    At most one request is under way, and a unit answers in the order it was asked.
    """

    _owed: set[bytes] = field(default_factory=set)  # shapes
    _known: Request | None = None  # a read that can be asked with other counts
    _sounding: Request | None = None  # from when it is first sent until it is answered
    _soundings: int = 0  # how often it was sent
    _since: set[bytes] = field(default_factory=set)  # shapes owed from after it was first sent

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    def learn(self, request: Request) -> None:
        """Remembers what the unit can be sounded with."""
        if len(request.fewer) > 1:
            self._known = request

    def clear_for(self, request: Request) -> bool:
        """Whether no reply but its own can have its shape."""
        return shape(request) not in self._owed

    def sounding(self) -> Request | None:
        """The read that shows that nothing is owed any more; None where none is known."""
        if not self._soundings:
            self._sounding = next(self._free(), None)
            self._since.clear()
        return self._sounding

    def sent(self, request: Request) -> None:
        """From now on its reply may come, and at any later time."""
        if request is self._sounding:
            self._soundings += 1
        else:
            self._since.add(shape(request))
        self._owed.add(shape(request))

    def expects(self, reply: bytes) -> bool:
        """Whether a whole frame, or refusal, may be one that is owed."""
        if reply[1] & REFUSED:
            return any(owed[1] == reply[1] & ~REFUSED for owed in self._owed)
        return shape_of(reply) in self._owed

    def answered(self, request: Request) -> None:
        """Its reply came: nothing is owed from before it was first sent."""
        owed: set[bytes] = set()
        if request is self._sounding and self._soundings > 1:
            owed = self._since | {shape(request)}  # to one of them, nobody knows which
        self.forgive()
        self._owed = owed

    def refused(self, request: Request) -> bool:
        """It, or an older one of the same function, was refused. False: nobody knows which."""
        certain = not any(owed[1] == request.fc for owed in self._owed - {shape(request)}) and not (
            request is self._sounding and self._soundings > 1
        )
        if certain:
            self.answered(request)
        return certain

    def forgive(self) -> None:
        """Nothing is owed."""
        self._owed = set()
        self._since = set()
        self._sounding = None
        self._soundings = 0

    def _free(self) -> Iterator[Request]:
        if self._known is not None:
            for count in self._known.fewer:
                other = replace(self._known, count=count, fewer=())
                if self.clear_for(other):
                    yield other
