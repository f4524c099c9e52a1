"""A charger without a bus: a relay switches it on and off, and nothing else speaks to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hil.devices.seats import ChargerSeat


@dataclass(eq=False)
class Switched(ChargerSeat):
    """Offers its rated current while its relay is closed, and nothing while it is open."""

    on: bool = field(default=False, init=False)

    def switch(self, on: bool) -> None:
        """Its relay is like this now."""
        if on != self.on:
            self.on = on
            self.writes += 1
            self.reboot()

    def reboot(self) -> None:
        """It has power (again), and does what its relay says."""
        self.present()
        self.plant.write_setpoint(self.index, self.row.max_ma if self.on else 0)
