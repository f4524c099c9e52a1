"""Whether a depot held: over its cap no longer than its controller needs to answer, and only where
the base load had just risen, by no more than it rose."""

from __future__ import annotations

from dataclasses import dataclass

from controller.reaction import answer_ns
from controller.simulation.course import Course
from controller.site import Site


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
    unexplained_s: int  # of those: after no step of base load, or above what it rose by

    @property
    def passed(self) -> bool:
        return self.longest_ns <= self.allowed_ns and not self.unexplained_s


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
                course.unexplained[index],
            )
        )
    return rows
