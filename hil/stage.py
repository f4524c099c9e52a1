"""What every bench sets up for a story: its site, the plant, the true caps, the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cext.plant import Car, Plant, PlantCharger
from cext.rows import NEVER_NS, Phases
from controller.facts import Profiles
from controller.hardware import build_plant, hardware
from controller.site import Site, parse
from hil.contacts import wires
from hil.story.expect import SLACK_S, Excess, Failure, Trace, excesses, judge
from hil.story.happenings import (
    BaseLoad,
    CarMax,
    ChargerTruth,
    Disobey,
    Limit,
    MeterTruth,
    Obey,
    Plug,
    Plugged,
    PowerCycle,
    SetBase,
    Unplug,
    Voltage,
)
from hil.story.measure import measure
from hil.story.script import Bench, Names, Story, check_names, chosen
from hil.story.truth import Truth
from hil.story.words import Event, Three

MA_PER_A = 1000
NS_PER_S = 1_000_000_000
PPM_PER_PCT = 10_000
SAMPLE_S = 0.1


def milliamps(three_a: Three) -> Phases:
    first, second, third = (round(value_a * MA_PER_A) for value_a in three_a)
    return first, second, third


def nanoseconds(duration_s: float) -> int:
    return round(duration_s * NS_PER_S)


@dataclass(slots=True)
class Outcome:
    """How a story went on a bench."""

    story: str
    bench: Bench
    trace: Trace
    failures: list[Failure]
    disputed: str = ""  # the first decision that the guard disputed
    broken: str = ""  # why the bench could not tell the story to its end
    measured: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    disturbed: bool = False  # the machine stalled for more than 50 ms
    tellings: int = 1  # how often it was told until it passed, or was given up
    last_words: str = ""  # ends of the logs of a story that failed

    @property
    def passed(self) -> bool:
        return not (self.failures or self.broken or self.disputed)

    @property
    def worst(self) -> list[Excess]:
        """Per circuit, over the whole run."""
        return excesses(self.trace)

    def as_json(self) -> dict[str, Any]:
        """The line that `python -m hil run --json` prints for a story."""
        failed = [failure.as_json() for failure in self.failures]
        if self.disputed:
            why = "the guard disputes no decision"
            failed.append({"kind": "guard", "why": why, "measured": self.disputed})
        if self.broken:
            failed.append({"kind": "bench", "why": "told to its end", "measured": self.broken})
        return {
            "story": self.story,
            "bench": self.bench,
            "passed": self.passed,
            "worst_over_a": max((excess.worst_a for excess in self.worst), default=0.0),
            "longest_over_s": max((excess.longest_s for excess in self.worst), default=0.0),
            "energy_kwh": round(self.trace.energy_kwh(), 3),
            "measured": self.measured,
            "disturbed": self.disturbed,
            "tellings": self.tellings,
            "failed": failed,
        }


class Stage:
    """A story's depot. Benches tell it of time and of what happens; it keeps the truth.

    Raises StoryError for names that the site does not know, DocumentError for the site.
    """

    def __init__(self, story: Story, profiles: Profiles) -> None:
        self.story = story
        self.document = story.site_document()
        self.site: Site = parse(self.document, profiles, f"{story.name}: site")
        self.circuits = [circuit.id for circuit in self.site.circuits]
        self.chargers = [charger.id for charger in self.site.chargers]
        meters = [meter.id for meter in self.site.meters]
        sources = [source.id for source in self.site.limit_sources]
        self.contactors = [contactor.id for contactor in self.site.contactors]
        inputs = [contact.id for contact in self.site.inputs]
        clamps = [clamp.id for clamp in self.site.clamps]
        buses = [bus.id for bus in self.site.buses]
        relays = [*self.contactors, *(switch.charger for switch in self.site.switches)]
        names = Names(
            *(self.circuits, meters, self.chargers, sources, relays, inputs, clamps, buses),
            wires=wires(self.site.inputs),
        )
        check_names(story, names)
        self.rows = self._hardware()
        self.plant: Plant = build_plant(self.site, story.seed, self.rows)
        self.truth = Truth(self.site)
        self.trace = Trace(self.circuits, self.chargers, self.contactors)
        self._begin_ns = 0
        self._caps_ma: list[Phases] = []  # as the plant has them

    def begin(self, now_ns: int) -> None:
        """The story's first instant: vehicles stand there, loads are on, meters show them."""
        self._begin_ns = now_ns
        for contact in self.site.inputs:
            self.dims(contact.id, contact.full_ma)
        self.plant.advance(now_ns)
        for base in self.story.base:
            self._set_base(base)
        for vehicle in self.story.vehicle:
            self._plug(vehicle)
        slow = {truth.id: truth for truth in self.story.meter}
        for meter in self.site.meters:
            truth = slow.get(meter.id, MeterTruth(id=meter.id))
            self.plant.set_meter(
                self.circuits.index(meter.circuit),
                nanoseconds(truth.lag_s),
                nanoseconds(truth.refresh_s),
            )
        self.sample(now_ns)

    def sample(self, now_ns: int) -> None:
        """Brings plant and true caps up to now, and takes a sample."""
        self.plant.advance(now_ns)
        caps_ma = self.truth.caps_ma(now_ns)
        if caps_ma != self._caps_ma:
            self._caps_ma = caps_ma
            for index, cap_ma in enumerate(caps_ma):
                self.plant.set_cap(index, cap_ma)
        self.trace.record(self.plant, (now_ns - self._begin_ns) / NS_PER_S)

    def dims(self, contact: str, limit_ma: Phases | None) -> None:
        """What a contact on the gateway's pins asks for, from now on; None: nothing."""
        row = next(each for each in self.site.inputs if each.id == contact)
        self.truth.ask(row.source, limit_ma)

    def publish(self, now_ns: int, limit: Limit) -> None:
        """A limit reached a link that was there to hear it: it counts from now."""
        until_ns = NEVER_NS if limit.until_s is None else now_ns + nanoseconds(limit.until_s)
        limit_ma = None if limit.limit_a is None else milliamps(limit.limit_a)
        self.truth.publish(now_ns, limit.source, limit_ma, nanoseconds(limit.ttl_s), until_ns)

    def happens(self, event: Event) -> bool:
        """Does what the depot itself does; False for what is the bench's to do."""
        match event:
            case SetBase():
                self._set_base(event)
            case Plug():
                self._plug(event)
            case Unplug():
                self._each(event.charger, self.plant.unplug)
            case CarMax(max_a=max_a):
                self._each(
                    event.charger, lambda i: self.plant.set_car_max(i, round(max_a * MA_PER_A))
                )
            case Voltage(percent=percent):
                self.plant.set_voltage(round(percent * PPM_PER_PCT))
            case PowerCycle():
                self._each(event.charger, self.plant.power_cycle)
            case Disobey() | Obey():
                obeys = isinstance(event, Obey)
                self._each(event.charger, lambda i: self.plant.set_obeys(i, obeys))
            case _:
                return False
        return True

    def outcome(self, bench: Bench) -> Outcome:
        failures = judge(self.trace, self.story.expect, SLACK_S[bench])
        ratings_ma = [circuit.rating_ma for circuit in self.site.circuits]
        alone_ma = [row.fallback_ma for row in self.rows]
        measured = measure(self.story, self.trace, ratings_ma, alone_ma)
        remarks = [each.sentence for each in self.site.derogations]
        name = self.story.name
        return Outcome(name, bench, self.trace, failures, measured=measured, remarks=remarks)

    def _hardware(self) -> list[PlantCharger]:
        rows = list(hardware(self.site))
        for truth in self.story.charger:
            for index in chosen(truth.charger, self.chargers):
                rows[index] = _as_it_is(rows[index], truth)
        return rows

    def _set_base(self, base: BaseLoad) -> None:
        self.plant.set_base(
            self.circuits.index(base.circuit),
            milliamps(base.load_a),
            round(base.noise_a * MA_PER_A),
        )

    def _plug(self, vehicle: Plugged) -> None:
        car = Car(
            max_ma=round(vehicle.max_a * MA_PER_A),
            phases=vehicle.phases,
            reaction_ns=nanoseconds(vehicle.reaction_s),
            energy_wh=round(vehicle.energy_kwh * 1000),
            taper_wh=round(vehicle.taper_kwh * 1000),
        )
        self._each(vehicle.charger, lambda index: self.plant.plug(index, car))

    def _each(self, patterns: Sequence[str], act: Callable[[int], None]) -> None:
        for index in chosen(patterns, self.chargers):
            act(index)


def _as_it_is(row: PlantCharger, truth: ChargerTruth) -> PlantCharger:
    """What a story says of the hardware goes before its document."""

    def stated(value_a: float | None, documented_ma: int) -> int:
        return documented_ma if value_a is None else round(value_a * MA_PER_A)

    watchdog_s = truth.watchdog_s
    return row._replace(
        max_ma=stated(truth.max_a, row.max_ma),
        fallback_ma=stated(truth.fallback_a, row.fallback_ma),
        power_on_ma=stated(truth.power_on_a, row.power_on_ma),
        watchdog_ns=row.watchdog_ns if watchdog_s is None else nanoseconds(watchdog_s),
        boot_ns=nanoseconds(truth.boot_s),
    )
