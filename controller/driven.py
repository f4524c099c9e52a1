"""Which pins an enforcer drives, on disk: who brings them to rest may find another document.

For this boot only: after the next one nobody drives any pin.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.document.gpio import Gpio
from controller.document.outputs import AtRest, at_rest, pins_used
from controller.saver import Saver, UnreadableError, read_back

FILE_BYTES = 64 << 10
OUTPUTS_MAX = 64  # a board has 28 pins

_Text = Annotated[str, Field(max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class _Output(_Strict):
    id: _Text
    pin: Annotated[int, Field(ge=0, le=999)]
    rest_high: bool


class Driven(_Strict):
    """The outputs of one pin factory, in one boot of the machine."""

    format: Literal[1] = 1
    boot: _Text
    factory: _Text
    outputs: Annotated[list[_Output], Field(max_length=OUTPUTS_MAX)]

    def left_by(self, gpio: Gpio | None) -> tuple[AtRest, ...]:
        """Those that a document does not have on any pin any more."""
        taken = set() if gpio is None or gpio.factory != self.factory else pins_used(gpio)
        every = (AtRest(each.id, each.pin, each.rest_high) for each in self.outputs)
        return tuple(each for each in every if each.pin not in taken)


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

    def keep(self, gpio: Gpio | None, *, drives: bool) -> None:
        """Before the first of them is driven otherwise than at rest; if they are at all."""
        if gpio is None or not drives:
            return
        outputs = [_Output(id=id_, pin=pin, rest_high=high) for id_, pin, high in at_rest(gpio)]
        now = Driven(boot=self._boot_id, factory=gpio.factory, outputs=outputs)
        try:
            if driven(self._path, self._boot_id) == now:
                return
        except UnreadableError:
            pass  # it is written anew
        self._saver = Saver(self._path)
        self._saver.save(now.model_dump_json().encode(), urgent=True)

    def close(self) -> None:
        """Writes what is pending, if the disk takes it soon."""
        if self._saver is not None:
            self._saver.close()


def wanted(gpio: Gpio | None, before: Driven | None) -> Sequence[tuple[str, tuple[AtRest, ...]]]:
    """By pin factory, what is to be brought to rest: the document's, and what was left."""
    found = [] if gpio is None else [(gpio.factory, at_rest(gpio))]
    if before is not None and (left := before.left_by(gpio)):
        found.append((before.factory, left))
    return found
