"""A depot in which nothing happens: vehicles take what they are offered, base loads stand."""

from __future__ import annotations

import random

from cext.rows import Vehicle
from tests.door import kernel_of
from tests.oracle.site import MS, Meter, S, Site, Triple
from tests.oracle.whole import targets
from tests.oracle.whole.sites import plain, random_depot

STEP_NS = 500 * MS


def still_depot(seed: int) -> tuple[Site, list[Triple]]:
    """All measured, no tolerance; and what each circuit carries beside its chargers."""
    rng = random.Random(seed)
    site = random_depot(rng)
    site = site._replace(
        chargers=[
            plain(row)._replace(
                class_rank=rng.choice([0, 0, 1]), lag_ns=0, settle_ns=S, metered=True
            )
            for row in site.chargers
        ],
        meters=[Meter(c, 0, 50 * MS, S, 200 * MS) for c in range(len(site.circuits))],
        slots=(),
    )
    count = range(len(site.circuits))
    own = []
    for circuit, row in enumerate(site.circuits):
        children = [child for child in site.circuits if child.parent == circuit]
        free = [
            max(0, row.worst_base_ma[p] - sum(child.worst_base_ma[p] for child in children))
            for p in range(3)
        ]
        own.append([rng.randint(0, ma) for ma in free])
    base: list[Triple] = []
    for circuit in count:
        carried = [own[c] for c in count if circuit in site.path(c)]
        base.append(
            (sum(b[0] for b in carried), sum(b[1] for b in carried), sum(b[2] for b in carried))
        )
    return site, base


def settle(site: Site, base: list[Triple], seconds: int) -> list[int]:
    """What is ordered after so long."""
    kernel, now_ns = kernel_of(site), 1000 * S
    in_force = [0] * len(site.chargers)
    written = [0] * len(site.chargers)
    for _ in range(seconds * S // STEP_NS):
        now_ns += STEP_NS
        amps = [
            (ma * (0 in row.phases), ma * (1 in row.phases), ma * (2 in row.phases))
            for ma, row in zip(in_force, site.chargers, strict=True)
        ]
        for circuit, own in enumerate(base):
            below = [amps[i] for i in site.below(circuit)]
            flows = [own[p] + sum(each[p] for each in below) for p in range(3)]
            kernel.post_reading(circuit, now_ns, (flows[0], flows[1], flows[2]))
        for i, ma in enumerate(in_force):
            state = Vehicle.C if ma else Vehicle.B
            kernel.post_report(i, now_ns, ma, amps[i], state, written[i])
        kernel.tick(now_ns)
        for i in range(len(site.chargers)):
            out = kernel.output(i)
            if out.setpoint_ma is not None:
                in_force[i], written[i] = out.setpoint_ma, out.changed_tick
    return in_force


def fair(site: Site, base: list[Triple]) -> list[int]:
    """The exact shares under what the ratings leave."""
    rooms: list[Triple] = []
    for row, own in zip(site.circuits, base, strict=True):
        rating = row.rating_ma
        rooms.append((rating[0] - own[0], rating[1] - own[1], rating[2] - own[2]))
    most = [row.max_ma for row in site.chargers]
    return [share.__floor__() for share in targets.shares(site, rooms, most)]
