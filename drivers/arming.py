"""What must stand in a charger before it can be relied upon alone: read, and written if it differs.

Those are the settings that its profile needs and, where the site document declares them and the
device can be told, its fallback and its watchdog's time, in this order: the watchdog is armed
last. Nothing is written that reads as it should, and seldom at all: such registers wear out, and
what the profile says of that is kept (drivers.wear).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from controller.document.devices import Charger
from controller.units import NS_PER_S, amperes_text, seconds_text
from drivers.chargerprofile import ChargerProfile
from drivers.decode import decode, encode, raw_words
from drivers.device import Request
from drivers.memory import Memory
from drivers.reader import Sample

IN_A_ROW = 3  # reports in a row that show no help; then it is left alone for a while
PAUSE_NS = 600 * NS_PER_S
A_DAY = 50  # writes to one charger, whatever happens
DAY_NS = 86_400 * NS_PER_S
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Want:
    """A value that must stand in a register; `number` as it reads back."""

    register_name: str
    address: int  # where it is written
    fc: int
    words: tuple[int, ...]
    number: int
    wrong: Callable[[int], str]  # what it means that another number stands there
    arms: bool = True  # the charger cannot be relied upon alone without it


def wants(charger: Charger, profile: ChargerProfile) -> tuple[Want, ...]:
    """In the order in which they are written. Raises ValueError for what a register cannot hold."""
    return wants_of(profile, charger.set_fallback_ma, charger.set_delay_ns)


def wants_of(
    profile: ChargerProfile, fallback_ma: int | None, delay_ns: int | None
) -> tuple[Want, ...]:
    """The same where that fallback and that time are to be written; None: none is."""
    made = [
        Want(
            setting.register_name,
            profile.registers[setting.register_name].addr,
            setting.fc,
            raw_words(profile.registers[setting.register_name], setting.value),
            setting.value,
            partial(_always, setting.wrong),
            setting.arms,
        )
        for setting in profile.settings
    ]
    watchdog = profile.watchdog
    if fallback_ma is not None and watchdog.fallback_set_names:
        for names in zip(watchdog.fallback_names, watchdog.fallback_set_names, strict=True):
            made.append(_want(profile, *names, fallback_ma, _falls))
    if delay_ns is not None and watchdog.timeout and watchdog.timeout_set:
        names = watchdog.timeout, watchdog.timeout_set
        made.append(_want(profile, *names, delay_ns // _NS_PER_MS, _waits))
    return tuple(made)


def _want(
    profile: ChargerProfile, read: str, written: str, number: int, wrong: Callable[[int, int], str]
) -> Want:
    """In steps of the register, rounded down: falls no higher and no later than declared."""
    register = profile.registers[written]
    words = encode(register, number)
    stands = decode(register, words)
    assert isinstance(stands, int)
    return Want(
        read,
        register.addr,
        profile.watchdog.fc,
        words,
        stands,
        lambda found: wrong(found, number),
    )


def _always(text: str, found: int) -> str:
    return text


def _falls(found_ma: int, declared_ma: int) -> str:
    return (
        f"it falls back to {amperes_text(found_ma)} A, "
        f"the site document says {amperes_text(declared_ma)} A"
    )


def _waits(found_ms: int, declared_ms: int) -> str:
    if found_ms == 0:
        return "its watchdog is off: it would never fall back"
    return (
        f"its watchdog is set to {seconds_text(found_ms * _NS_PER_MS)} s, "
        f"the site document says {seconds_text(declared_ms * _NS_PER_MS)} s"
    )


class Arming:
    """Knows what one charger still lacks, and when it may be told."""

    def __init__(
        self,
        charger: Charger,
        profile: ChargerProfile,
        now_ns: Callable[[], int],
        memory: Memory | None = None,
    ) -> None:
        self.writes = 0  # so far: a sample begun before the last of them shows nothing
        self._charger = charger
        self._memory = memory
        self._gap_s = profile.gap_ns / NS_PER_S
        self._now_ns = now_ns
        self._wants = wants(charger, profile)
        self._lacks: tuple[tuple[Want, int | None], ...] = ()  # None: it does not tell
        self._sent: set[Want] = set()  # since the last report
        self._left = IN_A_ROW
        self._not_before_ns = 0
        self._recent: list[int] = []  # writes, the last A_DAY of them

    def read(self, sample: Sample) -> None:
        """What a report shows that was begun after the last write."""
        found = ((want, sample.number(want.register_name)) for want in self._wants)
        self._lacks = tuple((want, number) for want, number in found if number != want.number)
        if not self._lacks:
            self._left = IN_A_ROW
        elif self._sent:
            self._left -= 1
            if self._left <= 0:
                self._left = 1  # once more after each pause
                self._not_before_ns = self._now_ns() + PAUSE_NS
        self._sent.clear()

    def due(self) -> Request | None:
        """The next write, if one may go out now."""
        now_ns = self._now_ns()
        want = self._next()
        if want is None or now_ns < self._not_before_ns:
            return None
        if len(self._recent) == A_DAY and now_ns - self._recent[0] < DAY_NS:
            return None
        request = self._request(want)
        if self._memory is not None and not self._memory.may(request):
            return None
        return request

    @property
    def holds(self) -> bool:
        """Whether what is due is worth waiting for: then the charger can be relied upon alone."""
        return any(want.arms for want in self._unsent())

    def wrote(self, *, stored: bool = True) -> None:
        """What was due may have arrived: not again before a report shows what became of it."""
        want = self._next()
        assert want is not None
        self._sent.add(want)
        self.writes += 1
        if self._memory is not None and stored:
            self._memory.wrote(self._request(want))
        self._recent = [*self._recent, self._now_ns()][-A_DAY:]

    def _request(self, want: Want) -> Request:
        its, words = self._charger, want.words
        gap_s = self._gap_s
        return Request(its.id, its.unit, want.fc, want.address, len(words), words, gap_s=gap_s)

    def _next(self) -> Want | None:
        """In their order, each once between two reports; what is unknown is not written over."""
        return next(self._unsent(), None)

    def _unsent(self) -> Iterator[Want]:
        known = (want for want, number in self._lacks if number is not None)
        return (want for want in known if want not in self._sent)

    @property
    def remark(self) -> str | None:
        """The first thing that it lacks."""
        if not self._lacks:
            return None
        want, number = self._lacks[0]
        if number is None:
            return f"it does not tell its {want.register_name}: it cannot be relied upon alone"
        return want.wrong(number)
