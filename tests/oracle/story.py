"""Random stories in the slow world: what happens to a depot, all of it from one seed."""

import random
from collections.abc import Callable, Sequence

from tests.oracle.depot import Car
from tests.oracle.site import (
    Charger,
    Port,
    S,
    Site,
    flat,
    random_site,
    with_bounds,
    with_contactors,
    with_pauses,
    with_watts,
)
from tests.oracle.world import World

PEACE = ("base", "want", "limit", "plug")
TROUBLE = (*PEACE, "meter", "distrust", "prove", "silence", "power", "restart")
UNDECLARED = (*PEACE, "more", "more", "meter", "meter", "distrust")
SWITCHED = (*PEACE, "silence", "stubborn", "squeeze", "squeeze", "squeeze", "weld", "meter")
FOR_EVER_S = 1e6


def tell(
    open_port: Callable[[Site], Port],
    seed: int,
    kinds: Sequence[str],
    chargers: int = 5,
    circuits: int = 3,
    beats: int = 6,
    contactors: bool = False,
    pauses: bool = False,
    bounded: bool = False,
    watts: bool = False,
) -> World:
    """Builds a random depot, lets it start, and lets `beats` things happen to it."""
    rng = random.Random(seed)
    site = random_site(rng, chargers, circuits, metered=rng.random() < 0.8)
    if bounded:
        site = with_bounds(rng, site)
    if contactors:
        site = with_contactors(rng, site)
    if pauses:
        site = with_pauses(rng, site)
    if watts:
        site = with_watts(rng, site)
    world = World(site, open_port, seed)
    world.steps = 2
    for index, row in enumerate(site.chargers):
        world.depot.devices[index].offer(world.now_ns, rng.choice([0, row.fallback_ma, row.max_ma]))
        if rng.random() < 0.8:
            world.plug(index, random_car(rng, row))
    for slot in range(len(site.slots)):
        world.limit(slot, None, FOR_EVER_S, FOR_EVER_S)
    world.run(25)
    for _ in range(beats):
        happen(world, rng, rng.choice(kinds))
        world.run(rng.choice([0.5, 3, 12]))
    return world


def random_car(rng: random.Random, row: Charger) -> Car:
    return Car(
        want_ma=rng.choice([10_000, 16_000, 32_000]),
        terminals=rng.choice([1, 3, 3]),
        reaction_ns=rng.randint(row.settle_ns // 5, row.settle_ns),
        gain_ppm=rng.randint(950_000, 1_040_000),
    )


def happen(world: World, rng: random.Random, kind: str) -> None:
    """One thing of that kind, somewhere."""
    site = world.site
    charger = rng.randrange(len(site.chargers))
    if kind == "base":
        circuit = rng.randrange(len(site.circuits))
        own, room = world.depot.own_base[circuit], world.depot.room(circuit)
        more = [rng.randint(-has, max(-has, free)) for has, free in zip(own, room, strict=True)]
        world.add_base(circuit, (more[0], more[1], more[2]))
    elif kind == "sun":
        fed = rng.choice([0, rng.randrange(40_000), rng.randrange(120_000)])
        phases = rng.choice([(1, 1, 1), (1, 0, 0), (0, 1, 1)])
        own = (-fed * phases[0], -fed * phases[1], -fed * phases[2])
        world.base(rng.randrange(len(site.circuits)), own)
    elif kind == "want":
        world.want(charger, rng.choice([0, 7000, 16_000, 32_000]))
    elif kind == "plug":
        gone = world.depot.devices[charger].car is not None
        world.plug(charger, None if gone else random_car(rng, site.chargers[charger]))
        row = site.chargers[charger]
        world.run((row.poll_ns + row.lag_ns) / S)  # no car takes another's place unseen
    elif kind == "limit" and site.slots:
        slot = rng.randrange(len(site.slots))
        ma = None if rng.random() < 0.2 else flat(rng.choice([0, rng.randrange(100_000)]))
        world.limit(slot, ma, rng.choice([5, 30, FOR_EVER_S]), rng.choice([8, FOR_EVER_S]))
    elif kind == "voltage":
        world.voltage(rng.choice([900_000, 950_000, 1_000_000, 1_100_000]))
    else:
        _break(world, rng, kind, charger)


def _break(world: World, rng: random.Random, kind: str, charger: int) -> None:
    """What goes wrong, somewhere."""
    site = world.site
    if kind == "meter":
        world.cut_meters ^= {rng.randrange(len(site.meters) + 1)}
    elif kind == "more":
        circuit = rng.randrange(len(site.circuits))
        world.lie(circuit, flat(rng.randint(1000, 40_000 + site.circuits[circuit].rating_ma[0])))
    elif kind == "distrust" and site.meters:
        world.distrust(rng.randrange(len(site.meters)))
    elif kind == "worse":
        worsen(world, rng)
    elif kind == "prove":
        world.prove(charger)
    elif kind == "silence":
        world.silence(charger, world.depot.devices[charger].online)
    elif kind == "stubborn":
        world.stick(charger)
    elif kind == "squeeze":
        squeeze(world, rng)
    elif kind == "weld" and site.contactors:
        world.welded ^= {rng.randrange(len(site.contactors))}
    elif kind == "power":
        world.power_cycle(charger)
    elif kind == "restart":
        world.restart()


def worsen(world: World, rng: random.Random) -> None:
    """More base load than was declared, where every circuit on the way up is measured."""
    site = world.site
    seen = {meter.circuit for meter in site.meters if not meter.unsigned}
    found = [c for c in range(len(site.circuits)) if seen.issuperset(site.path(c))]
    if found:
        world.honest = False
        world.add_base(rng.choice(found), flat(rng.randrange(5000, 40_000)))


def squeeze(world: World, rng: random.Random, for_s: float = 40) -> None:
    """Somebody who charges no longer obeys, and a limit falls below what it draws."""
    devices = world.depot.devices
    charging = [i for i, device in enumerate(devices) if max(device.current_ma()) >= 6000]
    if not charging:
        return
    charger = rng.choice(charging)
    drawn = max(devices[charger].current_ma())
    path = world.site.path(world.site.chargers[charger].circuit)
    slot = rng.choice([i for i, slot in enumerate(world.site.slots) if slot.circuit in path])
    if devices[charger].stuck_ma is None:
        world.stick(charger)
    world.limit(slot, flat(rng.choice([0, drawn // 3, drawn - 3000])), for_s, FOR_EVER_S)
    world.run(for_s * rng.choice([0.4, 0.7]))
