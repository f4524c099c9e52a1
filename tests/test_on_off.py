"""Chargers that have no bus: what a document may say of them, what counts, and their driver."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cext.rows import NO_PHASE, Vehicle
from controller.document.buses import PinAddress
from controller.document.contacts import Feedback, Switch
from controller.document.devices import Charger
from controller.image import Image, MeterReading
from controller.permits import needs
from controller.plant import VirtualClock
from controller.proof import Line, Proof, prove
from controller.relays import unsafe
from controller.site import Site
from controller.tables import Tables
from drivers.contact import Contact
from drivers.switch import SwitchDriver
from hil.wiring import Board as RigBoard
from hil.wiring import Switchgear
from tests.documents import S, charger, circuit, problems, site
from tests.patience import until
from tests.pinned import MS, Bench, Running, told
from tests.test_gpio_document import GPIO, contactor
from tests.test_proof import found

METER = {"id": "own", "circuit": "bay", "profile": "meter", "bus": "tcp://192.0.2.2"}
MAIN = {"id": "main", "circuit": "grid", "profile": "meter", "bus": "tcp://192.0.2.1:502"}
CIRCUITS = [
    circuit("grid"),
    circuit("row", parent="grid", rating_a=63, worst_base_a=0),
    circuit("bay", parent="row", rating_a=20, worst_base_a=0),
]


def on_off(**keys: Any) -> dict[str, Any]:
    common = {"id": "bay", "circuit": "row", "pin": 17, "rated_a": 16}
    return {key: value for key, value in (common | keys).items() if value is not None}


def alone(**keys: Any) -> Site:
    return site(charger=[on_off(**keys)], gpio=GPIO)


def measured(**keys: Any) -> Site:
    entry = on_off(**({"circuit": "bay", "meter": "own"} | keys))
    return site(circuit=CIRCUITS, meter=[MAIN, METER], charger=[entry], gpio=GPIO)


# --- the document ------------------------------------------------------------------------------


def test_one_on_a_pin_knows_0_and_its_rated_current() -> None:
    depot = alone(phases="L3", standby_a=0, tolerance_pct=1)
    (one,) = depot.chargers
    assert (one.min_ma, one.max_ma, one.step_ma, one.least_ma) == (16_000,) * 4
    assert (one.fallback_ma, one.power_on_ma, one.alone_ma, one.restart_ma) == (0, 0, 0, 0)
    assert (one.facts.metered, one.phases, one.tolerance_ppm) == (False, (2, -1, -1), 10_000)
    assert one.switch == Switch("bay", 17, True, True, 16_000, (2, -1, -1), None, S // 2, None)
    assert one.bus.address == PinAddress(17)
    assert depot.buses == (depot.meters[0].bus,)
    assert needs(depot)[1] == []
    assert Tables.of(depot).build_kernel().setpoints() == [None]


@pytest.mark.parametrize(
    ("pin", "active_high", "energised", "off_high", "alone_ma"),
    [
        (17, True, "on", False, 0),
        (17, False, "on", True, 16_000),  # a dead process leaves its line low: on
        (17, True, "off", True, 16_000),
        (17, False, "off", False, 16_000),  # off with a dead process, on when the coil has no power
        (4, True, "on", False, 16_000),  # pulled up from power-up
    ],
)
def test_where_it_would_be_on_without_us_it_counts_so(
    pin: int, active_high: bool, energised: str, off_high: bool, alone_ma: int
) -> None:
    depot = alone(pin=pin, active_high=active_high, energised=energised)
    (one,) = depot.chargers
    assert one.switch is not None
    assert one.switch.off_high == off_high
    assert (one.alone_ma, one.restart_ma, one.facts.has_fallback) == (
        alone_ma,
        alone_ma,
        alone_ma == 0,
    )
    assert bool(unsafe(depot)) == (alone_ma > 0)


OTHER = charger(id="other", circuit="bay")
REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    ({"charger": [on_off(rated_a=None)]}, "charger[0].rated_a (bay)", "is missing: what it draws"),
    ({"charger": [on_off(rated_a=0)]}, "charger[0].rated_a (bay)", "must be above 0"),
    ({"charger": [on_off(pin=28)]}, "charger[0].pin (bay)", "at most 27"),
    ({"charger": [on_off(min_a=6)]}, "charger[0].min_a (bay)", "on a bus: this one has a pin"),
    ({"charger": [on_off(bus="tcp://x")]}, "charger[0].bus (bay)", "on a bus: this one"),
    ({"charger": [on_off(count=2)]}, "charger[0].count (bay)", "on a bus: this one"),
    ({"charger": [on_off(id="b{n}")]}, "charger[0].id (b{n})", "stands alone"),
    ({"charger": [on_off(feedback_pin=6)]}, "charger[0] (bay)", "needs both feedback_pin"),
    ({"charger": [on_off(settle_s=0.2)]}, "charger[0].settle_s (bay)", "at least opens_s, 0.5 s"),
    ({"charger": [charger(rated_a=16)]}, "charger[0].rated_a (bay)", "a charger with a pin"),
    ({"charger": [charger(profile=None)]}, "charger[0].profile (bay)", "is missing: the name of"),
    ({"charger": [charger(bus=None)]}, "charger[0].bus (bay)", "is missing: its URL"),
    ({"charger": [on_off()], "gpio": None}, "gpio", "a [[charger]] with a pin needs the name"),
    (
        {"charger": [on_off(), on_off(id="b", pin=6, feedback_pin=17, feedback="normally_open")]},
        "charger[1].feedback_pin (b)",
        "is the pin of charger[0].pin, too",
    ),
    (
        {"charger": [on_off()], "output": [contactor()]},
        "output[0].pin (row-contactor)",
        "is the pin of charger[0].pin, too; found 17",
    ),
    ({"charger": [on_off(meter="mine")]}, "charger[0].meter (bay)", "no [[meter]] has the id"),
    ({"charger": [on_off(meter="own")]}, "charger[0].meter (bay)", "hangs elsewhere"),
    (
        {"charger": [on_off(meter="own", circuit="bay"), OTHER]},
        "charger[0].meter (bay)",
        '"other" hangs on "bay", too',
    ),
    (
        {
            "charger": [on_off(meter="own", circuit="bay")],
            "circuit": [*CIRCUITS[:2], {**CIRCUITS[2], "worst_base_a": 2}],
        },
        "charger[0].meter (bay)",
        '"bay" has a worst_base_a above 0',
    ),
    (
        {
            "charger": [on_off(meter="own", circuit="bay")],
            "circuit": [*CIRCUITS, circuit("in", parent="bay", rating_a=10, worst_base_a=0)],
        },
        "charger[0].meter (bay)",
        '"in" is below "bay"',
    ),
]


@pytest.mark.parametrize(("sections", "path", "words"), REFUSED)
def test_what_is_wrong_is_told_with_its_place(
    sections: Mapping[str, Any], path: str, words: str
) -> None:
    told = problems(**{"gpio": GPIO, "circuit": CIRCUITS, "meter": [MAIN, METER], **sections})
    assert path in told, told
    assert words in told[path]


# --- what counts -------------------------------------------------------------------------------


def sums(of: Proof) -> tuple[int, ...]:
    """Lines 1 and 2, and the sum before anybody falls back."""
    lines = [found(of, line, "row").sum_ma for line in (Line.UNATTENDED, Line.POWER_CUT)]
    at_first = next(each.sum_ma for each in of.transitions if each.circuit == "row")
    return (*lines, at_first)


def test_the_proof_counts_what_is_off_alone_as_off_and_everything_else_as_on() -> None:
    """Its own consumption stays: a contact that enables a charger does not cut its supply."""
    assert sums(prove(alone())) == (100, 100, 16_580)
    assert sums(prove(alone(energised="off"))) == (16_580, 16_580, 16_580)
    assert prove(alone()).watchdogs == ()


def test_it_is_off_after_the_dead_man_time_and_its_settling() -> None:
    loaded = [circuit("grid"), circuit("row", parent="grid", rating_a=16, worst_base_a=8)]
    meters = [MAIN, {**METER, "circuit": "row"}]
    made = prove(site(circuit=loaded, meter=meters, charger=[on_off(settle_s=3)], gpio=GPIO))
    (l1, *_) = (each for each in made.transitions if each.circuit == "row")
    assert (l1.needs_ns, l1.slowest) == (5 * S, "bay")


def test_each_output_that_is_not_safe_is_named() -> None:
    depot = alone(
        pin=4, active_high=False, energised="off", feedback_pin=6, feedback="normally_open"
    )
    assert [(each.id, each.pin, each.what.split(":")[0]) for each in unsafe(depot)] == [
        ("bay", 4, "is switched on when its coil loses its supply"),
        (
            "bay",
            4,
            "is switched on from power-up until the gateway drives it",
        ),
        ("bay", 6, "seems off when the wire of its auxiliary contact breaks"),
    ]
    assert [each.what for each in unsafe(alone(active_high=False))] == [
        "is switched on when the gateway's software dies: its pin goes low"
    ]


def test_a_meter_tells_what_it_draws_and_bears_no_witness_of_itself() -> None:
    depot = measured()
    row = Tables.of(depot).chargers[0]
    assert (row.metered, row.error_ma, row.lag_ns, row.poll_ns) == (True, 100, S // 5, S // 5)
    tables = Tables.of(depot)
    assert tables.charger_meter == (1,)
    image = Image(tables, tables.build_kernel(), VirtualClock(S))
    main, own = image._plausibility._witnesses
    assert [each.what for each in own.below] == []
    assert [each.what for each in main.below] == ["its chargers' draw", "the sub-meters' sum"]


def test_a_reading_reaches_whoever_is_measured_by_it_unless_it_is_not_believed() -> None:
    tables = Tables.of(measured())
    image = Image(tables, tables.build_kernel(), VirtualClock(S))
    heard: list[object] = []
    image.on_reading("own", lambda at_ns, ma: heard.append((at_ns, ma)))
    image.post_meter("own", MeterReading(S, (1_000, 2_000, 3_000)))
    image.post_meter("main", MeterReading(S, (9_000, 9_000, 9_000)))
    with pytest.raises(ValueError, match="beyond what can flow"):
        image.post_meter("own", MeterReading(S, (900_000, 0, 0)))
    for nth in range(3):
        with pytest.raises(ValueError, match="beyond what can flow"):
            image.post_meter("own", MeterReading(2 * S + nth * S, (900_000, 0, 0)))
    image.post_meter("own", MeterReading(5 * S, (1_000, 2_000, 3_000)))
    assert heard == [(S, (1_000, 2_000, 3_000)), (5 * S, None)]


# --- the driver --------------------------------------------------------------------------------

MIRROR = Feedback(27, normally_closed=True)


def driver(
    bench: Bench, of: Site, feedback: Feedback | None = None, write: bool = True
) -> SwitchDriver:
    (one,) = of.chargers
    assert one.switch is not None
    switch = replace(one.switch, feedback=feedback)
    pin = bench.pins.output(one.id, switch.pin, switch.off_high) if write else None
    contact = None
    if feedback is not None:
        contact = Contact(bench.pins.input(one.id, feedback.pin), 20 * MS)
    return SwitchDriver(_with(one, switch), switch, pin, contact, bench.board)


def _with(one: Charger, switch: Switch) -> Charger:
    return replace(one, switch=switch)


def in_force(bench: Bench) -> list[int | None]:
    return [report.in_force_ma for _, report in bench.board.chargers]


@pytest.mark.parametrize(("active_high", "energised"), [(1, 1), (0, 1), (1, 0), (0, 0)])
def test_it_is_on_by_a_live_order_of_its_rated_current_and_by_nothing_else(
    active_high: int, energised: int
) -> None:
    words = {"active_high": bool(active_high), "energised": "on" if energised else "off"}

    async def story(bench: Bench) -> None:
        made = driver(bench, alone(**words))
        off = made._switch.off_high
        assert bench.level(17) == off
        async with Running(made):
            await until(lambda: made.health().online)
            assert bench.level(17) == off  # nothing was decided yet
            bench.board.command("bay", 16_000, lasts_s=0.3)
            await until(lambda: bench.level(17) != off)
            await until(lambda: bench.level(17) == off)  # its order has expired
            bench.board.command("bay", 15_999)
            await until(lambda: in_force(bench)[-1] == 0)
            assert bench.level(17) == off  # less than its rated current is none
            bench.board.command("bay", 16_000)
            await until(lambda: bench.level(17) != off)
        assert not bench.driven(17)

    told(story)


def test_it_reports_the_higher_of_before_and_after_and_confirms_at_the_next_look() -> None:
    async def story(bench: Bench) -> None:
        made = driver(bench, alone())
        async with Running(made):
            on = bench.board.command("bay", 16_000)
            await until(lambda: in_force(bench)[-1:] == [16_000])
            await until(lambda: bench.board.chargers[-1][1].written_tick == on.tick)
            off = bench.board.command("bay", 0)
            await until(lambda: in_force(bench)[-1:] == [0])
            await until(lambda: bench.board.chargers[-1][1].written_tick == off.tick)
        for _, report in bench.board.chargers:  # never the new order beside the old current
            assert (report.written_tick == off.tick) <= (report.in_force_ma == 0)
            assert (report.current_ma, report.vehicle) == (None, Vehicle.UNKNOWN)

    told(story)


def test_a_relay_that_is_welded_stays_in_force_and_is_remarked() -> None:
    async def story(bench: Bench) -> None:
        bench.ground(27, connected=False)  # on
        made = driver(bench, alone(), MIRROR)
        async with Running(made):
            bench.board.command("bay", 16_000)
            await until(lambda: in_force(bench)[-1:] == [16_000])
            bench.board.command("bay", 0)
            await until(lambda: "welded" in (made.health().error or ""))
            assert in_force(bench)[-1] == 16_000
            bench.ground(27, connected=True)
            await until(lambda: in_force(bench)[-1] == 0)
            assert made.health().error is None
            bench.board.command("bay", 16_000)
            await until(lambda: "no coil voltage" in (made.health().error or ""))
            assert in_force(bench)[-1] == 16_000  # what is driven may follow at any moment

    told(story)


def test_a_contact_that_is_never_still_counts_as_on() -> None:
    """A loose wire, or a relay that chatters: its last word is no word any more."""

    async def story(bench: Bench) -> None:
        made = driver(bench, alone(), MIRROR)
        bench.ground(27, connected=True)  # off
        contact = made._contact
        assert contact is not None
        async with Running(made):
            await until(lambda: in_force(bench)[-1:] == [0])
            contact._debounce_ns = 10 * S  # it never comes to rest
            bench.ground(27, connected=False)
            bench.ground(27, connected=True)
            seen = len(bench.board.chargers)
            await until(lambda: len(bench.board.chargers) > seen)
            assert in_force(bench)[-1] == 0  # a contact bounces for a while
            await until(lambda: in_force(bench)[-1] == 16_000)
            await until(lambda: "is never still" in (made.health().error or ""))
            contact._debounce_ns = 20 * MS
            await until(lambda: in_force(bench)[-1] == 0)
            await until(lambda: made.health().error is None)

    told(story)


def test_observing_drives_nothing_and_counts_what_may_be_bridged() -> None:
    async def story(bench: Bench) -> None:
        made = driver(bench, alone(), write=False)
        bench.board.command("bay", 16_000)
        async with Running(made):
            await until(lambda: in_force(bench) != [])
            assert in_force(bench)[-1] == 16_000
        assert not bench.driven(17)

    told(story)


def test_with_a_meter_it_reports_with_each_reading_and_without_where_none_comes() -> None:
    depot = measured(phases="L2 L3")

    async def story(bench: Bench) -> None:
        made = driver(bench, depot)
        async with Running(made):
            await until(lambda: "own" in bench.board.readers)
            now_ns = bench.board.clock.now_ns()
            bench.board.readers["own"](now_ns, (9_000, 2_000, -50))
            await until(lambda: len(bench.board.chargers) == 1)
            (_, report), *_ = bench.board.chargers
            assert (report.at_ns, report.current_ma) == (now_ns, (2_000, 0, 0))
            bench.board.readers["own"](now_ns + 1, (0, -200, 0))
            await until(lambda: len(bench.board.chargers) == 2)
            assert bench.board.chargers[-1][1].current_ma is None  # it feeds nothing in
            bench.board.readers["own"](now_ns + 2, None)
            await until(lambda: len(bench.board.chargers) == 3)
            assert bench.board.chargers[-1][1].current_ma is None
            made._read_ns -= made._charger.max_age_ns  # as if it had been silent so long
            await until(lambda: len(bench.board.chargers) > 3)
            assert bench.board.chargers[-1][1].current_ma is None

    assert depot.chargers[0].phases == (1, 2, NO_PHASE)
    told(story)


def test_a_pin_that_fails_reports_nothing() -> None:
    async def story(bench: Bench) -> None:
        made = driver(bench, alone())
        bench.pins._lines[17].device.close()
        async with Running(made):
            await until(lambda: "cannot be driven" in (made.health().error or ""))
        assert bench.board.chargers == []

    told(story)


# --- the rig's end -----------------------------------------------------------------------------


def test_the_rigs_relay_follows_its_pin_and_pulls_its_contact(tmp_path: Path) -> None:
    depot = alone(feedback_pin=27, feedback="normally_closed")
    assert depot.gpio is not None
    board = RigBoard(tmp_path / "pins")
    gear = Switchgear(depot.gpio, board)
    assert (gear.switched(), board.pulled(27)) == ({"bay": False}, False)
    board.driven[17] = True
    gear.look(0.0)
    gear.look(1.0)
    assert (gear.switched(), board.pulled(27)) == ({"bay": True}, True)
    gear.weld("bay")
    board.driven.clear()
    gear.look(2.0)
    gear.look(3.0)
    assert gear.switched() == {"bay": True}
