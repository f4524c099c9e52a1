"""Several contacts that speak for one source, and the one of a generator."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from controller.document.inputs import Asked, DimInput, Step
from controller.plant import VirtualClock
from controller.proof import Line, prove
from controller.relays import unsafe
from controller.tables import Tables
from drivers.dim import CHANGEOVER_NS, DimDriver
from hil.contacts import Contacts, wires
from tests.documents import ROW, S, circuit, problems, site, slow_breaker, source
from tests.patience import until
from tests.pinned import MS, Bench, Running, told
from tests.test_gpio_document import DIMMER, GPIO, dim

PERCENTS = (100, 60, 30, 0)
PINS = (5, 6, 13, 16)
CONTACTS = [{"pin": pin, "percent": each} for pin, each in zip(PINS, PERCENTS, strict=True)]


def steps(**keys: Any) -> dict[str, Any]:
    common = {"id": "ripple", "kind": "steps", "source": "dso", "limit_a": 20, "active": "closed"}
    whole = common | {"contacts": CONTACTS} | keys
    return {key: value for key, value in whole.items() if value is not None}


def generator(**keys: Any) -> dict[str, Any]:
    common = {"id": "gen", "kind": "generator", "circuit": "grid", "pin": 26, "active": "open"}
    return {key: value for key, value in (common | keys).items() if value is not None}


def fed(rating_a: float = 60, **keys: Any) -> dict[str, Any]:
    return circuit("grid", generator={"rating_a": rating_a} | keys)


# --- the document ------------------------------------------------------------------------------


def ripple(active: str = "closed") -> DimInput:
    depot = site(
        gpio=GPIO, input=[steps(active=active)], limit_source=[source(), {**DIMMER, "lease_s": 2}]
    )
    (made,) = depot.inputs
    return made


def test_each_contact_asks_for_its_part_whatever_their_order() -> None:
    shuffled = site(
        gpio=GPIO,
        input=[steps(contacts=CONTACTS[::-1], limit_a=[20, 20, 10])],
        limit_source=[source(), DIMMER],
    )
    (made,) = shuffled.inputs
    assert [each.percent for each in made.steps] == [100, 60, 30, 0]
    assert [each.limit_ma[2] for each in made.steps] == [10_000, 6_000, 3_000, 0]
    assert made.full_ma == (20_000, 20_000, 10_000)


@pytest.mark.parametrize("active", ["closed", "open"])
@pytest.mark.parametrize(
    ("which", "percent", "doubt"),
    [
        ({100}, 100, ""),
        ({60}, 60, ""),
        ({0}, 0, ""),
        (set(), 0, "none of its contacts is active: counted as 0 %"),
        ({100, 60}, 60, "100 % and 60 % are active at once: counted as 60 %"),
        ({100, 30}, 30, "100 % and 30 % are active at once: counted as 30 %"),
        ({100, 60, 30, 0}, 0, "100 % and 60 % and 30 % and 0 % are active at once: counted as 0 %"),
    ],
)
def test_a_contradiction_is_the_lowest_that_it_could_mean(
    active: str, which: set[int], percent: int, doubt: str
) -> None:
    made = ripple(active)
    high = [(each in which) == (active == "open") for each in PERCENTS]
    assert made.asked(high) == Asked((20_000 * percent // 100,) * 3, doubt)


def test_no_broken_wire_of_several_ever_asks_for_more() -> None:
    """Whatever they truly ask for, with whichever polarity."""
    for active in ("closed", "open"):
        made = ripple(active)
        for truly in range(4):
            levels = [(i == truly) == (active == "open") for i in range(4)]
            for broken in range(4):
                seen = [level or i == broken for i, level in enumerate(levels)]
                asked, true = made.asked(seen), made.asked(levels)
                assert asked.limit_ma is not None
                assert true.limit_ma is not None
                assert asked.limit_ma <= true.limit_ma


def test_a_generators_ratings_are_a_source_of_their_own_that_a_lost_contact_keeps() -> None:
    row = {**ROW, "rating_a": 63}
    depot = site(circuit=[{**fed(), "clear_within_s": 8}, row], gpio=GPIO, input=[generator()])
    made = depot.limit_sources[-1]
    assert (made.id, made.circuit, made.kind, made.lease_ns) == ("gen", "grid", "grid", 2 * S)
    assert (made.failsafe_ma, made.hold_ns, made.clear_within_ns) == ((60_000,) * 3, 0, 8 * S)
    (contact,) = depot.inputs
    assert (contact.source, contact.steps, contact.full_ma) == (
        "gen",
        (Step(26, (60_000,) * 3),),
        None,
    )
    assert Tables.of(depot).slots[-1].failsafe_ma == (60_000,) * 3


BOTH = [source(), DIMMER]
REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    ({"input": [dim(pin=None)]}, "input[0].pin (dim)", 'is missing in an input of kind "dim"'),
    ({"input": [dim(contacts=CONTACTS)]}, "input[0].contacts (dim)", 'no input of kind "dim"'),
    ({"input": [steps(pin=9)]}, "input[0].pin (ripple)", 'no input of kind "steps"'),
    (
        {"input": [steps(contacts=CONTACTS[:1])]},
        "input[0].contacts (ripple)",
        "two contacts or more",
    ),
    ({"input": [steps(contacts=[])]}, "input[0].contacts (ripple)", "two contacts or more"),
    ({"input": [steps(contacts=CONTACTS[1:])]}, "input[0].contacts (ripple)", "no contact of 100"),
    (
        {"input": [steps(contacts=[*CONTACTS, {"pin": 9, "percent": 30}])]},
        "input[0].contacts (ripple)",
        "the same percent twice",
    ),
    (
        {"input": [steps(contacts=[*CONTACTS, {"pin": 13, "percent": 40}])]},
        "input[0].contacts[4].pin (ripple)",
        "is the pin of input[0].contacts[2].pin, too; found 13",
    ),
    ({"input": [steps(limit_a=64)]}, "input[0].limit_a (ripple)", 'rating of "row", 63 A'),
    ({"input": [generator(circuit=None)]}, "input[0].circuit (gen)", "is missing in an input"),
    ({"input": [generator(source="dso")]}, "input[0].source (gen)", 'no input of kind "gen'),
    ({"input": [generator()]}, "input[0].circuit (gen)", '"grid" has no generator: its ratings'),
    ({"input": [generator(circuit="gird")]}, "input[0].circuit (gen)", 'mean "grid"?'),
    (
        {"circuit": [fed(), ROW], "input": [generator(id="cloud")]},
        "input[0].id (cloud)",
        "is the id of a limit source, too",
    ),
    ({"circuit": [fed(), ROW]}, "circuit[0].generator (grid)", "one [[input]] of kind generator"),
    (
        {"circuit": [fed(), ROW], "input": [generator(), generator(id="b", pin=9)]},
        "circuit[0].generator (grid)",
        "found 2",
    ),
    (
        {"circuit": [fed(101), ROW], "input": [generator()]},
        "circuit[0].generator.rating_a (grid)",
        "must not exceed the circuit's own, 100 A; found 101",
    ),
    (
        {"circuit": [fed(60, protection=slow_breaker(50)), ROW], "input": [generator()]},
        "circuit[0].generator.rating_a (grid)",
        "at most what its protection carries, 50 A; found 60",
    ),
]


@pytest.mark.parametrize(("sections", "path", "words"), REFUSED)
def test_what_is_wrong_is_told_with_its_place(
    sections: Mapping[str, Any], path: str, words: str
) -> None:
    found = problems(**{"gpio": GPIO, "limit_source": BOTH, **sections})
    assert path in found, found
    assert words in found[path]


def test_contacts_whose_broken_wire_would_not_be_noticed_are_named() -> None:
    depot = site(
        circuit=[fed(), ROW],
        gpio=GPIO,
        limit_source=BOTH,
        input=[steps(), generator(active="closed")],
    )
    assert [(each.id, each.pin, each.what) for each in unsafe(depot)] == [
        ("gen", 26, 'takes a generator for the grid when its wire breaks: active = "open"')
    ]


# --- the proof ---------------------------------------------------------------------------------


def test_the_proof_is_held_against_the_generators_ratings_too() -> None:
    """Four fallbacks of 6 A and 20 A of base load: 44 A."""
    for rating_a, passed in ((44, True), (43, False)):
        made = prove(
            site(
                circuit=[fed(rating_a, protection=slow_breaker(rating_a)), ROW],
                gpio=GPIO,
                input=[generator()],
                limit_source=[],
            )
        )
        assert made.on_generator is not None
        sums = {(each.line, each.sum_ma, each.allowed_ma) for each in made.on_generator.findings}
        assert sums == {
            (Line.UNATTENDED, 44_000, rating_a * 1_000),
            (Line.POWER_CUT, 44_000, rating_a * 1_000),
        }
        assert {each.circuit for each in made.on_generator.transitions} == {"grid"}
        assert any(each.source == "gen" for each in made.findings)  # as a fail-safe cap
        lines = {type(each).__name__ for each in made.on_generator.refused}
        assert ("Finding" in lines) == (not passed)
        assert made.refused[-1:] == made.on_generator.refused[-1:]
        assert passed or not made.passed


def test_a_generator_that_nobody_protects_trips_on_any_excess() -> None:
    depot = site(circuit=[fed(60), ROW], gpio=GPIO, input=[generator()], limit_source=[])
    made = prove(depot)
    assert made.on_generator is not None
    assert {each.trips_ns for each in made.on_generator.transitions} == {0}
    assert not made.passed
    assert prove(site(limit_source=[])).on_generator is None


def test_a_derogation_of_a_generators_cap_names_its_input() -> None:
    answer = {
        "line": "failsafe_cap",
        "source": "gen",
        "reason": "two bays are out of use",
        "excess_a": 4,
        "trips_after_s": 600,
        "by": "J. Meier",
        "date": "2027-02-11",
    }
    depot = site(
        circuit=[fed(40), ROW], gpio=GPIO, input=[generator()], derogation=[answer], limit_source=[]
    )
    failed = [each for each in prove(depot).failed if each.source == "gen"]
    assert failed
    assert all(prove(depot).covering(each) is not None for each in failed)


# --- the driver --------------------------------------------------------------------------------

PART = {each: (20_000 * each // 100,) * 3 for each in PERCENTS}


def hold(bench: Bench, *percents: int) -> None:
    """These contacts are closed, and no others."""
    for pin, each in zip(PINS, PERCENTS, strict=True):
        bench.ground(pin, connected=each in percents)


def row() -> DimInput:
    parts = tuple(Step(pin, PART[each], each) for pin, each in zip(PINS, PERCENTS, strict=True))
    return DimInput("ripple", "", "dso", parts, False, 20 * MS, "steps")


def last(bench: Bench) -> object:
    return bench.board.inputs[-1][2] if bench.board.inputs else "nothing yet"


def test_the_lower_step_holds_at_once_and_the_higher_one_after_a_second() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.asking(row())
        hold(bench, 100)
        async with Running(driver):
            await until(lambda: last(bench) == PART[100])
            hold(bench, 30)
            await until(lambda: last(bench) == PART[30])
            hold(bench, 60)
            await until(lambda: last(bench) == PART[60])
            times = {
                part: [at for _, at, ma in bench.board.inputs if ma == part]
                for _, _, part in bench.board.inputs
            }
            assert times[PART[60]][0] - times[PART[30]][0] >= S - 100 * MS
            assert driver.health().error is None

    told(story)


def test_a_change_over_is_no_contradiction_and_what_lasts_is_told() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.asking(row())
        hold(bench, 100)
        async with Running(driver):
            await until(lambda: last(bench) == PART[100])
            hold(bench)
            await asyncio.sleep(CHANGEOVER_NS / 4 / S)
            hold(bench, 60)
            await until(lambda: last(bench) == PART[60])
            assert PART[0] not in [ma for _, _, ma in bench.board.inputs]
            hold(bench, 60, 30)
            await until(lambda: last(bench) == PART[30])
            await until(lambda: "60 % and 30 % are active" in (driver.health().error or ""))
            hold(bench)
            await until(lambda: last(bench) == PART[0])
            assert "none of its contacts" in (driver.health().error or "")
            hold(bench, 100)
            await until(lambda: last(bench) == PART[100])
            assert driver.health().error is None

    told(story)


class Set:
    """A contact that is set by hand, and always still."""

    def __init__(self, high: bool) -> None:
        self.high = high

    def look(self, now_ns: int) -> bool:
        return self.high

    def close(self) -> None: ...


def looks(*doubtful: bool) -> list[object]:
    """What is told at looks each tenth of a second, with 100 % closed and 30 % closed or not."""
    bench, clock = Bench(), VirtualClock(S)
    bench.board.clock = clock
    contacts = [Set(percent != 100) for percent in PERCENTS]
    driver = DimDriver(row(), contacts, bench.board)  # type: ignore[arg-type]
    told: list[object] = []
    for each in doubtful:
        contacts[PERCENTS.index(30)].high = not each
        driver._look()
        told.append(last(bench))
        clock.at_ns += S // 10
    return told


def test_contacts_that_flutter_dim_though_each_contradiction_is_short() -> None:
    flutters = [True, True, False] * 10
    told = looks(*flutters)
    first = told.index(PART[30])
    assert first <= 10
    assert set(told[first:]) == {PART[30]}
    assert set(looks(*flutters, *[False] * 11)[-1:]) == {PART[100]}  # clear for a second


def test_change_overs_now_and_then_are_none_of_them_a_contradiction() -> None:
    told = looks(*([True] * 3 + [False] * 11) * 5)
    assert set(told) <= {"nothing yet", PART[100]}
    assert PART[30] not in looks(*[True, False] * 4)  # two within a second are bridged, too


def test_while_one_of_them_bounces_nothing_is_renewed() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.asking(row())
        hold(bench, 100)
        async with Running(driver):
            await until(lambda: last(bench) == PART[100])
            driver._contacts[1]._debounce_ns = 10 * S  # it never comes to rest
            hold(bench, 100, 60)
            seen = len(bench.board.inputs)
            await asyncio.sleep(0.3)
            assert len(bench.board.inputs) <= seen + 1

    told(story)


# --- the rig's end -----------------------------------------------------------------------------


def test_the_rigs_contacts_rest_at_100_percent_and_break_one_by_one() -> None:
    made = ripple()
    contacts = Contacts([made])
    assert wires([made]) == ["ripple-100", "ripple-60", "ripple-30", "ripple-0"]
    assert contacts.asked("ripple").limit_ma == PART[100]
    contacts.ask("ripple", False)
    contacts.ask("ripple", True, 30)
    assert contacts.asked("ripple") == Asked(PART[30])
    contacts.break_wire("ripple-30", True)
    assert contacts.asked("ripple").limit_ma == PART[0]
    contacts.break_wire("ripple-30", False)
    assert contacts.asked("ripple") == Asked(PART[30])
    assert "ripple-60" in contacts
    assert "ripple" not in contacts
