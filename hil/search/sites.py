"""Random sites that an installer could commission: all they declare is true, the proof holds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from controller.proof import Finding, prove
from controller.reaction import Reaction
from controller.site import Site, parse
from controller.transition import Transition
from hil.search.case import Case, CaseProfiles, Table

NS_PER_S = 1_000_000_000
ROTATIONS = ("L1 L2 L3", "L2 L3 L1", "L3 L1 L2")
SINGLES = ("L1", "L2", "L3")
REPAIRS = 12  # rounds until a site passes the proof


class Own(NamedTuple):
    """A circuit's own base load, without what stands below it."""

    most_a: tuple[float, float, float]
    step_a: float | None  # the largest step it makes; None: anything


class Drawn(NamedTuple):
    """A site and what the generator of its day must know of it."""

    document: Table
    meters: Table
    chargers: Table
    lags: Table
    own: list[Own]


def draw_site(rng: random.Random) -> Drawn:
    """A depot of 1 to 24 chargers on 1 to 4 levels of circuits."""
    parents = _tree(rng)
    own = [_own(rng, bool(index)) for index in range(len(parents))]
    profiles = {f"kind-{n}": _profile(rng) for n in range(rng.choice((1, 1, 2, 3)))}
    chargers = [
        _charger(rng, index, rng.randrange(len(parents)), profiles)
        for index in range(rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24)))
    ]
    circuits = list(_circuits(rng, parents, own, chargers))
    meters, facts, lags = _meters(rng, circuits)
    document: Table = {
        "schema": 1,
        "site": {"id": "somewhere"},
        "control": _control(rng),
        "circuit": circuits,
        "meter": meters,
        "clamp": list(_clamps(rng, circuits)),
        "charger": chargers,
        "limit_source": list(_limit_sources(rng, circuits)),
    }
    if outputs := _outputs(rng, document):
        document |= {"gpio": {"factory": "lgpio"}, "output": outputs}
    drawn = Drawn(document, facts, profiles, lags, own)
    _repair(drawn)
    return drawn


def read_site(case: Case) -> Site:
    return parse(case.site, CaseProfiles(case))


def _tree(rng: random.Random) -> list[int]:
    """Parents; -1 is the root's. At most four levels."""
    parents, levels = [-1], [1]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 4, 6))):
        parent = rng.choice([i for i, level in enumerate(levels) if level < 4])
        parents.append(parent)
        levels.append(levels[parent] + 1)
    return parents


def _own(rng: random.Random, below: bool) -> Own:
    if rng.random() < (0.5 if below else 0.15):
        return Own((0.0, 0.0, 0.0), None)
    even = float(rng.randrange(5, 100))
    most = [even if rng.random() < 0.8 else float(rng.randrange(0, 100)) for _ in range(3)]
    step = rng.choice((None, None, round(max(max(most) / rng.choice((2, 4, 8)), 1.0), 1)))
    return Own((most[0], most[1], most[2]), step)


def _profile(rng: random.Random) -> Table:
    """What a charger's model is like."""
    falls_back = rng.random() < 0.85
    return {
        "min_ma": 6_000,
        "max_ma": None,
        "step_ma": rng.choice((1, 100, 100, 1_000)),
        "tolerance_ppm": rng.choice((0, 0, 10_000, 30_000)),
        "standby_ma": rng.choice((0, 0, 50)),
        "settle_ns": rng.choice((15, 30, 60)) * NS_PER_S // 10,
        "metered": rng.random() < 0.8,
        "error_ma": rng.choice((0, 50, 100)),
        "lag_ns": rng.choice((0, 2, 10)) * NS_PER_S // 10,
        "watchdog_timeout_ns": rng.choice((10, 20, 60)) * NS_PER_S if falls_back else None,
        "has_fallback": falls_back,
        "watchdog_armed_after_power_on": falls_back,
        "power_on_is_fallback": falls_back and rng.random() < 0.5,
        "any_traffic": falls_back and rng.random() < 0.2,
        "write_gap_ns": rng.choice((0, 0, 0, 2, 5)) * NS_PER_S,
    }


def _charger(rng: random.Random, index: int, circuit: int, profiles: Table) -> Table:
    profile = rng.choice(list(profiles))
    facts = profiles[profile]
    entry: Table = {
        "id": f"bay-{index + 1:02}",
        "circuit": _name(circuit),
        "profile": profile,
        "bus": f"tcp://192.0.2.{index + 10}:502",
        "max_a": rng.choice((16, 16, 32, 32, 63)),
        "phases": rng.choice(ROTATIONS if rng.random() < 0.7 else SINGLES),
        "poll_s": rng.choice((0.5, 1, 1, 2)),
    }
    if facts["has_fallback"] and rng.random() < 0.9:
        entry["fallback_a"] = rng.choice((0, 6, 6, 8, 10))
    if rng.random() < 0.3:
        entry["power_on_a"] = rng.choice((0, 6, entry["max_a"]))
    if rng.random() < 0.2:
        entry["weight"] = rng.choice((2, 3, 10))
    if rng.random() < 0.2:
        entry["class"] = rng.choice((1, 2))
    return entry


def _circuits(
    rng: random.Random, parents: list[int], own: list[Own], chargers: list[Table]
) -> Iterator[Table]:
    inside = [_inside(parents, top) for top in range(len(parents))]
    for index, parent in enumerate(parents):
        worst = [round(sum(own[i].most_a[p] for i in inside[index]), 1) for p in range(3)]
        below = [c for c in chargers if c["circuit"] in {_name(i) for i in inside[index]}]
        wanted = sum(charger["max_a"] for charger in below)
        share = rng.choice((0.1, 0.2, 0.35, 0.5, 0.8, 1.2))
        entry: Table = {
            "id": _name(index),
            "rating_a": [round(ma + share * wanted + 8, 1) for ma in worst],
            "worst_base_a": worst,
            "credit_export": parent == -1 and rng.random() < 0.2,
        }
        if parent != -1:
            entry["parent"] = _name(parent)
        if all(own[i].step_a is not None for i in inside[index]):
            step = round(sum(own[i].step_a or 0.0 for i in inside[index]), 1)
            entry["base_step_a"] = [min(step, ma) for ma in worst]
        if rng.random() < 0.1:
            entry["clear_within_s"] = rng.choice((5, 10, 30))
        yield entry


def _inside(parents: list[int], top: int) -> set[int]:
    found = {top}
    for index, parent in enumerate(parents):
        if parent in found:
            found.add(index)
    return found


def _meters(rng: random.Random, circuits: list[Table]) -> tuple[list[Table], Table, Table]:
    """Their entries, their profiles' facts, and by how much each really lags."""
    entries, facts, lags = [], {}, {}
    for index, circuit in enumerate(circuits):
        if rng.random() > (0.9 if index == 0 else 0.35):
            continue
        name = f"meter-{index}"
        lag_s = rng.choice((0.05, 0.2, 0.5, 1.0, 2.0))
        facts[name] = {
            "phases": 3,
            "error_ma": rng.choice((0, 100, 500)),
            "lag_ns": round(lag_s * NS_PER_S),
        }
        lags[name] = rng.choice((0.0, 0.0, round(lag_s / 2, 2)))
        entries.append(
            {
                "id": name,
                "circuit": circuit["id"],
                "profile": name,
                "bus": f"tcp://192.0.2.{index + 200}:502",
                "poll_s": rng.choice((0.2, 0.5, 0.5, 1.0, 2.0)),
                "ct": {
                    "phases": rng.choice(ROTATIONS),
                    "reversed": rng.random() < 0.2,
                },
            }
        )
    return entries, facts, lags


def _clamps(rng: random.Random, circuits: list[Table]) -> Iterator[Table]:
    for index, circuit in enumerate(circuits):
        if rng.random() < (0.4 if index == 0 else 0.15):
            yield {
                "id": f"clamp-{index}",
                "circuit": circuit["id"],
                "format": "rpict7v1",
                "port": f"/dev/ttyUSB{index}",
                "period_s": rng.choice((1, 2, 5)),
                "lag_s": rng.choice((0.5, 2)),
                "error_a": rng.choice((0.2, 1, 2)),
            }


def _limit_sources(rng: random.Random, circuits: list[Table]) -> Iterator[Table]:
    for number in range(rng.choice((0, 1, 1, 2, 3))):
        circuit = rng.choice(circuits if number else circuits[:1])
        entry: Table = {
            "id": f"source-{number}",
            "circuit": circuit["id"],
            "kind": rng.choice(("grid", "economic")),
            "lease_s": rng.choice((15, 60, 300)),
            "failsafe_a": [round(a * rng.choice((0.5, 0.8, 1.0)), 1) for a in circuit["rating_a"]],
            "hold_s": rng.choice((0, 0, 20)),
        }
        if rng.random() < 0.3:
            entry["clear_within_s"] = rng.choice((5, 10, 20))
        yield entry


def _outputs(rng: random.Random, document: Table) -> list[Table]:
    """Contactors of some chargers' own, and relays for whole circuits."""
    if rng.random() < 0.65:
        return []
    pins = iter(range(9, 28))
    outputs = []
    for charger in document["charger"][:8]:
        if rng.random() < 0.6:
            outputs.append({"id": f"of-{charger['id']}", "charger": charger["id"]})
    for circuit in {each["circuit"]: None for each in document["charger"]}:
        if rng.random() < 0.25:
            outputs.append({"id": f"of-{circuit}", "drops": circuit})
    for output in outputs[:9]:
        output["pin"] = next(pins)
        if rng.random() < 0.6:
            output |= {"feedback_pin": next(pins), "feedback": "normally_closed"}
    return outputs[:9]


def _control(rng: random.Random) -> Table:
    return {
        "tick_s": rng.choice((0.1, 0.2, 0.25, 0.5)),
        "dead_man_s": rng.choice((2.0, 2.0, 3.0)),
        "dwell_s": rng.choice((5, 15, 30)),
        "ramp_a_per_s": rng.choice((1, 4, 10)),
        "calm_s": rng.choice((5, 10)),
        "turn_s": rng.choice((120, 900)),
    }


def _repair(drawn: Drawn) -> None:
    """Until the proof holds: ratings as high, and times as long, as it says."""
    case = Case(0, 0, drawn.document, drawn.meters, drawn.chargers, [], [], [])
    for _ in range(REPAIRS):
        proof = prove(read_site(case))
        if proof.passed:
            return
        for failed in proof.refused:
            _repair_one(drawn.document, failed)
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
    if source is not None:
        source["failsafe_a"][failed.phase] = sum_a
    circuit["rating_a"][failed.phase] = max(circuit["rating_a"][failed.phase], sum_a)
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


def _name(circuit: int) -> str:
    return "grid" if circuit == 0 else f"row-{circuit}"
