"""Random days on a site: vehicles, base loads as declared, limits, and what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from controller.document.pinned import SETTLE_NS, TOLERANCE_PPM
from hil.search.case import Case, Table
from hil.search.sites import Drawn, Own, draw_site

WARM_S = 60.0  # until the first thing happens
FOR_EVER_S = 86_400
_ON_A_PIN: Table = {"settle_ns": SETTLE_NS, "tolerance_ppm": TOLERANCE_PPM}  # what is known of one


def draw_case(seed: int) -> Case:
    """The whole case from one number."""
    rng = random.Random(seed)
    drawn = draw_site(rng)
    day = _Day(rng, drawn)
    duration_s = rng.choice((300.0, 600.0, 900.0, 1800.0))
    base = day.first_base()
    vehicles = list(day.first_vehicles())
    events = sorted(day.events(duration_s), key=lambda event: float(event["t_s"]))
    return Case(
        seed=seed,
        duration_s=duration_s,
        site=drawn.document,
        meters=drawn.meters,
        chargers=drawn.chargers,
        base=base,
        vehicles=vehicles,
        events=events,
        lags=drawn.lags,
    )


class _Day:
    def __init__(self, rng: random.Random, drawn: Drawn) -> None:
        self._rng = rng
        self._drawn = drawn
        self._site = drawn.document
        self._circuits = [each["id"] for each in self._site["circuit"]]
        self._chargers = [each["id"] for each in self._site["charger"]]
        self._on_buses = [each["id"] for each in self._site["charger"] if "pin" not in each]
        self._meters = [each["id"] for each in self._site["meter"]]
        self._clamps = [each["id"] for each in self._site["clamp"]]
        self._limiters = [each["id"] for each in self._site["limit_source"]]
        self._contactors = [each["id"] for each in self._site.get("output", [])]
        self._noise_a = [rng.choice((0, 0, 0.2)) if max(o.most_a) >= 5 else 0 for o in drawn.own]
        self._load_a = [(0.0, 0.0, 0.0) for _ in drawn.own]
        self._troubled = rng.random() < 0.85
        self._advised = rng.random() < 0.3
        self._revised = rng.random() < 0.3

    # What stands there at first

    def first_base(self) -> list[Table]:
        return [self._new_base(circuit, whole=True) for circuit in range(len(self._circuits))]

    def first_vehicles(self) -> Iterator[Table]:
        for charger in self._chargers:
            if self._rng.random() < 0.75:
                yield self._vehicle(charger)

    # What happens

    def events(self, duration_s: float) -> Iterator[Table]:
        yield from self._limits_at_first()
        t_s = WARM_S
        while t_s < duration_s:
            for event in self._some():
                at_s = t_s + event.pop("after_s", 0.0)
                yield {"t_s": round(at_s, 2)} | event
            t_s += self._rng.choice((0.3, 2.0, 7.0, 15.0, 30.0, 60.0)) * self._rng.uniform(0.7, 1.3)

    def _some(self) -> Iterator[Table]:
        """What happens at one time: mostly one thing, now and then a fault, or a pair of them."""
        if self._troubled and self._rng.random() < 0.35:
            for _ in range(self._rng.choice((1, 1, 1, 2))):
                yield from self._fault()
            if self._rng.random() < 0.5:  # into the midst of it
                yield self._usual() | {"after_s": self._rng.choice((0.1, 1.0, 4.0, 9.0))}
        else:
            yield self._usual()

    def _usual(self) -> Table:
        kinds: list[Callable[[], Table]] = [self._base, self._base, self._traffic, self._wish]
        if self._limiters:
            kinds.append(self._limit)
        if self._advised:
            kinds.append(self._advice)
        if any(facts.get("watts") for facts in self._drawn.chargers.values()):
            kinds.append(self._voltage)
        if self._revised:
            kinds.append(self._document)
        return self._rng.choice(kinds)()

    def _base(self) -> Table:
        return {"do": "base"} | self._new_base(self._rng.randrange(len(self._circuits)))

    def _new_base(self, circuit: int, whole: bool = False) -> Table:
        own: Own = self._drawn.own[circuit]
        noise_a = self._noise_a[circuit]
        least = -20.0 if self._exports(circuit) and self._rng.random() < 0.3 else noise_a
        load = []
        for phase, most_a in enumerate(own.most_a):
            most = max(most_a - noise_a, 0.0)
            want = self._rng.choice((0.0, most, self._rng.uniform(least, max(most, least))))
            if own.step_a is not None and not whole:
                want = min(want, self._load_a[circuit][phase] + max(own.step_a - 2 * noise_a, 0))
            load.append(round(max(min(want, most), least if least < 0 else min(noise_a, most)), 1))
        self._load_a[circuit] = (load[0], load[1], load[2])
        return {"circuit": self._circuits[circuit], "load_a": load, "noise_a": noise_a}

    def _exports(self, circuit: int) -> bool:
        return bool(self._site["circuit"][circuit].get("credit_export"))

    def _vehicle(self, charger: str) -> Table:
        facts = self._drawn.chargers.get(self._entry(charger).get("profile", ""), _ON_A_PIN)
        settle_s, watts = facts["settle_ns"] / 1e9, facts.get("watts")
        return {
            "charger": charger,
            "max_a": self._rng.choice((10, 16, 32, 63) if watts is None else (16, 63, 200)),
            "phases": 3 if watts and watts["evenly"] else self._rng.choice((1, 2, 3, 3)),
            "reaction_s": round(self._rng.uniform(0.5, settle_s - 0.3), 1),
            "energy_kwh": self._rng.choice((0.3, 2, 50, 50)),
            "gain_pct": self._rng.choice((0, facts["tolerance_ppm"] // 10_000)),
        }

    def _traffic(self) -> Table:
        charger = self._rng.choice(self._chargers)
        if self._rng.random() < 0.4:
            return {"do": "unplug", "charger": charger}
        return {"do": "plug"} | self._vehicle(charger)

    def _wish(self) -> Table:
        charger = self._rng.choice(self._chargers)
        return {"do": "wish", "charger": charger, "max_a": self._rng.choice((0, 6, 10, 16, 32, 63))}

    def _voltage(self) -> Table:
        """Within what EN 50160 admits; mostly on its way down."""
        return {"do": "voltage", "percent": self._rng.choice((90, 90, 95, 100, 105, 110))}

    def _advice(self) -> Table:
        """A planner's wish: a weight, a floor, a cap, any of them."""
        charger = self._rng.choice(self._chargers)
        cap_a = self._rng.choice((None, None, 0, 6, 10, 16))
        floor_a = self._rng.choice((None, None, 6, 8, 16))
        if cap_a is not None and floor_a is not None:
            floor_a = min(floor_a, cap_a)
        return {
            "do": "advise",
            "charger": charger,
            "weight": self._rng.choice((None, 1, 4)),
            "floor_a": floor_a,
            "cap_a": cap_a,
            "for_s": self._rng.choice((5.0, 60.0, 600.0)),
        }

    def _document(self) -> Table:
        """Lower ratings, the operator's own limits and maxima, other weights and classes."""
        operation: Table = {"circuit": [], "charger": []}
        share: Table = {}
        for entry in self._site["circuit"]:
            if self._rng.random() < 0.4:
                share[entry["id"]] = self._rng.choice((0.6, 0.8, 0.9, 0.95))
            if self._rng.random() < 0.2:
                part = self._rng.choice((0.0, 0.3, 0.5))
                limit_a = [round(a * part, 1) for a in entry["rating_a"]]
                operation["circuit"].append({"id": entry["id"], "limit_a": limit_a})
        for entry in self._site["charger"]:
            if self._rng.random() < 0.2:
                change = self._rng.choice(
                    ({"max_a": 10}, {"max_a": 6}, {"weight": 5}, {"class": 3})
                )
                operation["charger"].append({"id": entry["id"]} | change)
        return {
            "do": "document",
            "rating_share": share,
            "operation": operation,
            "for_s": self._rng.choice((3.0, 30.0, 400.0)),
        }

    def _limits_at_first(self) -> Iterator[Table]:
        for source in self._limiters:
            if self._rng.random() < 0.9:
                yield {"t_s": 1.0} | self._limit_of(source, None)

    def _limit(self) -> Table:
        source = self._rng.choice(self._limiters)
        entry = next(each for each in self._site["limit_source"] if each["id"] == source)
        share = self._rng.choice((None, 0.0, 0.2, 0.5, 0.8, 1.0, 1.5))
        if share is None:
            return self._limit_of(source, None)
        return self._limit_of(source, [round(a * share, 1) for a in entry["failsafe_a"]])

    def _limit_of(self, source: str, limit_a: list[float] | None) -> Table:
        """Renewed until another one comes, or left to lapse."""
        lease_s = next(each for each in self._site["limit_source"] if each["id"] == source)[
            "lease_s"
        ]
        renewed = limit_a is None or self._rng.random() < 0.7
        return {
            "do": "limit",
            "source": source,
            "limit_a": limit_a,
            "ttl_s": FOR_EVER_S if renewed else self._rng.choice((3, 20, 100)),
            "every_s": lease_s / 3 if renewed else None,
            "until_s": None if limit_a is None else self._rng.choice((None, None, 10, 60)),
        }

    # What goes wrong

    def _fault(self) -> Iterator[Table]:
        kinds: list[Callable[[], Iterator[Table]]] = [
            self._charger_ill,
            self._charger_ill,
            self._charger_ill,
            self._gateway_ill,
        ]
        if self._meters or self._clamps:
            kinds += [self._source_ill, self._source_ill]
        if self._limiters:
            kinds.append(self._cloud_ill)
        if self._contactors:
            kinds.append(self._contactor_ill)
        yield from self._rng.choice(kinds)()

    def _for_s(self) -> float:
        return round(
            self._rng.choice((0.5, 3.0, 10.0, 30.0, 90.0)) * self._rng.uniform(0.7, 1.3), 1
        )

    def _source_ill(self) -> Iterator[Table]:
        source = self._rng.choice(self._meters + self._clamps)
        do = self._rng.choice(
            (
                *("lost", "lost", "lost", "drops", "drops", "late", "late", "repeated"),
                *("frozen", "frozen", "swapped", "reversed", "corrupted", "shuffled"),
            )
        )
        yield {"do": do, "source": source, "for_s": self._for_s()}

    def _charger_ill(self) -> Iterator[Table]:
        charger = self._rng.choice(self._on_buses)
        do = self._rng.choice(
            ("silent", "silent", "deaf", "disobeys", "reboot", "told", "old_write", "forgets")
        )
        event: Table = {"do": do, "charger": charger}
        if do not in ("reboot", "old_write"):
            event["for_s"] = self._for_s()
        if do == "told":
            event["told_a"] = self._rng.choice((0, 3, 6, 16, self._entry(charger)["max_a"]))
        yield event

    def _left_at_its_fullest(self) -> Iterator[Table]:
        """No base load, so that all charge; then nobody is there, and all of it comes: what pins
        do then shows in full."""
        free = [i for i, own in enumerate(self._drawn.own) if own.step_a is None]
        for at_s, share in ((0.0, 0), (75.0, 1)):
            for circuit in free:
                noise_a = self._noise_a[circuit]
                most = self._drawn.own[circuit].most_a
                load = [round(max(share * (a - noise_a), min(noise_a, a)), 1) for a in most]
                self._load_a[circuit] = (load[0], load[1], load[2])
                base = {"circuit": self._circuits[circuit], "load_a": load, "noise_a": noise_a}
                yield {"do": "base", "after_s": at_s} | base
        yield {"do": "restart", "for_s": 120.0, "after_s": 60.0}

    def _gateway_ill(self) -> Iterator[Table]:
        if "gpio" in self._site and self._rng.random() < 0.4:
            yield from self._left_at_its_fullest()
            return
        do = self._rng.choice(
            ("stall", "stall", "restart", "restart", "clock", "power_cut", "latch")
        )
        event: Table = {"do": do}
        if do == "stall":
            event["threads"] = self._rng.choice((["kernel"], ["io"], ["kernel", "io"]))
            event["for_s"] = self._rng.choice((0.4, 1.0, 1.9, 2.5, 10.0, 40.0))
        elif do == "clock":
            event["ahead_s"] = self._rng.choice((-1e8, -3600, -5, 5, 3600, 1e8))
        elif do == "latch":
            event["for_s"] = self._rng.choice((1.0, 20.0, 150.0))
        else:
            event["for_s"] = self._rng.choice((1.0, 2.0, 15.0, 120.0))
        yield event

    def _contactor_ill(self) -> Iterator[Table]:
        """Mostly together with somebody whom it ought to cut off."""
        yield {"do": "weld", "contactor": self._rng.choice(self._contactors), "for_s": 120.0}
        if self._rng.random() < 0.7:
            charger = self._rng.choice(self._on_buses)
            do = self._rng.choice(("disobeys", "silent", "deaf"))
            yield {"do": do, "charger": charger, "for_s": self._for_s()}

    def _cloud_ill(self) -> Iterator[Table]:
        if self._rng.random() < 0.6:
            yield {"do": "cloud", "for_s": self._rng.choice((5.0, 40.0, 200.0))}
        else:
            yield {"do": "flood", "source": self._rng.choice(self._limiters), "count": 200}

    def _entry(self, charger: str) -> Table:
        entry: Table = next(each for each in self._site["charger"] if each["id"] == charger)
        return entry
