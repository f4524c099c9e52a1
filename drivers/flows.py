"""Currents held against each other: who measures what, in which direction, on which phase. Pure.

A meter must show at least what the chargers and sub-meters below it show, and just that where the
document says that nothing else is there. Where it does not, the one explanation is looked for that
would make all of it fit: a direction, another order of phases, another ratio, another circuit.
What needs current to be told is told only where current flows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

from cext.rows import NO_PHASE, Phases
from controller.document.clamps import Clamp
from controller.document.devices import Meter
from controller.site import Site
from controller.units import PPM, amperes_text
from drivers.finding import Finding, Weight, entry
from drivers.survey import Level, Survey, level

TELLS_MA = 2_000  # the least current from which anything is concluded
OWN_PPM = 20_000  # of itself, that a reading may be off besides its error
RATIO_PPM = range(920_000, 1_080_001)  # as good as the same
ORDERS = tuple(each for each in permutations(range(3)) if each != (0, 1, 2))
NAMES = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class Shown:
    """Three phases, and how far each may be off."""

    ma: Phases
    off_ma: Phases

    def turned(self, order: tuple[int, ...]) -> Shown:
        """As it would be if terminal i sat on phase order[i]."""
        l1, l2, l3 = (self.ma[i] for i in order)
        o1, o2, o3 = (self.off_ma[i] for i in order)
        return Shown((l1, l2, l3), (o1, o2, o3))

    def magnitude(self) -> Shown:
        l1, l2, l3 = map(abs, self.ma)
        return Shown((l1, l2, l3), self.off_ma)

    def changed(self, part: Shown, order: tuple[int, ...]) -> Shown:
        """With that part of it in another order."""
        other = part.turned(order)
        l1, l2, l3 = (self.ma[i] - part.ma[i] + other.ma[i] for i in range(3))
        return Shown((l1, l2, l3), self.off_ma)

    @property
    def text(self) -> str:
        return " ".join(f"{amperes_text(round(each, -2))}" for each in self.ma) + " A"


@dataclass(frozen=True, slots=True)
class Below:
    """What is known to flow below a meter."""

    least: Shown
    whole: bool  # nothing else is there, and all of it is measured
    whose: str
    feeds: bool  # something there may feed in
    each: tuple[tuple[str, Shown], ...] = ()  # of chargers


def flow_findings(survey: Survey) -> Iterator[Finding]:
    """Of meters by what is below them, then of clamps by the meters."""
    for meter in survey.site.meters:
        shown = _shown(survey, meter.id, meter.error_ma)
        if shown is not None:
            yield from _meter(survey, meter, shown)
        elif survey.grid(meter.id):
            what = "does not tell the current of each phase: it is compared with nothing"
            mend = "compare it with a hand-held clamp meter"
            yield Finding(meter.id, "currents", Weight.UNSEEN, what, mend)
    for clamp in survey.site.clamps:
        shown = _shown(survey, clamp.id, clamp.error_ma)
        if shown is not None:
            yield from _clamp(survey, clamp, shown.magnitude())


def _meter(survey: Survey, meter: Meter, shown: Shown) -> Iterator[Finding]:
    belows = [each for each in (_chargers(survey, meter), _parts(survey, meter)) if each]
    told = False
    for below in belows:
        found = _against(meter, shown, below)
        if found is not None:
            yield found
            return
        told |= max(below.least.ma) >= TELLS_MA + max(below.least.off_ma)
    feeds = any(below.feeds for below in belows) or _feeds(survey.site, meter.circuit)
    back = [i for i in range(3) if shown.ma[i] < -max(TELLS_MA // 2, shown.off_ma[i])]
    if back and not feeds:
        yield _backwards(meter, shown, back)
        return
    if told:
        what = f"shows {shown.text}, as what is below it lets expect"
        yield Finding(meter.id, "currents", Weight.FINE, what)
    else:
        what = f"shows {shown.text}: too little flows below it to tell its transformers' order"
        mend = "let a vehicle charge on each row below it, and run this again"
        yield Finding(meter.id, "currents", Weight.UNSEEN, what, mend)


def _backwards(meter: Meter, shown: Shown, back: list[int]) -> Finding:
    """A direction that nothing there can cause."""
    phases = " ".join(NAMES[i] for i in back)
    others = [i for i in range(3) if i not in back and shown.ma[i] > shown.off_ma[i]]
    what = f"shows {shown.text}: export on {phases}, and nothing there feeds in"
    if others:
        mend = f"turn the transformer of {phases} round (or exchange its two wires)"
    else:
        mend = f"turn its transformers round, or write reversed = {str(not meter.reversed).lower()}"
    where = entry("meter", meter.id, "ct.reversed")
    return Finding(meter.id, "ct_reversed", Weight.WRONG, what, mend, where)


def _against(meter: Meter, shown: Shown, below: Below) -> Finding | None:
    """Why it cannot be what flows below it; None where it can, or too little does."""
    if max(below.least.ma) < TELLS_MA + max(below.least.off_ma) or _fits(shown, below):
        return None
    what = f"shows {shown.text}; {below.whose} below it draw {below.least.text}"
    if below.feeds:
        mend = "is what feeds in below it documented? Else look at its transformers"
        return Finding(meter.id, "below", Weight.DOUBT, what, mend, entry("meter", meter.id, "ct"))
    turned = Shown(_negative(shown.ma), shown.off_ma)
    back = [i for i in range(3) if shown.ma[i] < -shown.off_ma[i]]
    if back and _fits(shown.magnitude(), below):
        return _backwards(meter, shown, back)
    orders = [order for order in ORDERS if _fits(shown.turned(order), below)]
    if not orders:
        orders = [order for order in ORDERS if _fits(turned.turned(order), below)]
    if orders:
        return _swapped(meter, orders, what, _turners(shown, below))
    ratio_ppm = _ratio_ppm(shown.magnitude(), below.least) if below.whole else None
    if ratio_ppm is not None:
        right = meter.ratio_ppm * PPM // ratio_ppm
        mend = f"its transformers are others than documented: write ratio = {right / PPM:.3g}"
        where = entry("meter", meter.id, "ct.ratio")
        what += f", {ratio_ppm / PPM:.2g} times as much"
        return Finding(meter.id, "ct_ratio", Weight.WRONG, what, mend, where)
    mend = (
        "does it sit on this circuit, are these chargers below it, is its ratio right? "
        "`loadkeeper identify SITE CHARGER` tells where a charger hangs"
    )
    where = entry("meter", meter.id, "circuit, ct.ratio")
    return Finding(meter.id, "below", Weight.WRONG, what, mend, where)


def _turners(shown: Shown, below: Below) -> list[str]:
    """Chargers of which one alone, with its phases in another order, would explain it, too."""
    return [
        id_
        for id_, own in below.each
        if below.whole
        and any(_fits(shown, replace(below, least=below.least.changed(own, o))) for o in ORDERS)
    ]


def _swapped(meter: Meter, orders: list[tuple[int, ...]], what: str, turners: list[str]) -> Finding:
    where = entry("meter", meter.id, "ct.phases")
    texts = list(dict.fromkeys(f'phases = "{_as_written(meter, order)}"' for order in orders))
    if len(texts) > 2:
        mend = "its transformers sit on other phases: see which is which with a one-phase load"
    elif len(texts) == 2:
        mend = f"its transformers sit on other phases: write {texts[0]} or {texts[1]} (a load on "
        mend += "one phase tells which), or change them over"
    else:
        mend = f"its transformers sit on other phases: write {texts[0]}, or change them over"
    if turners:
        mend += f". Or {' or '.join(turners)} is wired so: `loadkeeper identify SITE {turners[0]}`"
    return Finding(meter.id, "ct_phases", Weight.WRONG, what, mend, where)


def _as_written(meter: Meter, order: tuple[int, ...]) -> str:
    """The grid phases at its terminals, where what shows as phase order[i] flows in phase i."""
    flows = {shown_as: i for i, shown_as in enumerate(order)}
    return " ".join(NAMES[flows[phase]] for phase in meter.phases if phase != NO_PHASE)


def _fits(shown: Shown, below: Below) -> bool:
    """At least what is below it, and no more where that is all."""
    for i in range(3):
        off_ma = shown.off_ma[i] + below.least.off_ma[i]
        if shown.ma[i] < below.least.ma[i] - off_ma:
            return False
        if below.whole and shown.ma[i] > below.least.ma[i] + off_ma:
            return False
    return True


def _ratio_ppm(shown: Shown, known: Shown) -> int | None:
    """How many times too much it shows, the same on all phases; None where it is not so."""
    found = []
    for ma, known_ma, off_ma in zip(shown.ma, known.ma, known.off_ma, strict=True):
        if known_ma >= TELLS_MA + off_ma:
            found.append(ma * PPM // known_ma)
    if not found or max(found) > 11 * min(found) // 10 + PPM // 20:
        return None
    middle = sorted(found)[len(found) // 2]
    return None if middle in RATIO_PPM or middle <= 0 else middle


# What is below a meter.


def _chargers(survey: Survey, meter: Meter) -> Below | None:
    """The chargers there, by their own meters; None where none tells its current."""
    site = survey.site
    inside = site.inside(meter.circuit)
    chargers = [each for each in site.chargers if each.circuit in inside]
    total, off = [0, 0, 0], [0, 0, 0]
    each: list[tuple[str, Shown]] = []
    all_heard = True
    for charger in chargers:
        own = _shown(survey, charger.id, charger.facts.error_ma + charger.standby_ma)
        if own is None or not charger.facts.metered:
            all_heard = False
            continue
        each.append((charger.id, own))
        for i in range(3):
            total[i] += own.ma[i]
            off[i] += own.off_ma[i]
    if not each:
        return None
    feeds = _feeds(site, meter.circuit)
    bare = all(not any(c.worst_base_ma) for c in site.circuits if c.id in inside)
    shown = Shown((total[0], total[1], total[2]), (off[0], off[1], off[2]))
    return Below(shown, bare and all_heard and not feeds, "the chargers", feeds, tuple(each))


def _parts(survey: Survey, meter: Meter) -> Below | None:
    """The meters next below it; None where there is none that tells."""
    site = survey.site
    inside = site.inside(meter.circuit) - {meter.circuit}
    parts: list[tuple[str, Shown]] = []
    for other in site.meters:
        between = any(
            each.circuit in inside and other.circuit in site.inside(each.circuit)
            for each in site.meters
            if each.circuit != other.circuit
        )
        if other.circuit in inside and not between and other.circuit not in dict(parts):
            shown = _shown(survey, other.id, other.error_ma)
            if shown is not None:
                parts.append((other.circuit, shown))
    if not parts:
        return None
    sums = [sum(each.ma[i] for _, each in parts) for i in range(3)]
    offs = [sum(each.off_ma[i] for _, each in parts) for i in range(3)]
    feeds = _feeds(site, meter.circuit) or min(sums) < -max(offs)
    shown = Shown((sums[0], sums[1], sums[2]), (offs[0], offs[1], offs[2]))
    return Below(shown, False, "the sub-meters", feeds)


def _feeds(site: Site, circuit: str) -> bool:
    """Whether the document lets something there feed in."""
    inside = site.inside(circuit)
    return any(each.credit_export for each in site.circuits if each.id in inside)


# Clamps.


def _clamp(survey: Survey, clamp: Clamp, shown: Shown) -> Iterator[Finding]:
    meters = {
        meter: seen.magnitude()
        for meter in survey.site.meters
        if (seen := _shown(survey, meter.id, meter.error_ma)) is not None
    }
    beside = next((m for m in meters if m.circuit == clamp.circuit), None)
    if beside is None:
        return
    its = meters[beside]
    both = f"shows {shown.text}, the meter {beside.id} {its.text}"
    where = entry("clamp", clamp.id, "ct.phases")
    if max(*shown.ma, *its.ma) < TELLS_MA + max(its.off_ma):
        mend = "let a vehicle charge, or switch on a load, and run this again"
        yield Finding(clamp.id, "agrees", Weight.UNSEEN, f"{both}: too little to tell", mend)
    elif _same(shown, its):
        yield Finding(clamp.id, "agrees", Weight.FINE, both)
    elif elsewhere := [m for m in meters if m is not beside and _same(shown, meters[m])]:
        what = f"{both}; {elsewhere[0].id} on {elsewhere[0].circuit} shows just what it does"
        mend = f"it sits on {elsewhere[0].circuit}: move it, or write that circuit"
        where = entry("clamp", clamp.id, "circuit")
        yield Finding(clamp.id, "other_feeder", Weight.WRONG, what, mend, where)
    elif any(_same(shown.turned(order), its) for order in ORDERS):
        mend = "its transformers sit on other phases than the meter's: change over those that do"
        yield Finding(clamp.id, "ct_phases", Weight.WRONG, both, mend, where)
    elif (ratio_ppm := _ratio_ppm(shown, its)) is not None:
        right = clamp.ratio_ppm * PPM // ratio_ppm
        mend = f"write ratio = {right / PPM:.3g}, unless the meter's own ratio is wrong"
        where = entry("clamp", clamp.id, "ct.ratio")
        yield Finding(clamp.id, "ct_ratio", Weight.WRONG, both, mend, where)
    else:
        mend = "which of the two is right says a hand-held clamp meter; look at both circuits"
        where = entry("clamp", clamp.id, "circuit")
        yield Finding(clamp.id, "disagrees", Weight.WRONG, both, mend, where)


def _same(one: Shown, other: Shown) -> bool:
    return all(abs(one.ma[i] - other.ma[i]) <= one.off_ma[i] + other.off_ma[i] for i in range(3))


def _negative(ma: Phases) -> Phases:
    return -ma[0], -ma[1], -ma[2]


def _shown(survey: Survey, device: str, error_ma: int) -> Shown | None:
    """What it showed on each phase; None where one of them is unknown."""
    found: list[Level] = []
    for phase in range(3):
        seen = level(each[phase] for each in survey.grid(device))
        if seen is None:
            return None
        found.append(seen)
    l1, l2, l3 = (each.ma for each in found)
    o1, o2, o3 = (error_ma + each.spread_ma + abs(each.ma) * OWN_PPM // PPM for each in found)
    return Shown((l1, l2, l3), (o1, o2, o3))
