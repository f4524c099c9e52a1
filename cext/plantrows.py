"""What the virtual depot is made of and what it shows: plain rows, as cext.rows for the kernel."""

from typing import NamedTuple

from cext.rows import Phases, Vehicle


class PlantCharger(NamedTuple):
    """A charger as it really behaves, whatever the site document says of it."""

    circuit: int
    phases: Phases  # grid phase at terminals 1, 2, 3; NO_PHASE where not wired
    max_ma: int  # of the hardware
    power_on_ma: int
    fallback_ma: int  # offered when the watchdog runs out
    watchdog_ns: int  # 0: keeps the last setpoint for ever
    boot_ns: int = 0  # with power again, it offers its power-on current, and answers later
    # Commanded in watts: its power is what is set, so at nominal voltage it draws so much of its
    # setpoint, and more while the voltage is lower. 0: commanded in amperes.
    draws_ppm: int = 0
    # It reports its power: so much of its current, at nominal voltage. 0: its current.
    shows_ppm: int = 0


class Car(NamedTuple):
    """A vehicle: has followed a changed offer after `reaction_ns`, stops below 6 A.

    Half of the reaction is dead time, the other half a straight ramp.
    """

    max_ma: int  # on-board charger, per phase
    phases: int  # 1, 2 or 3 terminals used, from terminal 1
    reaction_ns: int  # 0.5 to 5 s
    energy_wh: int  # wanted
    taper_wh: int  # within the last `taper_wh` the current falls linearly to 6 A
    gain_ppm: int = 0  # it draws so much more than it is offered, within its own maximum


class PlantChargerState(NamedTuple):
    """A charger at this instant."""

    offered_ma: int  # setpoint in force: last one written, fallback, or power-on
    valid_ns: int  # until the watchdog runs out; 0 when it has, or there is none
    current_ma: tuple[int, int, int]  # truth, per terminal
    vehicle: Vehicle
    energy_mwh: int  # delivered since the plant began


class Over(NamedTuple):
    """How a circuit stood against its true cap since the last `mark()`."""

    worst_ma: int  # highest load above the cap on any phase, 0 if never
    longest_ns: int  # longest time without pause above the cap + `tolerance_ma`
    over_ns: int  # above it at this moment, for so long without pause; 0 if not
