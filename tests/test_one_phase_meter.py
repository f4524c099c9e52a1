"""A meter of one phase guards a circuit that has only that phase, and no other."""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from cext.plant import Car
from cext.rows import Phases
from controller.guard.guard import Verdict
from controller.hardware import build_plant, let_go
from controller.plant import VirtualEnforcer, at_terminals
from controller.plausibility import Plausibility
from controller.site import DocumentError, Site, parse
from controller.tables import Tables, Wiring
from drivers.bus import Bus
from drivers.finding import Finding
from drivers.flows import flow_findings
from drivers.library import library
from drivers.meter import MeterDriver
from drivers.modbus import TcpLine
from drivers.reader import Sample
from drivers.survey import Seen, Survey, on_grid
from hil.devices.seats import MeterSeat
from tests.driven import meter as on_wire
from tests.modbus_wire import Asked, Board, serving
from tests.patience import until

S = 1_000_000_000
L2 = (1, -1, -1)
SDM120 = library().meter_profile("eastron_sdm120")
CAR = Car(32_000, 1, S, energy_wh=60_000, taper_wh=0)


def bay(n: int, **changes: Any) -> dict[str, Any]:
    usual = {
        "id": f"b{n}",
        "circuit": "flat",
        "phases": "L2",
        "profile": "alfen_eve",
        "bus": f"tcp://192.0.2.{n}:502",
        "max_a": 32,
        "fallback_a": 6,
        "fallback_delay_s": 9,
        "poll_s": 0.5,
        "settle_s": 2,
    }
    return usual | changes


def document(
    ct: dict[str, Any] | None = None, bays: Any = None, below: Any = (), **flat: Any
) -> dict[str, Any]:
    """A flat's supply of one phase, below a grid connection that nobody else measures there."""
    circuit = {"id": "flat", "parent": "grid", "rating_a": 40, "worst_base_a": [0, 16, 0]}
    return {
        "schema": 1,
        "site": {"id": "somewhere"},
        "control": {"dwell_s": 2, "calm_s": 5},
        "circuit": [{"id": "grid", "rating_a": 125, "worst_base_a": 20}, circuit | flat, *below],
        "bus": [{"id": "line", "url": "rtu:///dev/ttyUSB0?baud=9600&parity=N&stop=1"}],
        "meter": [
            {
                "id": "own",
                "circuit": "flat",
                "profile": "eastron_sdm120",
                "bus": "line",
                "poll_s": 0.5,
                "ct": {"phases": "L2"} if ct is None else ct,
            }
        ],
        "charger": [bay(1), bay(2)] if bays is None else bays,
    }


def site(**changes: Any) -> Site:
    return parse(document(**changes), library())


def refused(**changes: Any) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        site(**changes)
    return {problem.path: problem.message for problem in caught.value.problems}


# --- the document -------------------------------------------------------------------------------


def test_it_is_taken_where_the_other_phases_carry_nothing() -> None:
    (own,) = site().meters
    assert (own.phases, own.facts.phases) == (L2, 1)
    assert site(rating_a=[0, 40, 0]).meters[0].phases == L2
    assert site(bays=[bay(1, circuit="grid", phases="L1 L2 L3")]).meters[0].phases == L2


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"ct": {}}, "ct.phases", 'such as ct = { phases = "L1" }; found L1 L2 L3'),
        ({"ct": {"phases": "L2 L3"}}, "ct.phases", "measures one phase: write on which it is"),
        ({"ct": {"phases": "L4"}}, "ct.phases", "one to three of L1 L2 L3"),
        (
            {"worst_base_a": [0, 16, 0.5]},
            "profile",
            'measures L2 and nothing else, but "flat" has a worst_base_a of 0.5 A on L3',
        ),
        ({"bays": [bay(1, phases="L2 L3")]}, "profile", '"b1" there is wired to L3'),
        (
            {"below": [{"id": "hall", "parent": "flat", "rating_a": 20, "worst_base_a": 0}]}
            | {"bays": [bay(1, circuit="hall", phases="L1")]},
            "profile",
            '"b1" there is wired to L1',
        ),
        ({"ct": {"phases": "L1"}}, "profile", 'but "flat" has a worst_base_a of 16 A on L2'),
    ],
)
def test_what_it_would_not_see_is_told_with_what_to_do(
    changes: dict[str, Any], place: str, words: str
) -> None:
    told = refused(**changes)
    assert list(told) == [f"meter[0].{place} (own)"]
    assert words in told[f"meter[0].{place} (own)"]
    if place == "profile":
        assert "or give what hangs on" in told["meter[0].profile (own)"]


def test_circuits_in_a_ring_end_the_look() -> None:
    ring = [{"id": "a", "parent": "b", "rating_a": 9, "worst_base_a": 0}]
    ring += [{"id": "b", "parent": "a", "rating_a": 9, "worst_base_a": 0}]
    assert any(path.startswith("circuit") for path in refused(below=ring))


def test_it_measures_a_charger_that_has_no_bus() -> None:
    guest = {"id": "guest", "circuit": "flat", "pin": 17, "rated_a": 16, "phases": "L2"}
    found = document(bays=[guest | {"meter": "own"}], worst_base_a=0)
    (charger,) = parse(found | {"gpio": {"factory": "mock"}}, library()).chargers
    assert charger.facts.metered
    assert charger.switch is not None
    assert charger.switch.meter == "own"


# --- a reading ----------------------------------------------------------------------------------


def test_its_one_terminal_is_on_its_phase_and_the_others_carry_nothing() -> None:
    assert Wiring(L2, 2_000_000, True).to_grid((-5_000, 0, 0)) == (0, 10_000, 0)
    assert Wiring((2, 0, -1), 1_000_000, False).to_grid((1, 2, 3)) == (2, 0, 1)
    assert at_terminals(site().meters[0], (1_000, 2_000, 3_000)) == (2_000, 0, 0)


def test_its_driver_posts_what_it_measures_and_nothing_while_that_is_unknown() -> None:
    """230 V, 7.5 A and -1725 W: it feeds in."""
    amperes = [7.5]

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        words = {0: 230.0, 6: amperes[0], 12: -1725.0}
        block = b"".join(struct.pack(">f", words.get(a, 0.0)) for a in range(0, 80, 2))
        start = 2 * asked.address
        content = block[start : start + 2 * asked.count]
        writer.write(asked.frame(bytes((asked.function, len(content))) + content))

    async def whole() -> None:
        board = Board()
        async with serving(answer) as wire:
            line = TcpLine("127.0.0.1", wire.port, 5, may_write=False)
            there = on_wire(wire.port, facts=SDM120.facts, phases=L2)
            driver = MeterDriver(there, SDM120, Bus(line, board.clock), board)
            task = asyncio.create_task(driver.run())
            await until(lambda: board.meters)
            assert board.meters[-1][1].current_ma == (-7_500, 0, 0)
            amperes[0] = float("nan")
            await until(lambda: driver.health().error is not None)
            assert "current_l1 has no value" in str(driver.health().error)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(whole())


# --- a depot ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rating_a", [40, [0, 40, 0]])
def test_a_circuit_of_one_phase_is_kept_under_its_rating(rating_a: Any) -> None:
    """A rating of 0 on the phases that there are not is none that is exceeded."""
    depot = site(rating_a=rating_a)
    disputed: list[Verdict] = []
    plant = build_plant(depot, seed=1)
    plant.set_cap(0, (125_000,) * 3)
    let_go(depot, plant)
    plant.advance(0)
    enforcer = VirtualEnforcer(depot, plant, 0, disputed=disputed.append)
    for n in (0, 1):
        plant.plug(n, CAR)
    enforcer.run_until(60 * S)
    assert plant.load(1)[1] > 36_000  # no base load: nearly all of it
    plant.set_base(1, (0, 14_000, 0))
    enforcer.run_until(80 * S)
    assert 36_000 < plant.load(1)[1] <= 40_000
    assert enforcer.kernel.circuit(1).reading_ma == plant.load(1)
    assert not enforcer.kernel.circuit(1).beyond_control
    assert disputed == []


def test_without_it_the_circuit_counts_at_its_worst_base_load() -> None:
    depot = site()
    plant = build_plant(depot, seed=1)
    let_go(depot, plant)
    plant.advance(0)
    enforcer = VirtualEnforcer(depot, plant, 0, silent={"own"})
    for n in (0, 1):
        plant.plug(n, CAR)
    enforcer.run_until(60 * S)
    assert plant.load(1)[1] <= 24_000


class Beside:
    """The meter of one phase, and a clamp around all three of the same conductors."""

    def __init__(self) -> None:
        clamp: dict[str, Any] = {
            "id": "ct",
            "circuit": "flat",
            "format": "rpict3t1",
            "port": "/dev/ttyAMA0",
        }
        clamp |= {"period_s": 1, "lag_s": 1, "error_a": 0.5}
        tables = Tables.of(parse(document() | {"clamp": [clamp]}, library()))
        self.doubts: list[tuple[int, str | None]] = []
        self.it = Plausibility(
            tables.circuits,
            tables.sources,
            tables.chargers,
            lambda source, found: self.doubts.append((source, found and found.kind)),
            tables.source_spread_ppm,
            tables.charger_meter,
            tables.unmeasured(),
        )

    def run(self, meter_ma: Callable[[int], int], clamp_ma: Callable[[int], Phases]) -> None:
        for i in range(600):
            at_ns = (i + 1) * S // 10
            assert self.it.reading(0, at_ns, (0, meter_ma(i), 0)) is None
            if i % 10 == 5:
                assert self.it.reading(1, at_ns + 1, clamp_ma(i)) is None


@pytest.mark.parametrize("moving", [False, True])
def test_a_clamp_that_shows_what_it_does_not_measure_is_no_liar_nor_is_it(moving: bool) -> None:
    """60 A flow on L1, which the document does not know: neither of the two is wrong."""
    beside = Beside()

    def clamp_ma(i: int) -> Phases:
        return 60_000 - (300 * (i % 100) if moving else 0), 20_000, 15_000

    beside.run(lambda i: 20_000 + (i % 7 if i < 300 else 0), clamp_ma)
    assert beside.doubts == []


def test_a_clamp_apart_on_its_phase_is_disputed() -> None:
    beside = Beside()
    beside.run(lambda i: 20_000 + i % 7, lambda i: (0, 31_000, 0))
    assert beside.doubts == [(1, "disputed")]


def test_on_the_rig_nothing_is_connected_at_its_other_terminals() -> None:
    plant = build_plant(site(), seed=1)
    plant.advance(0)
    plant.set_base(1, (5_000, 7_000, 9_000))
    plant.advance(5 * S)
    seat = MeterSeat(plant, 1, lambda: S, phases=L2)
    assert seat.seen_ma()[1:] == [0.0, 0.0]
    assert seat.seen_ma()[0] == plant.load(1)[1] >= 7_000


# --- commissioning ------------------------------------------------------------------------------


def found(own: tuple[int, int, int], *bays: int) -> dict[str, Finding]:
    seen = {"own": Seen("own", "meter", "", "")}
    seen["own"].grid = [own] * 3
    for n, ma in enumerate(bays, 1):
        seen[f"b{n}"] = Seen(f"b{n}", "charger", "", "")
        seen[f"b{n}"].grid = [(0, ma, 0)] * 3
    return {each.code: each for each in flow_findings(Survey(site(), seen)) if each.about == "own"}


def test_what_it_shows_is_held_against_its_chargers() -> None:
    values = {"current_l1": 7_500, "power_l1": 1_725_000, "voltage_l1": 230_000}
    assert on_grid(site().meters[0], SDM120, Sample(0, values)) == (0, 7_500, 0)
    assert (
        "as what is below it lets expect" in found((0, 20_000, 0), 10_000, 9_000)["currents"].what
    )
    assert "write reversed = true" in found((0, -20_000, 0), 10_000, 9_000)["ct_reversed"].mend


def test_where_it_shows_nothing_of_them_it_is_said() -> None:
    assert found((0, 0, 0), 10_000, 9_000)["below"].what.startswith("shows ")
