from collections.abc import Sequence

from cext.plantrows import Car as Car
from cext.plantrows import Over as Over
from cext.plantrows import PlantCharger as PlantCharger
from cext.plantrows import PlantChargerState as PlantChargerState
from cext.rows import Phases

class Plant:
    """The virtual depot: integers in, integers out, deterministic by seed.

    `nominal_mv` is line to neutral. Parents stand before their children. Raises
    ValueError for a number or an index out of its range.
    """

    def __init__(
        self,
        parents: Sequence[int],
        chargers: Sequence[PlantCharger],
        nominal_mv: int,
        seed: int,
        step_ns: int = 10_000_000,
        tolerance_ma: int = 500,
        contactors: Sequence[Sequence[int]] = (),
    ) -> None:
        """`contactors`: the chargers behind each; all are closed at first."""
    def advance(self, now_ns: int) -> None:
        """Runs inner steps of `step_ns` up to `now_ns`; the first call sets the origin.

        An instant in the past does nothing. Everything else happens at `self.now_ns`.
        """
    @property
    def now_ns(self) -> int: ...
    # what happens in the depot
    def set_base(self, circuit: int, base_ma: Phases, noise_ma: int = 0) -> None:
        """The circuit's own base load; what stands below it comes on top."""
    def set_voltage(self, ppm: int) -> None:
        """Of nominal, in the whole depot, at once: chargers that are commanded in watts draw the
        more current the lower it is. Base loads are currents, and stay."""
    def plug(self, charger: int, car: Car) -> None:
        """A vehicle takes the place of whatever was plugged in."""
    def unplug(self, charger: int) -> None: ...
    def set_car_max(self, charger: int, max_ma: int) -> None:
        """The vehicle's own wish changes (wakes up, or saves its battery)."""
    def power_cycle(self, charger: int) -> None:
        """Its supply is cut and returns at once."""
    def set_alone(self, charger: int, fallback_ma: int, watchdog_ns: int) -> None:
        """Its watchdog is set up anew: counts from the next time it is fed; 0 ns: it is off."""
    def set_supply(self, charger: int, supplied: bool) -> None:
        """Something else before it opens or closes. Without supply it offers and draws nothing
        and takes no setpoint; with it again it begins at its power-on current."""
    def set_contactor(self, contactor: int, closed: bool) -> None:
        """What its coil asks for. Without power a charger draws nothing and hears nothing."""
    def set_welded(self, contactor: int, welded: bool) -> None:
        """From the next time it is closed on it stays so, until it is mended."""
    def contactor(self, contactor: int) -> bool:
        """Whether it is closed."""
    def set_obeys(self, charger: int, obeys: bool) -> None:
        """False: goes on drawing what it drew, whatever is written."""
    def set_told(self, charger: int, told_ma: int | None) -> None:
        """What it reports of each phase it uses, whatever it draws; None: what it draws."""
    # what a controller can do and see
    def write_setpoint(self, charger: int, ma: int) -> bool:
        """Accepted by the charger's register: takes effect, feeds its watchdog.

        False: it came within the gap after another, and is lost.
        """
    def set_write_gap(self, charger: int, gap_ns: int) -> None:
        """From now on it takes no write so soon after another."""
    def feed(self, charger: int) -> None:
        """A request that feeds its watchdog and changes nothing, where any request does."""
    def answers(self, charger: int) -> bool:
        """Whether it has power, and has had it long enough to speak."""
    def charger(self, charger: int) -> PlantChargerState: ...
    def glance(self) -> tuple[tuple[int, ...], tuple[int, ...], int, bytes]:
        """Of all chargers: setpoints, highest currents, mWh in all, 1 where a watchdog runs."""

    def changes(self) -> tuple[int, ...]:
        """How often the setpoint in force of each charger became another, so far."""
    def wanted_mwh(self, charger: int) -> int:
        """What its vehicle still wants; 0 where there is none."""
    def set_meter(
        self, circuit: int, lag_ns: int, refresh_ns: int, sigma_ma: int = 0, step_ma: int = 1
    ) -> None:
        """Currents reach the meter's registers `lag_ns` late, once every `refresh_ns`.

        Each time they are off by chance, as good as normally with the deviation `sigma_ma`, and
        then rounded to whole `step_ma`.
        """
    def meter(self, circuit: int) -> Phases:
        """What a meter with the set lag and refresh shows now, signed."""
    # the truth that stories are judged by
    def load(self, circuit: int) -> Phases: ...
    def set_cap(self, circuit: int, cap_ma: Phases) -> None: ...
    def cap(self, circuit: int) -> Phases: ...
    def over(self, circuit: int) -> Over: ...
    def above(self, circuit: int) -> Phases:
        """The highest load above the cap of each phase since the last `mark()`, in inner steps;
        negative where it never was above."""
    def set_bounds(
        self,
        circuit: int,
        together_ma: int | None,
        busbar_ma: Phases | None,
        nets: bool = False,
    ) -> None:
        """What else may truly flow: on the three phases together, a phase that exports as nothing
        unless it `nets`; and what the chargers below may draw on each. None: anything."""
    def beyond(self, circuit: int) -> tuple[int, int, int, int]:
        """As `above()`, against these bounds: together, then the bus bar of each phase."""
    def mark(self) -> None:
        """Begins a new measuring window for `over()`, `above()` and `beyond()` of every circuit."""
    def offered_total_ma(self) -> int:
        """Σ of setpoints in force: for "nothing rose"."""
