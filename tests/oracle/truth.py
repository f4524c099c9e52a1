"""What is true of a world after each tick, held against its caps and all that is believed of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tests.oracle import bounds
from tests.oracle.promises import BrokenPromiseError
from tests.oracle.site import MS, S, Triple, plus

if TYPE_CHECKING:
    from tests.oracle.world import World

TICK = 100 * MS
WRITE_AT_MOST = 200 * MS


class Truth:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._over_since: dict[tuple[int, int], int] = {}
        self._beyond_since: dict[tuple[int, str], int] = {}

    def circuit(self, circuit: int) -> None:
        """No circuit is truly over its cap for longer than one reaction to what caused it."""
        world = self._world
        load = world.depot.load(circuit)
        for phase in range(3):
            cap = world.watch.beliefs.cap(circuit, phase, world.now_ns)
            if (
                load[phase] <= max(cap, 0)
                or world.watch.at_floor(circuit, phase)
                or self.stuck(circuit, phase)
                or self._hidden(circuit)
            ):
                self._over_since.pop((circuit, phase), None)
                continue
            since = self._over_since.setdefault((circuit, phase), world.now_ns)
            late = world.now_ns - max(since, world.cause_ns)
            if late > world.steps * self.reaction_ns(circuit):
                raise BrokenPromiseError(
                    f"at {world.now_ns / S:.3f} s: {circuit}.{phase} truly carries {load[phase]}"
                    f" of {cap} for {late / S:.2f} s"
                )
        self._bounds(circuit, load)

    def _bounds(self, circuit: int, load: Triple) -> None:
        """The same of what its phases carry together, and of its bus bar."""
        world = self._world
        row, drawn = world.site.circuits[circuit], world.depot.drawn(circuit)
        over = {
            name: (carries, most)
            for name, phases, carries, most in bounds.overloads(row, load, drawn)
            if not all(world.watch.at_floor(circuit, phase) for phase in phases)
            and not any(self.stuck(circuit, phase) for phase in phases)
        }
        for name in [name for at, name in self._beyond_since if at == circuit and name not in over]:
            del self._beyond_since[circuit, name]
        for name, (carries, most) in over.items():
            since = self._beyond_since.setdefault((circuit, name), world.now_ns)
            late = world.now_ns - max(since, world.cause_ns)
            if late > world.steps * self.reaction_ns(circuit):
                raise BrokenPromiseError(
                    f"at {world.now_ns / S:.3f} s: {name} of {circuit} truly carries {carries}"
                    f" of {most} for {late / S:.2f} s"
                )

    def stuck(self, circuit: int, phase: int) -> list[int]:
        """Who draws there whatever it is told."""
        world = self._world
        devices = world.depot.devices
        below = world.watch.beliefs.below[circuit]
        return [i for i in below if devices[i].stuck_ma and devices[i].current_ma()[phase] > 500]

    def beliefs(self) -> None:
        """What is true lies inside the intervals: the oracle's own and the controller's."""
        world = self._world
        beliefs, port = world.watch.beliefs, world.watch.port
        for index, device in enumerate(world.depot.devices):
            drawn, state = device.current_ma(), port.charger(index)
            for phase in range(3):
                most = beliefs.chargers[index].draw_hi(phase, world.now_ns)
                if drawn[phase] > most or drawn[phase] > state.draw_hi_ma:
                    self._untrue(f"charger {index} draws {drawn}", most, state.draw_hi_ma)
        for index, base in world.base_then.items():
            circuit = world.site.meters[index].circuit
            if index not in [meter for meter, _, _ in beliefs.fresh(circuit, world.now_ns)]:
                continue
            said, row = port.circuit(circuit), world.site.circuits[circuit]
            if said.worst_base_ma != row.worst_base_ma:
                self._untrue(f"worst base of {circuit}", row.worst_base_ma, said.worst_base_ma)
            load = plus(base, world.depot.drawn(circuit))
            for phase in range(3):
                most = beliefs.base_hi(circuit, phase, world.now_ns)
                most += beliefs.draw_hi(circuit, phase, world.now_ns)
                told = said.base_hi_ma[phase] + said.draw_hi_ma[phase]
                if load[phase] > most or load[phase] > told:
                    self._untrue(f"load of {circuit}.{phase} is {load[phase]}", most, told)

    def _untrue(self, truth: str, oracle_ma: object, said_ma: object) -> NoReturn:
        raise BrokenPromiseError(
            f"at {self._world.now_ns / S:.3f} s: {truth}, at most {oracle_ma} by the oracle's own"
            f" model, {said_ma} by the controller's"
        )

    def reaction_ns(self, circuit: int) -> int:
        """Tick + what a meter needs to show it + what chargers and cars need to obey."""
        world = self._world
        rows = [world.site.chargers[i] for i in world.watch.beliefs.below[circuit]]
        meters = [m for m in world.site.meters if m.circuit in world.site.path(circuit)]
        seen = max((max(m.poll_ns + m.lag_ns, m.max_age_ns) for m in meters), default=0)
        obeyed = max((row.write_gap_ns + row.settle_ns for row in rows), default=0)
        return 2 * TICK + seen + WRITE_AT_MOST + obeyed

    def _hidden(self, circuit: int) -> bool:
        """It carries more base load than declared, and nobody reads it: it may be over its cap."""
        world = self._world
        base, declared = world.depot.base(circuit), world.site.circuits[circuit].worst_base_ma
        lies = any(is_ma > said_ma for is_ma, said_ma in zip(base, declared, strict=True))
        return lies and not world.watch.beliefs.fresh(circuit, world.now_ns)
