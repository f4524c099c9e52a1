"""What a limit message must be, and what becomes of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext.check import MOST_MA
from cext.rows import NEVER_NS, Phases
from controller.limits import Lease, Limits, RefusedLimitError, Source, Taken

SECOND = 1_000_000_000
NOW = 1_000 * SECOND
UTC_NOW = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z
CLOUD = Source(
    id="cloud",
    slot=3,
    circuit="grid",
    rating_ma=(400_000, 400_000, 400_000),
    nominal_mv=400_000,
    lease_ns=300 * SECOND,
)
GOOD: dict[str, Any] = {
    "nonce": "now",
    "epoch": 5,
    "sequence": 7,
    "circuit": "grid",
    "amps": 100,
    "ttl_s": 60,
}


class Time:
    """Both clocks, standing still."""

    def __init__(self, trusted: bool = True) -> None:
        self.ns = NOW
        self.is_trusted = trusted

    def now_ns(self) -> int:
        return self.ns

    def utc_ns(self) -> int:
        return UTC_NOW + self.ns - NOW

    def trusted(self) -> bool:
        return self.is_trusted


class Slots:
    """Remembers what the kernel would have been told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Phases | None, int, int]] = []

    def set_limit(
        self, slot: int, limit_ma: Phases | None, limit_until_ns: int, alive_until_ns: int
    ) -> None:
        self.told.append((slot, limit_ma, limit_until_ns, alive_until_ns))


class Bench:
    """Limits of one site whose link has the session "now"."""

    def __init__(self, time: Time | None = None, source: Source = CLOUD) -> None:
        self.time = time or Time()
        self.slots = Slots()
        self.limits = Limits([source], self.slots, self.time, self.time)
        self.limits.open_session("now")

    def send(self, **changes: object) -> Taken:
        return self.limits.receive("cloud", json.dumps({**GOOD, **changes}))

    def refused(self, **changes: object) -> str:
        return self.refused_text(json.dumps({**GOOD, **changes}))

    def refused_text(self, text: str, source: str = "cloud") -> str:
        """The code of the refusal; nothing must have reached the kernel."""
        before = list(self.slots.told)
        with pytest.raises(RefusedLimitError) as error:
            self.limits.receive(source, text)
        assert self.slots.told == before
        assert error.value.reason
        error.value.reason.encode()
        return error.value.code


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield Bench()


@pytest.mark.parametrize(
    ("amount", "limit_ma"),
    [
        ({"amps": 100}, (100_000, 100_000, 100_000)),
        ({"amps": [0, 16.5, 32]}, (0, 16_500, 32_000)),  # zero means zero
        ({"amps": 0}, (0, 0, 0)),
        ({"amps": "unlimited"}, None),
        ({"amps": 4.35}, (4_350, 4_350, 4_350)),  # as written, not as its binary fraction
        ({"amps": 4.3509}, (4_350, 4_350, 4_350)),  # down: rounding never exceeds a limit
        ({"amps": 1000}, (1_000_000, 1_000_000, 1_000_000)),  # above the rating: may be said
    ],
)
def test_amounts(bench: Bench, amount: dict[str, object], limit_ma: Phases | None) -> None:
    bench.send(**amount)
    assert bench.slots.told == [(3, limit_ma, NEVER_NS, NOW + 60 * SECOND)]


def test_kilowatts_are_three_equal_phases_at_nominal_voltage_rounded_down(bench: Bench) -> None:
    message = {key: value for key, value in GOOD.items() if key != "amps"} | {"kw": 69.282}
    bench.limits.receive("cloud", json.dumps(message))
    assert bench.slots.told[0][1] == (99_999, 99_999, 99_999)  # 69.282 kW / (√3 · 400 V)


def test_the_lease_is_the_shorter_of_ttl_and_the_sources_own(bench: Bench) -> None:
    assert bench.send(ttl_s=0.5).lease.alive_until_ns == NOW + SECOND // 2
    assert bench.send(sequence=8, ttl_s=9_999).lease.alive_until_ns == NOW + 300 * SECOND


def test_until_counts_from_now_on_the_monotonic_clock(bench: Bench) -> None:
    taken = bench.send(until="2027-01-15T08:00:10.5Z")
    assert taken.lease.limit_until_ns == NOW + 10_500_000_000
    assert taken.left_s == 10.5


def test_until_is_not_used_while_the_clock_is_not_trusted() -> None:
    bench = Bench(Time(trusted=False))
    taken = bench.send(until="1970-01-01T00:00:00Z")
    assert taken.lease.limit_until_ns == NEVER_NS
    assert "not trusted" in taken.remarks[0]


def test_above_the_rating_is_taken_and_said(bench: Bench) -> None:
    assert "rating" in bench.send(amps=[10, 10, 401]).remarks[0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amps": -1}, "out_of_range"),
        ({"amps": [1, 2, -0.001]}, "out_of_range"),
        ({"amps": 10**400}, "out_of_range"),
        ({"amps": 100_001}, "out_of_range"),
        ({"ttl_s": 0}, "out_of_range"),
        ({"ttl_s": 10**9}, "out_of_range"),
        ({"amps": True}, "malformed"),
        ({"amps": "100"}, "malformed"),
        ({"amps": [1, 2]}, "malformed"),
        ({"amps": [[1], 2, 3]}, "malformed"),
        ({"amps": {}}, "malformed"),
        ({"kw": 5}, "malformed"),  # both
        ({"kw": 5, "amps": None}, "malformed"),  # null is not "not given"
        ({"ttl_s": "60"}, "malformed"),
        ({"epoch": 1.5}, "malformed"),
        ({"epoch": -1}, "malformed"),
        ({"sequence": 2**53}, "malformed"),
        ({"sequence": True}, "malformed"),
        ({"until": "tomorrow"}, "malformed"),
        ({"until": "2027-02-30T00:00:00Z"}, "malformed"),
        ({"until": "2027-01-15T09:00:00+01:00"}, "malformed"),  # not UTC
        ({"until": 1_800_000_000}, "malformed"),
        ({"nonce": "x" * 65}, "malformed"),
        ({"reason": "x" * 201}, "malformed"),
        ({"limit": 5}, "malformed"),  # unknown key
        ({"circuit": "row-a"}, "wrong_circuit"),
        ({"nonce": "before"}, "wrong_session"),
        ({"until": "2027-01-15T07:59:59Z"}, "late"),
        ({"until": "2027-01-15T08:00:00Z"}, "late"),
    ],
)
def test_refused(bench: Bench, changes: dict[str, object], code: str) -> None:
    assert bench.refused(**changes) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '{"a":1,"a":1}',
        '{"amps":NaN}',
        '{"amps":-Infinity}',
        "[" * 8000,
        '{"a":' * 33 + "1" + "}" * 33,
        "1" * 9000,
        '{"\\ud800":1}',
        '{"nonce":"\\ud800"}',
        " " * 16385,
    ],
)
def test_malformed(bench: Bench, text: str) -> None:
    assert bench.refused_text(text) == "malformed"


def test_every_fault_is_named_with_its_path(bench: Bench) -> None:
    with pytest.raises(RefusedLimitError) as error:
        bench.send(amps="lots", until="soon", colour="red")
    for path in ("amps: ", "until: ", "colour: "):
        assert path in error.value.reason


def test_too_large_a_number_that_json_allows(bench: Bench) -> None:
    assert bench.refused_text(json.dumps(GOOD).replace("100", "1e999")) == "out_of_range"


def test_an_unknown_source_is_told_so(bench: Bench) -> None:
    assert bench.refused_text(json.dumps(GOOD), source="cloudy") == "unknown_source"


def test_order_within_a_session(bench: Bench) -> None:
    bench.send()
    assert bench.refused() == "repeated"
    assert bench.refused(sequence=6) == "out_of_order"
    assert bench.refused(epoch=4, sequence=100) == "old_epoch"
    bench.send(sequence=9)  # a gap is no harm
    bench.send(epoch=6, sequence=0)  # a restarted source is heard
    assert bench.refused(sequence=10) == "old_epoch"


def test_a_refused_message_does_not_move_the_order(bench: Bench) -> None:
    assert bench.refused(sequence=50, until="2027-01-01T00:00:00Z") == "late"
    bench.send(sequence=8)


def test_a_new_session_voids_what_was_sent_in_the_old_one(bench: Bench) -> None:
    bench.send()
    bench.limits.open_session(None)
    assert bench.refused(sequence=8) == "wrong_session"
    assert bench.refused(nonce="", sequence=8) == "wrong_session"
    bench.limits.open_session("later")
    assert bench.refused(sequence=8) == "wrong_session"
    bench.send(nonce="later", epoch=0, sequence=0)


def test_the_same_session_told_again_does_not_open_the_door_to_repeats(bench: Bench) -> None:
    bench.send()
    bench.limits.open_session("now")
    assert bench.refused() == "repeated"
    bench.limits.open_session(None)
    bench.limits.open_session("now")
    assert bench.refused() == "repeated"


def test_restoring(bench: Bench) -> None:
    lease = Lease((1, 2, 3), NEVER_NS, NOW - 1)
    assert bench.limits.restore("cloud", "grid", lease)
    assert bench.slots.told == [(3, (1, 2, 3), NEVER_NS, NOW - 1)]
    assert not bench.limits.restore("cloud", "row-a", lease)
    assert not bench.limits.restore("gone", "grid", lease)


def test_low_voltage_and_many_kilowatts_stay_within_the_kernels_range() -> None:
    bench = Bench(source=replace(CLOUD, nominal_mv=100_000))
    message = {key: value for key, value in GOOD.items() if key != "amps"} | {"kw": 100_000}
    limit_ma = bench.limits.receive("cloud", json.dumps(message)).lease.limit_ma
    assert limit_ma is not None
    assert max(limit_ma) == MOST_MA


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.dictionaries(st.sampled_from([*GOOD, "kw", "until", "reason", "other"]), JSON)


@settings(max_examples=200, deadline=None)
@given(fields=FIELDS, missing=st.sets(st.sampled_from(sorted(GOOD))))
@example(fields={"amps": 1e308}, missing=set())
@example(fields={"until": "9999-12-31T23:59:59Z"}, missing=set())
def test_no_message_does_more_than_be_taken_or_refused(
    fields: dict[str, object], missing: set[str]
) -> None:
    bench = Bench()
    kept = {key: value for key, value in GOOD.items() if key not in missing}
    text = json.dumps({**kept, **fields})
    try:
        taken = bench.limits.receive("cloud", text)
    except RefusedLimitError as error:
        assert bench.slots.told == []
        error.reason.encode()
        return
    ((slot, limit_ma, until_ns, alive_ns),) = bench.slots.told
    assert slot == CLOUD.slot
    assert limit_ma is None or all(0 <= ma <= MOST_MA for ma in limit_ma)
    assert NOW < until_ns <= NEVER_NS
    assert NOW < alive_ns <= NOW + CLOUD.lease_ns
    assert taken.left_s > 0


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert Bench().refused_text(text) == "malformed"


# --- a source that a contact speaks for --------------------------------------------------------

CONTACT = replace(CLOUD, lease_ns=2 * SECOND, contact="dim")
DIMMED = (16_000, 16_000, 16_000)


def test_a_contact_renews_its_source_and_says_when_it_asks_for_something_else() -> None:
    bench = Bench(source=CONTACT)
    assert bench.limits.take_contact("dim", NOW, DIMMED)
    assert not bench.limits.take_contact("dim", NOW + 1, DIMMED)
    assert bench.limits.take_contact("dim", NOW + 2, None)
    lease_ns = CONTACT.lease_ns
    assert bench.slots.told == [
        (3, (16_000, 16_000, 16_000), NEVER_NS, NOW + lease_ns),
        (3, (16_000, 16_000, 16_000), NEVER_NS, NOW + 1 + lease_ns),
        (3, None, NEVER_NS, NOW + 2 + lease_ns),
    ]
    assert bench.limits.leases["cloud"].limit_ma is None


def test_no_message_speaks_for_a_contacts_source_and_no_contact_for_another() -> None:
    bench = Bench(source=CONTACT)
    assert bench.refused() == "not_by_message"
    assert bench.refused(amps="unlimited") == "not_by_message"
    other = Bench()
    with pytest.raises(KeyError):
        other.limits.take_contact("dim", NOW, None)
    assert not other.slots.told


def test_what_a_contact_asks_for_keeps_the_circuits_reserve_free() -> None:
    bench = Bench(source=replace(CONTACT, reserve_ma=(1_000, 0, 20_000)))
    bench.limits.take_contact("dim", NOW, DIMMED)
    assert bench.slots.told[0][1] == (15_000, 16_000, 0)
