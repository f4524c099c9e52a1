"""What a charger was told last, what it shows to be in force, and whether it must be told again.

Time is handed in; nothing here knows a line or a clock.
"""

from controller.document.devices import Charger
from controller.image import Order
from controller.units import NS_PER_S, amperes_text
from drivers.chargerprofile import ChargerProfile
from drivers.feeding import every_ns
from drivers.lapse import Lapse
from drivers.reader import Sample
from drivers.report import time_left_ns, time_set_ns
from drivers.retries import Repeats
from drivers.setpoint import as_written_ma

REPEAT_NS = NS_PER_S  # least time between two acknowledged writes of one order


class Standing:
    """Of one charger."""

    def __init__(self, charger: Charger, profile: ChargerProfile) -> None:
        watchdog = profile.watchdog
        self.any_traffic = watchdog.kind == "any_traffic"
        self.lapse = Lapse(any_traffic=self.any_traffic, timeout_ns=charger.bus.timeout_ns)
        self.taken: Order | None = None  # acknowledged last, all of it
        self.taken_ns = 0
        self.in_force_ma: int | None = None  # as read last
        self._sent_ma: int | None = None  # the most that left for it since; some may stand there
        self.astray_ns: int | None = None  # since when something else than `taken` is in force
        self.enabled = False  # it was, by the last write, and nothing was astray since
        self.off = False  # its watchdog, as it shows
        self._written: tuple[int | None, int] = None, 0  # an order, and how it is written
        self._charger = charger
        self._profile = profile
        self._feeds_apart = watchdog.feeds_apart
        # Whether its own watchdog may have run out is to be found out, for it does not show it.
        self._runs_unseen = watchdog.runs and watchdog.remaining is None
        # As declared; where nobody may rely upon it, as it is delivered; or less, by what is left.
        self._stated_ns = charger.fallback_delay_ns or watchdog.timeout_ns or None
        self._watchdog_ns = self._stated_ns  # the shorter of that and of what is set in it
        self._quiet_ns = charger.poll_ns - profile.reading_ns  # between two polls
        # Where writing its order wears a memory out:
        longest_ns = profile.order_wears_ns
        self._repeats = None if longest_ns is None else Repeats(longest_ns)
        # Where it is fed apart:
        self._fed_ns: int | None = None  # last
        self._unfed = False  # it was told after its watchdog may have run out, and not fed since
        self._again = False  # it was fed then, and is to be told again

    # What it says.

    def report(self, sample: Sample) -> None:
        """Before what is in force is made of the same sample."""
        set_ns = time_set_ns(self._profile, sample)
        self.off = set_ns == 0
        if set_ns is not None:
            known_ns = (set_ns, self._stated_ns)
            self._watchdog_ns = min((each for each in known_ns if each), default=None)
        self.lapse.report(sample.at_ns, self._watchdog_ns)

    def compare(self, taken: Order, sample: Sample) -> str | None:
        """Whether what was written is in force, and for how long the charger keeps it."""
        left_ns = time_left_ns(self._profile, sample)
        if left_ns and self._stated_ns is not None and self._watchdog_ns is not None:
            shown_ns = left_ns + sample.at_ns - self.taken_ns
            self._stated_ns = min(self._stated_ns, shown_ns)
            self._watchdog_ns = min(self._watchdog_ns, shown_ns)
        if self._written[0] != taken.ma:  # the same order is read back again and again
            self._written = taken.ma, as_written_ma(self._profile, taken.ma)
        astray = self.in_force_ma not in (None, self._written[1])
        if self._repeats is not None and self.in_force_ma is not None:
            self._repeats.seen(sample.at_ns, self.in_force_ma, self._written[1])
        if not astray:
            self.astray_ns = None
            return None
        if self.astray_ns is None:
            self.astray_ns = sample.at_ns
            self.enabled = False
        if sample.at_ns - self.astray_ns < self._charger.settle_ns:
            return None
        assert self.in_force_ma is not None
        return (
            f"{amperes_text(taken.ma)} A was written, "
            f"but {amperes_text(self.in_force_ma)} A stays in force"
        )

    # What it was told.

    def sent(self, ma: int) -> None:
        """A write of an order of so much may have arrived, be it one of several or unanswered."""
        self._sent_ma = ma if self._sent_ma is None else max(ma, self._sent_ma)

    def took(self, order: Order, at_ns: int, asked_ns: int) -> None:
        """All that had to be written for it was acknowledged, the last of it at `at_ns`, which was
        sent no earlier than `asked_ns`."""
        if self._repeats is not None and self.taken is not None:
            if order.ma < self.taken.ma:
                self._repeats.forget()  # and is told again soon, where it is not in force
            elif order.ma == self.taken.ma and (
                self.astray_ns is not None or self._lapsed(asked_ns)
            ):
                self._repeats.repeated()
        self.taken, self.taken_ns, self._sent_ma = order, at_ns, None
        self.enabled = as_written_ma(self._profile, order.ma) > 0
        if not self._feeds_apart:
            self.lapse.fed(asked_ns)
            self.lapse.written()
        elif self._again:
            self._again = False
            self.lapse.written()
        else:
            self._unfed = self._lapsed(asked_ns)

    def fed(self, asked_ns: int) -> None:
        """Its watchdog was, apart from its setpoint, and after the order that it has; not before
        `asked_ns`.

        Where it may have run out before, its order is written once more: nobody knows which of
        the two takes it out of its fallback.
        """
        if self._lapsed(asked_ns):
            self._again = self.lapse.possible = True
        self._unfed = False
        self._fed_ns = asked_ns
        self.lapse.fed(asked_ns)

    # What it must be told.

    def due(self, order: Order, now_ns: int, fresh: bool) -> bool:
        """Whether that order is to be written; `fresh`: turns are completed."""
        if self.taken is None or (order.tick, order.ma) != (self.taken.tick, self.taken.ma):
            return True
        since_ns = now_ns - self.taken_ns
        if since_ns < REPEAT_NS or (self._repeats is not None and not self._repeats.may(since_ns)):
            return False
        lapsed = self._must_hear_again(now_ns)
        if lapsed:
            self.enabled = False  # some want that said again, too
        if self.astray_ns is not None or (lapsed and self.any_traffic):
            return True
        return fresh and (lapsed or self._feeds_by_now(since_ns))  # the same again only feeds

    def rises(self, order: Order) -> bool:
        """Whether nothing that may be in force is more: else it is a reduction, to be sure."""
        taken_ma = None if self.taken is None else self.taken.ma
        if taken_ma is None and self.in_force_ma is None:
            return False  # whatever was sent, more may be in force
        known = [ma for ma in (taken_ma, self.in_force_ma, self._sent_ma) if ma is not None]
        return order.ma >= max(known)

    def feed_due(self, now_ns: int) -> bool:
        """Whether its watchdog is to be fed by a write of its own. Ask when no order is due."""
        if not self._feeds_apart or self.taken is None or self.off:
            return False
        if self._fed_ns is None or self._unfed:
            return True
        if self._lapsed(now_ns) and not self._again:
            return False  # told first, once that may be
        each_ns = every_ns(self._profile, self._watchdog_ns)
        return each_ns is not None and now_ns - self._fed_ns >= each_ns

    def feed_overdue(self, now_ns: int) -> bool:
        """Whether that waited for twice as long, and nothing but a reduction may go before it."""
        each_ns = every_ns(self._profile, self._watchdog_ns)
        if self._fed_ns is None or each_ns is None or self._lapsed(now_ns):
            return False
        return self.feed_due(now_ns) and now_ns - self._fed_ns >= 2 * each_ns

    @property
    def owes_again(self) -> bool:
        """Whether something else than was written is in force, and nothing was written since.

        After a reboot its setpoint goes first: whatever else is written may delay it.
        """
        return self.astray_ns is not None and self.taken_ns <= self.astray_ns

    def left_alone(self, now_ns: int) -> bool:
        """Whether any traffic feeds its watchdog, and there was none for as long as that runs."""
        if not self.any_traffic or self._watchdog_ns is None or self.lapse.heard_ns is None:
            return False
        last_ns = max(self.lapse.heard_ns, self.taken_ns)
        return now_ns - last_ns >= self._watchdog_ns

    def _feeds_by_now(self, since_ns: int) -> bool:
        """Whether its setpoint feeds its watchdog, and was written so long ago."""
        if self._watchdog_ns is None or self._feeds_apart or self._polls_feed:
            return False
        return since_ns >= self._watchdog_ns // 3

    def _must_hear_again(self, now_ns: int) -> bool:
        """Whether its watchdog may have run out since it was told, and it does not show that."""
        if not self._runs_unseen:
            return False
        if self.any_traffic:
            return self.lapse.possible or self.left_alone(now_ns)
        return self._lapsed(now_ns) and not self._unfed  # one that was told is fed first

    def _lapsed(self, now_ns: int) -> bool:
        time_ns = self._watchdog_ns
        passed = time_ns is not None and self.lapse.may_have_passed(now_ns, time_ns)
        return self.lapse.possible or passed

    @property
    def _polls_feed(self) -> bool:
        """Whether any traffic feeds its watchdog, and it needs no writes beside the polls."""
        if not self.any_traffic or self._watchdog_ns is None:
            return False
        spare = 3 if self._repeats is None else 2  # each write beside them would wear it out
        return spare * self._quiet_ns <= self._watchdog_ns
