"""Line 5 of the proof: how long an excess lasts until the depot has answered it.

Held against every `clear_within_s`, and against what the protective device carries. The worst case
of each step on the way: a reading that just missed the rise, its lag, the tick, a
charger that may not be written again yet, the line that is still waiting for another's reply, the
writes to the others on it, and the vehicle's own time. Whole nanoseconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cext.rows import Phases
from controller.curves import NEVER_NS, curve, trips_after_ns
from controller.document.circuits import Circuit
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.remedies import Late, Remedy, faster
from controller.site import Site
from controller.transition import Draws, peaks


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a circuit needs, and what it may take."""

    circuit: str
    source: str | None  # the limit source whose clear_within_s it is; None: the circuit's own
    device: str | None  # the protective device that trips after `allowed_ns`; None: clear_within_s
    measured_by: str | None  # the slowest that measures the circuit; None: nothing does
    detect_ns: int  # poll + lag of that one, and a tick
    write_ns: int  # pacing and the line's turn, of the slowest charger below
    follow_ns: int  # until the vehicle has followed, of the same charger; or its contactor
    slowest: str  # that charger
    contactor: str | None  # which opens before that charger could have answered
    allowed_ns: int
    step_ma: Phases  # the largest step of base load
    reserve_ma: Phases  # kept free for it
    peak_ma: Phases  # the most that flows then, whatever a source had asked for
    rating_ma: Phases
    remedies: tuple[Remedy, ...]

    @property
    def takes_ns(self) -> int:
        return self.detect_ns + self.write_ns + self.follow_ns

    @property
    def excess_ma(self) -> Phases:
        """Of a cap, the whole step; of what the device carries, what flows above the rating."""
        if self.device is None:
            return self.step_ma
        first, second, third = (
            max(0, peak - rating) for peak, rating in zip(self.peak_ma, self.rating_ma, strict=True)
        )
        return first, second, third

    @property
    def in_time(self) -> bool:
        return self.takes_ns <= self.allowed_ns

    @property
    def reserved(self) -> bool:
        """Whether a step of base load finds room whatever the chargers do.

        Where nothing measures, the whole worst-case base load is kept free all the time.
        """
        if self.measured_by is None:
            return True
        return all(map(int.__le__, self.step_ma, self.reserve_ma))

    @property
    def passed(self) -> bool:
        return self.in_time or self.reserved


class Answer(NamedTuple):
    """From a decision to the current that follows it."""

    charger: str
    write_ns: int
    follow_ns: int
    contactor: str | None

    @property
    def takes_ns(self) -> int:
        return self.write_ns + self.follow_ns


def reactions(site: Site) -> tuple[Reaction, ...]:
    """One for each circuit and limit source with a `clear_within_s` and chargers below; and one for
    each circuit whose protective device does not carry its largest step of base load for ever."""
    return tuple(_reactions(site))


def _reactions(site: Site) -> Iterator[Reaction]:
    circuits, draws = {circuit.id: circuit for circuit in site.circuits}, Draws(site)
    for circuit in site.circuits:
        if circuit.clear_within_ns is not None:
            yield from _reaction(site, circuit, None, circuit.clear_within_ns)
    for circuit in site.circuits:
        carried_ns = _carried_ns(site, draws, circuit)
        if carried_ns is not None:
            yield from _reaction(site, circuit, None, carried_ns, _device(circuit))
    for source in site.limit_sources:
        if source.clear_within_ns is not None:
            circuit = circuits[source.circuit]
            yield from _reaction(site, circuit, source.id, source.clear_within_ns)


def _carried_ns(site: Site, draws: Draws, circuit: Circuit) -> int | None:
    """How long its device carries the largest step of base load, from full load; None: for ever.

    One that nobody has stated carries no excess at all.
    """
    peaks_ma = peaks(site, circuit)
    found: list[int] = []
    for phase in range(3):
        if circuit.protection is None:
            after_ns = 0 if peaks_ma[phase] > circuit.rating_ma[phase] else None
        else:
            load = [(peaks_ma[phase], NEVER_NS)]
            before_ma = draws.before_ma(circuit, phase)
            after_ns = trips_after_ns(curve(circuit.protection), before_ma, load)
        if after_ns is not None:
            found.append(after_ns)
    return min(found, default=None)


def _device(circuit: Circuit) -> str:
    return "not stated" if circuit.protection is None else curve(circuit.protection).device


def _reaction(
    site: Site, circuit: Circuit, source: str | None, allowed_ns: int, device: str | None = None
) -> Iterator[Reaction]:
    inside = site.inside(circuit.id)
    chargers = [charger for charger in site.chargers if charger.circuit in inside]
    if not chargers:
        return  # nothing that could be lowered
    eye = _eye(site, circuit.id)
    detect_ns = _detect_ns(site, eye)
    left_ns = allowed_ns - detect_ns
    answers = [_answer(site, charger, source, left_ns) for charger in chargers]
    slowest = max(answers, key=lambda answer: answer.takes_ns)
    late = Late(
        circuit=circuit.id,
        source=source,
        measured_by=None if eye is None else eye.id,
        speaks=isinstance(eye, Clamp),
        poll_ns=0 if eye is None else _poll_ns(eye),
        takes_ns=detect_ns + slowest.takes_ns,
        allowed_ns=allowed_ns,
        step_ma=circuit.step_ma,
        slow=_slow(answers, left_ns),
        device=device,
    )
    yield Reaction(
        circuit=circuit.id,
        source=source,
        device=device,
        measured_by=late.measured_by,
        detect_ns=detect_ns,
        write_ns=slowest.write_ns,
        follow_ns=slowest.follow_ns,
        slowest=slowest.charger,
        contactor=slowest.contactor,
        allowed_ns=allowed_ns,
        step_ma=late.step_ma,
        reserve_ma=circuit.reserve_ma,
        peak_ma=peaks(site, circuit),
        rating_ma=circuit.rating_ma,
        remedies=faster(late),
    )


def answer_ns(site: Site, circuit: str) -> int:
    """From an excess to its end by setpoints alone, at the longest: what `takes_ns` is where no
    contactor opens first."""
    inside = site.inside(circuit)
    asked = (_asked(site, each).takes_ns for each in site.chargers if each.circuit in inside)
    return _detect_ns(site, _eye(site, circuit)) + max(asked, default=0)


def _eye(site: Site, circuit: str) -> Meter | Clamp | None:
    """The slowest that measures a circuit: a clamp may be all there is, or all that is left."""
    sources: list[Meter | Clamp] = [*site.meters, *site.clamps]
    return max((each for each in sources if each.circuit == circuit), key=age_ns, default=None)


def _detect_ns(site: Site, eye: Meter | Clamp | None) -> int:
    return site.control.tick_ns + (0 if eye is None else age_ns(eye))


def age_ns(source: Meter | Clamp) -> int:
    """How old a rise may be when its reading arrives."""
    return _poll_ns(source) + source.lag_ns


def _poll_ns(source: Meter | Clamp) -> int:
    return source.period_ns if isinstance(source, Clamp) else source.poll_ns


def _written_ns(site: Site, charger: Charger) -> int:
    """Until a decision has reached it: its own pacing, and what each on its line takes.

    An order may take several writes, which nothing parts but a meter, and each as long as a reply
    may. A meter there may have every second one (drivers.bus), and where others are on the line,
    one more is under way.
    """
    line = charger.bus.address
    exchanges = sum(each.facts.writes for each in site.chargers if each.bus.address == line)
    if any(each.bus.address == line for each in site.meters):
        exchanges *= 2
    if exchanges > 1:
        exchanges += 1
    return charger.facts.write_gap_ns + exchanges * charger.bus.timeout_ns


def _asked(site: Site, charger: Charger) -> Answer:
    return Answer(charger.id, _written_ns(site, charger), charger.settle_ns, None)


def _answer(site: Site, charger: Charger, source: str | None, left_ns: int) -> Answer:
    """By its setpoint; where that is too slow, by a contactor, if it may be opened for this."""
    asked = _asked(site, charger)
    if asked.takes_ns <= left_ns:
        return asked
    if source is not None and _kind(site, source) == "economic":
        return asked  # never goes beyond a pause
    opened = (
        Answer(charger.id, 0, each.opens_ns, each.id)
        for each in site.contactors
        if charger.id in each.chargers
    )
    return min([asked, *opened], key=lambda answer: answer.takes_ns)


def _kind(site: Site, source: str) -> str:
    return next(each.kind for each in site.limit_sources if each.id == source)


def _slow(answers: Sequence[Answer], left_ns: int) -> tuple[str, ...]:
    """Those that do not answer in what is left after the detection."""
    return tuple(answer.charger for answer in answers if answer.takes_ns > left_ns)
