from collections.abc import Callable, Set

from cext.plant import Plant
from cext.rows import Phases
from cext.tick import Kernel

class Agenda:
    """What is to be done when; in order of time, then of entry."""

    def __init__(self, go_on: Callable[[int], None]) -> None:
        """`go_on` brings the world to an instant."""

    def at(self, instant_ns: int, act: Callable[[], None]) -> None: ...
    def run_until(self, until_ns: int) -> None:
        """Everything up to and including `until_ns`."""

class Errands(Agenda):
    """The agenda of an enforcer in virtual time, and on it the drivers of its chargers.

    They report each poll and write what is new, was lost, or must be renewed, without a line of
    Python for each; a request and its reply take `exchange_ns`. A charger whose id is in `silent`
    does not answer, to one in `deaf` no write gets through, and while "io" is in `stalled` nobody
    talks. `went` is told each instant before anything happens at it; `reported` each charger's
    index, the instant and its currents by grid phase, None where it measures none.
    """

    def __init__(
        self,
        kernel: Kernel,
        plant: Plant,
        exchange_ns: int,
        went: Callable[[int], None],
        reported: Callable[[int, int, Phases | None], None],
        silent: Set[str],
        stalled: Set[str],
        deaf: Set[str] = frozenset(),
    ) -> None: ...
    def drive(
        self,
        charger: str,
        phases: Phases,
        metered: bool,
        any_traffic: bool,
        poll_ns: int,
        fallback_delay_ns: int | None,
        write_gap_ns: int,
        begin_ns: int,
    ) -> None:
        """The next charger, in the order of the tables; its first poll is at `begin_ns`."""

    def switch(self, kernel: Kernel) -> None:
        """From now on the drivers speak for this one; its chargers are the same."""

    def wake(self, charger: int) -> None:
        """Its order has changed."""

    @property
    def setpoint_writes(self) -> int:
        """How many setpoints were taken since the start."""
