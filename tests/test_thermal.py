"""The thermal image in the kernel: bit for bit, within 63 bits, and never too cold or too slow."""

from dataclasses import dataclass, field
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.check import MOST_MA, MOST_STEPS, MOST_TAU_NS
from cext.rows import CircuitRow, CurveRow, Heat, SourceRow, Tuning
from cext.tick import Kernel
from controller.curves import STEPS_MOST, TAU_MOST_NS, trips_after_ns
from tests.plainrow import PLAIN
from tests.test_curves import KINDS, made

MS = 1_000_000
S = 1_000_000_000
FULL = 2**32
ONE = 2**30
LN_2 = 744_261_117
MOST_DT = 2**60
TUNING = Tuning(2 * S, 4 * S, 4000, 5 * S, 60 * S)
COLD = Heat(0, (0, 0, 0), (0, 0, 0), (0, 0, 0))
ROWS = [CurveRow(each.pickup_ma, each.tau_ns, each.steps) for each in (made(**k) for k in KINDS)]
EXTREMES = [
    CurveRow(1, 1_000_000, ()),
    CurveRow(1, MOST_TAU_NS, ((MOST_MA, MOST_TAU_NS),)),
    CurveRow(MOST_MA, MOST_TAU_NS, ((MOST_MA, None),)),
    CurveRow(1, 1_000_000, tuple((ma, 2**42 - ma) for ma in range(1, MOST_STEPS + 1))),
]


def fits(value: int) -> int:
    """Every intermediate of the kernel's is passed through here."""
    assert -(2**63) <= value < 2**63
    return value


@dataclass
class Mirror:
    """The kernel's arithmetic again, in Python's integers, for one phase."""

    row: CurveRow
    image: int = FULL
    worn: int = FULL
    heats: int = field(init=False)
    cools: int = field(init=False)

    def __post_init__(self) -> None:
        self.heats = fits(-(-(2**62) // self.row.tau_ns))
        self.cools = fits(2**62 // self.row.tau_ns)

    def square(self, ma: int) -> int:
        times = min(fits(fits(ma << 16) + self.row.pickup_ma - 1) // self.row.pickup_ma, 64 << 16)
        return fits(times * times)

    def heated_share(self, dt: int) -> int:
        if dt >= self.row.tau_ns:
            return ONE
        a = (fits(dt * self.heats) >> 32) + 1
        a2 = fits(a * a) >> 30
        return min(a - (a2 >> 1) + (fits((a2 + 1) * a) >> 30) // 6 + 1, ONE)

    def cooled_share(self, dt: int) -> int:
        if dt >= self.row.tau_ns:
            return ONE // 2
        a = fits(dt * self.cools) >> 32
        return max(a - (fits(a * a) >> 31) - 1, 0)

    def cooled(self, image: int, goal: int, share: int) -> int:
        return image - (fits(((image - goal) >> 12) * share) >> 18)

    def lasts(self, ma: int) -> int | None:
        return next((ns for to_ma, ns in self.row.steps if ma <= to_ma), 0)

    def step(self, dt: int, ma: int) -> None:
        goal = self.square(ma)
        if goal >= self.image:
            more = fits(((goal - self.image + 4095) >> 12) * self.heated_share(dt)) >> 18
            self.image = max(self.image, min(goal, self.image + more + 1, FULL))
        else:
            self.image = self.cooled(self.image, goal, self.cooled_share(dt))
        if ma <= self.row.pickup_ma:
            self.worn = self.cooled(self.worn, 0, self.cooled_share(dt))
            return
        lasts = self.lasts(ma)
        if lasts is None:
            return
        if dt >= lasts:
            self.worn = FULL
        elif dt < 2**30:
            self.worn = min(FULL, self.worn + fits(fits(dt << 32) + lasts - 1) // lasts)
        else:
            self.worn = min(FULL, self.worn + fits((fits(dt << 20) // lasts + 1) << 12))

    def trips(self, ma: int) -> int | None:
        if ma <= self.row.pickup_ma:
            return None
        left, lasts = 0, self.lasts(ma)
        if self.image < FULL:
            goal = self.square(ma)
            y = fits((goal - self.image) << 18) // (goal - FULL)
            whole = 0
            while y >= 2 << 18:
                y, whole = y >> 1, whole + LN_2
            s = fits((y - (1 << 18)) << 30) // (y + (1 << 18))
            ln = fits(whole + 2 * (s + (fits((s * s >> 30) * s) >> 30) // 3))
            left = fits((self.row.tau_ns >> 10) * (ln >> 5)) >> 15
        if lasts is None:
            return left
        return min(left, fits(((FULL - self.worn) >> 2) * (lasts >> 10)) >> 20)


def kernel(row: CurveRow | None, worst_ma: int = 0, source: SourceRow | None = None) -> Kernel:
    """One circuit with what protects it, and a meter without lag or poll."""
    circuit = CircuitRow(-1, (MOST_MA,) * 3, (worst_ma,) * 3, curve=row)
    source = source or SourceRow(0, 0, 0, 2**50, 0)
    return Kernel([circuit], [source], [], [], TUNING)


def heat(of: Kernel) -> Heat:
    found = of.heat(0)
    assert found is not None
    return found


def read(of: Kernel, at_ns: int, ma: int) -> None:
    of.post_reading(0, at_ns, (ma, 0, -ma))
    of.tick(at_ns)


spans = st.one_of(
    st.sampled_from(
        [1, 5 * MS, 100 * MS, 2**30 - 1, 2**30, 2 * S - 1, 2 * S, 60 * S, 2**42, 2**50]
    ),
    st.integers(1, 10 * S),
)
currents = st.one_of(
    st.sampled_from([0, 1, 2, 63_000, 420_000, 420_001, MOST_MA - 1, MOST_MA]),
    st.integers(0, 2_000_000),
)
walks = st.lists(st.tuples(spans, currents), min_size=1, max_size=25)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.sampled_from(ROWS + EXTREMES), st.booleans(), walks)
def test_bit_for_bit_and_never_beyond_63_bits(
    row: CurveRow, cold: bool, walk: list[tuple[int, int]]
) -> None:
    device = kernel(row)
    first, third = Mirror(row), Mirror(row)
    if cold:
        device.restore_heat(0, COLD)
        first, third = Mirror(row, 0, 0), Mirror(row, 0, 0)
    now, before = 0, 0
    read(device, now, 0)
    for mirror in (first, third):
        mirror.step(0, 0)
    for dt, ma in walk:
        now += dt
        read(device, now, ma)
        was = heat(device)
        assert was.current_ma[0] == was.current_ma[2], "export warms as import does"
        worst = device.circuit(0).worst_base_ma  # three readings may have proved more
        lapsed = dt >= TUNING.dead_man_ns
        for phase, mirror in ((0, first), (2, third)):
            flows = max(before, was.current_ma[0])
            mirror.step(dt, max(flows, worst[phase]) if lapsed else flows)
        before = was.current_ma[0]
        assert (was.image[0], was.worn[0]) == (first.image, first.worn)
        assert (was.image[2], was.worn[2]) == (third.image, third.worn)
        left = [each.trips(before) for each in (first, third)]
        expected = min((each for each in left if each is not None), default=None)
        assert device.circuit(0).trips_ns == expected


def test_every_intermediate_at_its_largest() -> None:
    for row in ROWS + EXTREMES:
        for image in (0, FULL - 1, FULL, 64 * 64 * FULL):
            for worn in (0, FULL):
                for dt in (0, 1, 2**30 - 1, 2**30, row.tau_ns - 1, row.tau_ns, MOST_DT):
                    for ma in (0, row.pickup_ma, row.pickup_ma + 1, 2**31 - 1):
                        mirror = Mirror(row, image, worn)
                        mirror.trips(ma)
                        mirror.step(dt, ma)
                        assert 0 <= mirror.image <= max(image, mirror.square(ma)) <= 64 * 64 * FULL
                        assert 0 <= mirror.worn <= FULL
    assert (MOST_STEPS, MOST_TAU_NS) == (STEPS_MOST, TAU_MOST_NS + 1)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.sampled_from(ROWS), walks)
def test_never_colder_and_never_slower_than_the_exact_exponential(
    row: CurveRow, walk: list[tuple[int, int]]
) -> None:
    """An oracle in decimals, from cold, of the same currents."""
    device = kernel(row)
    device.restore_heat(0, COLD)
    read(device, 0, 0)
    now, before = 0, 0
    with localcontext() as context:
        context.prec = 50
        image = worn = Decimal(0)
        for dt, ma in walk:
            now += dt
            read(device, now, ma)
            was = heat(device)
            flows, before = max(before, was.current_ma[0]), was.current_ma[0]
            goal = min((Decimal(flows) / row.pickup_ma) ** 2, Decimal(64 * 64))  # and no more
            decay = (-Decimal(dt) / row.tau_ns).exp()
            image = min(Decimal(1), goal + (image - goal) * decay)  # it has not tripped
            lasts = Mirror(row).lasts(flows)
            if flows <= row.pickup_ma:
                worn *= decay
            elif lasts is not None:
                worn = min(Decimal(1), worn + Decimal(dt) / lasts) if lasts else Decimal(1)
            assert was.image[0] >= image * FULL - 1
            assert was.worn[0] >= worn * FULL - 1
            left = device.circuit(0).trips_ns
            if before <= row.pickup_ma:
                assert left is None
                continue
            assert left is not None
            goal = min((Decimal(before) / row.pickup_ma) ** 2, Decimal(64 * 64))
            exact = row.tau_ns * ((goal - image) / (goal - 1)).ln() if image < 1 else Decimal(0)
            lasts = Mirror(row).lasts(before)
            if lasts is not None:
                exact = min(exact, (1 - worn) * lasts)
            assert left <= exact + 1


@pytest.mark.parametrize("keys", [each for each in KINDS if each.get("instant_a") != 1])
@pytest.mark.parametrize("times", [1.15, 1.3, 1.9])
def test_it_is_near_what_the_proof_computes(keys: dict[str, object], times: float) -> None:
    """Ticks of 100 ms, from 0.8 of the rated current: as long, or a few per cent less."""
    device = made(**keys)
    row = CurveRow(device.pickup_ma, device.tau_ns, device.steps)
    warm_ma, ma = round(device.rated_ma * 0.8), round(device.rated_ma * times)
    expected = trips_after_ns(device, warm_ma, [(ma, 10**18)])
    warm = (warm_ma * 2**32 // device.pickup_ma) * warm_ma // device.pickup_ma
    of = kernel(row)
    of.restore_heat(0, Heat(0, (warm,) * 3, (0, 0, 0), (warm_ma, 0, warm_ma)))
    read(of, 0, ma)
    left = of.circuit(0).trips_ns
    if ma <= device.pickup_ma:
        assert left is None, "it sheds long before the hour that the proof counts"
        return
    assert expected is not None
    assert left is not None
    assert 0.99 * expected - 1 <= left <= expected + 1
    now = 0
    while of.circuit(0).trips_ns:
        now += 100 * MS
        read(of, now, ma)
    assert now <= expected + 100 * MS
    assert now >= 0.95 * expected - 200 * MS


# -- what flows ---------------------------------------------------------------------------------


def test_it_begins_full_and_without_a_statement_there_is_none() -> None:
    device = kernel(ROWS[0], worst_ma=10)
    assert device.heat(0) is None
    device.tick(0)
    assert heat(device).image == (FULL,) * 3
    assert device.circuit(0).heat_ppm == (1_000_000,) * 3
    unknown = kernel(None)
    unknown.restore_heat(0, COLD)
    unknown.tick(0)
    assert unknown.heat(0) is None
    assert (unknown.circuit(0).heat_ppm, unknown.circuit(0).trips_ns) == (None, None)


def test_what_a_fast_curve_has_used_up_is_shown_as_warmth() -> None:
    """100 A for half of the second that it bears them: hardly warm, and half used up."""
    source = SourceRow(0, 0, 0, S, 100 * MS)
    device = kernel(CurveRow(20_000, 3600 * S, ((100_000, S),)), source=source)
    device.restore_heat(0, COLD)
    device.tick(0)
    for tenth in range(1, 7):
        read(device, tenth * 100 * MS, 100_000)
    parts = heat(device)
    assert parts.worn[0] > FULL * 4 // 10 > parts.image[0]
    shown = device.circuit(0).heat_ppm
    assert shown is not None and shown[0] == 1_000_000 * parts.worn[0] // FULL


def test_a_blind_circuit_counts_its_upper_end() -> None:
    device = kernel(ROWS[0], worst_ma=70_000)
    device.tick(0)
    assert heat(device).current_ma == (70_000,) * 3
    assert device.circuit(0).trips_ns == 0
    read(device, 100 * MS, 20_000)
    assert heat(device).current_ma == (20_000, 0, 20_000)
    assert device.circuit(0).trips_ns is None


def test_a_blind_circuit_counts_what_its_chargers_may_draw() -> None:
    """Nothing else flows there, and nobody has heard of the charger."""
    circuit = CircuitRow(-1, (100_000,) * 3, (0,) * 3, curve=CurveRow(20_000, 600 * S, ()))
    device = Kernel([circuit], [], [PLAIN], [], TUNING)
    device.restore_heat(0, COLD)
    device.tick(0)
    device.tick(S)
    parts = heat(device)
    assert parts.current_ma == (PLAIN.max_ma,) * 3
    assert parts.image[0] > 0
    assert device.circuit(0).trips_ns is not None


def test_a_reading_counts_for_as_long_as_it_may_be_late_and_so_much_earlier_it_trips() -> None:
    source = SourceRow(0, 500, 300 * MS, S, 200 * MS)
    device = kernel(ROWS[3], source=source)
    device.restore_heat(0, COLD)
    read(device, 0, 300_000)
    assert heat(device).current_ma[0] == 300_500
    free = kernel(ROWS[3])
    free.restore_heat(0, COLD)
    read(free, 0, 300_500)
    with_lag, without = device.circuit(0).trips_ns, free.circuit(0).trips_ns
    assert with_lag is not None
    assert without is not None
    assert with_lag == without - 500 * MS
    for step in range(1, 9):
        read(device, step * 100 * MS, 0)
        held = heat(device).current_ma[0]
        assert held == 300_500 if step <= 5 else held in (300_500, 500), step
    assert held == 500


def test_after_a_gap_the_worst_that_can_flow_counts() -> None:
    device = kernel(ROWS[3], worst_ma=400_000)
    device.restore_heat(0, COLD)
    read(device, 0, 0)
    read(device, S, 0)
    assert heat(device).image == (0, 0, 0)
    read(device, 4 * S, 0)
    assert heat(device).image[0] > 0, "nobody decided for three seconds, so nobody knows"


def test_heat_is_restored_before_the_first_tick_only_and_ages_on() -> None:
    device = kernel(ROWS[3], worst_ma=300_000)
    device.restore_heat(0, Heat(10 * S, (FULL // 2,) * 3, (7,) * 3, (100_000,) * 3))
    device.tick(12 * S)
    assert heat(device).image[0] > FULL // 2, "blind, its worst case counts for the gap, too"
    device.restore_heat(0, COLD)
    assert heat(device).image[0] > FULL // 2


def test_the_gap_of_a_restart_counts_though_its_first_tick_has_readings() -> None:
    device = kernel(ROWS[3], worst_ma=300_000)
    device.restore_heat(0, Heat(10 * S, (0, 0, 0), (0, 0, 0), (100_000, 0, 0)))
    read(device, 40 * S, 0)
    assert heat(device).image[2] > FULL // 100, "nobody decided for half a minute"


@pytest.mark.parametrize("ahead_ns", [1, 30 * S, 2**59])
def test_heat_of_an_instant_to_come_is_unknown(ahead_ns: int) -> None:
    """No time runs backwards in the image: it neither cools nor overflows."""
    device = kernel(CurveRow(1000, MOST_TAU_NS, ((2000, S),)))
    device.restore_heat(0, COLD._replace(at_ns=10 * S + ahead_ns))
    read(device, 10 * S, 0)
    assert (heat(device).image, heat(device).worn, heat(device).at_ns) == (
        (FULL,) * 3,
        (FULL,) * 3,
        10 * S,
    )


def test_what_has_not_tripped_is_no_warmer_than_what_trips_it() -> None:
    """A start believes everybody at the maximum; that cools as soon as something is read."""
    device = kernel(ROWS[3], worst_ma=2_000_000)
    device.restore_heat(0, Heat(0, (FULL // 2,) * 3, (0, 0, 0), (0, 0, 0)))
    for step in range(1, 50):
        device.tick(step * 100 * MS)
    assert heat(device).image == (FULL,) * 3
    device.post_reading(0, 5 * S, (0, 0, 0))
    device.tick(5 * S)
    read(device, 5 * S + 100 * MS, 0)
    assert heat(device).image[0] < FULL


def test_one_saved_when_warmer_counts_as_full() -> None:
    device = kernel(ROWS[3])
    device.restore_heat(0, COLD._replace(image=(64 * 64 * FULL, 2 * FULL, FULL)))
    device.tick(0)
    assert heat(device).image == (FULL,) * 3


def test_a_kernel_that_takes_over_keeps_it_for_the_same_device_only() -> None:
    device = kernel(ROWS[3])
    device.restore_heat(0, COLD)
    read(device, 0, 300_000)
    read(device, S, 300_000)
    same = ROWS[3]
    slower = same._replace(tau_ns=2 * same.tau_ns)
    larger = same._replace(pickup_ma=same.pickup_ma + 1000)
    for row, image in (
        (same, heat(device).image[0]),
        *((other, FULL) for other in (ROWS[5], slower, larger)),
    ):
        after = kernel(row)
        after.adopt(device, {0: 0}, {0: 0}, {}, {})
        read(after, S, 300_000)
        assert heat(after).image[0] == pytest.approx(image, abs=100)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (CurveRow(0, S, ()), "pickup_ma 0"),
        (CurveRow(1000, 0, ()), "tau_ns 0"),
        (CurveRow(1000, MOST_TAU_NS + 1, ()), "tau_ns"),
        (CurveRow(1000, S, ((2000, 5), (1000, 4))), "a step's mA 1000"),
        (CurveRow(1000, S, ((2000, 5), (3000, 6))), "a step's ns 6"),
        (CurveRow(1000, S, ((2000, 5), (3000, None))), "a step without a time"),
        (CurveRow(1000, S, tuple((ma, None) for ma in range(1, 42))), "steps 41"),
    ],
)
def test_a_curve_that_is_none_is_refused(row: CurveRow, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        kernel(row)


@pytest.mark.parametrize(
    "wrong",
    [
        COLD._replace(at_ns=-1),
        COLD._replace(image=(0, 0, 64 * 64 * FULL + 1)),
        COLD._replace(worn=(0, FULL + 1, 0)),
        COLD._replace(current_ma=(0, 0, MOST_MA + 1)),
        COLD._replace(image=(0, 0)),  # type: ignore[arg-type]
    ],
)
def test_heat_that_is_none_is_refused(wrong: Heat) -> None:
    with pytest.raises(ValueError, match=r"at_ns|image|worn|current_ma"):
        kernel(ROWS[0]).restore_heat(0, wrong)


def test_a_proved_base_load_is_restored_and_never_lowers_the_declared_one() -> None:
    device = kernel(None, worst_ma=50_000)
    device.restore_worst(0, (60_000, 40_000, 0))
    device.tick(0)
    assert device.circuit(0).worst_base_ma == (60_000, 50_000, 50_000)
