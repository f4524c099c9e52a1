"""Contacts on the gateway's pins that ask for something: as whoever holds them has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.document.inputs import Asked, DimInput, Step


class Contacts:
    """Of several of one input the first, 100 percent, is active at first; one alone rests."""

    def __init__(self, inputs: Sequence[DimInput]) -> None:
        self._inputs = {row.id: row for row in inputs}
        self._active = {
            (row.id, step.percent): step is row.steps[0] and len(row.steps) > 1
            for row in inputs
            for step in row.steps
        }
        self._broken: set[str] = set()  # wires

    def __iter__(self) -> Iterator[DimInput]:
        return iter(self._inputs.values())

    def __contains__(self, wire: str) -> bool:
        return any(wire == _wire(row, step) for row in self for step in row.steps)

    def ask(self, input_: str, active: bool, percent: int | None = None) -> None:
        """One of its contacts; without `percent` the one that it has, or 100 percent."""
        self._active[input_, 100 if percent is None else percent] = active

    def break_wire(self, wire: str, broken: bool) -> None:
        """By the input's id; of several contacts, with the percentage behind it: ripple-60."""
        (self._broken.add if broken else self._broken.discard)(wire)

    def high(self, row: DimInput, step: Step) -> bool:
        """The pin is pulled up: high while the contact is open, or its wire broken."""
        wire = _wire(row, step)
        return self._active[row.id, step.percent] == row.active_open or wire in self._broken

    def asked(self, input_: str) -> Asked:
        """What the gateway is to make of it, by its pins."""
        row = self._inputs[input_]
        return row.asked([self.high(row, step) for step in row.steps])


def _wire(row: DimInput, step: Step) -> str:
    return row.id if len(row.steps) == 1 else f"{row.id}-{step.percent}"


def wires(inputs: Sequence[DimInput]) -> list[str]:
    return [_wire(row, step) for row in inputs for step in row.steps]
