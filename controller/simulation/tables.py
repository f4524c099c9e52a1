"""A day as an installer writes it down: tables of comma-separated values.

`base`: `time,grid,workshop.L1,…`: the circuits' own base load in amperes, on each phase alike or on
one, from that time of day on. `vehicles`:
`charger,arrives,leaves,energy_kwh` and, where known, `max_a` and `phases`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TypeVar

from cext.rows import NO_PHASE
from controller.document.problems import DocumentError, Problem, found
from controller.document.quantities import GRID_PHASES
from controller.simulation.day import DAY_S, BaseLoad, Stay, car, repeated, within
from controller.site import Site
from controller.units import milliamps

ROWS_MAX = 100_000
MAX_KWH = 10_000
TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
NEEDED = ("charger", "arrives", "leaves", "energy_kwh")
OPTIONAL = ("max_a", "phases")

Row = Mapping[str, str]
Value = TypeVar("Value")


class Table:
    """A file's rows, and what is wrong with them: all of it is told at once."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, DocumentError."""
        self._path = path
        self._problems: list[Problem] = []
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DocumentError([Problem(str(path), f"is no text in UTF-8: {error}")]) from error
        reader = csv.reader(text.splitlines())
        self.names = [name.strip() for name in next(reader, [])]
        self._rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
        if len(self._rows) > ROWS_MAX:
            raise DocumentError([Problem(str(path), f"has more than {ROWS_MAX} rows")])

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Line number and cells by name; rows of another length are complained about."""
        for line, cells in self._rows:
            if len(cells) == len(self.names):
                stripped = map(str.strip, cells)
                yield line, dict(zip(self.names, stripped, strict=True))
            else:
                self.complain(line, f"has {len(cells)} values, and {len(self.names)} names")

    def complain(self, line: int, message: str) -> None:
        self._problems.append(Problem(f"{self._path}: line {line}", message))

    def read(self, line: int, row: Row, name: str, meaning: Callable[[str], Value]) -> Value | None:
        """What a cell means; None after a complaint."""
        try:
            return meaning(row[name])
        except ValueError as error:
            self.complain(line, f"{name}: {error}; found {found(row[name])}")
            return None

    def end(self) -> None:
        """Raises DocumentError with everything that was wrong."""
        if not self._rows:
            self.complain(1, "there is not a single row")
        if self._problems:
            raise DocumentError(self._problems)


def read_base(path: Path, site: Site, begins_s: float, lasts_s: float) -> tuple[BaseLoad, ...]:
    """Raises OSError, DocumentError."""
    table = Table(path)
    columns = _base_columns(table, site)
    loads: dict[int, dict[float, list[int]]] = {}
    before_s = -1.0
    for line, row in table.rows():
        at_s = table.read(line, row, "time", time_of_day) if "time" in row else None
        if at_s is not None and at_s <= before_s:
            table.complain(line, f"time: must come after the line before; found {row['time']}")
        before_s = before_s if at_s is None else at_s
        for name, (circuit, phases) in columns.items():
            value_ma = table.read(line, row, name, _amperes)
            if at_s is None or value_ma is None:
                continue
            load = loads.setdefault(circuit, {}).setdefault(at_s, [0, 0, 0])
            for phase in phases:
                load[phase] = value_ma
    table.end()
    daily = {
        circuit: [(at_s, (load[0], load[1], load[2])) for at_s, load in rows.items()]
        for circuit, rows in loads.items()
    }
    return repeated(daily, begins_s, lasts_s)


def _base_columns(table: Table, site: Site) -> dict[str, tuple[int, Sequence[int]]]:
    """Circuit and phases of each column."""
    known = {circuit.id: index for index, circuit in enumerate(site.circuits)}
    columns: dict[str, tuple[int, Sequence[int]]] = {}
    taken: set[tuple[int, int]] = set()
    if "time" not in table.names:
        table.complain(1, 'must name a column "time", and one for each circuit')
    for name in table.names:
        if name == "time":
            continue
        circuit, dot, phase = name.rpartition(".")
        whole = not (dot and phase in GRID_PHASES)
        index = known.get(name if whole else circuit)
        if index is None:
            table.complain(1, f"there is no circuit {found(name)}; there are {', '.join(known)}")
            continue
        phases = range(3) if whole else [GRID_PHASES.index(phase)]
        if taken & {(index, each) for each in phases}:
            table.complain(1, f"{name}: a column before it says the same")
        taken |= {(index, each) for each in phases}
        columns[name] = (index, phases)
    return columns


def read_vehicles(path: Path, site: Site, begins_s: float, lasts_s: float) -> tuple[Stay, ...]:
    """Each on every day of it. Raises OSError, DocumentError."""
    table = Table(path)
    for name in NEEDED:
        if name not in table.names:
            table.complain(1, f"must name a column {found(name)}")
    for name in table.names:
        if name not in NEEDED + OPTIONAL:
            expected = ", ".join(NEEDED + OPTIONAL)
            table.complain(1, f"there is no column {found(name)}; there may be {expected}")
    if not set(NEEDED) <= set(table.names):
        table.end()
    stays = [stay for line, row in table.rows() if (stay := _stay(table, line, row, site))]
    _complain_of_overlaps(table, stays, site)
    table.end()
    days = range(int(begins_s // DAY_S) - 1, int((begins_s + lasts_s) // DAY_S) + 1)
    every = [
        Stay(stay.charger, stay.arrives_s + day * DAY_S, stay.leaves_s + day * DAY_S, stay.car)
        for _, stay in stays
        for day in days
    ]
    return within(every, begins_s, lasts_s)


def _stay(table: Table, line: int, row: Row, site: Site) -> tuple[int, Stay] | None:
    ids = [charger.id for charger in site.chargers]
    if row["charger"] not in ids:
        table.complain(line, f"there is no charger {found(row['charger'])}")
        return None
    index = ids.index(row["charger"])
    charger = site.chargers[index]
    wired = sum(phase != NO_PHASE for phase in charger.phases)
    arrives_s = table.read(line, row, "arrives", time_of_day)
    leaves_s = table.read(line, row, "leaves", time_of_day)
    energy_kwh = table.read(line, row, "energy_kwh", lambda text: _number(text, MAX_KWH))
    max_ma: int | None = charger.max_ma
    phases: int | None = wired
    if row.get("max_a"):
        max_ma = table.read(line, row, "max_a", _amperes)
    if row.get("phases"):
        phases = table.read(line, row, "phases", lambda text: _phases(text, wired))
    if None in (arrives_s, leaves_s, energy_kwh, max_ma, phases):
        return None
    assert arrives_s is not None and leaves_s is not None and energy_kwh is not None
    assert max_ma is not None and phases is not None
    if leaves_s <= arrives_s:
        leaves_s += DAY_S
    wants = car(max_ma, phases, round(energy_kwh * 1000))
    return line, Stay(index, arrives_s, leaves_s, wants)


def _complain_of_overlaps(table: Table, stays: Sequence[tuple[int, Stay]], site: Site) -> None:
    """Two vehicles at one charger, on this day or by the next one."""
    by_charger: dict[int, list[tuple[int, Stay]]] = {}
    for line, stay in stays:
        for other_line, other in by_charger.setdefault(stay.charger, []):
            if any(
                stay.arrives_s < other.leaves_s + days and other.arrives_s + days < stay.leaves_s
                for days in (-DAY_S, 0, DAY_S)
            ):
                name = site.chargers[stay.charger].id
                table.complain(line, f"{name} is taken then, by the vehicle of line {other_line}")
                break
        by_charger[stay.charger].append((line, stay))


def time_of_day(text: str) -> float:
    """Seconds since midnight of "18:30" or "18:30:15". Raises ValueError."""
    read = TIME.fullmatch(text)
    if read is None:
        raise ValueError("must be a time of day as 18:30 or 18:30:15")
    hours, minutes, seconds = (int(part or 0) for part in read.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _amperes(text: str) -> int:
    return milliamps(_number(text, 100_000))


def _number(text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if not isfinite(value) or not 0 <= value <= most:
        raise ValueError(f"must be between 0 and {most:g}")
    return value


def _phases(text: str, wired: int) -> int:
    if text not in map(str, range(1, wired + 1)):
        raise ValueError(f"must be from 1 to {wired}, as many as are wired")
    return int(text)
