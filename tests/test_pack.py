"""The journal made small: what comes out again is what went in, byte for byte."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rows import Vehicle
from controller.blackbox.pack import Packer, PackError, Unpacker
from controller.journal import encode, join
from controller.records import Lost, Reading, Record, Report, Tick
from tests.depots import Depot, document
from tests.test_journal import RECORDS

MS, S = 1_000_000, 1_000_000_000
BATCHES = st.lists(RECORDS, max_size=4)


def through(batches: list[bytes]) -> list[bytes]:
    packer, unpacker = Packer(), Unpacker()
    return [unpacker.unpack(packer.pack(batch)) for batch in batches]


@given(BATCHES)
@settings(derandomize=True, deadline=None)
def test_anything_comes_out_as_it_went_in(batches: list[list[Record]]) -> None:
    journal = [encode(records) for records in batches]
    assert through(journal) == journal


def test_a_kind_of_record_that_nobody_knows_comes_through() -> None:
    journal = [join(33, [1, -2, 3]), join(2**30, []), join(63, [-(2**63), 2**63 - 1])]
    assert through(journal) == journal


@pytest.mark.parametrize("seed", range(3))
def test_a_depots_life_becomes_small(seed: int) -> None:
    depot = Depot(seed, document(seed))
    batches = []
    for _ in range(40):
        depot.live(5)
        batches.append(depot.enforcer.kernel.drain())
    packer, unpacker = Packer(), Unpacker()
    packed = [packer.pack(batch) for batch in batches]
    assert [unpacker.unpack(batch) for batch in packed] == batches
    assert sum(map(len, packed)) * 8 < sum(map(len, batches))


def test_what_was_expected_takes_next_to_nothing() -> None:
    """Ten chargers that say the same once a second, with some milliseconds of chance."""
    packer = Packer()
    sizes = []
    for now_s in range(60):
        records: list[Record] = []
        for charger in range(10):
            at_ns = now_s * S + charger * 90 * MS + (now_s * 7 + charger * 3) % 5 * MS
            records.append(Report(charger, at_ns, 6000, (1, 2, 3), Vehicle.C, 9))
            records.append(Tick(now_s * 10 + charger + 1, now_s * S + charger * 100 * MS, (), ()))
        sizes.append(len(packer.pack(encode(records))))
    assert max(sizes[20:]) <= 40, "two bytes a record"


def test_losses_are_counted() -> None:
    packer = Packer()
    packer.pack(encode([Lost(3), Reading(0, 1, (0, 0, 0)), Lost(4)]))
    assert packer.lost == 7


@given(st.binary(max_size=300))
@settings(derandomize=True, deadline=None)
def test_garbage_is_an_error_of_its_own_kind(garbage: bytes) -> None:
    with suppress(PackError):
        Unpacker().unpack(garbage)


@given(RECORDS, st.data())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_a_changed_byte_is_an_error_of_its_own_kind(
    records: list[Record], data: st.DataObject
) -> None:
    packed = bytearray(Packer().pack(encode([*records, Tick(1, 5, (), ())])))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(PackError):
        Unpacker().unpack(bytes(packed))


def test_a_length_that_lies_fills_no_memory() -> None:
    huge = bytearray()
    for _ in range(4):
        huge += struct.pack("<B", 0xFF)
    huge += b"\x7f" + b"\x01\x00" * 20
    with pytest.raises(PackError):
        Unpacker().unpack(bytes(huge))
