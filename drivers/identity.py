"""Who a device says it is: the marks by which it is told from others, and its serial number.

They are read when somebody asks (`loadkeeper scan`, `check --live`), and never polled.
"""

from typing import Annotated

from pydantic import AfterValidator, StrictInt, StrictStr, model_validator

from drivers.decode import Value
from drivers.register import Part, Register


def _listed(values: tuple[int | str, ...]) -> tuple[int | str, ...]:
    if not values:
        raise ValueError("must not be empty")
    return values


Marks = Annotated[tuple[StrictInt | StrictStr, ...], AfterValidator(_listed)]


class Marker(Register):
    """A register that reads so on this kind of device, and hardly on any other; read alone."""

    values: Marks  # raw numbers, or what its text begins with

    @model_validator(mode="after")
    def _raw(self) -> "Marker":
        if self.unit is not None or self.write_only:
            raise ValueError("a marker is compared as the raw value that is read: it has no unit")
        return self

    def fits(self, value: Value) -> bool:
        if isinstance(value, str):
            begins = (each.casefold() for each in self.values if isinstance(each, str))
            return any(map(value.casefold().startswith, begins))
        return value in self.values


class Identity(Part):
    """Registers that tell one device from its like; each is read alone."""

    serial: Register | None = None
    firmware: Register | None = None
    model: Register | None = None

    def registers(self) -> dict[str, Register]:
        """Those that the device has, by name."""
        found = {"serial": self.serial, "firmware": self.firmware, "model": self.model}
        return {name: register for name, register in found.items() if register is not None}
