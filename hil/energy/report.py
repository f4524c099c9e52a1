"""Both fleet days under everybody, judged and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from controller.units import seconds_text
from hil.energy.account import PARTS, WORDS, Account
from hil.energy.course import Course
from hil.energy.day import DAYS, Day, S
from hil.energy.optimum import optimum_mwh
from hil.energy.ours import loadkeeper
from hil.energy.policies import POLICIES, follow

OURS = "Loadkeeper"
TICKS_AND_WRITES_S = 0.3


@dataclass
class Told:
    """One day."""

    day: Day
    optimum_mwh: float
    account: Account
    courses: dict[str, Course] = field(default_factory=dict)  # the product's first

    @property
    def seconds(self) -> int:
        return len(self.courses[OURS].load_ma)

    def percent(self, name: str) -> float:
        return 100 * self.courses[name].energy_mwh / self.optimum_mwh

    def rest(self) -> list[tuple[str, float]]:
        """What the product did not charge, in % of what the cap left at the grid connection."""
        account = self.account
        return [(part, 100 * getattr(account, part) / account.headroom) for part in PARTS]

    def wrong(self) -> str:
        """What makes the figure void: a cap not kept, or no calm. Empty: nothing."""
        ours, site = self.courses[OURS], self.day.site
        for circuit, worst_ma, longest_s in zip(
            site.circuits, ours.worst_ma, ours.longest_s, strict=True
        ):
            if longest_s > self.reaction_s:
                return (
                    f"{circuit.id} was over its cap for {longest_s:g} s, by {worst_ma / 1000:g} A; "
                    f"a reaction takes {self.reaction_s:g} s"
                )
        if ours.median_moves > 1:
            return f"a setpoint moved {ours.median_moves:g} times a minute (median)"
        if ours.flaps:
            return f"{ours.flaps} vehicles that wanted to charge were paused"
        if ours.short_s:
            return f"in {ours.short_s} s of the congested hours there was room for everybody"
        return ""

    @property
    def reaction_s(self) -> float:
        """To a step of the base load: a poll, the meter's lag, tick and write, the vehicle."""
        slowest_ns = max(visit.car.reaction_ns for visit in self.day.visits)
        poll_ns = max(meter.poll_ns for meter in self.day.site.meters)
        return (slowest_ns + poll_ns) / S + self.day.lag_s + TICKS_AND_WRITES_S


def tell(days: Sequence[Day] = DAYS) -> list[Told]:
    told = []
    for day in days:
        ours, account = loadkeeper(day)
        courses = {OURS: ours}
        courses |= {name: follow(day, policy) for name, policy in POLICIES.items()}
        told.append(Told(day, optimum_mwh(day), account, courses))
    return told


def table(told: Sequence[Told]) -> Iterator[str]:
    """Lines for people."""
    for each in told:
        yield (
            f"The {each.day.name} day: noise {each.day.sigma_ppm / 10_000:g} % of the rating, "
            f"lag {seconds_text(round(each.day.lag_s * S))} s, steps of {each.day.step_a:g} A. "
            f"Optimum: {each.optimum_mwh / 1e6:.0f} kWh in the congested hours."
        )
        yield (
            f"  {'':24}{'kWh':>7}{'of optimum':>12}{'over by A':>11}{'for s':>7}"
            f"{'moves/min':>11}{'mean':>7}{'paused':>8}"
        )
        for name, course in each.courses.items():
            yield (
                f"  {name:24}{course.energy_kwh:7.0f}{each.percent(name):10.2f} %"
                f"{max(course.worst_ma) / 1000:11.1f}{max(course.longest_s):7.2f}"
                f"{course.median_moves:11g}{course.mean_moves:7.2f}{course.flaps:8}"
            )
        yield "  where the rest went, in % of what the cap left:"
        for part, percent in each.rest():
            yield f"    {percent:6.2f}  {WORDS[part]}"
