"""What would make a failed sum of the proof pass, the cheapest first, with figures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from cext.rows import Phases
from controller.document.devices import Charger
from controller.units import MA_PER_A, NS_PER_S, PPM, amperes_text, seconds_text

POLL_LEAST_NS = NS_PER_S // 5  # what any meter's profile can be read at
TENTH_NS = NS_PER_S // 10


class Setting(StrEnum):
    """What in a charger decides how much it draws without us."""

    FALLBACK = "fallback"
    POWER_ON = "power-on current"
    BOTH = "fallback and power-on current"
    NONE = "maximum"  # nothing but its maximum
    ALWAYS = "minimum"  # it may never be paused
    DROPPED = "relay"  # a relay that drops it without us


class Cost(IntEnum):
    """Kinds of remedies, in the order in which they are proposed."""

    SET = 1  # an installer's app and a line in the document
    STOP = 2  # the same, but nobody charges while the gateway is away
    AGREE = 3  # a word with whoever sets the limits
    MEASURE = 4  # a week of measurements
    LIMIT = 5  # less power for ever
    BUILD = 6  # copper


@dataclass(frozen=True, slots=True)
class Remedy:
    """`lacks_ma` is what is missing after it and, among SET and STOP, after those before it."""

    cost: Cost
    action: str
    saves_ma: int
    lacks_ma: int


@dataclass(frozen=True, slots=True)
class Group:
    """Chargers that count alike in a sum."""

    like: Charger
    count: int
    setting: Setting
    known: bool  # False: counted at the maximum because nobody said
    counted_ma: int  # as a setpoint
    floor_ma: int  # lower than this the setting alone cannot bring it
    relay: str = ""  # what drops them
    phases: int = 1  # of each, that count in the sum

    @property
    def times(self) -> int:
        return self.count * self.phases

    @property
    def each_ma(self) -> int:
        if self.setting is Setting.DROPPED:
            return 0  # not even its own consumption
        return self.like.draw_ma(self.counted_ma)

    @property
    def who(self) -> str:
        if self.count == 1:
            return f"{self.like.id} in {self.like.circuit}"
        return f"{self.count} chargers in {self.like.circuit}"

    @property
    def what(self) -> str:
        if self.setting is Setting.DROPPED:
            return f"dropped by {self.relay}"
        value = f"{amperes_text(self.counted_ma)} A"
        if self.setting is Setting.ALWAYS:
            return f"never paused, so their minimum, {value}"
        if self.setting is Setting.NONE:
            return f"no fallback, so their maximum, {value}"
        return f"{self.setting} {value}" if self.known else f"{self.setting} unknown, so {value}"

    def lowered(self, needed_ma: int) -> "Group":
        """At the highest whole ampere that saves enough, but not below the minimum."""
        each_ma = self.each_ma - -(-needed_ma // self.times) - self.like.standby_ma
        fits_ma = each_ma * PPM // (PPM + self.like.tolerance_ppm) // MA_PER_A * MA_PER_A
        lower_ma = max(self.like.min_ma, self.floor_ma, fits_ma)
        return replace(self, counted_ma=min(self.counted_ma, lower_ma))

    @property
    def lowest(self) -> "Group":
        return replace(self, counted_ma=self.floor_ma)

    def saves_ma(self, lower: "Group") -> int:
        return self.times * (self.each_ma - lower.each_ma)


@dataclass(frozen=True, slots=True)
class Excess:
    """A sum above what is allowed."""

    circuit: str
    source: str | None
    sum_ma: int
    allowed_ma: int
    rating_ma: int
    base_ma: int
    groups: Sequence[Group]
    together_mv: int | None = None  # the phase voltage, of a sum of all three phases

    @property
    def over_ma(self) -> int:
        return self.sum_ma - self.allowed_ma


def remedies(excess: Excess) -> tuple[Remedy, ...]:
    """All that make sense, the cheapest kind first."""
    return (
        *_settings(excess),
        *_agreement(excess),
        *_measurement(excess),
        *_limits(excess),
        *_building(excess),
    )


def _settings(excess: Excess) -> Iterator[Remedy]:
    """Lower settings, those that save most first, until it is enough; then let chargers stop."""
    lacks_ma = excess.over_ma
    lowest = []
    fixed = (Setting.NONE, Setting.DROPPED, Setting.ALWAYS)
    for group in _by_saving(group for group in excess.groups if group.setting not in fixed):
        lower = group.lowered(lacks_ma) if lacks_ma > 0 else group
        lowest.append(lower)
        if lower.counted_ma < group.counted_ma:
            saves_ma = group.saves_ma(lower)
            lacks_ma = max(0, lacks_ma - saves_ma)
            yield Remedy(Cost.SET, _lower_text(group, lower), saves_ma, lacks_ma)
    for group in _by_saving(lowest):
        if lacks_ma > 0 and group.counted_ma > group.floor_ma == 0:
            saves_ma = group.saves_ma(group.lowest)
            lacks_ma = max(0, lacks_ma - saves_ma)
            action = f"let {group.who} stop: {group.setting} 0 A"
            yield Remedy(Cost.STOP, action, saves_ma, lacks_ma)
    for group in _by_saving(g for g in excess.groups if g.setting is Setting.ALWAYS):
        saves_ma = group.saves_ma(replace(group, counted_ma=0))
        action = f'let {group.who} be paused: may_pause = "replug"'
        yield Remedy(Cost.STOP, action, saves_ma, max(0, excess.over_ma - saves_ma))


def _by_saving(groups: Iterable[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: -group.saves_ma(group.lowest))


def _lower_text(group: Group, lower: Group) -> str:
    before, after = amperes_text(group.counted_ma), amperes_text(lower.counted_ma)
    if group.known:
        return f"lower the {group.setting} of {group.who} from {before} A to {after} A"
    return (
        f"set and state the {group.setting} of {group.who}, {after} A "
        f"(unknown, it counts as {before} A)"
    )


def _agreement(excess: Excess) -> Iterator[Remedy]:
    if excess.source is not None and excess.sum_ma <= excess.rating_ma:
        action = (
            f"agree with {excess.source} on a fail-safe cap of {amperes_text(excess.sum_ma)} A "
            f"instead of {amperes_text(excess.allowed_ma)} A"
        )
        yield Remedy(Cost.AGREE, action, excess.over_ma, 0)


def _measurement(excess: Excess) -> Iterator[Remedy]:
    left_ma = excess.base_ma - excess.over_ma
    if left_ma >= 0 and excess.base_ma:
        action = (
            f"show by measurement that the base load of {excess.circuit} never exceeds "
            f"{amperes_text(left_ma)} A instead of {amperes_text(excess.base_ma)} A"
        )
        yield Remedy(Cost.MEASURE, action, excess.over_ma, 0)


def _limits(excess: Excess) -> Iterator[Remedy]:
    for group in _by_saving(group for group in excess.groups if group.setting is Setting.NONE):
        lower = group.lowered(excess.over_ma)
        if lower.counted_ma < group.counted_ma:
            saves_ma = group.saves_ma(lower)
            action = (
                f"limit {group.who}, without fallback, in the device itself to "
                f"{amperes_text(lower.counted_ma)} A instead of {amperes_text(group.counted_ma)} A"
            )
            yield Remedy(Cost.LIMIT, action, saves_ma, max(0, excess.over_ma - saves_ma))


def _building(excess: Excess) -> Iterator[Remedy]:
    if excess.source is None and excess.sum_ma > excess.rating_ma:
        action = _apparent(excess) or (
            f"strengthen {excess.circuit} to a rating of {amperes_text(excess.sum_ma)} A "
            f"instead of {amperes_text(excess.rating_ma)} A"
        )
        yield Remedy(Cost.BUILD, action, excess.over_ma, 0)


def _apparent(excess: Excess) -> str | None:
    """The same where it is the three phases together that are too much."""
    if excess.together_mv is None:
        return None
    needs_va = -(-excess.sum_ma * excess.together_mv // 1_000_000)
    return f"strengthen {excess.circuit} to an apparent power of {-(-needs_va // 1000)} kVA"


@dataclass(frozen=True, slots=True)
class Late:
    """An excess that lasts longer than it may."""

    circuit: str
    source: str | None
    measured_by: str | None  # the slowest on the circuit; None: nothing measures it
    speaks: bool  # by itself, as a clamp does
    poll_ns: int
    takes_ns: int
    allowed_ns: int
    step_ma: Phases  # the largest step of base load
    slow: Sequence[str]  # chargers that are too slow even when told at once
    device: str | None = None  # the protective device whose time it is; None: a clear_within_s

    @property
    def over_ns(self) -> int:
        return self.takes_ns - self.allowed_ns


def faster(late: Late) -> tuple[Remedy, ...]:
    """What would make the reaction fit, each of them enough; none where it fits already."""
    return tuple(_faster(late)) if late.over_ns > 0 else ()


def _faster(late: Late) -> Iterator[Remedy]:
    poll_ns = (late.poll_ns - late.over_ns) // TENTH_NS * TENTH_NS
    if poll_ns >= POLL_LEAST_NS:
        how = f"have {late.measured_by} write a line" if late.speaks else f"poll {late.measured_by}"
        action = f"{how} every {seconds_text(poll_ns)} s instead of {seconds_text(late.poll_ns)} s"
        yield Remedy(Cost.SET, action, 0, 0)
    if late.device is None:
        yield _longer(late)
    else:
        yield Remedy(Cost.SET, _closely(late.circuit, known=late.device != "not stated"), 0, 0)
    step_ma = max(late.step_ma)
    action = (
        f"keep the largest step of base load free on {late.circuit} for ever: "
        f"reserve_a = {_per_phase(late.step_ma)}"
    )
    yield Remedy(Cost.LIMIT, action, step_ma, 0)
    if late.slow:
        count = len(late.slow)
        who = f"{late.slow[0]}" if count == 1 else f"the {count} chargers that are too slow"
        few = f" ({', '.join(late.slow[:4])}{', …' if count > 4 else ''})" if count > 1 else ""
        action = f"put a contactor before {who}{few} on {late.circuit}"
        yield Remedy(Cost.BUILD, action, 0, 0)


def _longer(late: Late) -> Remedy:
    needs_ns = -(-late.takes_ns // TENTH_NS) * TENTH_NS
    whom = f"agree with {late.source}" if late.source else "if its protection carries it, state"
    action = (
        f"{whom}{' on' if late.source else ''} clear_within_s = {seconds_text(needs_ns)} "
        f"for {late.circuit} instead of {seconds_text(late.allowed_ns)}"
    )
    return Remedy(Cost.AGREE, action, 0, 0)


def _per_phase(phases: Phases) -> str:
    if len(set(phases)) == 1:
        return amperes_text(phases[0])
    return f"[{', '.join(map(amperes_text, phases))}]"


@dataclass(frozen=True, slots=True)
class Overload:
    """What a protective device may not carry for as long as the depot needs."""

    circuit: str
    rating_ma: int
    sum_ma: int  # at its most
    known: bool  # whether the device is stated
    needs_ns: int | None  # until the load is within the rating; None: nobody knows
    unknown: Sequence[str]  # chargers that nobody knows when they fall back
    base_ma: int  # at its worst
    carries_ma: int  # what it carries for so long
    export: bool  # power fed in may be given to chargers


def sturdier(overload: Overload) -> tuple[Remedy, ...]:
    """What would make the device carry it, or the load less: the cheapest first."""
    return tuple(_sturdier(overload))


def _sturdier(overload: Overload) -> Iterator[Remedy]:
    where = overload.circuit
    if not overload.known:
        yield Remedy(Cost.SET, _closely(where, known=False), 0, 0)
    if overload.unknown:
        first, more = overload.unknown[0], len(overload.unknown) - 1
        whose = first + (f" and {more} more" if more else "")
        action = f"state when {whose} falls back (fallback_delay_s): nobody knows"
        yield Remedy(Cost.SET, action, 0, 0)
    elif overload.needs_ns is not None:
        action = (
            f"let the chargers of {where} fall back sooner than "
            f"{seconds_text(overload.needs_ns)} s after the last decision (fallback_delay_s), "
            "or put them behind a relay that drops without the gateway"
        )
        yield Remedy(Cost.SET, action, 0, 0)
    if overload.known:
        yield Remedy(Cost.SET, _closely(where, known=True), 0, 0)
    reserve_ma = overload.rating_ma + overload.base_ma - overload.carries_ma
    if not overload.export and 0 < reserve_ma <= overload.rating_ma:
        action = (
            f"keep room on {where} for the base load that may come, for ever: "
            f"reserve_a = {amperes_text(reserve_ma)}"
        )
        yield Remedy(Cost.LIMIT, action, overload.sum_ma - overload.carries_ma, 0)


def _closely(where: str, *, known: bool) -> str:
    if known:
        return (
            f"state more closely what protects {where}: a point of its maker's fastest curve "
            "(fastest), its lowest current without delay (instant_a), its warmest air (ambient_c)"
        )
    return (
        f"state what protects {where} (protection = ...): unknown, it counts as a device that "
        "trips on any excess"
    )
