"""Contacts on the gateway's pins that speak for a limit source, with everything filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cext.rows import Phases
from controller.document.circuits import Circuit
from controller.document.draft import Draft
from controller.document.entries.gpio import InputEntry
from controller.document.entries.limit import LimitSource
from controller.document.problems import found
from controller.units import NS_PER_S, amperes_text, seconds_text

LEASE_MAX_NS = 10 * NS_PER_S  # of a source that a contact speaks for, many times a second
GENERATOR_LEASE_NS = 2 * NS_PER_S
FULL = 100
_KEYS = {
    "dim": {"pin": "pin", "source": "source", "limit_ma": "limit_a"},
    "steps": {"contacts": "contacts", "source": "source", "limit_ma": "limit_a"},
    "generator": {"pin": "pin", "circuit": "circuit"},
}


@dataclass(frozen=True, slots=True)
class Step:
    """One contact between its pin and ground, and what it asks for while active."""

    pin: int
    limit_ma: Phases
    percent: int = FULL


class Asked(NamedTuple):
    """What contacts ask for together; None: nothing. `doubt`: why they cannot mean it."""

    limit_ma: Phases | None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class DimInput:
    """One contact that asks for a limit while active; or several, of which just one is active."""

    id: str
    name: str
    source: str
    steps: tuple[Step, ...]  # of several, the highest first
    active_open: bool
    debounce_ns: int
    kind: str = "dim"

    @property
    def safe(self) -> bool:
        """Whether a broken wire dims. Of several contacts none is active then, or one too many."""
        return self.active_open or len(self.steps) > 1

    @property
    def full_ma(self) -> Phases | None:
        """What is asked for at rest."""
        return self.steps[0].limit_ma if len(self.steps) > 1 else None

    def active(self, pin_high: bool) -> bool:
        """A pin is pulled up: high while the contact is open, or its wire broken."""
        return pin_high == self.active_open

    def asked(self, high: Sequence[bool]) -> Asked:
        """By the levels of the steps' pins: where they contradict each other, the lowest that
        they could mean."""
        active = [s for s, level in zip(self.steps, high, strict=True) if self.active(level)]
        if len(self.steps) == 1:
            return Asked(active[0].limit_ma if active else None)
        if len(active) == 1:
            return Asked(active[0].limit_ma)
        lowest = (active or self.steps)[-1]
        counted = f"counted as {lowest.percent} %"
        if not active:
            return Asked(lowest.limit_ma, f"none of its contacts is active: {counted}")
        both = " and ".join(f"{each.percent} %" for each in active)
        return Asked(lowest.limit_ma, f"{both} are active at once: {counted}")


def resolve_input(
    draft: Draft, index: int, entry: InputEntry, circuits: Sequence[Circuit]
) -> DimInput | None:
    """None after a complaint."""
    if not _complete(draft, index, entry):
        return None
    source = entry.source or entry.id
    if entry.kind == "generator":
        limit_ma = _generator_ma(draft, index, entry, circuits)
        if limit_ma is None:
            return None
    else:
        assert entry.limit_ma is not None
        limit_ma = entry.limit_ma
    return DimInput(
        id=entry.id,
        name=entry.name,
        source=source,
        steps=_steps(draft, index, entry, limit_ma),
        active_open=entry.active == "open",
        debounce_ns=entry.debounce_ns,
        kind=entry.kind,
    )


def generator_sources(
    inputs: Sequence[DimInput], circuits: Sequence[Circuit]
) -> tuple[LimitSource, ...]:
    """What a generator's contact speaks for: unheard, its ratings hold as if it ran."""
    with_one = {each.generator_input: each for each in circuits if each.generator_input}
    return tuple(
        LimitSource.model_construct(
            id=each.source,
            circuit=with_one[each.id].id,
            kind="grid",
            lease_ns=GENERATOR_LEASE_NS,
            failsafe_ma=each.steps[0].limit_ma,
            hold_ns=0,
            clear_within_ns=with_one[each.id].clear_within_ns,
        )
        for each in inputs
        if each.kind == "generator"
    )


def _complete(draft: Draft, index: int, entry: InputEntry) -> bool:
    """Whether it has what an input of its kind needs; complains about the rest."""
    complete = True
    wanted = _KEYS[entry.kind]
    for field, key in {
        key: value for keys in _KEYS.values() for key, value in keys.items()
    }.items():
        written = getattr(entry, field) is not None
        if written and field not in wanted:
            draft.complain(f'belongs to no input of kind "{entry.kind}"', "input", index, key)
        elif not written and field in wanted:
            draft.complain(f'is missing in an input of kind "{entry.kind}"', "input", index, key)
            complete = False
    return complete


def _steps(draft: Draft, index: int, entry: InputEntry, limit_ma: Phases) -> tuple[Step, ...]:
    if entry.contacts is None:
        assert entry.pin is not None
        return (Step(entry.pin, limit_ma),)
    percents = [each.percent for each in entry.contacts]
    if len(percents) < 2:
        draft.complain("needs two contacts or more", "input", index, "contacts")
        return ()
    if len(set(percents)) < len(percents):
        draft.complain("has the same percent twice", "input", index, "contacts")
    if FULL not in percents:
        draft.complain(
            "has no contact of 100 %: with none active it could not be told from a broken wire",
            *("input", index, "contacts"),
        )
    return tuple(
        Step(each.pin, _part(limit_ma, each.percent), each.percent)
        for each in sorted(entry.contacts, key=lambda each: each.percent, reverse=True)
    )


def _part(limit_ma: Phases, percent: int) -> Phases:
    first, second, third = (ma * percent // FULL for ma in limit_ma)
    return first, second, third


def _generator_ma(
    draft: Draft, index: int, entry: InputEntry, circuits: Sequence[Circuit]
) -> Phases | None:
    assert entry.circuit is not None
    if not draft.refer("circuit", entry.circuit, "input", index, "circuit"):
        return None
    circuit = next((each for each in circuits if each.id == entry.circuit), None)
    if circuit is None:
        return None  # told at its own place
    if circuit.generator is None:
        draft.complain(
            f"{found(circuit.id)} has no generator: its ratings while one feeds it, "
            f"such as generator = {{ rating_a = 63 }}",
            *("input", index, "circuit"),
        )
        return None
    return circuit.generator.rating_ma


def check_sources(draft: Draft) -> None:
    """Whether each contact speaks for a source of its own, that it can keep alive."""
    sources = {entry.id: (index, entry) for index, entry in draft.limit_sources.items()}
    ratings = {entry.id: entry.rating_ma for entry in draft.circuits.values()}
    speaker: dict[str, int] = {}
    for index, contact in draft.inputs.items():
        if contact.kind == "generator" and contact.id in sources:
            draft.complain("is the id of a limit source, too", "input", index, "id")
        if contact.source is None or contact.limit_ma is None:
            continue
        draft.refer("limit_source", contact.source, "input", index, "source")
        other = speaker.setdefault(contact.source, index)
        if other != index:
            draft.complain(
                f"input[{other}] speaks for {found(contact.source)} already",
                *("input", index, "source"),
            )
        if contact.source not in sources:
            continue
        at, source = sources[contact.source]
        if source.lease_ns > LEASE_MAX_NS:
            draft.complain(
                f"can be at most {seconds_text(LEASE_MAX_NS)}: the contact of input[{index}] "
                f"renews it many times a second; found {seconds_text(source.lease_ns)}",
                *("limit_source", at, "lease_s"),
            )
        rating_ma = ratings.get(source.circuit, contact.limit_ma)
        if any(map(int.__gt__, contact.limit_ma, rating_ma)):
            draft.complain(
                f"must not exceed the rating of {found(source.circuit)}, "
                f"{amperes_text(min(rating_ma))} A; found {amperes_text(max(contact.limit_ma))}",
                *("input", index, "limit_a"),
            )
