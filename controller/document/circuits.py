"""The capacity tree: one root, no orphans, no cycles, parents before their children."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from cext.rows import Phases
from controller.curves import FUSE_GATES_FROM_MA
from controller.curves import carries_ma as carries_for_ever_ma
from controller.document.draft import Draft
from controller.document.entries.circuit import CircuitEntry, Fuse, GeneratorEntry, Protection
from controller.document.problems import found
from controller.units import MA_PER_A, amperes_text

NOMINAL_V = 400


@dataclass(frozen=True, slots=True)
class Circuit:
    id: str
    name: str
    parent: str | None  # None: the root circuit
    rating_ma: Phases
    worst_base_ma: Phases  # includes the children's
    nominal_v: int  # line to line
    protection: Protection | None
    credit_export: bool
    clear_within_ns: int | None  # of an excess over the rating
    reserve_ma: Phases  # kept free below every cap
    base_step_ma: Phases | None = None  # what the base load rises at once; None: all of it
    limit_ma: Phases | None = None  # the operator's own, no more than the rating; None: none
    busbar_ma: Phases | None = None  # of the bus bar itself, fed from however many sides
    apparent_va: int | None = None  # of the three phases together
    imbalance_ma: int | None = None  # how far one-phase draw may lift a phase above another
    generator: GeneratorEntry | None = None  # what holds while one feeds it
    generator_input: str = ""  # the [[input]] that tells

    @property
    def step_ma(self) -> Phases:
        """The largest step of base load."""
        return self.worst_base_ma if self.base_step_ma is None else self.base_step_ma

    @property
    def phase_mv(self) -> int:
        """Nominal voltage, line to neutral."""
        return isqrt(self.nominal_v**2 * 1_000_000 // 3)

    @property
    def sum_ma(self) -> int | None:
        """The apparent power as a sum of the three phases' currents, S / (U / √3), rounded down."""
        if self.apparent_va is None:
            return None
        return isqrt(3 * (self.apparent_va * MA_PER_A) ** 2 // self.nominal_v**2)


def resolve_circuits(draft: Draft) -> tuple[Circuit, ...]:
    """The readable circuits that hang on the root, it first; complains about all others."""
    draft.unique("circuit")
    children: dict[str | None, list[int]] = {None: []}
    for index, entry in draft.circuits.items():
        if entry.parent is None or draft.refer("circuit", entry.parent, "circuit", index, "parent"):
            children.setdefault(entry.parent, []).append(index)
    _check_roots(draft, children[None])
    _check_cycles(draft)
    for index, entry in draft.circuits.items():
        _check_protection(draft, index, entry)
        _check_base(draft, index, entry, children.get(entry.id, []))
        _check_reserve(draft, index, entry)
        _check_step(draft, index, entry)
        _check_busbar(draft, index, entry)
    return _planted(draft, children)


def _planted(draft: Draft, children: Mapping[str | None, list[int]]) -> tuple[Circuit, ...]:
    planted: dict[str, Circuit] = {}
    waiting = [(index, NOMINAL_V) for index in reversed(children[None])]
    while waiting:
        index, parents_v = waiting.pop()
        entry = draft.circuits[index]
        if entry.id in planted:
            continue  # a second one with the same id
        nominal_v = entry.nominal_v or parents_v
        if entry.parent is not None and nominal_v != parents_v:
            draft.complain(
                f"must be the parent's, {parents_v} V: all circuits are at the chargers' "
                f"voltage level; found {nominal_v}",
                *("circuit", index, "nominal_v"),
            )
        planted[entry.id] = Circuit(
            id=entry.id,
            name=entry.name,
            parent=entry.parent,
            rating_ma=entry.rating_ma,
            worst_base_ma=entry.worst_base_ma,
            nominal_v=nominal_v,
            protection=entry.protection,
            credit_export=entry.credit_export,
            clear_within_ns=entry.clear_within_ns,
            reserve_ma=entry.reserve_ma,
            base_step_ma=entry.base_step_ma,
            busbar_ma=entry.busbar_ma,
            apparent_va=entry.apparent_va,
            imbalance_ma=entry.imbalance_ma,
            generator=entry.generator,
            generator_input=_generator_input(draft, index, entry),
        )
        waiting += [(child, nominal_v) for child in reversed(children.get(entry.id, []))]
    return tuple(planted.values())


def _generator_input(draft: Draft, index: int, entry: CircuitEntry) -> str:
    """The input that tells whether a generator feeds it; complains about its ratings."""
    if entry.generator is None:
        return ""
    generator = entry.generator
    place = ("circuit", index, "generator")
    if any(map(int.__gt__, generator.rating_ma, entry.rating_ma)):
        draft.complain(
            f"must not exceed the circuit's own, {amperes_text(min(entry.rating_ma))} A; "
            f"found {amperes_text(max(generator.rating_ma))}",
            *place,
            "rating_a",
        )
    if generator.protection is not None:
        carries_ma = carries_for_ever_ma(generator.protection)
        if max(generator.rating_ma) > carries_ma:
            draft.complain(
                f"must be at most what its protection carries, {amperes_text(carries_ma)} A; "
                f"found {amperes_text(max(generator.rating_ma))}",
                *place,
                "rating_a",
            )
    telling = [
        each.id
        for each in draft.inputs.values()
        if each.kind == "generator" and each.circuit == entry.id
    ]
    if len(telling) != 1:
        draft.complain(
            f"needs one [[input]] of kind generator that tells when it runs; found {len(telling)}",
            *place,
        )
    return telling[0] if telling else ""


def _check_roots(draft: Draft, roots: list[int]) -> None:
    readable = len(draft.circuits) == len(draft.written("circuit"))
    if not roots and readable:
        draft.complain("one circuit must have no parent: the root, the grid connection", "circuit")
    for index in roots[1:]:
        draft.complain(
            f"is missing: only the root has no parent, and circuit[{roots[0]}] is a root already",
            *("circuit", index, "parent"),
        )


def _check_cycles(draft: Draft) -> None:
    """Complains once about each cycle, whether its circuits are readable or not."""
    written: dict[str, tuple[int, object]] = {}
    for index, entry in enumerate(draft.written("circuit")):
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            written.setdefault(entry["id"], (index, entry.get("parent")))
    settled: set[str] = set()
    for first in written:
        path: dict[str, None] = {}
        here: object = first
        while isinstance(here, str) and here in written and here not in settled:
            if here in path:
                members = list(path)[list(path).index(here) :]
                draft.complain(
                    f"is its own ancestor: {' → '.join(map(found, [*members, here]))}",
                    *("circuit", written[here][0], "parent"),
                )
                break
            path[here] = None
            here = written[here][1]
        settled.update(path)


def _check_protection(draft: Draft, index: int, entry: CircuitEntry) -> None:
    if entry.protection is None:
        return
    fuse = entry.protection
    if isinstance(fuse, Fuse) and fuse.carries_ma < FUSE_GATES_FROM_MA and fuse.fastest is None:
        draft.complain(
            f"must be stated for a fuse below {amperes_text(FUSE_GATES_FROM_MA)} A: how fast it "
            "may be is bounded by no standard, only by its maker's curve",
            *("circuit", index, "protection", "fastest"),
        )
    carries_ma = carries_for_ever_ma(entry.protection)
    if max(entry.rating_ma) > carries_ma:
        warm = ""
        if carries_ma < entry.protection.carries_ma:
            warm = f" at {entry.protection.ambient_c} °C (ambient_c)"
        draft.complain(
            f"must be at most what its protection carries{warm}, {amperes_text(carries_ma)} A; "
            f"found {amperes_text(max(entry.rating_ma))}",
            *("circuit", index, "rating_a"),
        )


def _check_base(draft: Draft, index: int, entry: CircuitEntry, children: list[int]) -> None:
    for phase in range(3):
        below = sum(draft.circuits[child].worst_base_ma[phase] for child in children)
        if entry.worst_base_ma[phase] < below:
            draft.complain(
                f"includes the base load of the circuits below, together "
                f"{amperes_text(below)} A on L{phase + 1}; "
                f"found {amperes_text(entry.worst_base_ma[phase])}",
                *("circuit", index, "worst_base_a"),
            )
            return


def _check_reserve(draft: Draft, index: int, entry: CircuitEntry) -> None:
    for phase in range(3):
        if entry.reserve_ma[phase] > entry.rating_ma[phase]:
            draft.complain(
                f"must not exceed the rating, {amperes_text(entry.rating_ma[phase])} A on "
                f"L{phase + 1}; found {amperes_text(entry.reserve_ma[phase])}",
                *("circuit", index, "reserve_a"),
            )
            return


def _check_step(draft: Draft, index: int, entry: CircuitEntry) -> None:
    step_ma = entry.base_step_ma or entry.worst_base_ma
    for phase in range(3):
        if step_ma[phase] > entry.worst_base_ma[phase]:
            draft.complain(
                f"must not exceed the worst base load, "
                f"{amperes_text(entry.worst_base_ma[phase])} A on L{phase + 1}; "
                f"found {amperes_text(step_ma[phase])}",
                *("circuit", index, "base_step_a"),
            )
            return


def _check_busbar(draft: Draft, index: int, entry: CircuitEntry) -> None:
    for phase in range(3):
        if entry.busbar_ma is not None and entry.busbar_ma[phase] < entry.rating_ma[phase]:
            draft.complain(
                f"must carry at least what feeds it from one side, the rating, "
                f"{amperes_text(entry.rating_ma[phase])} A on L{phase + 1}; "
                f"found {amperes_text(entry.busbar_ma[phase])}: lower rating_a to it",
                *("circuit", index, "busbar_a"),
            )
            return
