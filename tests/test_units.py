"""The systemd units: known to systemd, as shut as promised, and about the places that there are.

Tried with systemd-analyze (250 or later) where there is one: it reads units without running them.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller import leaving
from controller.__main__ import main

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "systemd"
NAMES = ("loadkeeper.service", "loadkeeper-link.service")
INSTALLED = "/opt/loadkeeper/current/bin/loadkeeper"
SITES = {
    "serial port, pins": ROOT / "docs" / "examples" / "north-depot.toml",
    "adapter, serial port, pins": ROOT / "hil" / "sites" / "demo.toml",
}
FEWEST_POINTS = 20  # 2.0 of 10 at the most, in systemd-analyze's tenths
READS_OFFLINE = 250  # the first systemd-analyze that does

systemd_analyze = shutil.which("systemd-analyze")


def settings(name: str) -> dict[str, list[str]]:
    """A unit's directives, with every value that each is given."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    if systemd_analyze is None:
        pytest.skip("UNITS NOT TRIED: there is no systemd-analyze on this machine")
    told = subprocess.run(
        [systemd_analyze, "--version"], capture_output=True, text=True, check=True
    )
    version = re.match(r"systemd (\d+)", told.stdout)
    if version is None or int(version[1]) < READS_OFFLINE:
        pytest.skip(f"UNITS NOT TRIED: systemd-analyze is too old: {told.stdout.split()[:2]}")
    return subprocess.run(
        [systemd_analyze, *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(params=SITES)
def installed(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Path]:
    """All units with a site's drop-ins; what they start is there."""
    for unit in UNITS.glob("*.service"):
        text = unit.read_text(encoding="utf-8").replace(INSTALLED, "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    site = SITES[request.param].read_text(encoding="utf-8")
    if "[link]" not in site:
        site += '\n[link]\nbroker = "mqtt://192.0.2.200"\n'
    document = tmp_path / "site.toml"
    document.write_text(site, encoding="utf-8")
    for whom, name in zip(("enforcer", "link"), NAMES, strict=True):
        assert main(["unit", str(document), "--for", whom]) == 0
        folder = tmp_path / f"{name}.d"
        folder.mkdir()
        (folder / "site.conf").write_text(capsys.readouterr().out, encoding="utf-8")
    yield tmp_path


def test_systemd_knows_every_word(installed: Path) -> None:
    units = sorted(str(path) for path in installed.glob("*.service"))
    verified = analyze("verify", "--man=no", *units)
    assert (verified.returncode, verified.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", (*NAMES, "loadkeeper-rest.service"))
def test_little_is_left_open(installed: Path, name: str) -> None:
    judged = analyze(
        "security", "--offline=true", f"--threshold={FEWEST_POINTS}", str(installed / name)
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


IN_BOTH = {
    "RootDirectoryOrRootImage",
    "SupplementaryGroups",
    "RestrictAddressFamilies_AF_UNIX",
    "RestrictAddressFamilies_AF_INET_INET6",
    "PrivateNetwork",
    "PrivateUsers",
    "DeviceAllow",  # the clock's, to read, by ProtectClock=
    "IPAddressDeny",  # by the site's drop-ins
}
LEFT_OPEN = {
    "loadkeeper-link.service": IN_BOTH,
    "loadkeeper.service": IN_BOTH
    | {
        "AmbientCapabilities",
        "CapabilityBoundingSet_CAP_IPC_LOCK",
        "CapabilityBoundingSet_CAP_SYS_NICE_RESOURCE",
        "RestrictRealtime",
        "SystemCallFilter_resources",
        "ProcSubset",  # whether the clock is trusted, this boot's name
        "PrivateDevices",  # by a drop-in with serial ports or pins
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_open_but_what_is_needed(installed: Path, name: str) -> None:
    """One directive less would still be below the threshold."""
    judged = analyze("security", "--offline=true", "--json=short", str(installed / name))
    rows = json.loads(judged.stdout)
    assert len(rows) > 50
    opened = {
        row["json_field"]
        for row in rows
        if row["set"] is not True and row["exposure"] not in (None, "0.0")
    }
    assert opened <= LEFT_OPEN[name]


EXACTLY = {
    "loadkeeper.service": {
        "NotifyAccess": "main",
        "RestartPreventExitStatus": "2",
        "TimeoutStartFailureMode": "kill",
        "WorkingDirectory": "/run/loadkeeper",
        "UMask": "0077",
        "LimitMEMLOCK": "infinity",
        "LimitRTTIME": "200ms",
        "IPAddressDeny": "any",
        "DevicePolicy": "closed",
        "InaccessiblePaths": "-/etc/loadkeeper/link",
        "ProtectSystem": "strict",
    },
    "loadkeeper-link.service": {
        "NotifyAccess": "main",
        "StartLimitIntervalSec": "0",
        "WorkingDirectory": "/var/lib/loadkeeper-link",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
        "TasksMax": "64",
        "MemoryMax": "256M",
        "InaccessiblePaths": "-/var/lib/loadkeeper",
        "ProtectSystem": "strict",
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_what_no_analysis_weighs_is_there(name: str) -> None:
    unit = settings(name)
    assert {key: unit.get(key) for key in EXACTLY[name]} == {
        key: [value] for key, value in EXACTLY[name].items()
    }


def test_a_planned_stop_is_given_the_time_that_it_takes() -> None:
    (stop_s,) = settings(NAMES[0])["TimeoutStopSec"]
    assert int(stop_s) >= leaving.WITHIN_S + 5


def test_what_is_whose() -> None:
    """The document is read by both and written by neither; secrets are the link's."""
    made = (UNITS / "loadkeeper.tmpfiles").read_text(encoding="utf-8")
    rows = [line.split() for line in made.splitlines() if line and line[0] != "#"]
    assert {row[1]: row[2:5] for row in rows} == {
        "/etc/loadkeeper": ["0750", "root", "loadkeeper"],
        "/etc/loadkeeper/site.toml": ["0640", "root", "loadkeeper"],
        "/etc/loadkeeper/link": ["0750", "root", "loadkeeper-link"],
    }
    rules = (UNITS / "60-loadkeeper.rules").read_text(encoding="utf-8")
    assert set(re.findall(r'MODE="(\d+)"', rules)) == {"0660"}


def test_the_machine_s_watchdog_is_one_that_a_pi_can_keep() -> None:
    text = (UNITS / "10-loadkeeper-watchdog.conf").read_text(encoding="utf-8")
    (seconds,) = re.findall(r"^RuntimeWatchdogSec=(\d+)$", text, re.MULTILINE)
    assert 5 <= int(seconds) <= 14


@pytest.mark.parametrize("name", NAMES)
def test_each_starts_what_is_installed(name: str) -> None:
    unit = settings(name)
    assert unit["Type"] == ["notify"]
    (command,) = unit["ExecStart"]
    assert command.startswith(f"{INSTALLED} ")
    assert "/etc/loadkeeper/site.toml" in command.split()
    assert unit["WatchdogSignal"] == ["SIGKILL"]  # a stopped process hears no other
    assert unit["Restart"] == ["always"]


def test_the_enforcer_may_have_real_time_and_nobody_gives_it_to_all_its_threads() -> None:
    enforcer, link = map(settings, NAMES)
    assert enforcer["AmbientCapabilities"] == ["CAP_SYS_NICE CAP_IPC_LOCK"]
    assert enforcer["CapabilityBoundingSet"] == enforcer["AmbientCapabilities"]
    assert "RestrictRealtime" not in enforcer
    assert (link["CapabilityBoundingSet"], link["AmbientCapabilities"]) == ([""], [""])
    assert "CPUSchedulingPolicy" not in enforcer.keys() | link.keys()


def test_the_enforcer_waits_for_neither_network_nor_link() -> None:
    enforcer = settings(NAMES[0])
    others = " ".join(
        value
        for key in ("After", "Requires", "Requisite", "BindsTo", "PartOf")
        for value in enforcer.get(key, [])
    )
    assert others == "loadkeeper-rest.service"  # `loadkeeper reset` comes after it, if it runs
    rest = settings("loadkeeper-rest.service")
    assert rest["Type"] == ["oneshot"]
    assert int(rest["TimeoutStartSec"][0]) <= 20
    assert "After" not in rest
    assert "RuntimeDirectory" not in rest  # at its end it would take the enforcer's away
    assert enforcer["Wants"] == ["loadkeeper-farewell.service"]


def test_a_shutdown_stops_the_enforcer_before_the_network() -> None:
    """What comes after the network at the start goes before it at the end."""
    farewell = settings("loadkeeper-farewell.service")
    assert farewell["After"] == ["network.target"]
    (stop,) = farewell["ExecStop"]
    assert stop.split()[1:] == ["stop", NAMES[0]]
    assert farewell["RemainAfterExit"] == ["yes"]
    enforcer = settings(NAMES[0])
    assert int(farewell["TimeoutStopSec"][0]) > int(enforcer["TimeoutStopSec"][0])


def test_the_link_stops_nobody_and_starts_no_enforcer_that_has_given_up() -> None:
    link = settings(NAMES[1])
    assert link["After"] == ["loadkeeper.service network.target"]
    for key in ("Requires", "Requisite", "BindsTo", "PartOf", "Conflicts", "PropagatesStopTo"):
        assert key not in link
    for key in ("Wants", "Upholds"):
        assert key not in link


def test_it_is_fed_within_two_seconds_and_stops_for_good_within_two_minutes() -> None:
    enforcer = settings(NAMES[0])
    assert enforcer["WatchdogSec"] == ["1500ms"]
    assert enforcer["StartLimitIntervalSec"] == ["120"]
    assert enforcer["StartLimitBurst"] == ["5"]
    assert enforcer["OnFailure"] == ["loadkeeper-rest.service loadkeeper-latched.service"]
    assert "ExecStopPost" not in enforcer  # a start brings its pins to rest itself, and sooner


def test_pins_are_brought_to_rest_by_root_who_may_do_nothing_else() -> None:
    rest = settings("loadkeeper-rest.service")
    (command,) = rest["ExecStart"]
    state, runtime = "--state /var/lib/loadkeeper", "--runtime /run/loadkeeper"
    assert command == f"{INSTALLED} rest /etc/loadkeeper/site.toml {runtime} {state}"
    assert rest["CapabilityBoundingSet"] == ["CAP_DAC_READ_SEARCH"]
    assert (rest["DevicePolicy"], rest["DeviceAllow"]) == (["closed"], ["char-gpiochip rw"])
    assert (rest["PrivateNetwork"], rest["ProtectSystem"]) == (["yes"], ["strict"])
    assert "Restart" not in rest


def test_users_are_those_that_the_units_name() -> None:
    made = (UNITS / "loadkeeper.sysusers").read_text(encoding="utf-8")
    users = set(re.findall(r"^u (\S+)", made, re.MULTILINE))
    assert {settings(name)["User"][0] for name in NAMES} == users
    enforcer, link = map(settings, NAMES)
    assert f"--allow {link['User'][0]}" in enforcer["ExecStart"][0]
    # By its group the link may enter the socket's directory, which is no state of the enforcer's.
    assert link["SupplementaryGroups"] == enforcer["Group"]
    assert enforcer["RuntimeDirectoryMode"] == ["0750"]
    assert enforcer["StateDirectoryMode"] == ["0700"]
    assert f"/run/{enforcer['RuntimeDirectory'][0]}" in link["ExecStart"][0].split()
