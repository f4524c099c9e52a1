"""CT clamps with everything filled in; what a format implies stands here with its source."""

from dataclasses import dataclass, replace

from cext.rows import Phases
from controller.document.buses import SerialAddress
from controller.document.draft import Draft
from controller.document.entries.clamp import ClampEntry, Format
from controller.document.seats import Seats
from controller.units import MA_PER_A, NS_PER_S, PPM, seconds_text

PERIODS = 3  # without a line, and a clamp is silent


@dataclass(frozen=True, slots=True)
class FormatFacts:
    """What a device that writes such lines does, unless the document says otherwise."""

    baud: int
    period_ns: int
    lag_ns: int
    error_ma: int
    channels: int  # CTs in a line
    node: int | None  # RPICT boards tell theirs; None: the format has no such thing
    counted: bool  # its lines are numbered


RPICT = FormatFacts(
    baud=38_400,  # two public sources
    period_ns=5 * NS_PER_S,  # "polling = 5000" as delivered: one source
    lag_ns=2 * NS_PER_S,  # 0.2 s a CT, one after the other (maker's wiki), rounded up
    error_ma=2 * MA_PER_A,  # assumed: 1 % of a 100 A clip-on CT, and as much for the board
    channels=7,
    node=11,  # in every published configuration
    counted=False,
)
RPICT3 = replace(RPICT, channels=3)
EMONTX = FormatFacts(
    baud=115_200,  # two public sources
    period_ns=9_800_000_000,  # "datalog = 9.80": two public sources
    lag_ns=10 * NS_PER_S,  # it averages over the whole period
    error_ma=2 * MA_PER_A,  # assumed, as above
    channels=6,
    node=None,
    counted=True,
)
FORMATS: dict[Format, FormatFacts] = {
    "rpict7v1": RPICT,
    "rpict3v1": RPICT3,
    "rpict3t1": RPICT3,
    "emontx3": EMONTX,
    "emontx4": EMONTX,
}
ASSUMED_V = 240  # "vest = 240.0" as delivered: one source


@dataclass(frozen=True, slots=True)
class Clamp:
    id: str
    circuit: str
    format: Format
    address: SerialAddress
    node: int | None
    assumed_v: int
    power_factor_ppm: int
    period_ns: int
    lag_ns: int
    max_age_ns: int
    ratio_ppm: int
    channels: Phases  # CT numbers at terminals 1, 2, 3
    phases: Phases  # grid phases (0, 1, 2) at terminals 1, 2, 3
    error_ma: int  # of a current on the circuit

    @property
    def spread_ppm(self) -> int:
        """By how much of itself a current may besides be too high: power by the power factor."""
        return PPM - self.power_factor_ppm if FORMATS[self.format].counted else 0


def resolve_clamps(draft: Draft, seats: Seats) -> tuple[Clamp, ...]:
    """Complains about everything in a clamp's way; returns those with nothing in it."""
    clamps = []
    for index, entry in draft.clamps.items():
        draft.refer("circuit", entry.circuit, "clamp", index, "circuit")
        facts = FORMATS[entry.format]
        _check_keys(draft, index, entry, facts)
        port = seats.of_clamp(index, entry)
        if port is None:
            continue
        period_ns = facts.period_ns if entry.period_ns is None else entry.period_ns
        clamps.append(
            Clamp(
                id=entry.id,
                circuit=entry.circuit,
                format=entry.format,
                address=SerialAddress(port, entry.baud or facts.baud, "N", 1),
                node=facts.node if entry.node is None else entry.node,
                assumed_v=ASSUMED_V if entry.assumed_v is None else entry.assumed_v,
                power_factor_ppm=entry.power_factor_ppm,
                period_ns=period_ns,
                lag_ns=_lag_ns(entry, facts, period_ns),
                max_age_ns=_max_age_ns(draft, index, entry, period_ns),
                ratio_ppm=entry.ct.ratio_ppm,
                channels=entry.ct.channels,
                phases=entry.ct.phases,
                error_ma=_error_ma(entry, facts),
            )
        )
    return tuple(clamps)


def delivered(format_: Format, port: str, node: int | None = None) -> Clamp:
    """A clamp that nobody has set up otherwise."""
    facts = FORMATS[format_]
    return Clamp(
        id=format_,
        circuit="",
        format=format_,
        address=SerialAddress(port, facts.baud, "N", 1),
        node=facts.node if node is None else node,
        assumed_v=ASSUMED_V,
        power_factor_ppm=PPM,
        period_ns=facts.period_ns,
        lag_ns=facts.lag_ns,
        max_age_ns=PERIODS * facts.period_ns,
        ratio_ppm=PPM,
        channels=(1, 2, 3),
        phases=(0, 1, 2),
        error_ma=facts.error_ma,
    )


def _check_keys(draft: Draft, index: int, entry: ClampEntry, facts: FormatFacts) -> None:
    """What this format does not know cannot be told about it."""
    for key, written, known in (
        ("node", entry.node, facts.node is not None),
        ("assumed_v", entry.assumed_v, entry.format == "rpict3t1"),
    ):
        if written is not None and not known:
            draft.complain(
                f"must be left out: lines of {entry.format} have no such thing",
                *("clamp", index, key),
            )
    if max(entry.ct.channels) > facts.channels:
        draft.complain(
            f"must be from 1 to {facts.channels}: so many CTs has {entry.format}; "
            f"found {max(entry.ct.channels)}",
            *("clamp", index, "ct", "channels"),
        )


def _error_ma(entry: ClampEntry, facts: FormatFacts) -> int:
    """As written; else the format's, more behind a ratio, and no less where that is a unit's."""
    if entry.error_ma is not None:
        return entry.error_ma
    return facts.error_ma * max(entry.ct.ratio_ppm, PPM) // PPM


def _lag_ns(entry: ClampEntry, facts: FormatFacts, period_ns: int) -> int:
    """As written; else what averages over its period is as old as that, and the others as known."""
    if entry.lag_ns is not None:
        return entry.lag_ns
    return max(period_ns, NS_PER_S) if facts.counted else facts.lag_ns


def _max_age_ns(draft: Draft, index: int, entry: ClampEntry, period_ns: int) -> int:
    if entry.max_age_ns is None:
        return max(PERIODS * period_ns, NS_PER_S)
    if entry.max_age_ns <= period_ns:
        draft.complain(
            f"must be longer than the period, {seconds_text(period_ns)} s, "
            f"or nothing is ever fresh; found {seconds_text(entry.max_age_ns)}",
            *("clamp", index, "max_age_s"),
        )
    return entry.max_age_ns
