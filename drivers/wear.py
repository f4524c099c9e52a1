"""How often chargers' registers of limited endurance were written, kept over a restart.

Each has so many writes in all, and so many a day. The day is counted while the process runs, for
no clock can be trusted over a power cut: what was left of it at the end is what is left at the
start. A write that is withheld is told. A reduction is counted and never withheld.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from controller.saver import Saver, UnreadableError, read_back
from controller.units import NS_PER_S
from drivers.chargerprofile import ChargerProfile

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

DAY_S = 86_400
FILE_BYTES = 4 << 20
WRITES_MOST = 1 << 40

log: FilteringBoundLogger = structlog.get_logger()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Kept(_Strict):
    written: Annotated[int, Field(ge=0, le=WRITES_MOST)] = 0
    left_s: Annotated[int, Field(ge=-DAY_S, le=DAY_S)] = DAY_S  # of a day, to be spent on writes


class _File(_Strict):
    format: Literal[1] = 1
    chargers: dict[str, dict[str, _Kept]] = Field(default_factory=dict)


class _Register:
    """One register of one charger."""

    def __init__(self, kept: _Kept, now_ns: int) -> None:
        self.written = kept.written
        self._left_ns = kept.left_s * NS_PER_S
        self._seen_ns = now_ns

    def left_ns(self, now_ns: int) -> int:
        self._left_ns = min(self._left_ns + now_ns - self._seen_ns, DAY_S * NS_PER_S)
        self._seen_ns = now_ns
        return self._left_ns

    def spend(self, cost_ns: int, now_ns: int) -> None:
        self.written = min(self.written + 1, WRITES_MOST)
        self._left_ns = max(self.left_ns(now_ns) - cost_ns, -DAY_S * NS_PER_S)

    def kept(self) -> _Kept:
        return _Kept(written=self.written, left_s=self._left_ns // NS_PER_S)


class Wear:
    """Of all chargers of one gateway. Used from the I/O thread only."""

    def __init__(self, now_ns: Callable[[], int], path: Path | None = None) -> None:
        """Without a `path` it counts from now on, and forgets at the end."""
        self._now_ns = now_ns
        self._path = path
        self._saver: Saver | None = None
        self._registers: dict[tuple[str, str], _Register] = {}
        self._withheld: dict[str, tuple[str, str]] = {}  # by charger: which register, and why
        self._new = _Kept()  # of one that nothing is known of
        if path is not None:
            self._resume(path)

    def may(self, charger: str, profile: ChargerProfile, address: int) -> bool:
        """Whether its memory bears a write there now. One that does not is remarked upon."""
        name = _worn(profile, address)
        if name is None:
            return True
        endurance, register = profile.endurance, self._of(charger, name)
        assert endurance is not None
        why = None
        if register.written >= endurance.writes:
            why = f"{register.written} times, as often as its memory bears"
        elif register.left_ns(self._now_ns()) < DAY_S * NS_PER_S // endurance.writes_a_day:
            why = f"{register.written} times, {endurance.writes_a_day} within this day"
        if why is not None:
            self._withheld[charger] = (name, why)
        elif self._withheld.get(charger, ("", ""))[0] == name:
            del self._withheld[charger]
        return why is None

    def may_rise(self, charger: str, profile: ChargerProfile, *, enabled: bool = True) -> bool:
        """Whether its setpoint may be written where nothing but energy is lost without it; and
        what enables it, where it is not `enabled`."""
        names = profile.setpoint.register_names
        if profile.enable is not None and not enabled:
            names = (*names, profile.enable.register_name)
        return all(self.may(charger, profile, profile.registers[name].addr) for name in names)

    def wrote(self, charger: str, profile: ChargerProfile, address: int) -> None:
        """It may have arrived."""
        name = _worn(profile, address)
        if name is None or profile.endurance is None:
            return
        cost_ns = DAY_S * NS_PER_S // profile.endurance.writes_a_day
        self._of(charger, name).spend(cost_ns, self._now_ns())
        self._save()

    def written(self, charger: str, name: str) -> int:
        """How often so far."""
        return self._of(charger, name).written

    def remark(self, charger: str) -> str | None:
        """What was withheld last, in words."""
        if charger not in self._withheld:
            return None
        name, why = self._withheld[charger]
        return f"{name} was written {why}: it is not written now, but to lower the charger"

    def _of(self, charger: str, name: str) -> _Register:
        key = charger, name
        if key not in self._registers:
            self._registers[key] = _Register(self._new, self._now_ns())
        return self._registers[key]

    def _resume(self, path: Path) -> None:
        try:
            file = read_back(path, _File, FILE_BYTES)
        except UnreadableError as error:
            log.error("wear of chargers' memories unknown", file=str(path), problem=str(error))
            self._new = _Kept(left_s=0)  # a day's writes may have been used up
            return
        now_ns = self._now_ns()
        for charger, names in (_File() if file is None else file).chargers.items():
            for name, kept in names.items():
                self._registers[charger, name] = _Register(kept, now_ns)

    def _save(self) -> None:
        if self._path is None:
            return
        if self._saver is None:
            self._saver = Saver(self._path)
        chargers: dict[str, dict[str, _Kept]] = {}
        for (charger, name), register in self._registers.items():
            chargers.setdefault(charger, {})[name] = register.kept()
        self._saver.save(_File(chargers=chargers).model_dump_json().encode(), urgent=True)


def _worn(profile: ChargerProfile, address: int) -> str | None:
    """The name of the register that is written there, if it wears out."""
    if profile.endurance is None:
        return None
    names = profile.endurance.registers
    return next((name for name in names if profile.registers[name].addr == address), None)
