"""What the guard keeps of readings from tick to tick is what it would find by looking anew."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import CircuitRow, Kind, Phases, SlotRow, SourceRow
from controller.guard.account import Account
from controller.guard.beliefs import AHEAD_NS
from controller.records import Distrust, Limit, Lost, Reading, Record, Tick
from tests.guardbench import BEGIN, FOR_EVER, GRID, METER, MS, S, rows, three

CIRCUITS = [
    GRID,
    CircuitRow(0, (20_000,) * 3, (0,) * 3, sum_ma=50_000),
    CircuitRow(0, (10_000,) * 3, (0,) * 3),  # nobody measures it
    CircuitRow(1, (10_000,) * 3, (0,) * 3),
]
SOURCES = [
    METER,
    METER._replace(unsigned=True, max_age_ns=300 * MS),
    METER._replace(circuit=1, max_age_ns=500 * MS),
    METER._replace(circuit=3, unsigned=True),
]
SLOTS = [SlotRow(i, Kind.GRID, (15_000,) * 3, hold_ns=200 * MS) for i in (0, 3)]

amperes = st.integers(-60_000, 60_000)
phases = st.tuples(amperes, amperes, amperes)
readings = st.builds(
    lambda source, late_ns, ma: ("reading", source, late_ns, ma),
    st.integers(0, len(SOURCES) - 1),
    st.sampled_from([0, 0, 0, 50 * MS, 400 * MS, -AHEAD_NS, -AHEAD_NS - 1, -AHEAD_NS - 200 * MS]),
    phases,
)
distrusts = st.tuples(st.just("distrust"), st.integers(0, len(SOURCES) - 1), st.booleans())
limits = st.builds(
    lambda slot, ma, lasts_ns: ("limit", slot, ma, lasts_ns),
    st.integers(0, len(SLOTS) - 1),
    st.none() | st.integers(0, 60_000),
    st.sampled_from([100 * MS, 300 * MS, 100 * S]),
)
waits = st.tuples(st.just("tick"), st.sampled_from([1, 5 * MS, 100 * MS, 300 * MS, S]))
course = st.lists(readings | readings | distrusts | limits | waits | waits, max_size=60)


class Plain:
    """All sources, looked at one by one in each tick."""

    def __init__(self) -> None:
        self.trusted = [True] * len(SOURCES)
        self.last: list[tuple[int, Phases] | None] = [None] * len(SOURCES)
        self.blind: set[int] = set()

    def hear(self, record: Record) -> None:
        if isinstance(record, Reading) and self.trusted[record.source]:
            before = self.last[record.source]
            if before is None or record.at_ns >= before[0]:
                self.last[record.source] = record.at_ns, record.current_ma
        elif isinstance(record, Distrust):
            self.trusted[record.source] = not record.distrusted
            self.last[record.source] = None
        elif isinstance(record, Lost):
            self.last = [None] * len(SOURCES)

    def counted(self, circuit: int, now_ns: int) -> list[int]:
        fresh = [
            i
            for i, row in enumerate(SOURCES)
            if row.circuit == circuit and self._fresh(i, row, now_ns)
        ]
        return [i for i in fresh if not SOURCES[i].unsigned] or fresh

    def _fresh(self, source: int, row: SourceRow, now_ns: int) -> bool:
        last = self.last[source]
        return last is not None and -AHEAD_NS <= now_ns - last[0] <= row.max_age_ns

    def pressed(self, now_ns: int, caps: list[Phases]) -> bool:
        pressed = False
        for circuit in {row.circuit for row in SOURCES}:
            counted = self.counted(circuit, now_ns)
            pressed |= any(self._over(circuit, each, caps[circuit]) for each in counted)
            if counted:
                self.blind.discard(circuit)
            elif circuit not in self.blind:
                self.blind.add(circuit)
                pressed = True
        return pressed

    def _over(self, circuit: int, source: int, cap_ma: Phases) -> bool:
        last, sum_ma = self.last[source], CIRCUITS[circuit].sum_ma
        assert last is not None
        shown = [abs(ma) if SOURCES[source].unsigned else ma for ma in last[1]]
        over = any(ma > cap for ma, cap in zip(shown, cap_ma, strict=True))
        return over or (sum_ma is not None and sum(max(0, ma) for ma in shown) > sum_ma)


def records(course: list[tuple[object, ...]]) -> Iterator[Record]:
    now_ns = BEGIN
    for tick, step in enumerate(course, 1):
        match step:
            case ("reading", int(source), int(late_ns), (int(l1), int(l2), int(l3))):
                yield Reading(source, now_ns - late_ns, (l1, l2, l3))
            case ("distrust", int(source), bool(distrusted)):
                yield Distrust(source, distrusted)
            case ("limit", int(slot), ma, int(lasts_ns)):
                cap_ma = three(ma) if isinstance(ma, int) else None
                yield Limit(slot, cap_ma, FOR_EVER, now_ns + lasts_ns)
            case ("tick", int(wait_ns)):
                now_ns += wait_ns
                yield Tick(tick, now_ns, (), ())


@settings(max_examples=400, derandomize=True, deadline=None)
@given(course, st.sampled_from([None, 0, 10, 25]))
def test_what_is_kept_of_readings_is_what_is_there(
    course: list[tuple[object, ...]], lost_at: int | None
) -> None:
    account, plain = Account(rows(circuits=CIRCUITS, sources=SOURCES, slots=SLOTS)), Plain()
    heard = {2}
    for count, record in enumerate(records(course)):
        for each in (Lost(1), record) if count == lost_at else (record,):
            account.hear(each)
            plain.hear(each)
        if not isinstance(record, Tick):
            continue
        now_ns = record.now_ns
        assert account.pressed == plain.pressed(now_ns, account.caps)
        for circuit in range(len(CIRCUITS)):
            counted = plain.counted(circuit, now_ns)
            assert [each.row for each in account.readings(circuit)] == [SOURCES[i] for i in counted]
            heard |= {circuit} if counted else set()
            rating_ma, cap_ma = CIRCUITS[circuit].rating_ma, account.caps[circuit]
            asked = [slot.cap_ma(now_ns) for slot in account._slots if slot.row.circuit == circuit]
            assert cap_ma == tuple(map(min, *([rating_ma] * 2), *filter(None, asked)))
        assert account.heard == heard
