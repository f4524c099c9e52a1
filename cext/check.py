"""What a table must look like before the kernel takes it: every contradiction, at once."""

from collections.abc import Iterator, Sequence

from cext.rows import (
    NO_PHASE,
    ROOT,
    ChargerRow,
    CircuitRow,
    ContactorRow,
    CurveRow,
    Demand,
    Pause,
    Phases,
    SlotRow,
    SourceRow,
    Tuning,
)

PHASES = (0, 1, 2)
MOST_MA = 2**27  # 134 kA: beyond any depot, and sums of thousands stay far inside int64
MOST_NS = 2**60  # of a moment: 36 years of uptime, and sums stay inside int64
MOST_SPAN_NS = 2**56  # of a duration: 2.3 years
LEAST_TAU_NS = 1_000_000
MOST_TAU_NS = 2**42  # 73 minutes: what the image's fixed point has room for
MOST_STEPS = 40  # CURVE_STEPS in cext/types.pxd
MOST_WEIGHT = 1000
MOST_RANK = 100  # of a class
MOST_ROWS = 100_000
MOST_TOLERANCE_PPM = 6_000_000  # of one commanded in watts; its worst draw still fits int32
MOST_ERROR_PPM = 1_000_000  # then a report proves nothing
MOST_CONTACTORS = 1000


def refuse(problems: Iterator[str]) -> None:
    """Raises ValueError with every problem, or nothing."""
    if found := list(problems):
        raise ValueError("; ".join(found))


def check_demands(
    parents: Sequence[int],
    caps_ma: Sequence[Phases],
    demands: Sequence[Demand],
    sums_ma: Sequence[int | None] | None = None,
) -> None:
    """Raises ValueError for a fair-share run that makes no sense."""
    refuse(_demand_problems(parents, caps_ma, demands, sums_ma))


def check_tables(
    circuits: Sequence[CircuitRow],
    sources: Sequence[SourceRow],
    chargers: Sequence[ChargerRow],
    slots: Sequence[SlotRow],
    tuning: Tuning,
    contactors: Sequence[ContactorRow] = (),
) -> None:
    """Raises ValueError for tables that contradict themselves."""
    refuse(_table_problems(circuits, sources, chargers, slots, tuning))
    refuse(_contactor_problems(contactors, len(chargers)))


def _demand_problems(
    parents: Sequence[int],
    caps_ma: Sequence[Phases],
    demands: Sequence[Demand],
    sums_ma: Sequence[int | None] | None,
) -> Iterator[str]:
    yield from _parent_problems(parents)
    if sums_ma is not None and len(sums_ma) != len(parents):
        yield f"{len(parents)} circuits but {len(sums_ma)} sums"
    for i, sum_ma in enumerate(sums_ma or ()):
        if sum_ma is not None:
            yield from _range(f"sum {i}", "sum_ma", sum_ma, -(2**33), 2**33)
    if len(caps_ma) != len(parents):
        yield f"{len(parents)} circuits but {len(caps_ma)} caps"
    for i, cap in enumerate(caps_ma):
        if not all(-(2**31) <= ma < 2**31 for ma in cap):
            yield f"cap {i}: {cap} mA is outside int32"
    for i, demand in enumerate(demands):
        where = f"demand {i}"
        yield from _index(where, "circuit", demand.circuit, len(parents))
        yield from _phases(where, demand.phases)
        for name in ("min_ma", "max_ma"):
            yield from _range(where, name, getattr(demand, name), 0, 2**31 - 1)
        yield from _range(where, "weight", demand.weight, 1, MOST_WEIGHT)
        yield from _range(where, "class_rank", demand.class_rank, 0, MOST_RANK)
        yield from _range(where, "floor_ma", demand.floor_ma, 0, 2**31 - 1)


def _parent_problems(parents: Sequence[int]) -> Iterator[str]:
    for i, parent in enumerate(parents):
        if i == 0 and parent != ROOT:
            yield f"circuit 0: the root stands first and has no parent, not {parent}"
        if i > 0 and not 0 <= parent < i:
            yield f"circuit {i}: parent {parent} must stand before it"


def _table_problems(
    circuits: Sequence[CircuitRow],
    sources: Sequence[SourceRow],
    chargers: Sequence[ChargerRow],
    slots: Sequence[SlotRow],
    tuning: Tuning,
) -> Iterator[str]:
    yield from _range("tables", "circuits", len(circuits), 1, MOST_ROWS)
    yield from _range("tables", "chargers", len(chargers), 0, MOST_ROWS)
    yield from _parent_problems([row.parent for row in circuits])
    for i, circuit in enumerate(circuits):
        yield from _amps(f"circuit {i}", circuit, "rating_ma", "worst_base_ma")
        if circuit.base_step_ma is not None:
            yield from _amps(f"circuit {i}", circuit, "base_step_ma")
        yield from _perhaps(f"circuit {i}", circuit, "clear_within_ns")
        if circuit.curve is not None:
            yield from _curve_problems(f"circuit {i}: curve", circuit.curve)
        yield from _circuit_problems(f"circuit {i}", circuit)
    for i, source in enumerate(sources):
        where = f"source {i}"
        yield from _index(where, "circuit", source.circuit, len(circuits))
        yield from _amps(where, source, "error_ma")
        yield from _times(where, source, "lag_ns", "max_age_ns", "poll_ns")
    for i, charger in enumerate(chargers):
        yield from _charger_problems(f"charger {i}", charger, len(circuits))
    for i, slot in enumerate(slots):
        where = f"slot {i}"
        yield from _index(where, "circuit", slot.circuit, len(circuits))
        yield from _amps(where, slot, "failsafe_ma")
        yield from _times(where, slot, "hold_ns")
        yield from _perhaps(where, slot, "clear_within_ns")
    for name in ("dead_man_ns", "turn_ns"):
        yield from _range("tuning", name, getattr(tuning, name), 1, MOST_SPAN_NS)
    yield from _times("tuning", tuning, "dwell_ns", "calm_ns")
    yield from _range("tuning", "ramp_ma_per_s", tuning.ramp_ma_per_s, 1, MOST_MA)


def _curve_problems(where: str, curve: CurveRow) -> Iterator[str]:
    yield from _range(where, "pickup_ma", curve.pickup_ma, 1, MOST_MA)
    yield from _range(where, "tau_ns", curve.tau_ns, LEAST_TAU_NS, MOST_TAU_NS)
    yield from _range(where, "steps", len(curve.steps), 0, MOST_STEPS)
    before_ma, before_ns = 0, MOST_TAU_NS
    for to_ma, lasts_ns in curve.steps:
        yield from _range(where, "a step's mA", to_ma, before_ma + 1, MOST_MA)
        if lasts_ns is not None:
            yield from _range(where, "a step's ns", lasts_ns, 0, before_ns)
            before_ns = lasts_ns
        elif before_ns != MOST_TAU_NS:
            yield f"{where}: a step without a time stands behind one that has one"
        before_ma = to_ma


def _circuit_problems(where: str, circuit: CircuitRow) -> Iterator[str]:
    """Of what only some circuits have."""
    if circuit.busbar_ma is not None:
        yield from _amps(where, circuit, "busbar_ma")
    if circuit.sum_ma is not None:
        yield from _range(where, "sum_ma", circuit.sum_ma, 0, len(PHASES) * MOST_MA)
    if circuit.imbalance_ma is not None:
        yield from _range(where, "imbalance_ma", circuit.imbalance_ma, 0, MOST_MA)


def _charger_problems(where: str, charger: ChargerRow, circuits: int) -> Iterator[str]:
    yield from _index(where, "circuit", charger.circuit, circuits)
    yield from _phases(where, charger.phases)
    yield from _amps(
        where,
        charger,
        *("min_ma", "max_ma", "fallback_ma", "power_on_ma", "standby_ma", "error_ma"),
    )
    yield from _times(where, charger, "settle_ns", "lag_ns", "poll_ns", "max_age_ns")
    yield from _times(where, charger, "write_gap_ns", "confirm_gap_ns")
    yield from _range(where, "resolution_ma", charger.resolution_ma, 1, MOST_MA)
    yield from _range(where, "step_ma", charger.step_ma, 1, MOST_MA)
    yield from _range(where, "tolerance_ppm", charger.tolerance_ppm, 0, MOST_TOLERANCE_PPM)
    yield from _range(where, "error_ppm", charger.error_ppm, 0, MOST_ERROR_PPM)
    yield from _range(where, "weight", charger.weight, 1, MOST_WEIGHT)
    yield from _range(where, "class_rank", charger.class_rank, 0, MOST_RANK)
    yield from _times(where, charger, "min_on_ns", "min_off_ns")
    yield from _perhaps(where, charger, "class_wait_ns")
    if charger.ceiling_ma is not None:
        yield from _range(where, "ceiling_ma", charger.ceiling_ma, 0, MOST_MA)
    if charger.min_ma > charger.max_ma:
        yield f"{where}: min_ma {charger.min_ma} is above max_ma {charger.max_ma}"
    if charger.may_pause not in tuple(Pause):
        yield f"{where}: may_pause {charger.may_pause!r} is no rows.Pause"
    elif charger.may_pause == Pause.NEVER and not _settable(charger):
        yield f"{where}: may never be paused, and no setpoint lies between its least and highest"


def _settable(charger: ChargerRow) -> bool:
    """Whether a multiple of its step lies between its minimum and the highest it may get."""
    if not isinstance(charger.step_ma, int) or charger.step_ma < 1:
        return True  # that has been said
    highest = charger.max_ma if charger.ceiling_ma is None else charger.ceiling_ma
    least = -(-charger.min_ma // charger.step_ma) * charger.step_ma
    return 0 < least <= min(highest, charger.max_ma)


def _contactor_problems(contactors: Sequence[ContactorRow], chargers: int) -> Iterator[str]:
    yield from _range("tables", "contactors", len(contactors), 0, MOST_CONTACTORS)
    own: set[int] = set()
    for i, contactor in enumerate(contactors):
        where = f"contactor {i}"
        behind = set(contactor.chargers)
        yield from _times(where, contactor, "opens_ns")
        for charger in contactor.chargers:
            yield from _index(where, "charger", charger, chargers)
        if len(behind) != len(contactor.chargers):
            yield f"{where}: a charger stands behind it twice"
        if contactor.group:
            continue
        if len(behind) != 1:
            yield f"{where}: is no group and cuts off {len(behind)} chargers, not one"
        if own & behind:
            yield f"{where}: its charger has a contactor of its own already"
        own |= behind


def _perhaps(where: str, row: object, name: str) -> Iterator[str]:
    if getattr(row, name) is not None:
        yield from _times(where, row, name)


def _amps(where: str, row: object, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(row, name)
        if not isinstance(value, tuple):
            yield from _range(where, name, value, 0, MOST_MA)
        elif len(value) != len(PHASES):
            yield f"{where}: {name} {value} is not one value per phase"
        else:
            for ma in value:
                yield from _range(where, name, ma, 0, MOST_MA)


def _times(where: str, row: object, *names: str) -> Iterator[str]:
    for name in names:
        yield from _range(where, name, getattr(row, name), 0, MOST_SPAN_NS)


def _range(where: str, name: str, value: object, least: int, most: int) -> Iterator[str]:
    if not isinstance(value, int):
        yield f"{where}: {name} {value!r} is not a whole number"
    elif not least <= value <= most:
        yield f"{where}: {name} {value} is not within {least} and {most}"


def _index(where: str, name: str, value: int, count: int) -> Iterator[str]:
    if not 0 <= value < count:
        yield f"{where}: there is no {name} {value}"


def _phases(where: str, phases: Phases) -> Iterator[str]:
    wired = [phase for phase in phases if phase != NO_PHASE]
    if not wired or len(set(wired)) != len(wired) or not set(wired) <= set(PHASES):
        yield f"{where}: phases {phases} must be one to three different ones of 0, 1, 2"
