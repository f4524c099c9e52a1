"""Which pins an enforcer drives, on disk: who brings them to rest may find another document.

For this boot only: after the next one nobody drives any pin.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.document.gpio import Gpio
from controller.document.outputs import AtRest, at_rest, pins_used
from controller.saver import Saver, UnreadableError, read_back

FILE_BYTES = 64 << 10
OUTPUTS_MAX = 64  # a board has 28 pins

Wanted = list[tuple[str, tuple[AtRest, ...]]]
"""By pin factory, what is to be brought to rest."""

_Text = Annotated[str, Field(max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class _Output(_Strict):
    id: _Text
    pin: Annotated[int, Field(ge=0, le=999)]
    rest_high: bool
    factory: _Text | None = None  # where it is not that of the others


class Driven(_Strict):
    """The outputs of one pin factory, in one boot of the machine; and what was left of others."""

    format: Literal[1] = 1
    boot: _Text
    factory: _Text
    outputs: Annotated[list[_Output], Field(max_length=OUTPUTS_MAX)]

    def left_by(self, gpio: Gpio | None) -> Wanted:
        """Those that a document does not have on any pin any more.

        Pins are the board's: by whatever factory, one that the document uses is not among them.
        """
        taken = frozenset[int]() if gpio is None else pins_used(gpio)
        found: dict[str, list[AtRest]] = {}
        for each in self.outputs:
            if each.pin not in taken:
                kept = AtRest(each.id, each.pin, each.rest_high)
                found.setdefault(each.factory or self.factory, []).append(kept)
        return [(factory, tuple(outputs)) for factory, outputs in found.items()]


def driven(path: Path, boot_id: str) -> Driven | None:
    """What was driven since this machine was started. Raises UnreadableError."""
    found = read_back(path, Driven, FILE_BYTES)
    return found if found is not None and found.boot == boot_id else None


class PinMemory:
    """Keeps it; no disk holds anybody up."""

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._saver: Saver | None = None

    def keep(
        self, gpio: Gpio | None, *, drives: bool, left: Iterable[tuple[str, Iterable[AtRest]]] = ()
    ) -> None:
        """Before the first of them is driven otherwise than at rest; if they are at all.

        `left`: what an enforcer before drove, and could not be brought to rest.
        """
        if gpio is None or not drives:
            return  # what was kept before stays
        outputs = [_Output(id=id_, pin=pin, rest_high=high) for id_, pin, high in at_rest(gpio)]
        outputs += [
            _Output(id=each.id, pin=each.pin, rest_high=each.high, factory=factory)
            for factory, those in left
            for each in those
        ]
        del outputs[OUTPUTS_MAX:]
        now = Driven(boot=self._boot_id, factory=gpio.factory, outputs=outputs)
        try:
            if driven(self._path, self._boot_id) == now:
                return
        except UnreadableError:
            pass  # it is written anew
        self._saver = Saver(self._path)
        self._saver.save(now.model_dump_json(exclude_none=True).encode(), urgent=True)

    def close(self) -> None:
        """Writes what is pending, if the disk takes it soon."""
        if self._saver is not None:
            self._saver.close()


def wanted(gpio: Gpio | None, before: Driven | None, *, drives: bool = True) -> Wanted:
    """The document's outputs, and what was left.

    Where the document drives nothing, of its own only those that were driven before it.
    """
    were = set() if before is None else {each.pin for each in before.outputs}
    own = () if gpio is None else at_rest(gpio)
    those = tuple(each for each in own if drives or each.pin in were)
    found: Wanted = [(gpio.factory, those)] if gpio is not None and those else []
    return found + ([] if before is None else before.left_by(gpio))
