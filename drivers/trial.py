"""One setpoint tried on a charger by hand, and what was in force before put back.

For commissioning, where no enforcer runs. What cannot be put back is not touched: the charger
must show what is in force before anything is written.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from cext.rows import Vehicle
from controller.units import NS_PER_S, amperes_text, seconds_text
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.device import ILLEGAL, DeviceError, Rank, Reply, Request
from drivers.feeding import every_ns, feed_of
from drivers.memory import Memory
from drivers.patience import patiently
from drivers.reader import Reader, Sample
from drivers.report import (
    applied_ma,
    in_force_ma,
    promised_ma,
    set_ma,
    time_left_ns,
    time_set_ns,
    told_fallback_ma,
    vehicle,
)
from drivers.setpoint import as_written_ma, write_of, writes_of

READ_EVERY_S = 0.5
RESTORE_ATTEMPTS = 4
RESTORE_PAUSE_S = 1.0
CHARGING = (Vehicle.C, Vehicle.D)


class NotTakenError(DeviceError):
    """It acknowledged a setpoint and does not follow it."""


class ContestedError(DeviceError):
    """Somebody else has changed the setpoint since."""


class Trial:
    """`look`, `write`, `hold`, and in the end, whatever happened, `restore`.

    Each raises DeviceError. The first three may be cancelled at any moment; `restore` copes with
    a write of which nobody knows whether it arrived.
    """

    def __init__(
        self, unit: int, profile: ChargerProfile, bus: Bus, ma: int, memory: Memory | None = None
    ) -> None:
        """`memory` counts what is written, and says whether that is borne; None: nobody does."""
        self.before: Sample | None = None
        self.after: Sample | None = None  # as read last while the setpoint was tried
        self.restored: Sample | None = None
        self.written = False  # true from when on anything of it may have arrived
        self.taken = False
        self._unit = unit
        self._profile = profile
        self._bus = bus
        self._ma = ma
        self._memory = memory
        self._reader = Reader(profile.name, unit, profile, bus, Rank.CHARGER, profile.reported)
        self._watchdog_ns = profile.watchdog.timeout_ns  # until the charger shows its own
        self._set_shown = False  # it says itself what its watchdog is set to
        self._set_ns: int | None = None  # that
        self._written_s = 0.0  # when anything was
        self._told_s = self._fed_s = 0.0  # when the setpoint was, and what feeds it apart from that
        self._fed = False
        self._ours_ma: set[int | None] = set()  # what its register holds with nobody else about

    async def look(self) -> None:
        """Reads what is in force, and refuses a charger that does not say."""
        await patiently(self._reader.check)
        sample = await patiently(self._reader.read)
        if in_force_ma(self._profile, sample) is None:
            raise self._error(DeviceError, "it does not say what current is in force")
        self.before = sample
        self._learn_watchdog(sample)
        self._ours_ma.add(self._register_ma(sample))

    async def write(self) -> None:
        """Writes the setpoint and waits until it is followed, at most the settle time.

        Raises NotTakenError, and DeviceError for a memory that is worn out.
        """
        if self._memory is not None and not self._memory.may_rise(enabled=False):
            raise self._error(DeviceError, f"not written: {self._memory.remark()}")
        await self._write(self._ma)

        def complaint(sample: Sample) -> str | None:
            self.after = sample
            self._ours_ma.add(self._register_ma(sample))  # as clamped or rounded, perhaps
            return self._astray(sample, self._ma) or self._held_back(sample)

        await self._await(complaint)
        assert self.after is not None
        self._learn_watchdog(self.after)
        self.taken = True

    async def hold(self, hold_s: float) -> None:
        """Keeps it in force, feeding the charger's watchdog where that is shorter.

        Raises NotTakenError and ContestedError.
        """
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + hold_s
        while (left_s := ends_s - loop.time()) > 0:
            await asyncio.sleep(min(READ_EVERY_S, left_s))
            self.after = await patiently(self._reader.read)
            self._dispute(self.after)
            if astray := self._astray(self.after, self._ma):
                self.taken = False
                raise self._error(NotTakenError, astray)
            await self._feed()

    async def restore(self) -> None:
        """Puts back what was in force before, in a few attempts; nothing where nothing was written.

        Raises ContestedError, and leaves the charger alone, where somebody else has written
        since: he may have lowered it for a reason.
        """
        if self.before is None or not self.written:
            return
        promises_ma = [promised_ma(self._profile, self.before, lapsed=False)]
        watchdog = self._profile.watchdog
        if watchdog.runs and watchdog.remaining is None:
            promises_ma.append(told_fallback_ma(self._profile, self.before))
        # Where it does not tell whether its watchdog had run out: the one that cannot harm.
        before_ma = min(ma for ma in promises_ma if ma is not None)
        for left in reversed(range(RESTORE_ATTEMPTS)):
            try:
                await self._restore(before_ma)
                return
            except ContestedError:
                raise
            except DeviceError:
                if not left:
                    raise
            await asyncio.sleep(RESTORE_PAUSE_S)

    def alone(self) -> str:
        """What the charger does when nobody writes any more, as far as it or its profile says."""
        watchdog = self._profile.watchdog
        if watchdog.kind == "none":
            return "it has no watchdog: it keeps what was written last until somebody writes again"
        if watchdog.kind == "unknown" or watchdog.fallback_unknown:
            return "what it does when nobody writes any more, no source says"
        sample = self.after or self.before
        fallback_ma = None
        if sample is not None:
            fallback_ma = told_fallback_ma(self._profile, sample)
        fallback = "its fallback" if fallback_ma is None else f"{amperes_text(fallback_ma)} A"
        assert self._watchdog_ns is not None
        if not self._watchdog_ns:
            if self._fed and not self._set_shown:  # that may have armed it
                return (
                    "its watchdog runs out without what feeds it (when, neither it nor its profile "
                    f"says), then {fallback} is in force"
                )
            says = "" if self._set_shown else ", says its profile"
            return (
                f"its watchdog is off{says}: "
                "it keeps what was written last until somebody writes again"
            )
        shown = self._set_shown or (self.taken and watchdog.remaining)
        source = "it shows" if shown else "its profile says"
        within = f"{seconds_text(self._watchdog_ns)} s, {source}"
        fed = {"any_traffic": "any request", "setpoint_rewrite": "a write"}.get(
            watchdog.kind, "what feeds it"
        )
        return f"its watchdog runs out without {fed} ({within}), then {fallback} is in force"

    async def _restore(self, before_ma: int) -> None:
        sample = None
        with suppress(DeviceError):  # one that cannot be read may still take a write
            sample = await self._reader.read()
        if sample is not None:
            self._dispute(sample)
        failed = None
        try:
            await self._write(before_ma)
        except DeviceError as error:
            failed = error  # of part of it, or of what feeds it: what it shows is what counts
        try:
            self.restored = await self._await(lambda sample: self._astray(sample, before_ma))
        except NotTakenError as error:
            raise failed or error from None

    async def _feed(self) -> None:
        """Before its watchdog runs out, whatever feeds that, and a read may come between."""
        now_s, watchdog = asyncio.get_running_loop().time(), self._profile.watchdog
        if watchdog.kind == "setpoint_rewrite" and self._watchdog_ns:
            if now_s - self._told_s >= self._watchdog_ns / NS_PER_S / 3:
                await self._write(self._ma)
        elif watchdog.feeds_apart:
            each_ns = every_ns(self._profile, self._watchdog_ns)
            if each_ns and now_s - self._fed_s >= each_ns / NS_PER_S - READ_EVERY_S:
                await self._write_feed()

    async def _write(self, ma: int) -> None:
        self._ours_ma.add(as_written_ma(self._profile, ma))
        for request in writes_of(self._profile.name, self._unit, self._profile, ma):
            await self._send(request)
        self._told_s = self._written_s
        await self._write_feed()

    async def _write_feed(self) -> None:
        """Nothing where its watchdog shows to be off, or hides the time that this would set."""
        watchdog = self._profile.watchdog
        if self._set_shown and not self._set_ns:
            return
        if watchdog.kind == "timeout_rewrite" and watchdog.timeout and not self._set_shown:
            return
        feed = feed_of(self._profile.name, self._unit, self._profile, self._set_ns)
        if feed is not None:
            self._fed = True
            await self._send(feed)
            self._fed_s = self._written_s

    async def _send(self, request: Request) -> None:
        await self._write_gap()
        await patiently(partial(self._attempt, request))
        self._written_s = asyncio.get_running_loop().time()

    async def _attempt(self, request: Request) -> Reply | None:
        """Each may have arrived, however it ends; but one that is illegal was surely not taken."""
        ask, arrived = partial(_same, request), True
        try:
            return await self._bus.exchange(self._profile.name, lambda: Rank.INCREASE, ask)
        except ILLEGAL:
            arrived = False
            raise
        finally:
            if arrived:
                self.written = True
                if self._memory is not None:
                    self._memory.wrote(request)

    async def _write_gap(self) -> None:
        """Waits until the device bears another write."""
        free_s = self._written_s + self._profile.pacing.write_gap_ns / NS_PER_S
        await asyncio.sleep(free_s - asyncio.get_running_loop().time())

    async def _await(self, complaint: Callable[[Sample], str | None]) -> Sample:
        """Reads until it has nothing to complain of, else NotTakenError after the settle time."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + (self._profile.settle_ns + self._profile.report_ns) / NS_PER_S
        while found := complaint(sample := await patiently(self._reader.read)):
            if loop.time() >= ends_s:
                raise self._error(NotTakenError, found)
            await asyncio.sleep(READ_EVERY_S)
        return sample

    # What a sample shows.

    def _astray(self, sample: Sample, ma: int) -> str | None:
        """In what way something else is in force; less than a step apart is the same."""
        found_ma = in_force_ma(self._profile, sample, lapsed=False)
        told = f"{amperes_text(ma)} A was written, but"
        if found_ma is None:
            return f"{told} it does not say what is in force"
        if abs(found_ma - as_written_ma(self._profile, ma)) >= self._profile.setpoint.step_ma:
            return f"{told} {amperes_text(found_ma)} A is in force"
        return None

    def _held_back(self, sample: Sample) -> str | None:
        """Whether a vehicle charges and is offered less: then the charger follows somebody else."""
        now_ma = applied_ma(self._profile, sample)
        least_ma = as_written_ma(self._profile, self._ma) - self._profile.setpoint.step_ma
        if now_ma is None or now_ma > least_ma or vehicle(self._profile, sample) not in CHARGING:
            return None
        return (
            f"{amperes_text(self._ma)} A was written, but a vehicle charges and is offered "
            f"{amperes_text(now_ma)} A: does the charger have a limit of its own?"
        )

    def _dispute(self, sample: Sample) -> None:
        found_ma = self._register_ma(sample)
        if found_ma is not None and found_ma not in self._ours_ma:
            what = f"somebody else has written {amperes_text(found_ma)} A, or it was restarted"
            raise self._error(ContestedError, what)

    def _learn_watchdog(self, sample: Sample) -> None:
        """Its time as the charger shows it: what is left after a write, or what is set."""
        left_ns, set_ns = time_left_ns(self._profile, sample), time_set_ns(self._profile, sample)
        if left_ns and self.written:
            self._watchdog_ns = left_ns
        if set_ns is not None:
            self._watchdog_ns = self._set_ns = set_ns
            self._set_shown = True

    def _register_ma(self, sample: Sample) -> int | None:
        """What its setpoint register holds or, where that cannot be read, what it applies."""
        return set_ma(self._profile, sample)

    def _error(self, kind: type[DeviceError], what: str) -> DeviceError:
        request = write_of(self._profile.name, self._unit, self._profile, self._ma)
        return kind(what, line=self._bus.url, request=request)


def _same(request: Request) -> Request:
    return request
