"""Values that no register holds, and two or more of them tell: import minus export, a sum."""

from collections.abc import Mapping

from pydantic import Field, model_validator

from drivers.decode import Value
from drivers.register import Part


class Computed(Part):
    """A sum or a difference of registers with one unit, which is the value's, too.

    Unknown as soon as one of them is.
    """

    sum: tuple[str, ...] | None = Field(None, min_length=2, max_length=8)
    difference: tuple[str, str] | None = None  # the first less the second
    note: str = ""

    @model_validator(mode="after")
    def _one(self) -> "Computed":
        if (self.sum is None) == (self.difference is None):
            raise ValueError("is either a sum or a difference")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("has a register twice")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        return self.sum or self.difference or ()

    def of(self, values: Mapping[str, Value]) -> Value:
        """In thousandths of the unit."""
        parts = [values[name] for name in self.parts]
        numbers = [each for each in parts if isinstance(each, int)]
        if len(numbers) < len(parts):
            return None
        return sum(numbers) if self.sum is not None else numbers[0] - numbers[1]
