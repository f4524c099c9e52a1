"""A charger's driver: writes its orders, feeds its watchdog with them, and reports what it does.

Nothing but the order that is live at that moment is ever written. It is written when it is new,
when the charger says that something else is in force, and again when a third of the charger's
own watchdog time is over. Whether a write is due is asked when an order changed, and once in
each turn (controller.turn), by no timer: so the charger falls back by itself once decisions
stop. Where any traffic feeds the watchdog, nothing at all is sent to the charger, polls included,
unless all workers have taken a decision within the dead-man time.
"""

import asyncio
from functools import partial

from cext.rows import Vehicle
from controller.document.devices import Charger
from controller.image import ChargerReport, Order
from controller.units import NS_PER_S, amperes_text
from drivers.arming import Arming
from drivers.bell import Bell
from drivers.bus import Bus
from drivers.device import (
    BadValueError,
    BusFullError,
    CutError,
    DeviceError,
    NoConnectionError,
    ProcessImage,
    Rank,
    Request,
)
from drivers.health import DeviceHealth, Health
from drivers.lapse import Lapse
from drivers.profile import ChargerProfile
from drivers.reader import Reader, Sample
from drivers.report import (
    currents_ma,
    force_registers,
    in_force_ma,
    proven,
    remark,
    time_left_ns,
    time_set_ns,
    told_fallback_ma,
    vehicle,
)
from drivers.setpoint import as_written_ma, write_of
from drivers.silence import Silence
from drivers.watts import seated

REPEAT_NS = NS_PER_S  # least time between two acknowledged writes of one order
AFTER_GAP_S = 0.001  # a timer may be early by its clock's resolution
UNSENT = (NoConnectionError, BusFullError, BadValueError)  # what was asked for never left


class ChargerDriver:
    """Polls on absolute instants and after each write; writes beside that, in the bus's order."""

    def __init__(
        self, charger: Charger, profile: ChargerProfile, bus: Bus, image: ProcessImage, write: bool
    ) -> None:
        self.id = charger.id
        self._polling = f"{charger.id} (polls)"
        self._charger = charger
        self._profile = profile = seated(profile, charger)
        self._bus = bus
        self._image = image
        self._may_write = write
        self._health = Health(charger.id, image.clock, charger.poll_ns, charger.bus.timeout_ns)
        self._silence = Silence(image.clock, charger.poll_ns)
        self._write_failed_last = False  # in a silence, polls and writes take turns
        self._any_traffic = profile.watchdog.kind == "any_traffic"
        self._lapse = Lapse(any_traffic=self._any_traffic, timeout_ns=charger.bus.timeout_ns)
        self._reader = Reader(
            charger.id,
            charger.unit,
            profile,
            bus,
            Rank.CHARGER,
            profile.reported,
            self._may_ask,
            self._lapse.answered,
        )
        self._poll_bell = Bell(charger.id, charger.poll_ns / NS_PER_S)
        self._write_bell = Bell(charger.id, None)
        self._watchdog_ns = charger.fallback_delay_ns  # shortened to what the charger shows
        self._offered: Order | None = None  # handed to the line last
        self._taken: Order | None = None  # acknowledged last
        self._taken_ns = 0
        self._in_force_ma: int | None = None  # as read last
        self._astray_ns: int | None = None  # since when something else than `_taken` is in force
        self._refusal: str | None = None  # why the last write failed
        self._hushed = False  # its last poll was refused, as nobody decided
        self._quiet_ns = charger.poll_ns - profile.reading_ns  # between two polls
        self._write_gap_ns = profile.pacing.write_gap_ns
        self._next_write_ns = 0  # it takes none before
        self._arming = Arming(charger, profile, image.clock.now_ns)

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        self._bus.join()
        turn = self._image.turn
        if self._may_write:
            turn.join(self.id, self._write_bell.ring)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                if self._may_write:
                    group.create_task(self._obey())
        finally:
            for worker in (self.id, self._polling):
                turn.leave(worker)
            self._bus.close()

    # What it says.

    async def _watch(self) -> None:
        turn = self._image.turn
        while True:
            turn.busy(self._polling, self._poll_bell.longest_ns)
            await self._poll_bell.wait()
            if not self._silence.may_ask or (self._owes_write() and not self._write_failed_last):
                continue
            # Before anything is asked: only what is read from now on shows the order's effect.
            taken, armed = self._taken, self._arming.writes
            silent = self._silence.lasts
            self._hushed = not self._may_ask()
            turn.busy(self._polling)  # the bus answers for it
            if self._any_traffic and not self._lapse.reported:
                only = force_registers(self._profile)
                await self._reader.poll(self._health, self._post_first, self._silence, only)
            else:
                await self._reader.poll(
                    self._health, partial(self._post, taken, armed), self._silence
                )
            self._write_failed_last = False
            if silent and not self._silence.lasts:
                self._write_bell.ring()

    def _may_ask(self) -> bool:
        """Whether a request may feed its watchdog now."""
        return self._image.turn.fresh or not self._any_traffic

    def _post_first(self, sample: Sample) -> None:
        """What is in force, and no more: each request keeps alive whatever it was told before us,
        and may even take it out of its fallback, so its first order must not wait for the rest."""
        in_force = self._found_ma(sample)
        fallback_ma = told_fallback_ma(self._profile, sample)
        report = ChargerReport(sample.at_ns, in_force, None, Vehicle.UNKNOWN, 0, fallback_ma)
        try:
            self._image.post_charger(self.id, report)
        except ValueError as error:
            name = self._profile.setpoint.applied
            raise self._reader.bad(name, f"cannot be used: {error}") from error
        self._lapse.reported = True
        self._in_force_ma = in_force
        self._poll_bell.ring()

    def _found_ma(self, sample: Sample) -> int | None:
        """What it shows to be in force, or may be if it fell back."""
        lapsed, alone_ma = self._lapse.possible, self._charger.alone_ma
        return in_force_ma(self._profile, sample, lapsed, alone_ma)

    def _post(self, taken: Order | None, armed: int, sample: Sample) -> str | None:
        known_ns = (time_set_ns(self._profile, sample), self._watchdog_ns)
        self._lapse.report(sample.at_ns, min((each for each in known_ns if each), default=None))
        in_force = self._found_ma(sample)
        report = ChargerReport(
            at_ns=sample.at_ns,
            in_force_ma=in_force,
            current_ma=currents_ma(self._charger, self._profile, sample),
            vehicle=vehicle(self._profile, sample),
            written_tick=0 if taken is None else taken.tick,
            fallback_ma=told_fallback_ma(self._profile, sample),
            proven=proven(self._charger, self._profile, sample),
        )
        try:
            self._image.post_charger(self.id, report)
        except ValueError as error:
            name = self._profile.setpoint.applied
            raise self._reader.bad(name, f"cannot be used: {error}") from error
        self._in_force_ma = in_force
        if armed == self._arming.writes:
            self._arming.read(sample)
        astray = None
        if taken is not None and taken is self._taken:
            astray = self._compare(taken, sample)
        lacks = self._arming.remark
        return self._refusal or astray or lacks or remark(self._charger, self._profile, sample)

    def _compare(self, taken: Order, sample: Sample) -> str | None:
        """Whether what was written is in force, and for how long the charger keeps it."""
        left_ns = time_left_ns(self._profile, sample)
        if left_ns and self._watchdog_ns is not None:
            shown_ns = left_ns + sample.at_ns - self._taken_ns
            self._watchdog_ns = min(self._watchdog_ns, shown_ns)
        if self._in_force_ma in (None, as_written_ma(self._profile, taken.ma)):
            self._astray_ns = None
            return None
        if self._astray_ns is None:
            self._astray_ns = sample.at_ns
            self._reader.forget()  # has it been without power, and lost more than its setpoint?
        if sample.at_ns - self._astray_ns < self._charger.settle_ns:
            return None
        assert self._in_force_ma is not None
        return (
            f"{amperes_text(taken.ma)} A was written, "
            f"but {amperes_text(self._in_force_ma)} A stays in force"
        )

    # What it is told.

    async def _obey(self) -> None:
        self._image.on_change(self.id, self._write_bell.ring)
        turn = self._image.turn
        while True:
            await self._write_bell.wait()
            tick = turn.tick
            if self._hushed and self._may_ask():  # not only when its next poll is due
                self._poll_bell.ring()
            try:
                await self._write()
            except DeviceError as error:
                if not isinstance(error, UNSENT) or isinstance(error, CutError):
                    self._pace()
                    self._noted()
                self._silence.failed(error)
                self._write_failed_last = True
                self._refusal = str(error)
                asyncio.get_running_loop().call_later(self._silence.left_s, self._poll_bell.ring)
            turn.taken(self.id, tick)

    async def _write(self) -> None:
        """Writes what is due, if anything is. Raises DeviceError."""
        if self._ask() is None:
            return
        self._image.turn.busy(self.id)  # the bus answers for it
        reply = await self._bus.exchange(self.id, self._rank, self._ask)
        if reply is None:
            return
        self._pace()
        self._silence.answered()
        self._lapse.answered(reply.at_ns)
        self._noted()
        if self._offered is not None:
            self._taken = self._offered
            self._taken_ns = reply.at_ns
            self._lapse.written()
        self._refusal = None
        self._poll_bell.ring()

    def _noted(self) -> None:
        """What went out, if it was no order, was for its memory."""
        if self._offered is None:
            self._arming.wrote()
            self._reader.forget()

    def _pace(self) -> None:
        """A write may have arrived: the next one waits, and goes out the moment that it may."""
        if self._write_gap_ns:
            self._next_write_ns = self._image.clock.now_ns() + self._write_gap_ns
            gap_s = self._write_gap_ns / NS_PER_S
            asyncio.get_running_loop().call_later(gap_s + AFTER_GAP_S, self._write_bell.ring)

    def _ask(self) -> Request | None:
        """The write that is due at this moment, with the order that is live at this moment."""
        if self._image.clock.now_ns() < self._next_write_ns:
            return None
        if self._silence.lasts and (self._write_failed_last or not self._silence.may_ask):
            return None
        order = self._image.order(self.id)
        if order is None or not self._may_ask():
            return None
        setting = None if self._silence.lasts or self._owes_again else self._arming.due()
        if self._due(order) and (setting is None or not self._rises):
            self._offered = order
            try:
                return write_of(self.id, self._charger.unit, self._profile, order.ma)
            except ValueError as error:
                raise BadValueError(f"{self.id}: {error}", line=self._bus.url) from error
        self._offered = None
        return setting

    @property
    def _owes_again(self) -> bool:
        """Whether something else than was written is in force, and nothing was written since.

        After a reboot its setpoint goes first: whatever else is written may delay it.
        """
        return self._astray_ns is not None and self._taken_ns <= self._astray_ns

    @property
    def _rises(self) -> bool:
        """Whether the write that is due may wait until the charger can be relied upon alone."""
        return self._taken is not None and self._rank() is Rank.INCREASE

    def _owes_write(self) -> bool:
        """Whether a write is to be tried before the next poll: in a silence, and where a poll
        could take it out of its fallback, back to what it was told before."""
        if not self._may_write or not (self._silence.lasts or self._left_alone):
            return False
        order = self._image.order(self.id)
        return order is not None and self._due(order)

    def _due(self, order: Order) -> bool:
        if self._taken is None or (order.tick, order.ma) != (self._taken.tick, self._taken.ma):
            return True
        since_ns = self._image.clock.now_ns() - self._taken_ns
        if since_ns < REPEAT_NS:
            return False
        lapsed = self._any_traffic and (self._lapse.possible or self._left_alone)
        if self._astray_ns is not None or lapsed:
            return True
        if self._watchdog_ns is None or (self._any_traffic and self._polls_feed):
            return False
        if since_ns < self._watchdog_ns // 3:
            return False
        return self._image.turn.fresh  # the same order again only feeds

    @property
    def _left_alone(self) -> bool:
        """Whether any traffic feeds its watchdog, and there was none for as long as that runs."""
        if not self._any_traffic or self._watchdog_ns is None or self._lapse.heard_ns is None:
            return False
        last_ns = max(self._lapse.heard_ns, self._taken_ns)
        return self._image.clock.now_ns() - last_ns >= self._watchdog_ns

    @property
    def _polls_feed(self) -> bool:
        """Whether its watchdog, fed by any traffic, needs no writes for it beside the polls."""
        return self._watchdog_ns is not None and 3 * self._quiet_ns <= self._watchdog_ns

    def _rank(self) -> Rank:
        if self._silence.lasts:
            return Rank.CHARGER
        order = self._image.order(self.id)
        taken_ma = None if self._taken is None else self._taken.ma
        known_ma = [ma for ma in (taken_ma, self._in_force_ma) if ma is not None]
        if order is not None and known_ma and order.ma >= max(known_ma):
            return Rank.INCREASE
        return Rank.REDUCTION
