"""What a depot is made of, for the slow world: plain rows in mA and ns, and random ones."""

import random
from typing import Any, NamedTuple, Protocol

Triple = tuple[int, int, int]

MS = 1_000_000
S = 1_000_000_000
NEVER = 2**63 - 1
ROTATIONS = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
SINGLES = [(0, -1, -1), (1, -1, -1), (2, -1, -1)]


class Circuit(NamedTuple):
    parent: int
    rating_ma: Triple
    worst_base_ma: Triple
    credit_export: bool = False
    base_step_ma: Triple | None = None  # None: the declared worst case
    busbar_ma: Triple | None = None  # of the bar; chargers have it less the worst base load
    sum_ma: int | None = None  # what the three phases may carry together
    imbalance_ma: int | None = None  # how far one-phase draw may lift a phase above another


class Meter(NamedTuple):
    circuit: int
    error_ma: int
    lag_ns: int
    max_age_ns: int
    poll_ns: int
    unsigned: bool = False  # a clamp: shows how much flows, and not which way


YES, REPLUG, NEVER_PAUSED = 0, 1, 2  # whether it may be told 0


class Charger(NamedTuple):
    circuit: int
    phases: Triple
    min_ma: int = 6000
    max_ma: int = 32_000
    step_ma: int = 100
    fallback_ma: int = 6000
    power_on_ma: int = 6000
    tolerance_ppm: int = 0
    standby_ma: int = 0
    settle_ns: int = 3 * S
    metered: bool = True
    error_ma: int = 0
    lag_ns: int = 100 * MS
    poll_ns: int = 500 * MS
    max_age_ns: int = 2 * S
    weight: int = 1
    class_rank: int = 0
    write_gap_ns: int = 0  # a write that comes sooner after another waits, reductions too
    may_pause: int = YES
    resolution_ma: int = 100  # the least change that its reports show
    error_ppm: int = 0  # so much of itself may its report be too high: it tells its power
    watts: bool = False  # commanded in watts: draws all its tolerance at 0.9 of nominal voltage
    class_wait_ns: int | None = None  # so long it waits behind others for its minimum


class Slot(NamedTuple):
    circuit: int
    failsafe_ma: Triple
    hold_ns: int = 0
    economic: bool = False
    clear_within_ns: int | None = None


class Contactor(NamedTuple):
    chargers: tuple[int, ...]
    group: bool = False
    feedback: bool = True
    opens_ns: int = 200 * MS


class Pace(NamedTuple):
    dead_man_ns: int = 2 * S
    dwell_ns: int = 15 * S
    ramp_ma_per_s: int = 4000
    calm_ns: int = 10 * S
    turn_ns: int = 900 * S


class Site(NamedTuple):
    circuits: list[Circuit]
    meters: list[Meter]
    chargers: list[Charger]
    slots: tuple[Slot, ...] = ()
    pace: Pace = Pace()
    contactors: tuple[Contactor, ...] = ()

    def path(self, circuit: int) -> list[int]:
        """The circuit and all that feed it."""
        path = []
        while circuit >= 0:
            path.append(circuit)
            circuit = self.circuits[circuit].parent
        return path

    def below(self, circuit: int) -> list[int]:
        """Chargers fed through the circuit."""
        return [i for i, c in enumerate(self.chargers) if circuit in self.path(c.circuit)]


class Port(Protocol):
    """What the world sees of a controller under test. Rows are read by name only."""

    def reading(self, meter: int, at_ns: int, current_ma: Triple) -> None: ...
    def report(
        self,
        charger: int,
        at_ns: int,
        in_force_ma: int | None,
        current_ma: Triple | None,
        vehicle: str,
        written_tick: int,
    ) -> None: ...
    def limit(self, slot: int, ma: Triple | None, until_ns: int, alive_until_ns: int) -> None: ...
    def distrust(self, meter: int, distrusted: bool) -> None: ...
    def contact(self, contactor: int, at_ns: int, closed: bool) -> None: ...
    def prove(self, charger: int, proven: bool | None) -> None: ...
    def tick(self, now_ns: int) -> bool: ...
    def ticks(self) -> int: ...
    def output(self, charger: int) -> Any: ...
    def circuit(self, circuit: int) -> Any: ...
    def charger(self, charger: int) -> Any: ...
    def contactor(self, contactor: int) -> Any: ...
    def failsafe_ma(self, charger: int) -> int: ...


def flat(ma: int) -> Triple:
    """The same current on every phase."""
    return ma, ma, ma


def plus(*triples: Triple) -> Triple:
    """Phase by phase."""
    return (
        sum(t[0] for t in triples),
        sum(t[1] for t in triples),
        sum(t[2] for t in triples),
    )


def random_site(rng: random.Random, chargers: int, circuits: int, metered: bool) -> Site:
    """A depot whose declared worst case is true and whose chargers keep what they declare."""
    parents = [-1] + [rng.randrange(i) for i in range(1, circuits)]
    own_base = [rng.choice([0, rng.randrange(60_000)]) for _ in parents]
    rows = [_random_charger(rng, rng.randrange(circuits), metered) for _ in range(chargers)]
    bare = Site([Circuit(p, flat(0), flat(0)) for p in parents], [], rows)
    built = []
    for index, parent in enumerate(parents):
        worst = sum(own_base[c] for c in range(circuits) if index in bare.path(c))
        wanted = sum(rows[i].max_ma for i in bare.below(index))
        rating = worst + int(wanted * rng.choice([0.15, 0.3, 0.6, 1.1])) + rng.randrange(9000)
        step = rng.choice([None, None, flat(rng.randint(0, worst))])
        built.append(Circuit(parent, flat(rating), flat(worst), base_step_ma=step))
    meters = [_random_meter(rng, c) for c in range(circuits) if c == 0 or rng.random() < 0.5]
    if rng.random() < 0.1:
        meters = meters[1:]
    meters += [
        _random_meter(rng, c)._replace(unsigned=True) for c in range(circuits) if rng.random() < 0.3
    ]
    slots = tuple(
        Slot(c, flat(rng.randrange(built[c].rating_ma[0] + 9000)), rng.choice([0, 5 * S]))
        for c in range(circuits)
        if rng.random() < 0.3
    )
    return Site(built, meters, rows, slots)


def with_pauses(rng: random.Random, site: Site) -> Site:
    """Some chargers may never be paused, some not without a walk to them."""
    pauses = [rng.choice([YES, REPLUG, NEVER_PAUSED]) for _ in site.chargers]
    rows = [
        row._replace(may_pause=may_pause)
        for row, may_pause in zip(site.chargers, pauses, strict=True)
    ]
    return site._replace(chargers=rows)


def with_watts(rng: random.Random, site: Site) -> Site:
    """Some chargers are commanded in watts, and some of them tell their power for a current."""

    def commanded(row: Charger) -> Charger:
        if rng.random() < 0.4:
            return row
        return row._replace(
            watts=True,
            tolerance_ppm=rng.choice([111_112, 226_000, 480_000]),
            error_ppm=rng.choice([0, 90_910]),
        )

    return site._replace(chargers=[commanded(row) for row in site.chargers])


def with_bounds(rng: random.Random, site: Site) -> Site:
    """Some circuits bound their phases together, or have a bus bar; some credit what is fed in."""

    def bounded(row: Circuit) -> Circuit:
        most = max(row.rating_ma)
        return row._replace(
            credit_export=rng.random() < 0.4,
            sum_ma=int(3 * most * rng.choice([0.3, 0.6, 0.9])) if rng.random() < 0.6 else None,
            busbar_ma=flat(int(most * rng.choice([0.4, 1.0, 1.3]))) if rng.random() < 0.6 else None,
        )

    return site._replace(circuits=[bounded(row) for row in site.circuits])


def with_contactors(rng: random.Random, site: Site) -> Site:
    """Some chargers get a contactor of their own, some circuits a relay for all below them."""
    rows = [Contactor((i,)) for i in range(len(site.chargers)) if rng.random() < 0.6]
    for circuit in range(len(site.circuits)):
        if site.below(circuit) and rng.random() < 0.3:
            rows.append(Contactor(tuple(site.below(circuit)), group=True))
    roof = Slot(0, site.circuits[0].rating_ma)
    slots = tuple(
        slot._replace(
            economic=rng.random() < 0.3, clear_within_ns=rng.choice([None, 10 * S, 20 * S])
        )
        for slot in (*site.slots, roof)
    )
    return site._replace(contactors=tuple(rows), slots=slots)


def _random_meter(rng: random.Random, circuit: int) -> Meter:
    poll = rng.choice([100, 200, 500]) * MS
    lag = rng.choice([50, 200, 1000, 2000]) * MS
    return Meter(circuit, rng.choice([0, 100, 500]), lag, max(3 * poll, S), poll)


def _random_charger(rng: random.Random, circuit: int, metered: bool) -> Charger:
    poll = rng.choice([300, 1000]) * MS
    low = rng.choice([6000, 6000, 8000])
    high = rng.choice([16_000, 32_000])
    return Charger(
        circuit,
        rng.choice(ROTATIONS if rng.random() < 0.7 else SINGLES),
        min_ma=low,
        max_ma=high,
        step_ma=rng.choice([100, 1000, 1]),
        fallback_ma=rng.choice([0, 6000, 10_000, high]),
        power_on_ma=rng.choice([0, 6000, high]),
        tolerance_ppm=rng.choice([0, 10_000, 30_000]),
        standby_ma=rng.choice([0, 50]),
        settle_ns=rng.choice([1, 2, 6]) * S,
        metered=metered and rng.random() < 0.85,
        error_ma=rng.choice([0, 50, 100]),
        lag_ns=rng.choice([0, 100, 1000]) * MS,
        poll_ns=poll,
        max_age_ns=max(3 * poll, S),
        weight=rng.choice([1, 1, 1, 3]),
        write_gap_ns=rng.choice([0, 0, 0, 2 * S, 5 * S]),
    )
