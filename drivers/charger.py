"""A charger's driver: writes its orders, feeds its watchdog with them, and reports what it does.

Nothing but the order that is live at that moment is ever written. It is written when it is new,
when the charger says that something else is in force, and again when a third of the charger's
own watchdog time is over; where a register of its own feeds that, it is written instead, after the
order and while turns complete. Whether a write is due is asked when an order changed, and once in
each turn (controller.turn), by no timer: so the charger falls back by itself once decisions
stop. Where any traffic feeds the watchdog, nothing at all is sent to the charger, polls included,
unless all workers have taken a decision within the dead-man time.
"""

import asyncio
from functools import partial

from cext.rows import Vehicle
from controller.document.devices import Charger
from controller.image import ChargerReport, Order
from controller.units import NS_PER_S
from drivers.bell import Bell
from drivers.bus import Bus
from drivers.chargerprofile import ChargerProfile
from drivers.device import (
    ILLEGAL,
    BadValueError,
    BusFullError,
    CutError,
    DeviceError,
    NoConnectionError,
    ProcessImage,
    Rank,
    RefusedError,
    Request,
)
from drivers.health import DeviceHealth, Health
from drivers.reader import Reader, Sample
from drivers.report import (
    currents_ma,
    force_registers,
    in_force_ma,
    proven,
    remark,
    told_fallback_ma,
    vehicle,
)
from drivers.silence import SILENT, Silence
from drivers.telling import Telling, Then, What
from drivers.watts import seated
from drivers.wear import Wear

WRITES_MOST = 8  # at one go: an order takes four at most
AFTER_GAP_S = 0.001  # a timer may be early by its clock's resolution
UNSENT = (NoConnectionError, BusFullError, BadValueError)  # what was asked for never left


class ChargerDriver:
    """Polls on absolute instants and after each write; writes beside that, in the bus's order."""

    def __init__(
        self,
        charger: Charger,
        profile: ChargerProfile,
        bus: Bus,
        image: ProcessImage,
        write: bool,
        wear: Wear | None = None,
    ) -> None:
        """`wear` keeps how often what wears out was written; None: from now on alone."""
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
        self._telling = Telling(
            charger, profile, image.clock.now_ns, wear or Wear(image.clock.now_ns)
        )
        self._standing = self._telling.standing
        self._arming = self._telling.arming
        self._any_traffic = self._standing.any_traffic
        self._reader = Reader(
            charger.id,
            charger.unit,
            profile,
            bus,
            Rank.CHARGER,
            profile.reported,
            self._may_ask,
            self._standing.lapse.answered,
        )
        self._poll_bell = Bell(charger.id, charger.poll_ns / NS_PER_S)
        self._write_bell = Bell(charger.id, None)
        self._refusal: str | None = None  # why the last write failed
        self._hushed = False  # its last poll was refused, as nobody decided
        self._write_gap_ns = profile.pacing.write_gap_ns
        self._next_write_ns = 0  # it takes none before
        self._handed = False  # a write is under way

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
                if self._may_write:
                    group.create_task(self._obey())
                await self._watch()  # a task less: there are hundreds of chargers
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
            taken, armed = self._standing.taken, self._arming.writes
            silent = self._silence.lasts
            self._hushed = not self._may_ask()
            turn.busy(self._polling)  # the bus answers for it
            if self._any_traffic and not self._standing.lapse.reported:
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
        self._standing.lapse.reported = True
        self._standing.in_force_ma = in_force
        self._poll_bell.ring()

    def _found_ma(self, sample: Sample) -> int | None:
        """What it shows to be in force, or may be if it fell back."""
        lapsed, alone_ma = self._standing.lapse.possible, self._charger.alone_ma
        return in_force_ma(self._profile, sample, lapsed, alone_ma)

    def _post(self, taken: Order | None, armed: int, sample: Sample) -> str | None:
        self._telling.report(sample)
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
        self._standing.in_force_ma = in_force
        if armed == self._arming.writes:
            self._arming.read(sample)
        astray = None
        if taken is not None and taken is self._standing.taken:
            was_astray_ns = self._standing.astray_ns
            astray = self._standing.compare(taken, sample)
            if was_astray_ns is None and self._standing.astray_ns is not None:
                self._telling.drop()
                self._reader.forget()  # was it without power, and lost more than its setpoint?
        wrong = self._refusal or astray or self._arming.remark
        wrong = wrong or remark(self._charger, self._profile, sample)
        return "; ".join(filter(None, (wrong, self._telling.memory.remark()))) or None

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
                for _ in range(WRITES_MOST):
                    if not await self._write():
                        break
            except DeviceError as error:
                if not isinstance(error, UNSENT) or isinstance(error, CutError):
                    self._pace()
                    self._noted(stored=not isinstance(error, ILLEGAL))
                if isinstance(error, RefusedError) and not isinstance(error, SILENT):
                    never = isinstance(error, ILLEGAL)
                    self._telling.refused(self._image.clock.now_ns(), never=never)
                self._telling.drop()
                self._silence.failed(error)
                self._write_failed_last = True
                self._refusal = str(error)
                asyncio.get_running_loop().call_later(self._silence.left_s, self._poll_bell.ring)
            turn.taken(self.id, tick)

    async def _write(self) -> bool:
        """Writes what is due, if anything is; whether more of the same order remains, and may go
        at once. Raises DeviceError."""
        if self._ask() is None:
            return False
        self._image.turn.busy(self.id)  # the bus answers for it
        self._handed = False
        try:
            reply = await self._bus.exchange(self.id, self._rank, self._hand)
        except asyncio.CancelledError:
            if self._handed:
                self._noted()
            raise
        if reply is None:
            return False
        self._pace()
        self._silence.answered()
        self._standing.lapse.answered(reply.at_ns)
        self._noted()
        self._refusal = None
        match self._telling.acknowledged(reply.at_ns):
            case Then.MORE:
                return not self._write_gap_ns
            case Then.NOTHING:
                return False
            case Then.FEED:
                self._write_bell.ring()
        self._poll_bell.ring()
        return False

    def _noted(self, *, stored: bool = True) -> None:
        """What went out: what it shows may not be as it was."""
        self._telling.left(stored=stored)
        if self._telling.offered is What.SETTING:
            self._reader.forget()

    def _pace(self) -> None:
        """A write may have arrived: the next one waits, and goes out the moment that it may."""
        if self._write_gap_ns:
            self._next_write_ns = self._image.clock.now_ns() + self._write_gap_ns
            gap_s = self._write_gap_ns / NS_PER_S
            asyncio.get_running_loop().call_later(gap_s + AFTER_GAP_S, self._write_bell.ring)

    def _hand(self) -> Request | None:
        request = self._ask()
        self._handed = request is not None
        return request

    def _ask(self) -> Request | None:
        """The write that is due at this moment, with the order that is live at this moment."""
        now_ns = self._image.clock.now_ns()
        if now_ns < self._next_write_ns:
            return None
        silent = self._silence.lasts
        if silent and (self._write_failed_last or not self._silence.may_ask):
            return None
        order = self._image.order(self.id)
        if order is None or not self._may_ask():
            self._telling.drop()
            return None
        fresh = self._image.turn.fresh
        try:
            return self._telling.next(order, now_ns, fresh=fresh, silent=silent)
        except ValueError as error:
            raise BadValueError(f"{self.id}: {error}", line=self._bus.url) from error

    def _owes_write(self) -> bool:
        """Whether a write is to be tried before the next poll: in a silence, if it waits for
        nothing else, and where a poll could take it out of its fallback, back to what it was told
        before."""
        left_alone = self._standing.left_alone(self._image.clock.now_ns())
        if not self._may_write or not (self._silence.lasts or left_alone):
            return False
        order = self._image.order(self.id)
        now_ns, fresh = self._image.clock.now_ns(), self._image.turn.fresh
        owed = self._telling.due if left_alone else self._telling.ready
        return order is not None and owed(order, now_ns, fresh=fresh)

    def _rank(self) -> Rank:
        if self._silence.lasts:
            return Rank.CHARGER
        return self._telling.rank(self._image.order(self.id))
