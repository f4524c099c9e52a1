"""Random sites that an installer could commission: all they declare is true, the proof holds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from controller.site import Site, parse
from controller.units import NS_PER_S
from hil.search.case import Case, CaseProfiles, Table
from hil.search.repair import repair

ROTATIONS = ("L1 L2 L3", "L2 L3 L1", "L3 L1 L2")
LAGS_S = (0.05, 0.2, 0.5, 1.0, 2.0)
SINGLES = ("L1", "L2", "L3")


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
    """A depot of 1 to 40 chargers on 1 to 4 levels of circuits."""
    parents = _tree(rng)
    own = [_own(rng, bool(index)) for index in range(len(parents))]
    profiles = {f"kind-{n}": _profile(rng) for n in range(rng.choice((1, 1, 2, 3)))}
    chargers = [
        _charger(rng, index, rng.randrange(len(parents)), profiles)
        for index in range(rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 24, 32, 40)))
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
    pins = iter(range(9, 28))
    if outputs := _outputs(rng, document, pins):
        document["output"] = outputs
    chargers += _on_pins(rng, circuits, pins)
    if outputs or "pin" in chargers[-1]:
        document["gpio"] = {"factory": "lgpio", "pins_fall": rng.random() < 0.6}
    if classes := list(_classes(rng, chargers)):
        document["class"] = classes
    repair(Case(0, 0, document, facts, profiles, [], [], []))
    return Drawn(document, facts, profiles, lags, own)


def read_site(case: Case) -> Site:
    return parse(case.site, CaseProfiles(case))


def amended(document: Table, share: Table) -> Table:
    """The same with lower ratings: `share` of what each circuit in it had."""
    circuits = [
        row | {"rating_a": [round(a * share.get(row["id"], 1.0), 1) for a in row["rating_a"]]}
        for row in document["circuit"]
    ]
    ratings = {row["id"]: row["rating_a"] for row in circuits}
    sources = [
        row | {"failsafe_a": list(map(min, row["failsafe_a"], ratings[row["circuit"]]))}
        for row in document["limit_source"]
    ]
    return document | {"circuit": circuits, "limit_source": sources}


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
    watts = _watts(rng) if rng.random() < 0.2 else None
    return {
        "watts": watts,
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


def _watts(rng: random.Random) -> Table:
    """Commanded in watts: each of its phases, or a rectifier on all; some tell their power."""
    evenly = rng.random() < 0.6
    return {
        "commands_dc": rng.random() < 0.3,
        "per_phase": not evenly,
        "evenly": evenly,
        "efficiency_ppm": rng.choice((900_000, 950_000)),
        "power_factor_ppm": rng.choice((850_000, 950_000, 1_000_000)),
        "min_mw": 4_200_000 if evenly else 1_400_000,
        "max_mw": None,
        "step_mw": rng.choice((1_000, 100_000)),
        "writable_mw": None,
        "pause_mw": rng.choice((0, 1_000_000)),
        "zero_ends_session": rng.random() < 0.5,
        "measures": rng.choice((None, "ac", "dc")) if evenly else None,
    }


def _charger(rng: random.Random, index: int, circuit: int, profiles: Table) -> Table:
    profile = rng.choice(list(profiles))
    facts = profiles[profile]
    watts = facts["watts"]
    evenly = watts is not None and watts["evenly"]
    entry: Table = {
        "id": f"bay-{index + 1:02}",
        "circuit": _name(circuit),
        "profile": profile,
        "bus": f"tcp://192.0.2.{index + 10}:502",
        "max_a": rng.choice((16, 16, 32, 32, 63) if watts is None else (32, 63, 145)),
        "phases": rng.choice(ROTATIONS if evenly or rng.random() < 0.7 else SINGLES),
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
    if rng.random() < 0.15:
        entry["may_pause"] = rng.choice(("replug", "replug", "never"))
    if rng.random() < 0.3:
        entry |= {"min_on_s": rng.choice((0, 20, 120)), "min_off_s": rng.choice((0, 20, 60))}
    return entry


def _classes(rng: random.Random, chargers: list[Table]) -> Iterator[Table]:
    """So short waiting times that somebody is overtaken within the day."""
    for rank in sorted({entry.get("class", 0) for entry in chargers}):
        if rng.random() < 0.5:
            yield {"rank": rank, "wait_s": rng.choice((60, 180, 600))}


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
        yield entry | _bounds(rng, entry["rating_a"])


def _bounds(rng: random.Random, rating_a: list[float]) -> Table:
    """What a circuit bears beside its rating."""
    found: Table = {}
    if rng.random() < 0.2:
        more = rng.choice((1.0, 1.0, 1.2, 1.5))
        found["busbar_a"] = [round(a * more + 0.1, 1) for a in rating_a]
    if rng.random() < 0.2:
        share = rng.choice((0.6, 0.8, 0.95))
        found["apparent_kva"] = round(0.231 * sum(rating_a) * share, 1)
    if rng.random() < 0.15:
        found["imbalance_a"] = rng.choice((8, 16, 20, 32))
    return found


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
        lag_s = rng.choice(LAGS_S)
        lags[name] = rng.choice((0.0, 0.0, round(lag_s / 2, 2)))
        entries.append(_meter(rng, name, circuit["id"], f"tcp://192.0.2.{index + 200}:502"))
        facts[name] = _meter_facts(rng, lag_s)
        if rng.random() < 0.15:  # another one, on the same wires
            second = f"meter-{index}-too"
            entries.append(_meter(rng, second, circuit["id"], f"tcp://192.0.2.{index + 230}:502"))
            lag_s = rng.choice([each for each in LAGS_S if each >= lags[name]])
            facts[second] = _meter_facts(rng, lag_s)
            lags[second] = lags[name]  # both show the same instant, whatever they declare
    return entries, facts, lags


def _meter(rng: random.Random, name: str, circuit: str, bus: str) -> Table:
    return {
        "id": name,
        "circuit": circuit,
        "profile": name,
        "bus": bus,
        "poll_s": rng.choice((0.2, 0.5, 0.5, 1.0, 2.0)),
        "ct": {"phases": rng.choice(ROTATIONS), "reversed": rng.random() < 0.2},
    }


def _meter_facts(rng: random.Random, lag_s: float) -> Table:
    return {
        "phases": 3,
        "error_ma": rng.choice((0, 100, 500)),
        "lag_ns": round(lag_s * NS_PER_S),
    }


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


def _on_pins(rng: random.Random, circuits: list[Table], pins: Iterator[int]) -> Iterator[Table]:
    """Chargers without a bus: on, they draw their rated current."""
    if rng.random() < 0.85:
        return
    for number in range(rng.choice((1, 1, 2, 4))):
        pin, feedback = next(pins, None), next(pins, None)
        if pin is None or feedback is None:
            return
        entry: Table = {
            "id": f"pin-{number + 1}",
            "circuit": rng.choice(circuits)["id"],
            "pin": pin,
            "rated_a": rng.choice((10, 16, 32)),
            "phases": rng.choice((*ROTATIONS, *SINGLES)),
            "min_on_s": rng.choice((0, 20, 120)),
        }
        if rng.random() < 0.7:
            entry |= {"feedback_pin": feedback, "feedback": "normally_closed"}
        yield entry


def _outputs(rng: random.Random, document: Table, pins: Iterator[int]) -> list[Table]:
    """Contactors of some chargers' own, and relays for whole circuits."""
    if rng.random() < 0.65:
        return []
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
        "turn_s": rng.choice((120, 900)),
        **rng.choice(({}, {"calm_s": rng.choice((5, 10))})),  # half of all as it is delivered
    }


def _name(circuit: int) -> str:
    return "grid" if circuit == 0 else f"row-{circuit}"
