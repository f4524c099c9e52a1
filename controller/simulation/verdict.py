"""Whether a depot held: over its cap no longer than its controller needs to answer, and no oftener
than something happened that it had to answer."""

from __future__ import annotations

from dataclasses import dataclass

from controller.document.clamps import Clamp
from controller.document.devices import Meter
from controller.reaction import age_ns, written_ns
from controller.simulation.course import Course
from controller.site import Site
from controller.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Held:
    """One circuit through the day."""

    circuit: str
    cap_ma: int  # at the moment of its highest load against it
    most_ma: int
    most_at_s: float
    longest_ns: int  # over its cap without pause
    allowed_ns: int
    seconds_over: int  # in all
    causes: int  # steps of base load and arrivals below it

    @property
    def passed(self) -> bool:
        in_all_ns = self.seconds_over * NS_PER_S
        return self.longest_ns <= self.allowed_ns and in_all_ns <= self.causes * self.allowed_ns


def held(site: Site, course: Course) -> list[Held]:
    """In the site's order."""
    rows = []
    for index, circuit in enumerate(site.circuits):
        worst = max(course.minutes[index], key=lambda minute: minute.most_ma - minute.cap_ma)
        rows.append(
            Held(
                circuit.id,
                worst.cap_ma,
                worst.most_ma,
                worst.at_s,
                course.over[index].longest_ns,
                answer_ns(site, circuit.id),
                course.seconds_over[index],
                _causes(site, course, circuit.id),
            )
        )
    return rows


def answer_ns(site: Site, circuit: str) -> int:
    """From an excess to its end, at the longest: a reading that just missed it, its lag, a tick,
    and of the chargers below the slowest to be written and to follow."""
    inside = site.inside(circuit)
    eyes: list[Meter | Clamp] = [*site.meters, *site.clamps]
    eyes_ns = [age_ns(each) for each in eyes if each.circuit in inside]
    hands_ns = [
        written_ns(site, each) + each.settle_ns for each in site.chargers if each.circuit in inside
    ]
    return site.control.tick_ns + max(eyes_ns, default=0) + max(hands_ns, default=0)


def _causes(site: Site, course: Course, circuit: str) -> int:
    inside = site.inside(circuit)
    steps = sum(site.circuits[base.circuit].id in inside for base in course.day.base)
    return steps + sum(site.chargers[stay.charger].circuit in inside for stay in course.day.stays)
