"""The truth: who really draws what. Nobody is told but through meters and reports."""

import random
from collections import deque
from dataclasses import dataclass, field

from tests.oracle.site import Charger, Site, Triple, plus


@dataclass
class Car:
    """A vehicle: wants at most `want_ma` on its phases and follows the offer `reaction_ns` late."""

    want_ma: int
    terminals: int
    reaction_ns: int
    gain_ppm: int  # what it draws of the offer; above a million within the declared tolerance


@dataclass
class Device:
    """A charger as it is. `coming` are offers its car has not followed yet."""

    row: Charger
    car: Car | None = None
    offered_ma: int = 0
    followed_ma: int = 0
    coming: deque[tuple[int, int]] = field(default_factory=deque)
    online: bool = True
    powered: bool = True
    awake_ns: int = 0
    stuck_ma: int | None = None  # it draws that, whatever it is told
    contact_ns: int = 0
    acknowledged: int = 0
    next_write_ns: int = 0  # it takes none sooner
    voltage_ppm: int = 1_000_000  # of nominal

    def offer(self, now_ns: int, ma: int) -> None:
        if ma != self.offered_ma:
            self.offered_ma = ma
            self.coming.append((now_ns + (self.car.reaction_ns if self.car else 0), ma))

    def answers(self, now_ns: int) -> bool:
        return self.online and self.powered and now_ns >= self.awake_ns

    def supply(self, now_ns: int, powered: bool, boot_ns: int) -> None:
        """Its contactor opens, or closes: then it begins anew, and obeys again."""
        if powered == self.powered:
            return
        self.powered = powered
        self.coming.clear()
        self.offered_ma = self.followed_ma = 0
        if powered:
            self.stuck_ma = None
            self.awake_ns = now_ns + boot_ns
            self.offer(now_ns, self.row.power_on_ma)

    def follow(self, now_ns: int) -> None:
        while self.coming and self.coming[0][0] <= now_ns:
            self.followed_ma = self.coming.popleft()[1]

    def current_ma(self) -> Triple:
        """Per grid phase; standby is drawn whatever happens."""
        row, amps = self.row, [0, 0, 0]
        drawn = 0
        if not self.powered:
            return 0, 0, 0
        if self.car and self.followed_ma >= 6000:
            gain = min(self.car.gain_ppm, 1_000_000 + row.tolerance_ppm)
            if row.watts:  # a power, whatever the vehicle is: most current at 0.9 of nominal
                gain = (1_000_000 + row.tolerance_ppm) * 900_000 // self.voltage_ppm
            drawn = min(self.car.want_ma, self.followed_ma * gain // 1_000_000)
        if self.car and self.stuck_ma is not None:
            drawn = self.stuck_ma
        wired = [phase for phase in row.phases if phase >= 0]
        for terminal, phase in enumerate(wired):
            used = self.car is not None and terminal < self.car.terminals
            amps[phase] = row.standby_ma + (drawn if used else 0)
        return amps[0], amps[1], amps[2]

    def shown(self, ma: int) -> int:
        """What it measures of a current: some tell their power, as of nominal voltage."""
        return ma * self.voltage_ppm // 1_000_000 if self.row.error_ppm else ma

    def vehicle(self) -> str:
        if self.car is None:
            return "A"
        return "C" if self.followed_ma >= 6000 and self.car.want_ma >= 1000 else "B"


class Depot:
    """Base loads and chargers on the tree."""

    def __init__(self, site: Site, rng: random.Random) -> None:
        self.site = site
        self.own_base: list[Triple] = [(0, 0, 0)] * len(site.circuits)
        self.devices = [Device(row) for row in site.chargers]
        self._inside = [
            [c for c in range(len(site.circuits)) if top in site.path(c)]
            for top in range(len(site.circuits))
        ]
        self._below = [site.below(c) for c in range(len(site.circuits))]

    def rebuild(self, site: Site) -> None:
        """Another document about the same depot."""
        self.site = site
        self._below = [site.below(c) for c in range(len(site.circuits))]

    def base(self, circuit: int) -> Triple:
        """Everything below the circuit that is not a managed charger."""
        return plus(*(self.own_base[c] for c in self._inside[circuit]))

    def load(self, circuit: int) -> Triple:
        """What flows through the circuit."""
        return plus(self.base(circuit), self.drawn(circuit))

    def drawn(self, circuit: int) -> Triple:
        """What managed chargers draw below the circuit."""
        return plus(*(self.devices[i].current_ma() for i in self._below[circuit]))

    def follow(self, now_ns: int) -> None:
        for device in self.devices:
            device.follow(now_ns)

    def room(self, circuit: int) -> Triple:
        """How much own base a circuit may still get before a declared worst case is a lie."""
        left = [
            [w - b for w, b in zip(self.site.circuits[c].worst_base_ma, self.base(c), strict=True)]
            for c in self.site.path(circuit)
        ]
        return min(r[0] for r in left), min(r[1] for r in left), min(r[2] for r in left)
