"""Derogations: each for one line of the proof, at one place that exists."""

from controller.document.draft import Draft
from controller.document.entries.derogation import Derogation
from controller.document.lines import Line

WANTED = {
    Line.UNATTENDED: ("circuit",),
    Line.POWER_CUT: ("circuit",),
    Line.TRANSITION: ("circuit",),
    Line.FAILSAFE_CAP: ("source",),
    Line.REACTION: ("circuit", "source"),
}


def resolve_derogations(draft: Draft) -> tuple[Derogation, ...]:
    """Complains about those that name no place, a wrong one, or the same as another."""
    first: dict[tuple[Line, str, str], int] = {}
    for index, entry in draft.derogations.items():
        _check_place(draft, index, entry)
        key = (entry.line, entry.circuit or "", entry.source or "")
        if first.setdefault(key, index) != index:
            draft.complain(
                f"derogation[{first[key]}] is for the same line and place; one says it all",
                *("derogation", index),
            )
    return tuple(draft.derogations.values())


def _check_place(draft: Draft, index: int, entry: Derogation) -> None:
    """Exactly one place, of a kind that the line has sums for."""
    name = entry.line.name.lower()
    wanted = WANTED[entry.line]
    stated = [key for key in ("circuit", "source") if getattr(entry, key) is not None]
    for key in stated:
        if key not in wanted:
            what = "a limit source" if key == "circuit" else "a circuit"
            draft.complain(f"must be left out: {name} is about {what}", "derogation", index, key)
    if not stated and len(wanted) == 1:
        draft.complain(
            f"is missing: {name} is derogated for one {wanted[0]}", "derogation", index, wanted[0]
        )
    elif len(stated) != 1 and len(wanted) == 2:
        draft.complain(
            "needs a circuit or a source, one of them: whose clear_within_s, or whose protective "
            "device, comes first",
            *("derogation", index),
        )
    elif stated[0] in wanted and _exists(draft, index, entry):
        _check_pace(draft, index, entry, stated[0])


def _exists(draft: Draft, index: int, entry: Derogation) -> bool:
    if entry.circuit is not None:
        return draft.refer("circuit", entry.circuit, "derogation", index, "circuit")
    assert entry.source is not None
    if any(each.kind == "generator" and each.id == entry.source for each in draft.inputs.values()):
        return True
    return draft.refer("limit_source", entry.source, "derogation", index, "source")


def _check_pace(draft: Draft, index: int, entry: Derogation, key: str) -> None:
    """A source's reaction has something to be held against only where a time is stated."""
    times = [
        each.clear_within_ns for each in draft.limit_sources.values() if each.id == entry.source
    ]
    if entry.line is Line.REACTION and times and times[0] is None:
        draft.complain("has no clear_within_s, so no reaction fails", "derogation", index, key)
