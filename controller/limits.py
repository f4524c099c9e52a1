"""The rules of `limit/<source>`: what a message must be to become a lease in the kernel.

A limit only ever lowers. It is taken when it is whole, in range, from a known source for that
source's own circuit, from the present link session, and newer than the last one; otherwise it
is refused with a sentence that says why, and what was known stays in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isqrt
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from cext.check import MOST_MA
from cext.rows import NEVER_NS, Phases
from controller.clock import WallClock
from controller.image import Clock
from controller.limit_message import LimitMessage, Unlimited
from controller.strictjson import JsonError, loads
from controller.units import NS_PER_S, less, nanoseconds
from controller.wire import LIMIT_BYTES, complaints

if TYPE_CHECKING:
    from controller.site import Site
    from controller.tables import Tables

MAX_A = 100_000
MAX_KW = 100_000
MAX_TTL_S = 31 * 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RefusedLimitError(Exception):
    """A limit message that is not taken. `code` is one word, `reason` a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Source:
    """A limit source of the site document, as far as its messages are concerned."""

    id: str
    slot: int
    circuit: str
    rating_ma: Phases
    nominal_mv: int  # line to line
    lease_ns: int
    reserve_ma: Phases = (0, 0, 0)  # kept free below its limits
    contact: str | None = None  # the input that alone speaks for it


@dataclass(frozen=True, slots=True)
class Lease:
    """A limit as the kernel holds it; `limit_ma` None is "unlimited"."""

    limit_ma: Phases | None
    limit_until_ns: int
    alive_until_ns: int


@dataclass(frozen=True, slots=True)
class Taken:
    """An accepted limit, with what its sender should know about it."""

    source: str
    circuit: str
    lease: Lease
    left_s: float
    remarks: tuple[str, ...]


class Slots(Protocol):
    """The part of the kernel that limits go to."""

    def set_limit(
        self, slot: int, limit_ma: Phases | None, limit_until_ns: int, alive_until_ns: int
    ) -> None: ...


class Limits:
    """Takes or refuses limit messages, and knows the last one of each source."""

    def __init__(
        self, sources: Sequence[Source], slots: Slots, clock: Clock, wall: WallClock
    ) -> None:
        self._sources = {source.id: source for source in sources}
        self._by_contact = {source.contact: source for source in sources if source.contact}
        self._slots = slots
        self._clock = clock
        self._wall = wall
        self._nonce: str | None = None
        self._counted: str | None = None  # the session that `_newest` belongs to
        self._newest: dict[str, tuple[int, int]] = {}
        self._leases: dict[str, Lease] = {}

    @property
    def sources(self) -> Sequence[Source]:
        return list(self._sources.values())

    @property
    def leases(self) -> dict[str, Lease]:
        """The last lease of each source, over or not."""
        return dict(self._leases)

    @property
    def session(self) -> str | None:
        """The nonce of the link's present session with the broker."""
        return self._nonce

    def open_session(self, nonce: str | None) -> None:
        """Another nonce voids all that was sent before; None is no session.

        Sequences begin anew with each session, so that no source is locked out for ever by
        one wrong number: what was queued earlier is kept out by the nonce.
        """
        if nonce not in (None, self._counted):
            self._newest.clear()
            self._counted = nonce
        self._nonce = nonce

    def receive(self, source_id: str, text: str) -> Taken:
        """Hands a good message to the kernel. Raises RefusedLimitError."""
        message = parse(text)
        _check_range(message)
        source = self._sources.get(source_id)
        if source is None:
            raise RefusedLimitError(
                "unknown_source", f"this site has no limit source {source_id!a}"
            )
        if source.contact is not None:
            raise RefusedLimitError(
                "not_by_message", f"for {source.id} speaks the contact {source.contact} alone"
            )
        if message.circuit != source.circuit:
            raise RefusedLimitError(
                "wrong_circuit", f"{source.id} limits {source.circuit}, not {message.circuit!a}"
            )
        self._check_order(source, message)
        taken = self._lease(source, message)
        self._newest[source.id] = (message.epoch, message.sequence)
        self._apply(source, taken.lease)
        return taken

    def take_contact(self, contact: str, at_ns: int, limit_ma: Phases | None) -> bool:
        """A contact seen still at `at_ns` renews its source, None: which asks for nothing; whether
        it asks for something else than before.

        Only the source that the site document gives to the contact: it speaks for no other.
        """
        source = self._by_contact[contact]
        before = self._leases.get(source.id)
        lease = Lease(limit_ma, NEVER_NS, at_ns + source.lease_ns)
        self._apply(source, lease)
        return before is None or before.limit_ma != lease.limit_ma

    def restore(self, source_id: str, circuit: str, lease: Lease) -> bool:
        """Goes on with a lease from before a restart; False when it fits no source any more."""
        source = self._sources.get(source_id)
        if source is None or source.circuit != circuit:
            return False
        self._apply(source, lease)
        return True

    def switch(self, sources: Sequence[Source], slots: Slots) -> None:
        """Another document: who stays with his circuit keeps his lease, no longer than it may be
        now; everybody else was never heard."""
        before, leases, newest = self._sources, self._leases, self._newest
        self._sources = {source.id: source for source in sources}
        self._by_contact = {source.contact: source for source in sources if source.contact}
        self._slots = slots
        self._leases, self._newest = {}, {}
        latest_ns = self._clock.now_ns()
        for source in sources:
            known = before.get(source.id)
            if known is None or known.circuit != source.circuit:
                continue
            if source.id in newest:
                self._newest[source.id] = newest[source.id]
            if (lease := leases.get(source.id)) is not None:
                alive_ns = min(lease.alive_until_ns, latest_ns + source.lease_ns)
                self._apply(source, Lease(lease.limit_ma, lease.limit_until_ns, alive_ns))

    def _apply(self, source: Source, lease: Lease) -> None:
        self._slots.set_limit(
            source.slot,
            None if lease.limit_ma is None else less(lease.limit_ma, source.reserve_ma),
            lease.limit_until_ns,
            lease.alive_until_ns,
        )
        self._leases[source.id] = lease

    def _check_order(self, source: Source, message: LimitMessage) -> None:
        if self._nonce is None or message.nonce != self._nonce:
            raise RefusedLimitError(
                "wrong_session", "the nonce is not that of the present session: read `status`"
            )
        epoch, sequence = self._newest.get(source.id, (-1, -1))
        if message.epoch < epoch:
            raise RefusedLimitError("old_epoch", f"epoch {message.epoch} is older than {epoch}")
        if message.epoch == epoch and message.sequence == sequence:
            raise RefusedLimitError("repeated", f"sequence {sequence} was already received")
        if message.epoch == epoch and message.sequence < sequence:
            raise RefusedLimitError(
                "out_of_order", f"sequence {message.sequence} comes after {sequence} was received"
            )

    def _lease(self, source: Source, message: LimitMessage) -> Taken:
        now_ns = self._clock.now_ns()
        remarks = []
        until_ns = NEVER_NS
        if message.until is not None and self._wall.trusted():
            left_ns = _utc_ns(message.until) - self._wall.utc_ns()
            if left_ns <= 0:
                raise RefusedLimitError("late", f"it ended {-left_ns / NS_PER_S:.1f} s ago")
            until_ns = min(now_ns + left_ns, NEVER_NS)
        elif message.until is not None:
            remarks.append("`until` is not used: this gateway's clock is not trusted")
        lease_ns = min(nanoseconds(message.ttl_s), source.lease_ns)
        limit_ma = _limit_ma(source, message)
        if limit_ma and any(map(int.__gt__, limit_ma, source.rating_ma)):
            remarks.append(f"above the rating of {source.circuit}, which stays")
        lease = Lease(limit_ma, until_ns, now_ns + lease_ns)
        left_s = (min(until_ns, lease.alive_until_ns) - now_ns) / NS_PER_S
        return Taken(source.id, source.circuit, lease, left_s, tuple(remarks))


def parse(text: str) -> LimitMessage:
    """Raises RefusedLimitError with every fault of the message's form."""
    try:
        return LimitMessage.model_validate(loads(text, max_bytes=LIMIT_BYTES))
    except JsonError as error:
        raise RefusedLimitError("malformed", str(error)) from error
    except ValidationError as error:
        raise RefusedLimitError("malformed", "; ".join(complaints(error))) from error


def _check_range(message: LimitMessage) -> None:
    """Raises RefusedLimitError. Comparisons are written so that NaN and huge integers fail them."""
    if message.kw is not None and not 0 <= message.kw <= MAX_KW:
        raise RefusedLimitError("out_of_range", f"kw: must be from 0 to {MAX_KW}")
    if isinstance(message.amps, tuple):
        for phase, amps in enumerate(message.amps, start=1):
            if not 0 <= amps <= MAX_A:
                raise RefusedLimitError("out_of_range", f"amps: L{phase} must be from 0 to {MAX_A}")
    if not 0 < message.ttl_s <= MAX_TTL_S:
        raise RefusedLimitError("out_of_range", f"ttl_s: must be above 0 and at most {MAX_TTL_S}")


def _limit_ma(source: Source, message: LimitMessage) -> Phases | None:
    """Whole mA, rounded down: a limit is never exceeded by rounding."""
    if message.kw is not None:
        # P = √3 · U · I for three equal phases; isqrt + 1 rounds √3 · U up.
        milliwatts = int(Decimal(repr(message.kw)) * 1_000_000)
        volts_times_sqrt3_mv = isqrt(3 * source.nominal_mv**2) + 1
        each_ma = min(milliwatts * 1_000 // volts_times_sqrt3_mv, MOST_MA)
        return each_ma, each_ma, each_ma
    if isinstance(message.amps, Unlimited):
        return None
    assert message.amps is not None
    l1, l2, l3 = (int(Decimal(repr(amps)) * 1_000) for amps in message.amps)
    return l1, l2, l3


def _utc_ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def sources_of(site: Site, tables: Tables) -> list[Source]:
    """The site's limit sources with their kernel slots."""
    circuits = {circuit.id: circuit for circuit in site.circuits}
    contacts = {contact.source: contact for contact in site.inputs}
    return [
        Source(
            id=source.id,
            slot=tables.slot_index[source.id],
            circuit=source.circuit,
            rating_ma=circuits[source.circuit].rating_ma,
            nominal_mv=circuits[source.circuit].nominal_v * 1_000,
            lease_ns=source.lease_ns,
            reserve_ma=circuits[source.circuit].reserve_ma,
            contact=contacts[source.id].id if source.id in contacts else None,
        )
        for source in site.limit_sources
    ]
