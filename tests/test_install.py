"""install.sh: its steps in a folder of our own, with the machine around it left out.

The whole of it, in a Debian root and under systemd, is the gateway bench's part.
"""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup_folder import ROOT, SYSTEMD, Gateway

SCRIPTS = [SYSTEMD / "install.sh", *sorted((SYSTEMD / "steps").glob("*.sh"))]


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_sound(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not there: apt-get install shellcheck")
    subprocess.run(["shellcheck", "-x", str(script)], cwd=ROOT, check=True)


def test_can_be_started() -> None:
    assert (SYSTEMD / "install.sh").stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("words", [["--wheels"], ["--purge"], ["--no-such"], ["--back", "there"]])
def test_used_wrongly_it_says_how(words: list[str]) -> None:
    ended = subprocess.run(
        ["sh", str(SYSTEMD / "install.sh"), *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "install.sh --wheels DIR" in ended.stderr


def test_all_that_is_wrong_is_said_at_once(gateway: Gateway) -> None:
    """Here nearly all is wrong; and nothing is made of it."""
    (gateway.at / "command").write_text("not of ours")
    (gateway.at / "units" / "loadkeeper.service").write_text("not of ours")
    before = sorted(gateway.at.rglob("*"))
    ended = gateway.end(
        "opt_mb=999999999 python=/no/python; dpkg() { echo armhf; }\nlook_at_all; tell_problems"
    )
    assert ended.returncode == 1
    for what in ("armhf", "not Python 3.11", "is no bundle", "MB free", "not of this making"):
        assert what in ended.stderr
    assert ended.stderr.count("not of this making") == 2
    assert sorted(gateway.at.rglob("*")) == before


def test_a_damaged_bundle_is_refused(gateway: Gateway) -> None:
    bundle = gateway.at / "bundle"
    (bundle / "VERSION").write_text("2.0.0\n")
    (bundle / "requirements.txt").write_text("as built")
    names = ["VERSION", "requirements.txt"]
    sums = [f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (bundle / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    look = 'wheel_for=x86_64 machine=amd64; look_at_bundle; echo "$problems"'
    assert "damaged" not in gateway.start(look)
    (bundle / "requirements.txt").write_text("as changed since")
    assert "requirements.txt: FAILED" in gateway.start(look)


def test_a_folder_of_wheels_must_hold_every_library_as_locked(gateway: Gateway) -> None:
    folder = gateway.at / "wheels"
    folder.mkdir()
    (folder / "one-1.whl").write_bytes(b"one")
    (folder / "two-1.whl").write_bytes(b"another than the one that was locked")
    lock = gateway.at / "requirements.txt"
    digests = [hashlib.sha256(each).hexdigest() for each in (b"one", b"two")]
    lock.write_text(
        f"# by hand\none==1 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{digests[0]}\n"
        f"two==1 ; sys_platform == 'linux' \\\n    --hash=sha256:{digests[1]}\n"
    )
    assert gateway.start(f"lacking {folder} {lock}").split() == ["two==1"]
    (folder / "two-1.whl").write_bytes(b"two")
    assert gateway.start(f"lacking {folder} {lock}").split() == []
    assert gateway.start(f"lacking {gateway.at} {lock}").split() == ["one==1", "two==1"]


def test_versions_follow_each_other_and_one_before_is_kept(gateway: Gateway) -> None:
    for number in ("1", "2", "3"):
        gateway.version(number)
        gateway.start(f"switch_to {number}")
    assert (gateway.named("current"), gateway.named("previous")) == ("3", "2")
    assert gateway.versions == {"2", "3"}
    gateway.start("go_back")
    assert (gateway.named("current"), gateway.named("previous")) == ("2", "3")


def test_a_version_that_does_not_come_up_gives_way_to_the_one_before(gateway: Gateway) -> None:
    gateway.installed("1", "2")
    gateway.version("3")
    ended = gateway.end('start_both() { [ "$(id_of current)" != 3 ]; }\nswitch_to 3')
    assert ended.returncode == 1
    assert "3 did not come up" in ended.stderr
    assert "2 is in force again" in ended.stderr
    assert (gateway.named("current"), gateway.named("previous")) == ("2", "1")
    assert not (gateway.opt / "switching").exists()


def test_a_return_that_does_not_come_up_returns_too(gateway: Gateway) -> None:
    gateway.installed("1", "2")
    ended = gateway.end('start_both() { [ "$(id_of current)" != 1 ]; }\ngo_back')
    assert ended.returncode == 1
    assert (gateway.named("current"), gateway.named("previous")) == ("2", "1")


# Dies before its nth command that changes a file, or at the nth time that it waits for the disk.
DIES = """
left={n}
count() {{ left=$((left - 1)); [ "$left" != 0 ] || kill -9 $$; }}
for name in mv ln rm cp mkdir; do eval "$name() {{ count; command $name \\"\\$@\\"; }}"; done
on_disk() {{ count; }}
"""


def moments() -> Iterator[int]:
    yield from range(1, 60)


@pytest.mark.parametrize("comes_up", [True, False])
def test_killed_at_any_moment_a_complete_version_stands_and_a_rerun_mends_it(
    tmp_path: Path, comes_up: bool
) -> None:
    """Also while it returns by itself from one that does not come up."""
    stubborn = "" if comes_up else 'start_both() { [ "$(id_of current)" != 3 ]; }\n'
    for n in moments():
        gateway = Gateway(tmp_path / str(n))
        (gateway.at / "state" / "limits.json").write_text("{}")
        gateway.installed("1", "2")
        gateway.version("3")
        ended = gateway.end(stubborn + DIES.format(n=n) + "switch_to 3")
        assert gateway.named("current") in {"2", "3"}
        for kept in (gateway.named("current"), gateway.named("previous")):
            assert gateway.start(f'works "$versions/{kept}" && echo whole') == "whole\n"
        if ended.returncode != -9:
            assert n > 10, "it was never killed"
            return
        again = gateway.end(stubborn + "switch_to 3")
        assert again.returncode == (0 if comes_up else 1)
        stand = ("3", "2") if comes_up else ("2", "1")
        assert (gateway.named("current"), gateway.named("previous")) == stand, f"killed at {n}"
        assert not (gateway.opt / "switching").exists()
        assert not list(gateway.opt.rglob("*.partial"))
    pytest.fail("more moments than were tried")


@pytest.mark.parametrize("back", ["go_back", "switch_to 2"])
def test_killed_on_the_way_it_can_also_be_taken_back(tmp_path: Path, back: str) -> None:
    """By its word, or by installing the one before from its own bundle."""
    for n in moments():
        gateway = Gateway(tmp_path / str(n))
        gateway.installed("1", "2")
        gateway.version("3")
        ended = gateway.end(DIES.format(n=n) + "switch_to 3")
        if ended.returncode != -9:
            return
        if (gateway.opt / "switching").exists():
            gateway.start(back)
            assert (gateway.named("current"), gateway.named("previous")) == ("2", "1")
    pytest.fail("more moments than were tried")


def test_to_and_fro_each_is_the_others_way_back(gateway: Gateway) -> None:
    gateway.installed("1", "2")
    for there, here in (("1", "2"), ("2", "1")):
        gateway.end(DIES.format(n=9) + f"switch_to {there}")
        assert (gateway.opt / "switching").exists()
        gateway.start(f"switch_to {there}")
        assert (gateway.named("current"), gateway.named("previous")) == (there, here)
        assert gateway.versions == {"1", "2"}


def test_state_is_copied_before_each_switch_a_few_times_at_most(gateway: Gateway) -> None:
    (gateway.at / "etc" / "site.toml").write_text("")
    documents = gateway.at / "state" / "documents.json"
    for number in range(1, 13):
        gateway.version(f"{number}.0")
        documents.write_text(f"of {number - 1}")
        gateway.start(f"switch_to {number}.0")
    copies = sorted(int(each.name) for each in (gateway.opt / "states").iterdir())
    assert copies == [8, 9, 10, 11, 12]
    newest = gateway.opt / "states" / "12"
    assert (newest / "loadkeeper" / "documents.json").read_text() == "of 11"
    assert (newest / "version").read_text() == "11.0\n"
    assert (gateway.opt / "states").stat().st_mode & 0o777 == 0o700


def test_documents_that_an_older_version_cannot_read_are_kept_and_its_own_come_back(
    gateway: Gateway,
) -> None:
    """A version that cannot read them begins a file of its own: the newer one would be lost."""
    (gateway.at / "etc" / "site.toml").write_text("")
    documents, limits = (gateway.at / "state" / f"{name}.json" for name in ("documents", "limits"))
    gateway.version("1", standing="unreadable")
    gateway.version("2")
    gateway.start("switch_to 1")
    documents.write_text("in the old form")
    limits.write_text("old limits")
    gateway.start("switch_to 2")
    documents.write_text("in the new form")
    limits.write_text("new limits")
    said = gateway.start("go_back")
    assert documents.read_text() == "in the old form"
    assert limits.read_text() == "new limits"  # an old one could be higher
    kept = gateway.opt / "states" / "3" / "loadkeeper"
    assert (kept / "documents.json").read_text() == "in the new form"
    assert f"kept in {kept.parent}" in said


def test_documents_that_it_can_read_stay(gateway: Gateway) -> None:
    (gateway.at / "etc" / "site.toml").write_text("")
    documents = gateway.at / "state" / "documents.json"
    for number in ("1", "2"):
        gateway.version(number)
        documents.write_text(f"before {number}")
        gateway.start(f"switch_to {number}")
    documents.write_text("newest")
    gateway.start("go_back")
    assert documents.read_text() == "newest"


def test_a_file_is_laid_only_where_it_differs(gateway: Gateway) -> None:
    source, place = gateway.at / "source", gateway.at / "etc" / "there.conf"
    source.write_text("one")
    put = f'put {source} {place} 0644; echo "laid:$laid"'
    assert gateway.start(put) == f"laid: {place}\n"
    inode = place.stat().st_ino
    assert gateway.start(put) == "laid:\n"
    assert place.stat().st_ino == inode
    source.write_text("two")
    assert gateway.start(put) == f"laid: {place}\n"
    assert place.read_text() == "two"


def test_nothing_writes_a_site_document() -> None:
    """It is the installer's: no line of these scripts names it as a place to write to."""
    writes = re.compile(
        r"(>|(^|[;&|])\s*(cp|mv|ln|put|write|sed -i|link_to)\b[^|#]*)\s*"
        r"\"?\$(\{?site\b|etc/site\.toml(?!\.))"
    )
    found = [
        f"{script.name}: {line}"
        for script in SCRIPTS
        for line in script.read_text(encoding="utf-8").splitlines()
        if writes.search(line)
    ]
    assert not found


def test_all_files_but_our_own_wheel_are_known_by_their_hashes() -> None:
    """And none is built here: that would run what is in it, and take what it names."""
    script = (SYSTEMD / "steps" / "build.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    calls = [line for line in script.splitlines() if re.search(r"\bpip_in \"", line)]
    assert len(calls) == 3
    for call in calls:
        assert "--require-hashes" in call if " -r " in call else "--no-index --no-deps" in call
    installs = [line for line in script.splitlines() if re.search(r"-m pip.* install\b", line)]
    assert len(installs) == 1
    assert "--only-binary :all:" in installs[0]


def test_a_version_that_would_not_run_the_document_never_gets_its_name(gateway: Gateway) -> None:
    gateway.installed("1", "2")
    new = (
        'version=3; setup_here() { false; }\nbuild() { mkdir -p "$1"; }\n'
        "documents_hold() { false; }\ntake_version; switch_to 3"
    )
    ended = gateway.end(new)
    assert ended.returncode == 1
    assert "nothing was changed" in ended.stderr
    assert gateway.versions == {"1", "2"}
    assert gateway.named("current") == "2"
