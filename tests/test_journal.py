"""The journal: what goes into the kernel and what comes out, as bytes and back again."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import (
    Advice,
    CircuitRow,
    ContactorRow,
    Kind,
    Phases,
    Rule,
    SlotRow,
    SourceRow,
    Tuning,
    Vehicle,
    Why,
)
from cext.tick import Kernel
from controller.journal import JournalError, decode, encode
from controller.records import (
    Advised,
    Contact,
    Distrust,
    Fallback,
    Latch,
    Leave,
    Limit,
    Lost,
    Order,
    Proven,
    Reading,
    Record,
    Report,
    Switch,
    Tick,
)
from tests.plainrow import PLAIN

S = 1_000_000_000
CHARGER = PLAIN


def kernel(chargers: int = 2) -> Kernel:
    return Kernel(
        [CircuitRow(-1, (100_000,) * 3, (20_000,) * 3)],
        [SourceRow(0, 0, 0, S, S // 10)],
        [CHARGER] * chargers,
        [SlotRow(0, Kind.GRID, (50_000,) * 3, 0)],
        Tuning(2 * S, 15 * S, 4000, 10 * S, 900 * S),
        [ContactorRow((0,), group=False, feedback=True, opens_ns=S)],
    )


# --- round trip --------------------------------------------------------------------------------

WORD = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.integers(0, 2**63 - 1)
MA = st.none() | NUMBER
PHASES = st.tuples(WORD, WORD, WORD)
WHY = st.builds(Why, st.sampled_from(Rule), WORD, WORD, WORD)
RECORD: st.SearchStrategy[Record] = st.one_of(
    st.builds(Reading, NUMBER, WORD, PHASES),
    st.builds(Distrust, NUMBER, st.booleans()),
    st.builds(Report, NUMBER, WORD, MA, st.none() | PHASES, st.sampled_from(Vehicle), WORD),
    st.builds(Fallback, NUMBER, NUMBER),
    st.builds(Proven, NUMBER, st.none() | st.booleans()),
    st.builds(Contact, NUMBER, WORD, st.booleans()),
    st.builds(Limit, NUMBER, st.none() | PHASES, WORD, WORD),
    st.builds(Advised, NUMBER, st.builds(Advice, st.none() | st.integers(1, 1000), MA, MA, WORD)),
    st.builds(Leave),
    st.builds(Latch, st.booleans()),
    st.builds(
        Tick,
        WORD,
        WORD,
        st.lists(st.builds(Order, NUMBER, MA, WHY, WHY), max_size=3).map(tuple),
        st.lists(st.builds(Switch, NUMBER, st.booleans(), WHY), max_size=3).map(tuple),
    ),
    st.builds(Lost, NUMBER),
)
RECORDS = st.lists(RECORD, max_size=6)


@given(RECORDS)
@settings(derandomize=True, deadline=None)
def test_what_is_written_is_read(records: list[Record]) -> None:
    assert list(decode(encode(records))) == records


@given(st.binary(max_size=200))
@settings(derandomize=True, deadline=None)
def test_garbage_is_named_or_makes_sense(garbage: bytes) -> None:
    try:
        records = list(decode(garbage))
    except JournalError as error:
        assert str(error).startswith("byte ")
    else:
        assert list(decode(encode(records))) == records


@given(RECORDS, st.data())
@settings(derandomize=True, deadline=None)
def test_a_changed_byte_is_named_or_makes_sense(records: list[Record], data: st.DataObject) -> None:
    journal = bytearray(encode([*records, Leave()]))
    journal[data.draw(st.integers(0, len(journal) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = list(decode(bytes(journal)))
    except JournalError as error:
        assert str(error).startswith("byte ")
    else:
        assert encode(found) == bytes(journal)


@given(RECORDS, st.data())
@settings(derandomize=True, deadline=None)
def test_what_comes_before_a_cut_is_read(records: list[Record], data: st.DataObject) -> None:
    whole = encode(records)
    journal = encode([*records, Reading(1, 2, (3, 4, 5))])
    cut = journal[: data.draw(st.integers(len(whole) + 1, len(journal) - 1))]
    found = []
    with pytest.raises(JournalError, match=rf"byte {len(whole)}: "):
        found += list(decode(cut))
    read = []
    reader = decode(cut)
    for _ in records:
        read.append(next(reader))
    assert read == records
    assert not found


# --- what the kernel writes --------------------------------------------------------------------


def test_every_input_is_told_as_it_was_taken() -> None:
    """Also a reading that comes too late, or that is doubted; a thing said twice is said once."""
    box = kernel()
    box.post_reading(0, 5 * S, (1, -2, 3))
    box.post_reading(0, 4 * S, (4, 5, 6))
    for _ in range(2):
        box.distrust(0, True)
    box.post_report(1, 5 * S, None, None, Vehicle.UNKNOWN, 0)
    box.post_report(0, 6 * S, 6000, (7, 8, 9), Vehicle.C, 3)
    for _ in range(2):
        box.set_fallback(0, 7000)
    for proven in (None, True, True, False, None):
        box.prove(1, proven)
    box.post_contactor(0, 6 * S, False)
    box.set_limit(0, (10, 0, 20), 2**63 - 1, 9 * S)
    box.set_limit(0, None, 8 * S, 9 * S)
    box.advise(1, Advice(7, 8000, None, 9 * S))
    box.advise(1, Advice())
    box.latch(True)
    box.latch(False)
    box.leave()
    assert list(decode(box.drain())) == [
        Reading(0, 5 * S, (1, -2, 3)),
        Reading(0, 4 * S, (4, 5, 6)),
        Distrust(0, True),
        Report(1, 5 * S, None, None, Vehicle.UNKNOWN, 0),
        Report(0, 6 * S, 6000, (7, 8, 9), Vehicle.C, 3),
        Fallback(0, 7000),
        Proven(1, True),
        Proven(1, False),
        Proven(1, None),
        Contact(0, 6 * S, False),
        Limit(0, (10, 0, 20), 2**63 - 1, 9 * S),
        Limit(0, None, 8 * S, 9 * S),
        Advised(1, Advice(7, 8000, None, 9 * S)),
        Advised(1, Advice()),
        Latch(True),
        Latch(False),
        Leave(),
    ]
    assert box.drain() == b""


REFUSED: list[Callable[[Kernel], object]] = [
    lambda box: box.post_reading(1, 5 * S, (1, 2, 3)),
    lambda box: box.post_reading(0, -1, (1, 2, 3)),
    lambda box: box.post_report(0, S, -1, None, Vehicle.A, 0),
    lambda box: box.set_limit(0, (1, 2, -3), 0, 0),
    lambda box: box.advise(2, Advice(1)),
    lambda box: box.advise(0, Advice(0)),
    lambda box: box.advise(0, Advice(1001)),
    lambda box: box.advise(0, Advice(None, -1)),
    lambda box: box.advise(0, Advice(None, None, -1)),
    lambda box: box.advise(0, Advice(until_ns=-1)),
    lambda box: box.tick(0),
]


@pytest.mark.parametrize("refused", REFUSED)
def test_what_is_refused_is_not_told(refused: Callable[[Kernel], object]) -> None:
    box = kernel()
    box.tick(S)
    box.drain()
    with pytest.raises((ValueError, IndexError)):
        refused(box)
    assert box.drain() == b""


def told(box: Kernel, orders: dict[int, Order], switches: dict[int, Switch]) -> None:
    """What the journal says is in force; against what the kernel says."""
    for record in decode(box.drain()):
        if isinstance(record, Tick):
            orders |= {order.charger: order for order in record.orders}
            switches |= {switch.contactor: switch for switch in record.contactors}
            assert (record.tick, record.now_ns) == (box.ticks, box.now_ns)
    for i, order in orders.items():
        output = box.output(i)
        assert order == Order(i, output.setpoint_ma, output.why, output.cause)
    for i, switch in switches.items():
        contactor = box.contactor(i)
        assert switch == Switch(i, contactor.closed, contactor.why)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([0, 6000, 16_000, 32_000]),
            st.integers(0, 120_000),
        ),
        min_size=1,
        max_size=60,
    )
)
@settings(derandomize=True, deadline=None)
def test_changes_add_up_to_what_is_in_force(steps: list[tuple[int, int, int]]) -> None:
    box = kernel(4)
    orders: dict[int, Order] = {}
    switches: dict[int, Switch] = {}
    for now_s, (charger, in_force_ma, load_ma) in enumerate(steps, 1):
        current: Phases = (in_force_ma,) * 3
        box.post_report(charger, now_s * S, in_force_ma, current, Vehicle.C, box.ticks)
        box.post_reading(0, now_s * S, (load_ma,) * 3)
        box.tick(now_s * S)
        told(box, orders, switches)
        assert len(orders) == 4
        assert len(switches) == 1


def test_a_tick_that_changed_nothing_is_short() -> None:
    box = kernel()
    box.tick(S)
    box.tick(2 * S)
    first, second = decode(box.drain())
    assert isinstance(first, Tick)
    assert len(first.orders) == 2
    assert second == Tick(2, 2 * S, (), ())


def fill(box: Kernel) -> int:
    """Readings until one was dropped; how many were posted in all."""
    posted = 0
    while posted < 20_000:
        box.post_reading(0, S + posted, (posted, 0, 0))
        posted += 1
    return posted


def test_what_nobody_takes_is_dropped_whole_and_counted() -> None:
    box = kernel()
    box.tick(S)
    posted = fill(box)
    box.tick(2 * S)
    first, *records = decode(box.drain())
    assert isinstance(first, Tick)
    box.tick(3 * S)
    records += decode(box.drain())
    *kept, lost, tick = records
    assert kept == [Reading(0, S + i, (i, 0, 0)) for i in range(len(kept))]
    assert lost == Lost(posted - len(kept) + 1)
    assert isinstance(tick, Tick)
    assert len(tick.orders) == 2, "after a loss everything is told anew"
    assert len(tick.contactors) == 1


def test_the_ring_goes_round() -> None:
    """Many times its size, in pieces of all lengths: nothing is lost or cut."""
    box = kernel()
    found: list[Record] = []
    for i in range(20_000):
        box.post_reading(0, S + i, (i, -i, 0))
        if i % 977 == 0:
            found += decode(box.drain())
    found += decode(box.drain())
    assert found == [Reading(0, S + i, (i, -i, 0)) for i in range(20_000)]


def test_all_outputs_at_once_fit() -> None:
    """Of the largest depot that was measured: its first tick tells every order."""
    box = kernel(5000)
    box.tick(S)
    (tick,) = decode(box.drain())
    assert isinstance(tick, Tick)
    assert [order.charger for order in tick.orders] == list(range(5000))
