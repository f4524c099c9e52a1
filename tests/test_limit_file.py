"""Limits over restarts and reboots."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cext.rows import NEVER_NS
from controller.limit_file import LimitFile, LimitFileError
from controller.limits import Limits, Source
from controller.saver import Saver, write_atomically
from tests.patience import wait_for
from tests.test_limits import CLOUD, GOOD, NOW, SECOND, Slots, Time


def saved(directory: Path, boot: str, **changes: object) -> Path:
    """A file with one limit, as left behind by an enforcer."""
    path = directory / "limits.json"
    limits = Limits([CLOUD], Slots(), Time(), Time())
    limits.open_session("now")
    limits.receive("cloud", json.dumps({**GOOD, **changes}))
    file = LimitFile(path, boot, "site")
    file.save(limits)
    file.close()
    assert file.problem is None
    return path


def restored(
    path: Path, boot: str, now_ns: int, source: Source = CLOUD, installation: str = "site"
) -> tuple[list[str], Slots]:
    slots = Slots()
    file = LimitFile(path, boot, installation)
    try:
        return file.restore(Limits([source], slots, Time(), Time()), now_ns), slots
    finally:
        file.close()


def test_in_the_same_boot_a_limit_goes_on(tmp_path: Path) -> None:
    path = saved(tmp_path, "boot-1")
    sources, slots = restored(path, "boot-1", NOW + SECOND)
    assert sources == ["cloud"]
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, NOW + 60 * SECOND)]


def test_after_a_reboot_its_source_is_lost_since_now(tmp_path: Path) -> None:
    path = saved(tmp_path, "boot-1")
    _, slots = restored(path, "boot-2", 5 * SECOND)
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, 5 * SECOND)]


def test_a_restart_after_a_reboot_does_not_prolong_the_hold(tmp_path: Path) -> None:
    path = saved(tmp_path, "boot-1")
    restored(path, "boot-2", 5 * SECOND)
    _, slots = restored(path, "boot-2", 9 * SECOND)
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, 5 * SECOND)]


def test_a_lease_does_not_outlive_the_documents_present_one(tmp_path: Path) -> None:
    path = saved(tmp_path, "boot-1", ttl_s=300)
    shorter = replace(CLOUD, lease_ns=30 * SECOND)
    _, slots = restored(path, "boot-1", NOW + SECOND, shorter)
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, NOW + 31 * SECOND)]
    _, slots = restored(path, "boot-1", NOW + 9 * SECOND)  # and stays short
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, NOW + 31 * SECOND)]


def test_what_lifts_a_limit_is_lost_to_another_installation(tmp_path: Path) -> None:
    now_ns = NOW + SECOND
    path = saved(tmp_path, "boot-1", amps="unlimited")
    assert restored(path, "boot-1", now_ns)[1].told == [(3, None, NEVER_NS, NOW + 60 * SECOND)]
    path = saved(tmp_path, "boot-1", amps="unlimited")
    _, slots = restored(path, "boot-1", now_ns, installation="rebuilt")
    assert slots.told == [(3, None, NEVER_NS, now_ns)]
    path = saved(tmp_path, "boot-1", until="2027-01-15T08:00:00.5Z")  # over since
    _, slots = restored(path, "boot-1", now_ns, installation="rebuilt")
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, now_ns)]


def test_a_limit_binds_another_installation_too(tmp_path: Path) -> None:
    path = saved(tmp_path, "boot-1")
    _, slots = restored(path, "boot-1", NOW + SECOND, installation="rebuilt")
    assert slots.told == [(3, (100_000,) * 3, NEVER_NS, NOW + 60 * SECOND)]


def test_without_a_file_nothing_is_restored(tmp_path: Path) -> None:
    assert restored(tmp_path / "limits.json", "boot-1", NOW)[0] == []


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"format":2,"boot_id":"a","limits":{}}', '{"boot_id":"a"}']
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    path = tmp_path / "limits.json"
    path.write_text(text)
    with pytest.raises(LimitFileError, match=r"limits\.json: "):
        restored(path, "boot-1", NOW)


def test_a_disk_that_fails_is_told_and_later_forgiven(tmp_path: Path) -> None:
    directory = tmp_path / "not-there-yet"
    saver = Saver(directory / "file", lazy_s=0.01)
    saver.save(b"old", urgent=True)
    wait_for(lambda: saver.problem is not None)
    assert "No such file" in str(saver.problem)
    saver.save(b"new", urgent=False)
    directory.mkdir()
    wait_for(lambda: saver.problem is None and (directory / "file").exists())
    saver.close()
    assert (directory / "file").read_bytes() == b"new"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
