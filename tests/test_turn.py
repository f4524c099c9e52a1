"""The dead man: what completes a turn, what does not, and what is fed by it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from controller.turn import APART_NS, TURNS, Turn
from controller.units import NS_PER_S

DEAD_MAN_NS = 2 * NS_PER_S
STEP_NS = APART_NS


@dataclass
class Bench:
    """A turn with a clock of its own, and workers that do as they are told."""

    at_ns: int = 10 * NS_PER_S
    ticks: int = 0
    fed: int = 0
    rung: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turn = Turn(self, DEAD_MAN_NS)
        self.turn.fed(self._feed)

    def _feed(self) -> None:
        self.fed += 1

    def now_ns(self) -> int:
        return self.at_ns

    def tick(self, after_ns: int = STEP_NS) -> int:
        """The kernel's thread ticks, and the I/O side hears of it."""
        self.at_ns += after_ns
        self.ticks += 1
        self.turn.decided(self.ticks, self.at_ns)
        return self.ticks

    def willing(self, worker: str) -> None:
        """Takes each decision at once."""
        self.turn.join(worker, self._passes(worker))

    def deaf(self, worker: str) -> None:
        """Is rung, and that is all."""
        self.turn.join(worker, lambda: self.rung.append(worker))

    def _passes(self, worker: str) -> Callable[[], None]:
        def ring() -> None:
            self.rung.append(worker)
            self.turn.taken(worker, self.turn.tick)

        return ring


def test_a_turn_is_complete_when_every_worker_has_taken_its_decision() -> None:
    it = Bench()
    it.willing("a")
    it.deaf("b")
    tick = it.tick()
    assert it.rung == ["a", "b"]  # also those whose order did not change
    assert (it.fed, it.turn.last_ns(), it.turn.fresh) == (0, None, False)
    assert it.turn.missing() == ["b"]
    decided_ns = it.at_ns
    it.at_ns += 5
    it.turn.taken("b", tick)
    assert (it.fed, it.turn.last_ns(), it.turn.fresh) == (1, decided_ns, True)
    it.turn.taken("b", tick)
    it.turn.taken("a", tick)
    assert it.fed == 1  # once a turn


def test_without_ticks_nothing_completes_however_busy_the_workers_are() -> None:
    it = Bench()
    it.willing("a")
    it.tick()
    for _ in range(100):
        it.at_ns += STEP_NS
        it.turn.taken("a", it.turn.tick)
    assert it.fed == 1
    assert not it.turn.fresh


def test_a_tick_that_does_not_advance_is_none() -> None:
    it = Bench()
    it.willing("a")
    it.tick()
    for _ in range(100):
        it.at_ns += STEP_NS
        it.turn.decided(it.ticks, it.at_ns)
    assert it.fed == 1


def test_what_a_worker_did_for_an_older_decision_does_not_count() -> None:
    it = Bench()
    it.deaf("a")
    first = it.tick()
    it.turn.taken("a", first)
    it.tick()
    it.turn.taken("a", first)
    assert it.fed == 1
    assert it.turn.missing() == ["a"]


def test_a_worker_at_something_bounded_holds_nobody_up_until_its_bound_is_over() -> None:
    it = Bench()
    it.willing("a")
    it.deaf("dead charger")
    it.turn.busy("dead charger", NS_PER_S)
    for fed in (1, 2, 3):
        it.tick()
        assert it.fed == fed
    it.tick()  # a second has passed
    assert it.fed == 3
    assert it.turn.missing() == ["dead charger"]
    it.turn.taken("dead charger", it.ticks)
    assert it.fed == 4


def test_a_bus_that_hangs_completes_no_turn_though_all_who_wait_for_it_are_excused() -> None:
    it = Bench()
    it.deaf("a")
    it.turn.busy("a")
    it.turn.busy("bus", NS_PER_S)
    it.tick()
    assert it.fed == 1
    it.at_ns += NS_PER_S
    it.tick()
    assert it.turn.missing() == ["bus"]
    assert it.fed == 1
    it.turn.leave("bus")  # its exchange has ended after all
    it.tick()
    assert it.fed == 3  # the old one, and one of its own


def test_a_worker_that_is_gone_is_not_waited_for() -> None:
    it = Bench()
    it.deaf("a")
    it.tick()
    it.turn.leave("a")
    it.tick()
    assert it.fed == 2  # the old one, and one of its own


def test_a_turn_that_took_the_dead_man_time_feeds_nothing() -> None:
    it = Bench()
    it.deaf("a")
    tick = it.tick()
    it.at_ns += DEAD_MAN_NS
    it.turn.taken("a", tick)
    assert it.fed == 0
    assert not it.turn.fresh
    it.turn.taken("a", it.tick())
    assert it.fed == 1


def test_decisions_made_during_a_turn_or_soon_after_it_need_none_of_their_own() -> None:
    it = Bench()
    it.deaf("a")
    tick = it.tick()
    for _ in range(20):
        it.tick(NS_PER_S // 200)
    assert it.rung == ["a"]
    it.turn.taken("a", tick)
    it.tick(NS_PER_S // 200)
    assert it.rung == ["a"]
    it.tick()
    assert it.rung == ["a", "a"]


def test_turns_are_many_within_any_dead_man_time() -> None:
    short = Turn(Bench(), NS_PER_S // 2)
    assert short._apart_ns * TURNS <= NS_PER_S // 2


def test_a_depot_without_workers_still_needs_decisions() -> None:
    it = Bench()
    it.tick()
    assert it.fed == 1
    it.at_ns += DEAD_MAN_NS
    assert not it.turn.fresh
