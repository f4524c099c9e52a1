"""What is known of circuits, kept over a restart: how warm their protection is, and what base load
was proved.

Heat is worth a minute at the most, and only in the same boot: it is kept in the runtime directory,
which is memory, so that no disk wears. A proved base load replaces the declared worst case until
the declaration changes: it is kept with the state, and written when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from cext.check import MOST_MA, MOST_NS
from cext.rows import Heat
from controller.saver import Saver, UnreadableError, read_back
from controller.units import NS_PER_S

if TYPE_CHECKING:
    from cext.tick import Kernel
    from controller.site import Circuit, Site

FILE_BYTES = 4 << 20
SAVED_EVERY_NS = 5 * NS_PER_S
WORTH_NS = 60 * NS_PER_S
_Milliamps = Annotated[int, Field(ge=0, le=MOST_MA)]
_Amps = tuple[_Milliamps, _Milliamps, _Milliamps]
_Part = Annotated[int, Field(ge=0, le=2**32 * 64 * 64)]
_Parts = tuple[_Part, _Part, _Part]


class WarmthError(Exception):
    """A saved file that cannot be read, with the reason in words."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Warm(_Strict):
    at_ns: Annotated[int, Field(ge=0, le=MOST_NS)]
    image: _Parts
    worn: _Parts
    current_ma: _Amps
    protection: str  # of what; another device has another heat


class _Heats(_Strict):
    format: Literal[1] = 1
    boot_id: str
    circuits: dict[str, _Warm]


class _Proved(_Strict):
    declared_ma: _Amps
    worst_ma: _Amps


class _Bases(_Strict):
    format: Literal[1] = 1
    circuits: dict[str, _Proved]


_File = TypeVar("_File", _Heats, _Bases)


class Warmth:
    """Both files of one site."""

    def __init__(self, heat: Path, bases: Path, boot_id: str) -> None:
        self._heat, self._bases = heat, bases
        self._boot_id = boot_id
        self._heat_saver = Saver(heat)
        self._base_saver = Saver(bases)
        self._saved_ns = 0
        self._proved: dict[str, _Proved] = {}

    @property
    def problem(self) -> str | None:
        """Why a proved base load cannot be saved, if it cannot."""
        return self._base_saver.problem

    def look(
        self,
        site: Site,
        kernel: Kernel,
        index: Mapping[str, int],
        now_ns: int,
        *,
        last: bool = False,
    ) -> None:
        """Saves what is due; to be called each second, and once at the end."""
        if last or now_ns - self._saved_ns >= SAVED_EVERY_NS:
            self._saved_ns = now_ns
            self._save_heat(site, kernel, index, last=last)
        self._save_bases(site, kernel, index)

    def restore(
        self, site: Site, kernel: Kernel, index: Mapping[str, int], now_ns: int
    ) -> list[str]:
        """Before the first tick; returns whose heat is known. Raises WarmthError when all that
        could be read was restored."""
        problems, warm = [], []
        try:
            warm = self._restore_heat(site, kernel, index, now_ns)
        except WarmthError as error:
            problems.append(str(error))
        try:
            self._restore_bases(site, kernel, index)
        except WarmthError as error:
            problems.append(str(error))
        if problems:
            raise WarmthError("; ".join(problems))
        return warm

    def close(self) -> None:
        """Writes what is pending, if the disk takes it soon."""
        self._heat_saver.close()
        self._base_saver.close()

    # Heat.

    def _save_heat(
        self, site: Site, kernel: Kernel, index: Mapping[str, int], *, last: bool
    ) -> None:
        circuits = {}
        for circuit in site.circuits:
            heat = kernel.heat(index[circuit.id])
            if heat is not None:
                circuits[circuit.id] = _Warm(protection=_device(circuit), **heat._asdict())
        file = _Heats(boot_id=self._boot_id, circuits=circuits)
        self._heat_saver.save(file.model_dump_json().encode(), urgent=last)

    def _restore_heat(
        self, site: Site, kernel: Kernel, index: Mapping[str, int], now_ns: int
    ) -> list[str]:
        file = _read(self._heat, _Heats)
        if file is None or file.boot_id != self._boot_id:
            return []
        restored, spoilt = [], []
        for circuit in site.circuits:
            warm = file.circuits.get(circuit.id)
            if warm is None or warm.protection != _device(circuit):
                continue
            if 0 <= now_ns - warm.at_ns < WORTH_NS:
                heat = Heat(warm.at_ns, warm.image, warm.worn, warm.current_ma)
                try:
                    kernel.restore_heat(index[circuit.id], heat)
                except ValueError as error:  # the others may be in order
                    spoilt.append(f"{circuit.id}: {error}")
                else:
                    restored.append(circuit.id)
        if spoilt:
            raise WarmthError(f"{self._heat}: {'; '.join(spoilt)}")
        return restored

    # Base loads.

    def _save_bases(self, site: Site, kernel: Kernel, index: Mapping[str, int]) -> None:
        proved = {}
        for circuit in site.circuits:
            worst_ma = kernel.circuit(index[circuit.id]).worst_base_ma
            if worst_ma != circuit.worst_base_ma:
                proved[circuit.id] = _Proved(declared_ma=circuit.worst_base_ma, worst_ma=worst_ma)
        if proved != self._proved:
            self._proved = proved
            self._base_saver.save(_Bases(circuits=proved).model_dump_json().encode(), urgent=True)

    def _restore_bases(self, site: Site, kernel: Kernel, index: Mapping[str, int]) -> None:
        file = _read(self._bases, _Bases)
        if file is None:
            return
        for circuit in site.circuits:
            proved = file.circuits.get(circuit.id)
            if proved is not None and proved.declared_ma == circuit.worst_base_ma:
                kernel.restore_worst(index[circuit.id], proved.worst_ma)
        self._proved = dict(file.circuits)  # what is void is taken out at the next look


def _device(circuit: Circuit) -> str:
    return "" if circuit.protection is None else circuit.protection.model_dump_json()


def _read(path: Path, form: type[_File]) -> _File | None:
    try:
        return read_back(path, form, FILE_BYTES)
    except UnreadableError as error:
        raise WarmthError(f"{path}: {error}") from error
