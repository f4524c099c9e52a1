"""Where a charger hangs, by which meters followed its steps; does the document say so? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cext.rows import NO_PHASE
from controller.document.clamps import Clamp
from controller.document.devices import Charger, Meter
from controller.site import Site
from controller.units import PPM, amperes_text
from drivers.finding import Finding, Weight, entry
from drivers.pattern import Motion, Slope, slope
from drivers.variation import Course, most_ma

ALIKE = (0.85, 1.15)  # a step seen so is seen whole
FOLLOWS_MA = 1_500  # its own current must change by so much
NAMES = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one source showed of the steps."""

    source: Meter | Clamp
    slopes: tuple[Slope | None, ...]  # by grid phase, as the document places them

    @property
    def moved(self) -> tuple[int, ...]:
        return self._those(Motion.MOVED)

    @property
    def open(self) -> tuple[int, ...]:
        """Phases of which nobody can tell."""
        unknown = [i for i, each in enumerate(self.slopes) if each is None]
        return (*self._those(Motion.UNKNOWN), *unknown)

    @property
    def section(self) -> str:
        return "meter" if isinstance(self.source, Meter) else "clamp"

    def _those(self, motion: Motion) -> tuple[int, ...]:
        return tuple(i for i, s in enumerate(self.slopes) if s is not None and s.motion is motion)

    def ratio(self) -> float:
        """How much of the step it showed, on the phases that moved."""
        ratios = [each.ratio for i in self.moved if (each := self.slopes[i]) is not None]
        return sum(ratios) / len(ratios)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was learnt of one charger."""

    terminals: tuple[int, ...] | None  # that its own current moved at; None: it does not tell
    seen: tuple[Seen, ...]
    path: frozenset[str]  # circuits that should see it

    @property
    def settled(self) -> bool:
        """More rounds would tell nothing new."""
        return not any(each.open for each in self.seen)


def answer_of(site: Site, charger: Charger, course: Course, step_ma: int) -> Answer:
    """Slopes of all sources over the charger's own steps, or over what it was told."""
    own = [most_ma(each) for each in course.own]
    told = [float(step_ma if stepped else 0) for stepped in course.stepped]
    steps = told if None in own else [float(each or 0) for each in own]
    terminals = None if None in own else _terminals(course, told)
    sources: tuple[Meter | Clamp, ...] = (*site.meters, *site.clamps)
    seen = tuple(
        Seen(
            source,
            tuple(slope(steps, [grid[i] for grid in course.shown[source.id]]) for i in range(3)),
        )
        for source in sources
    )
    return Answer(terminals, seen, path_of(site, charger.circuit))


def _terminals(course: Course, told: list[float]) -> tuple[int, ...]:
    """Those whose own current followed what was told."""
    found = []
    span = max(told) - min(told)
    for i in range(3):
        its = slope(told, [None if each[i] is None else float(each[i] or 0) for each in course.own])
        if its is not None and its.motion is Motion.MOVED and abs(its.ratio * span) >= FOLLOWS_MA:
            found.append(i)
    return tuple(found)


def path_of(site: Site, circuit: str) -> frozenset[str]:
    """A circuit and all above it."""
    return frozenset(each.id for each in site.circuits if circuit in site.inside(each.id))


def conclusions(site: Site, charger: Charger, answer: Answer) -> Iterator[Finding]:
    """Whether the document says what was seen, and what to mend where it does not."""
    if answer.terminals == ():
        what = "its own current does not follow what it is told"
        mend = "the vehicle is full or limits itself, or the charger obeys somebody else"
        yield Finding(charger.id, "follows", Weight.UNSEEN, f"cannot tell: {what}", mend)
        return
    for each in answer.seen:
        if each.open:
            yield _cannot_tell(each)
    moved = [each for each in answer.seen if each.moved]
    inside = [each for each in moved if each.source.circuit in answer.path]
    outside = [each for each in moved if each.source.circuit not in answer.path]
    absent = [
        each
        for each in answer.seen
        if each.source.circuit in answer.path and not each.moved and not each.open
    ]
    if outside:
        yield _elsewhere(site, charger, outside, absent)
        return
    if not inside:
        if absent:
            yield _nowhere(charger, absent)
        return
    for each in absent:
        yield _missed(charger, each, inside)
    yield from _directions(inside)
    yield from _phases(charger, answer, inside)
    if not absent:
        names = ", ".join(dict.fromkeys(each.source.circuit for each in inside))
        what = f"hangs below {names}: as documented"
        yield Finding(charger.id, "circuit", Weight.FINE, what)


def _cannot_tell(seen: Seen) -> Finding:
    phases = " ".join(NAMES[i] for i in sorted(seen.open))
    rests = [each.rest for i in seen.open if (each := seen.slopes[i]) is not None]
    if rests:
        rest = amperes_text(round(max(rests) / 100) * 100)
        why = f"other loads there moved by about {rest} A meanwhile"
        mend = "run it again when they are calm, or with --step of a few amperes more"
    else:
        why = "it was not heard all the time"
        mend = "see `loadkeeper check SITE --live`"
    what = f"cannot tell about {seen.source.id} {phases}: {why}"
    return Finding(seen.source.id, "unknown", Weight.UNSEEN, what, mend)


def _elsewhere(site: Site, charger: Charger, outside: list[Seen], absent: list[Seen]) -> Finding:
    """It moves meters that should not see it: the deepest of them is the place."""
    depth = {each.id: len(path_of(site, each.id)) for each in site.circuits}
    there = max((each.source.circuit for each in outside), key=lambda circuit: depth[circuit])
    others = [each.id for each in site.chargers if each.circuit == there]
    what = f"hangs on {there}, and the document says {charger.circuit}"
    if absent:
        what += f" ({', '.join(each.source.id for each in absent)} did not move)"
    mend = f'write circuit = "{there}"'
    if others:
        mend += (
            f"; or its address is another charger's: `loadkeeper identify` of "
            f"{', '.join(others)} shows whether one of them hangs on {charger.circuit}, then "
            "exchange their bus and unit"
        )
    where = entry("charger", charger.id, "circuit; or bus, unit")
    return Finding(charger.id, "circuit", Weight.WRONG, what, mend, where)


def _nowhere(charger: Charger, absent: list[Seen]) -> Finding:
    names = ", ".join(each.source.id for each in absent)
    what = f"no meter moved with it, {names} neither"
    mend = (
        "the charger is not below them, or their transformers are not around this feeder: look at "
        "which charger it is that you see change"
    )
    where = entry("charger", charger.id, "circuit; or bus, unit")
    return Finding(charger.id, "circuit", Weight.WRONG, what, mend, where)


def _missed(charger: Charger, absent: Seen, inside: list[Seen]) -> Finding:
    names = ", ".join(each.source.id for each in inside)
    what = f"{absent.source.id} does not see {charger.id}, and {names} does"
    mend = f"its transformers sit elsewhere than on {absent.source.circuit}, or {charger.id} does"
    where = f"{entry(absent.section, absent.source.id, 'circuit')}; or "
    where += entry("charger", charger.id, "circuit")
    return Finding(absent.source.id, "missed", Weight.WRONG, what, mend, where)


def _directions(inside: list[Seen]) -> Iterator[Finding]:
    """Each step must show as it is: in its direction, and whole."""
    for each in inside:
        ratio, id_ = each.ratio(), each.source.id
        if ratio < 0 and isinstance(each.source, Meter):
            what = f"{id_} shows each step the other way round"
            turned = str(not each.source.reversed).lower()
            mend = f"turn its transformers round, or write reversed = {turned}"
            where = entry("meter", id_, "ct.reversed")
            yield Finding(id_, "ct_reversed", Weight.WRONG, what, mend, where)
        elif not ALIKE[0] <= abs(ratio) <= ALIKE[1]:
            right = each.source.ratio_ppm / PPM / abs(ratio)
            what = f"{id_} shows {abs(ratio):.2f} times each step"
            mend = f"its transformers are others than documented: write ratio = {right:.3g}"
            where = entry(each.section, id_, "ct.ratio")
            yield Finding(id_, "ct_ratio", Weight.WRONG, what, mend, where)


def _phases(charger: Charger, answer: Answer, inside: list[Seen]) -> Iterator[Finding]:
    """Which phases moved, and which of meter and charger is wired otherwise."""
    wired = [phase for phase in charger.phases if phase != NO_PHASE]
    terminals = answer.terminals
    if terminals is None:
        expected = None
    else:
        expected = frozenset(charger.phases[t] for t in terminals) - {NO_PHASE}
    told = [each for each in inside if not each.open]
    if not told:
        return
    if expected is None or len(expected) == len(wired) == 3:
        if any(len(each.moved) < 3 for each in told) and expected is not None:
            yield _other_phases(charger, told, expected, terminals or ())
            return
        what = "its order of phases cannot be told with what this vehicle draws"
        mend = "use a vehicle that charges on one phase"
        yield Finding(charger.id, "rotation", Weight.UNSEEN, what, mend)
        return
    if all(frozenset(each.moved) == expected for each in told):
        names = " ".join(NAMES[i] for i in sorted(expected))
        what = f"its terminal {_terminal_text(terminals)} is on {names}: as documented"
        yield Finding(charger.id, "phases", Weight.FINE, what)
    else:
        yield _other_phases(charger, told, expected, terminals or ())


def _other_phases(
    charger: Charger, told: list[Seen], expected: frozenset[int], terminals: tuple[int, ...]
) -> Finding:
    """All meters agree: the charger is wired so. Some do: the others are."""
    there = {frozenset(each.moved) for each in told}
    fit = [each for each in told if frozenset(each.moved) == expected]
    others = [each for each in told if frozenset(each.moved) != expected]
    seen = "; ".join(f"{each.source.id} moved on {_names(each.moved)}" for each in told)
    what = f"{seen}; the document says {_names(sorted(expected))}"
    if fit:
        id_ = others[0].source.id
        mend = "its transformers sit on other phases: change over those that do"
        where = entry(others[0].section, id_, "ct.phases")
        return Finding(id_, "ct_phases", Weight.WRONG, what, mend, where)
    where = entry("charger", charger.id, "phases")
    mend = "it is wired otherwise"
    if len(there) == 1 and len(terminals) == 1:
        phase = next(iter(there.copy().pop()))
        turned = [NAMES[(phase + i - terminals[0]) % 3] for i in range(3)]
        mend = f"its terminal {terminals[0] + 1} is on {NAMES[phase]}: write phases = "
        mend += f'"{" ".join(turned)}" where it is rotated'
    if len(told) == 1:
        mend += (
            f"; or {told[0].source.id}'s transformers are (ct.phases): then the other chargers "
            "below it show the same"
        )
    return Finding(charger.id, "phases", Weight.WRONG, what, mend, where)


def _names(phases: tuple[int, ...] | list[int]) -> str:
    return " ".join(NAMES[i] for i in sorted(phases))


def _terminal_text(terminals: tuple[int, ...] | None) -> str:
    return ", ".join(str(each + 1) for each in terminals or ())
