"""What every driver offers and needs, and what goes wrong outside.

A `DeviceError` is theirs: expected, it ends one exchange and makes a reading stale. Everything
else that is raised here is ours, and ends the process.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple, Protocol

from cext.rows import Phases
from controller.condition import Condition
from controller.image import ChargerReport, Clock, ContactorOrder, MeterReading, Order
from controller.turn import Turn

READ_COILS = 1
READ_INPUTS = 2  # discrete ones, a bit each
WRITE_COIL = 5
WRITE_ONE = 6
WRITE_MANY = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One Modbus request: reads `count` words, or writes `words`. A coil is a word of 0 or 1."""

    device: str  # whose it is, for messages
    unit: int
    fc: int
    address: int
    count: int
    words: tuple[int, ...] = ()
    fewer: tuple[int, ...] = ()  # counts that may be read from the same address instead
    gap_s: float = 0.0  # what the device needs between two requests
    more: int = field(default=0, compare=False)  # writes of the same order that follow it
    serial: bool = field(default=False, compare=False)  # its device speaks over serial lines, too

    @property
    def writes(self) -> bool:
        return self.fc in (WRITE_COIL, WRITE_ONE, WRITE_MANY)

    @property
    def reads_bits(self) -> bool:
        return self.fc in (READ_COILS, READ_INPUTS)

    @property
    def answer_bytes(self) -> int:
        """Of the values in the reply to a read."""
        return -(-self.count // 8) if self.reads_bits else 2 * self.count

    def values(self, content: bytes) -> tuple[int, ...]:
        """The words, or the coils, in those bytes. A coil's byte is filled from its lowest bit."""
        if not self.reads_bits:
            return tuple(
                int.from_bytes(content[i : i + 2], "big") for i in range(0, 2 * self.count, 2)
            )
        return tuple(content[i // 8] >> i % 8 & 1 for i in range(self.count))


class Reply(NamedTuple):
    words: tuple[int, ...]  # none for a write that was acknowledged
    at_ns: int  # arrival


class Rank(IntEnum):
    """Who goes first where several wait for the same line."""

    REDUCTION = 0
    METER = 1
    INCREASE = 2
    CHARGER = 3


class ProcessImage(Protocol):
    """Where drivers post readings and find orders; see controller.image.Image."""

    @property
    def clock(self) -> Clock: ...
    @property
    def turn(self) -> Turn: ...
    def post_meter(self, meter: str, reading: MeterReading) -> None: ...
    def post_charger(self, charger: str, report: ChargerReport) -> None: ...
    def order(self, charger: str) -> Order | None: ...
    def on_change(self, charger: str, wake: Callable[[], None]) -> None: ...
    def contactor_order(self, contactor: str) -> ContactorOrder | None: ...
    def on_contactor_change(self, contactor: str, wake: Callable[[], None]) -> None: ...
    def post_contactor(self, contactor: str, at_ns: int, closed: bool) -> None: ...
    def post_input(self, contact: str, at_ns: int, limit_ma: Phases | None) -> None: ...
    def condition(self) -> Condition: ...
    def on_reading(self, meter: str, take: Callable[[int, Phases | None], None]) -> None: ...


class Line(Protocol):
    """What carries requests: one exchange at a time, each bounded by the line's time-out."""

    @property
    def url(self) -> str: ...
    @property
    def longest_s(self) -> float:
        """An exchange that takes longer is a fault of ours."""

    async def exchange(self, ask: Callable[[], Request | None]) -> tuple[int, ...] | None:
        """Asks what to send at the last moment; None, when nothing any more, is answered None.

        Returns the words read, none for a write. Raises DeviceError.
        """

    def close(self) -> None: ...


class Way(Protocol):
    """How a reader comes to its device: a bus, or what stands before one."""

    @property
    def url(self) -> str: ...
    async def exchange(
        self, device: str, rank: Callable[[], Rank], ask: Callable[[], Request | None]
    ) -> Reply | None: ...


class DeviceError(Exception):
    """Something outside did not do as it should. The message names device, line and place."""

    passing: ClassVar[bool] = False  # the device says itself: try again

    def __init__(self, what: str, *, line: str, request: Request | None = None) -> None:
        self.what = what
        place = line
        if request is not None:
            place = f"{request.device} ({line}, unit {request.unit}, register {request.address})"
        super().__init__(f"{place}: {what}")


class NoConnectionError(DeviceError):
    """Nobody there, or the connection was refused or cut."""


class CutError(NoConnectionError):
    """The connection ended while a reply was due: the request may have arrived."""


class NoReplyError(DeviceError):
    """Connected, but no whole reply within the time-out."""


class HeldError(NoReplyError):
    """It was not asked yet: what it answered late could be taken for the answer."""

    def __init__(self, what: str, *, line: str, request: Request, again_s: float) -> None:
        super().__init__(what, line=line, request=request)
        self.again_s = again_s  # until it may be


class BusFullError(DeviceError):
    """More wait for this line than it can ever serve."""


class HushedError(DeviceError):
    """Nothing was asked, for any request would feed its watchdog."""


class PinError(DeviceError):
    """A pin of the gateway that cannot be had, read or written; `line` names it."""


class BadReplyError(DeviceError):
    """A reply that is not the answer to the request: nothing in it may be used."""


class ShortReplyError(BadReplyError):
    """Another number of registers than was asked for."""


class WrongUnitError(BadReplyError):
    """Another unit answered."""


class WrongTransactionError(BadReplyError):
    """The answer to some other request."""


class BadValueError(DeviceError):
    """The exchange was in order, what it says is not: unknown or impossible values."""


class WrongDeviceError(DeviceError):
    """Not the device that the profile describes, or not set up as the profile needs it."""


class RefusedError(DeviceError):
    """The device answered with a Modbus exception."""


class IllegalFunctionError(RefusedError):
    """Exception 1."""


class IllegalAddressError(RefusedError):
    """Exception 2."""


class IllegalValueError(RefusedError):
    """Exception 3."""


ILLEGAL = (IllegalFunctionError, IllegalAddressError, IllegalValueError)  # surely not taken


class DeviceFailureError(RefusedError):
    """Exception 4."""


class BusyError(RefusedError):
    """Exception 6."""

    passing = True


class PathError(RefusedError):
    """Exception 10: the gateway knows no way to this unit."""


class GatewaySilenceError(RefusedError):
    """Exception 11: the gateway asked, the unit behind it did not answer in time."""

    passing = True


_REFUSALS: dict[int, tuple[type[RefusedError], str]] = {
    1: (IllegalFunctionError, "does not know this function (exception 1)"),
    2: (IllegalAddressError, "has no such register (exception 2): another model or firmware?"),
    3: (IllegalValueError, "refuses the value or the number of registers (exception 3)"),
    4: (DeviceFailureError, "failed while answering (exception 4)"),
    6: (BusyError, "is busy (exception 6)"),
    10: (PathError, "the gateway has no path to this unit (exception 10): check its settings"),
    11: (GatewaySilenceError, "the unit did not answer its gateway (exception 11)"),
}


def refusal(code: int, line: str, request: Request) -> RefusedError:
    """The error that a Modbus exception code means."""
    kind, what = _REFUSALS.get(code, (RefusedError, f"refuses (exception {code})"))
    return kind(what, line=line, request=request)
