"""A random site made such that an installer could commission it."""

from __future__ import annotations

from cext.rows import ALL_PHASES
from controller.proof import Finding, prove
from controller.reaction import Reaction
from controller.site import parse
from controller.transition import Transition
from controller.units import NS_PER_S
from hil.search.case import Case, CaseProfiles, Table

REPAIRS = 16  # rounds until a site passes the proof


def repair(case: Case) -> None:
    """Changes its document until the proof holds: ratings as high, times as long, as it says."""
    for _ in range(REPAIRS):
        proof = prove(parse(case.site, CaseProfiles(case)))
        if proof.passed:
            return
        for failed in proof.refused:
            _repair_one(case.site, failed)
    raise RuntimeError("a random site that cannot be repaired")


def _repair_one(document: Table, failed: Finding | Reaction | Transition) -> None:
    circuit = next(each for each in document["circuit"] if each["id"] == failed.circuit)
    if isinstance(failed, Transition):
        _protect(circuit)
        return
    source = next((each for each in document["limit_source"] if each["id"] == failed.source), None)
    if isinstance(failed, Reaction):
        stated = source or circuit
        if "clear_within_s" in stated:
            stated["clear_within_s"] = failed.takes_ns // (NS_PER_S // 10) / 10 + 0.2
        if source is None:
            _protect(circuit)
        return
    sum_a = failed.sum_ma // 100 / 10 + 0.1
    if failed.phase == ALL_PHASES:
        circuit["apparent_kva"] = round(0.23095 * sum_a + 0.1, 1)
        return
    if source is not None:
        source["failsafe_a"][failed.phase] = sum_a
    circuit["rating_a"][failed.phase] = max(circuit["rating_a"][failed.phase], sum_a)
    if "busbar_a" in circuit:
        circuit["busbar_a"] = list(map(max, circuit["busbar_a"], circuit["rating_a"]))
    if "protection" in circuit:
        _protect(circuit)


def _protect(circuit: Table) -> None:
    """A breaker that bears more for a while; a slower one where the first does not do."""
    before = circuit.get("protection", {})
    tr_s = min(before.get("tr_s", 8) * 2, 24)
    most_a = max(circuit["rating_a"])
    if before.get("tr_s") == tr_s:  # there is no slower one: a larger one, and room below it
        most_a = before["ir_a"] * 1.3
    circuit["protection"] = {"kind": "electronic", "ir_a": round(most_a + 1, 1), "tr_s": tr_s}
