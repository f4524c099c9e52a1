"""One charger's registers of limited endurance: whether each bears a write, what was withheld."""

from __future__ import annotations

from controller.document.devices import Charger
from drivers.chargerprofile import ChargerProfile
from drivers.device import WRITE_COIL, Request
from drivers.register import Register
from drivers.wear import Wear


class Memory:
    """Of a profile that is seated at its connector (drivers.watts)."""

    __slots__ = ("_endurance", "_profile", "_wear", "_withheld", "_worn")

    def __init__(
        self, wear: Wear, line: str, unit: int, profile: ChargerProfile, connector: int = 1
    ) -> None:
        """`line`: where two addresses are the same one (controller.document.buses)."""
        self._wear = wear
        self._profile = profile
        self._endurance = profile.endurance
        own, shared = f"{line} unit {unit}", f"{line} unit {unit}"
        connectors = profile.connectors
        if connectors is not None:
            shared = f"{line} unit {unit - (connector - 1) * connectors.unit_stride}"
        common = () if connectors is None else connectors.common
        names = () if profile.endurance is None else profile.endurance.registers
        self._worn = {  # by where a write goes: name, device, place
            _place(profile.registers[name]): (name, shared if name in common else own)
            for name in names
        }
        self._withheld: tuple[str, str] | None = None  # which register, and why

    @classmethod
    def of(cls, wear: Wear, charger: Charger, profile: ChargerProfile) -> Memory:
        return cls(wear, charger.bus.address.place, charger.unit, profile, charger.connector)

    def may(self, request: Request) -> bool:
        """Whether its memory bears that write now. One that it does not is remarked upon."""
        return self._may(_at(request.address, coil=request.fc == WRITE_COIL))

    def _may(self, place: str) -> bool:
        if self._endurance is None or place not in self._worn:
            return True
        worn, device = self._worn[place]
        why = self._wear.bears(device, place, self._endurance)
        if why is not None:
            self._withheld = worn, why
        elif self._withheld is not None and self._withheld[0] == worn:
            self._withheld = None
        return why is None

    def may_rise(self, *, enabled: bool = True) -> bool:
        """Whether its setpoint may be written where nothing but energy is lost without it; and
        what enables it, where it is not `enabled`."""
        names = self._profile.setpoint.register_names
        if self._profile.enable is not None and not enabled:
            names = (*names, self._profile.enable.register_name)
        return all(self._may(_place(self._profile.registers[name])) for name in names)

    def wrote(self, request: Request) -> None:
        """It may have arrived."""
        place = _at(request.address, coil=request.fc == WRITE_COIL)
        if self._endurance is not None and place in self._worn:
            self._wear.wrote(self._worn[place][1], place, self._endurance)

    def written(self, name: str) -> int:
        """How often so far, of one that wears out; else 0."""
        place = _place(self._profile.registers[name])
        return self._wear.written(self._worn[place][1], place) if place in self._worn else 0

    def remark(self) -> str | None:
        """What was withheld last, in words."""
        if self._withheld is None:
            return None
        name, why = self._withheld
        return f"{name} was written {why}: it is not written now, but to lower the charger"


def _place(register: Register) -> str:
    return _at(register.addr, coil=register.type == "bool")


def _at(address: int, *, coil: bool) -> str:
    return f"coil {address}" if coil else str(address)
