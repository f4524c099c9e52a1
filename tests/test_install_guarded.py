"""install.sh between a stop and the next start, and as root in folders that are not root's."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.setup_folder import ROOT, SYSTEMD, Gateway

# systemd, played: what is asked of it goes into a list, and each unit is as `at` says.
PLAYED = """
running() {{ true; }}
did() {{ echo "$*" >>{list}; }}
systemctl() {{
    case "$*" in show*Result*) echo {result} ;; show*) echo {at} ;; *) did "$@" ;; esac
}}
lay_out() {{ did lay_out; {laid} }}
start_both() {{ did start; {start} }}
guard() {{ did guard; }}
unguard() {{ did unguard; }}
tell_site() {{ :; }}
copy_state() {{ :; }}
"""
STOPS = ["stop loadkeeper-link.service", "stop loadkeeper.service"]


class Played:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.list = gateway.at / "did"
        self.list.touch()

    def end(
        self,
        script: str,
        *,
        at: str = "active",
        start: str = "",
        laid: str = "",
        result: str = "success",
    ) -> subprocess.CompletedProcess[str]:
        begin = PLAYED.format(list=self.list, at=at, start=start, laid=laid, result=result)
        return self.gateway.end(begin + script)

    @property
    def did(self) -> list[str]:
        told = self.list.read_text().splitlines()
        return [each for each in told if not each.startswith(("reset-failed", "--quiet"))]


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


@pytest.fixture
def played(gateway: Gateway) -> Played:
    return Played(gateway)


@pytest.mark.parametrize(
    ("at", "stopped"),
    [("active", True), ("activating", True), ("failed", True), ("inactive", False)],
)
def test_one_that_is_only_on_its_way_is_stopped_as_well(
    played: Played, at: str, stopped: bool
) -> None:
    """Between two tries of a crash loop it is activating: it would come up in the middle."""
    assert played.end("stop_both", at=at).returncode == 0
    assert played.did == (STOPS if stopped else [])
    assert "reset-failed loadkeeper.service" in played.list.read_text()


@pytest.mark.parametrize(
    ("at", "result", "rests"),
    [
        ("active", "success", False),
        ("active", "timeout", True),  # killed, for it did not end
        ("activating", "signal", True),  # between a death and the next start
        ("failed", "start-limit-hit", True),
        ("inactive", "success", False),
    ],
)
def test_what_a_killed_enforcer_left_on_is_brought_to_rest_where_none_starts_soon(
    played: Played, at: str, result: str, rests: bool
) -> None:
    """systemd does it for a unit that has failed, and not for one that is stopped in between."""
    played.gateway.installed("1", "2")
    program = played.gateway.opt / "versions" / "2" / "bin" / "loadkeeper"
    program.write_text(f'#!/bin/sh\necho "$@" >>{played.list}\nexit 1\n')
    ended = played.end("stop_both", at=at, result=result)
    assert ended.returncode == 0
    assert [each.split()[0] for each in played.did if "site.toml" in each] == ["rest"] * rests
    assert ("Look whether relays" in ended.stdout) is rests


def test_a_changed_document_lowers_the_chargers_while_they_are_in_reach(played: Played) -> None:
    """So before the units change; and with a guard, should this script die before the start."""
    played.gateway.installed("1", "2")
    (played.gateway.at / "etc" / "site.toml").write_text("changed")
    ended = played.end("switch_to 2")
    assert ended.returncode == 0, ended.stderr
    assert played.did == ["guard", *STOPS, "lay_out", "start", "unguard"]
    assert "site.toml" in ended.stdout


def test_a_changed_unit_is_put_in_force_and_an_unchanged_one_left_alone(played: Played) -> None:
    played.gateway.installed("1", "2")
    site, seen = played.gateway.at / "etc" / "site.toml", played.gateway.opt / "document"
    site.write_text("as it was")
    sha = subprocess.run(["sha256sum", site], capture_output=True, text=True, check=True).stdout
    seen.write_text(sha.split()[0] + "\n")
    assert played.end("switch_to 2").returncode == 0
    assert played.did == ["lay_out", "start", "unguard"]
    played.list.write_text("")
    assert played.end("switch_to 2", laid='laid=" rules";').returncode == 0
    assert played.did == ["lay_out", "guard", *STOPS, "start", "unguard"]


@pytest.mark.parametrize("signal", ["HUP", "INT", "TERM"])
def test_a_closed_terminal_leaves_no_depot_stopped(played: Played, signal: str) -> None:
    """The start still comes."""
    played.gateway.installed("1", "2")
    (played.gateway.at / "etc" / "site.toml").write_text("changed")
    closed = f'did() {{ echo "$*" >>{played.list}; kill -{signal} $$; }}\n'
    ended = played.end(closed + "switch_to 2")
    assert ended.returncode == 0
    assert played.did[-2:] == ["start", "unguard"]


def test_a_document_that_does_not_come_up_leaves_no_guard(played: Played) -> None:
    played.gateway.installed("1", "2")
    (played.gateway.at / "etc" / "site.toml").write_text("changed")
    ended = played.end("switch_to 2", start="return 1;")
    assert ended.returncode == 1
    assert "does not come up" in ended.stderr
    assert played.did[-1] == "unguard"


def test_the_way_back_has_a_guard_of_its_own(played: Played) -> None:
    """The first one's time may be over by then."""
    played.gateway.installed("1", "2")
    played.gateway.version("3")
    fails = '[ "$(id_of current)" != 3 ];'
    assert played.end("switch_to 3", start=fails).returncode == 1
    once = ["guard", *STOPS, "lay_out", "start"]
    assert played.did == [*once, *once, "unguard"]


@pytest.mark.parametrize("instead", ["link", "folder"])
def test_links_in_the_enforcer_s_folder_lead_root_nowhere(gateway: Gateway, instead: str) -> None:
    """Whoever has taken the enforcer could lay them, and wait for the next return."""
    (gateway.at / "etc" / "site.toml").write_text("")
    state, other = gateway.at / "state", gateway.at / "other"
    documents = state / "documents.json"
    gateway.version("1", standing="unreadable")
    gateway.version("2")
    gateway.start("switch_to 1")
    documents.write_text("in the old form")
    gateway.start("switch_to 2")
    other.write_text("root's")
    elsewhere = gateway.at / "elsewhere"
    elsewhere.mkdir()
    (state / ".documents.json.back").symlink_to(other)
    (state / ".back.123456").symlink_to(elsewhere)
    documents.unlink()
    if instead == "link":
        documents.symlink_to(other)
    else:
        documents.mkdir()
    gateway.start("go_back")
    assert other.read_text() == "root's"
    assert not list(elsewhere.iterdir())
    assert not documents.is_symlink()
    assert documents.read_text() == "in the old form"
    assert not list(state.glob(".back.*"))


def test_a_saved_link_brings_nothing_back(gateway: Gateway) -> None:
    (gateway.at / "etc" / "site.toml").write_text("")
    secret = gateway.at / "secret"
    secret.write_text("root's alone")
    documents = gateway.at / "state" / "documents.json"
    gateway.version("1", standing="unreadable")
    gateway.version("2")
    gateway.start("switch_to 1")
    documents.symlink_to(secret)
    gateway.start("switch_to 2")
    documents.unlink()
    documents.write_text("in the new form")
    assert "left none" in gateway.start("go_back")
    assert documents.read_text() == "in the new form"


def test_its_lock_lies_where_only_root_makes_files() -> None:
    """Anybody could take its name in /run/lock, and so forbid every upgrade."""
    told = subprocess.run(
        ["sh", "-c", f'. {SYSTEMD}/steps/places.sh; echo "$lock"'],
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(told.stdout.strip()).parent
    assert folder == Path("/run")
    assert not folder.stat().st_mode & stat.S_IWOTH


STEPS = ("places", "checks", "build", "machine", "state", "switch")
WORKS = (
    *("only_one", "look_at_all", "look_at_return", "look_at_removal", "tell_problems"),
    *("try_build", "begin", "take_version", "switch_to", "go_back", "remove_all"),
)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """install.sh itself, with steps that say no more than that it was their turn."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "install.sh").write_bytes((SYSTEMD / "install.sh").read_bytes())
    for step in STEPS:
        (tmp_path / "steps" / f"{step}.sh").touch()
    played = "".join(f"{name}() {{ echo {name}; }}\n" for name in WORKS)
    played += 'say() { pwd; echo "$wheels"; }\ntaken=1\n'
    (tmp_path / "steps" / "places.sh").write_text(played)
    return tmp_path / "install.sh"


def said(script: Path, *words: str) -> list[str]:
    return subprocess.run(
        ["sh", str(script), *words],
        cwd=script.parent,
        env={**os.environ, "PWD": str(script.parent)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_all_is_looked_at_before_anything_is_done(script: Path) -> None:
    looked = ["only_one", "look_at_all", "tell_problems"]
    assert said(script) == [*looked, "begin", "take_version", "switch_to"]
    assert said(script, "--check")[:4] == [*looked, "try_build"]
    assert said(script, "--back") == ["only_one", "look_at_return", "tell_problems", "go_back"]
    assert said(script, "--remove") == [
        *("only_one", "look_at_removal", "tell_problems", "remove_all")
    ]


@pytest.mark.parametrize("given", ["sub", "/sub"])
def test_it_takes_no_module_from_where_it_is_started(script: Path, given: str) -> None:
    """Python would look there first: for pip, or for the product itself."""
    assert said(script, "--check", "--wheels", given)[4:] == ["/", str(script.parent / given)]


def test_a_document_that_no_unit_can_permit_is_refused_before_anything_changes(
    gateway: Gateway,
) -> None:
    """Else the enforcer would come up, and reach none of its devices."""
    text = (ROOT / "docs" / "examples" / "north-depot.toml").read_text(encoding="utf-8")
    site = gateway.at / "etc" / "site.toml"
    (gateway.at / "bundle" / "VERSION").write_text("2\n")
    real = (
        f'cd {ROOT}\nask() {{ shift; {sys.executable} -m controller "$@"; }}\n'
        "pins_suffice() { :; }\ndocuments_hold there"
    )
    site.write_text(text, encoding="utf-8")
    assert gateway.end(real).returncode == 0
    named = text.replace("192.0.2.10:", "meter.depot.example:")
    assert named != text
    site.write_text(named, encoding="utf-8")
    ended = gateway.end(real)
    assert ended.returncode == 1
    assert "meter.depot.example" in ended.stderr
    assert "write the device's address" in ended.stderr
