"""Over a restart: heat for a minute of the same boot, a proved base load until declared anew."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cext.rows import Heat
from cext.tick import Kernel
from controller.places import Places
from controller.site import Site
from controller.tables import Tables
from controller.warmth import SAVED_EVERY_NS, Warmth, WarmthError
from tests.documents import circuit, site, slow_breaker
from tests.linked import DOCUMENT, FakeFleet, World, free_port, world
from tests.patience import until

S = 1_000_000_000
FULL = 2**32
BEGIN = 1000 * S


def depot(worst_a: float = 20, **keys: Any) -> Site:
    grid = circuit("grid", worst_base_a=worst_a, protection=slow_breaker(**keys))
    row = circuit("row", parent="grid", rating_a=63, worst_base_a=0)
    return site(circuit=[grid, row])


def running(of: Site, ma: int = 0, ticks: int = 0) -> tuple[Tables, Kernel]:
    tables = Tables.of(of)
    kernel = tables.build_kernel()
    for tick in range(ticks):
        kernel.post_reading(0, BEGIN + tick * S, (ma,) * 3)
        kernel.tick(BEGIN + tick * S)
    return tables, kernel


class Disk:
    """The two files, and processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def warmth(self, boot: str = "boot") -> Warmth:
        return Warmth(self.folder / "heat.json", self.folder / "bases.json", boot)

    def save(self, of: Site, ma: int, ticks: int = 30) -> Heat:
        tables, kernel = running(of, ma, ticks)
        kernel_heat = kernel.heat(0)
        assert kernel_heat is not None
        warmth = self.warmth()
        warmth.look(of, kernel, tables.circuit_index, BEGIN, last=True)
        warmth.close()
        return kernel_heat

    def start(self, of: Site, now_ns: int, boot: str = "boot") -> tuple[Kernel, list[str]]:
        tables, kernel = running(of)
        warmth = self.warmth(boot)
        try:
            return kernel, warmth.restore(of, kernel, tables.circuit_index, now_ns)
        finally:
            warmth.close()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def image(kernel: Kernel, now_ns: int, ma: int = 0) -> int:
    kernel.post_reading(0, now_ns, (ma,) * 3)
    kernel.tick(now_ns)
    heat = kernel.heat(0)
    assert heat is not None
    return heat.image[0]


def test_heat_goes_on_within_a_minute_of_the_same_boot(disk: Disk) -> None:
    of = depot()
    saved = disk.save(of, ma=30_000, ticks=4000)
    assert saved.image[0] < FULL // 4
    at_ns = saved.at_ns
    kernel, warm = disk.start(of, at_ns + 2 * S)
    assert warm == ["grid"], "the row states no protection"
    assert saved.image[0] * 0.99 < image(kernel, at_ns + 2 * S, 30_000) < FULL // 2


@pytest.mark.parametrize(
    ("later_s", "boot", "keys"),
    [
        (60, "boot", {}),  # too old
        (-1, "boot", {}),  # of a time that is still to come
        (2, "another", {}),  # the clock began anew
        (2, "boot", {"ambient_c": 39, "ir_a": 101}),  # another device
    ],
)
def test_else_it_is_full(disk: Disk, later_s: int, boot: str, keys: dict[str, Any]) -> None:
    at_ns = disk.save(depot(), ma=0, ticks=4000).at_ns
    kernel, warm = disk.start(depot(**keys), at_ns + later_s * S, boot)
    assert warm == []
    assert image(kernel, at_ns + 61 * S) == FULL


def test_a_file_that_cannot_be_read_is_told_and_costs_the_other_nothing(disk: Disk) -> None:
    of = depot()
    at_ns = disk.save(of, ma=200_000).at_ns  # 72 A of it are no charger
    (disk.folder / "heat.json").write_text("{", encoding="utf-8")
    tables, kernel = running(of)
    with pytest.raises(WarmthError, match=r"heat\.json"):
        disk.warmth().restore(of, kernel, tables.circuit_index, at_ns)
    kernel.tick(at_ns)
    assert kernel.circuit(0).worst_base_ma[0] > 20_000
    assert kernel.circuit(0).heat_ppm == (1_000_000,) * 3


EDGES = (0, -1, 1, 2**31, 2**32, 2**32 + 1, 2**45, 2**60, 2**62, 2**63, 2**80, None, 1.5, "x")


@pytest.mark.parametrize("name", ["heat.json", "bases.json"])
def test_no_number_in_a_saved_file_keeps_the_enforcer_from_starting(disk: Disk, name: str) -> None:
    """The runtime directory outlives restarts: what raises once would raise for ever."""
    of = depot()
    at_ns = disk.save(of, ma=200_000).at_ns
    written = json.loads((disk.folder / name).read_text())
    refused = 0
    for field, value in list(written["circuits"]["grid"].items()):
        for edge in EDGES:
            spoilt = [edge] * 3 if isinstance(value, list) else edge
            grid = written["circuits"]["grid"] | {field: spoilt}
            file = written | {"circuits": {"grid": grid}}
            (disk.folder / name).write_text(json.dumps(file), encoding="utf-8")
            tables, kernel = running(of)
            try:
                disk.warmth().restore(of, kernel, tables.circuit_index, at_ns)
            except WarmthError as error:
                refused += 1
                assert name in str(error)
            kernel.tick(at_ns)
            assert kernel.circuit(0).worst_base_ma[0] >= 20_000
    assert refused > len(EDGES)


def test_a_proved_base_load_stands_over_a_reboot_until_it_is_declared_anew(disk: Disk) -> None:
    disk.save(depot(), ma=200_000)
    proved = json.loads((disk.folder / "bases.json").read_text())["circuits"]
    assert list(proved) == ["grid"]
    worst_ma = proved["grid"]["worst_ma"][0]
    assert worst_ma > 20_000
    kernel, _ = disk.start(depot(), 5 * S, boot="another")
    kernel.tick(5 * S)
    assert kernel.circuit(0).worst_base_ma == (worst_ma,) * 3
    kernel, _ = disk.start(depot(worst_a=25), 5 * S)
    kernel.tick(5 * S)
    assert kernel.circuit(0).worst_base_ma == (25_000,) * 3, "declared anew"


def test_a_proved_base_load_stands_when_the_process_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proved by the process as it is put together, and known to the next one before any reading."""
    grid, *rows = DOCUMENT["circuit"]
    document = DOCUMENT | {"circuit": [grid | {"worst_base_a": 2}, *rows]}

    def worst_ma(made: World) -> int:
        assert made.depot is not None
        return made.depot.kernel.circuit(0).worst_base_ma[0]

    async def whole() -> None:
        async with world(free_port(), "") as made:
            await made.start_enforcer(document)
            await until(lambda: worst_ma(made) > 2000 and made.places.bases.exists())
            proved_ma, left = worst_ma(made), made.places.state.parent / "left"
            shutil.copytree(made.places.state, left)  # as one that is killed leaves it
            await made.stop("enforcer")
            made.places = Places(made.places.runtime, left)
            monkeypatch.setattr(FakeFleet, "metered_ma", 6_000)  # nothing that would prove it again
            await made.start_enforcer()
            assert worst_ma(made) == proved_ma
            report = await made.report(lambda report: report.circuits[0].load_a is not None)
            assert max(report.circuits[0].load_a or (0,)) == 6, "it reads, and that proves nothing"
            assert worst_ma(made) == proved_ma

    with capture_logs():
        asyncio.run(asyncio.wait_for(whole(), 60))


def test_what_is_void_is_taken_out_of_the_file(disk: Disk) -> None:
    disk.save(depot(), ma=200_000)
    of = depot(worst_a=95)
    tables, kernel = running(of)
    warmth = disk.warmth()
    warmth.restore(of, kernel, tables.circuit_index, BEGIN)
    warmth.look(of, kernel, tables.circuit_index, BEGIN)
    warmth.close()
    assert json.loads((disk.folder / "bases.json").read_text())["circuits"] == {}


def test_few_writes(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heat each few seconds, to memory; base loads only when they change."""
    of = depot()
    tables, kernel = running(of, 10_000, 3)
    warmth = disk.warmth()
    saved: list[str] = []
    for name in ("_heat_saver", "_base_saver"):
        saver = getattr(warmth, name)
        monkeypatch.setattr(saver, "save", lambda data, *, urgent, name=name: saved.append(name))
    for second in range(60):
        warmth.look(of, kernel, tables.circuit_index, BEGIN + second * S)
    assert saved == ["_heat_saver"] * (60 * S // SAVED_EVERY_NS)
    warmth.close()
