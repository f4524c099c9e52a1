"""What the gateway bench is made of, each part by itself. The bench is `make gateway`."""

import base64
import hashlib
import json
import os
import re
import socket
import tomllib
import zipfile
from argparse import Namespace
from datetime import date
from pathlib import Path

import pytest

from hil import bench_gateway
from hil.gateway import bundle, cgroup, probe, toml
from hil.gateway.cgroup import PREFIX
from hil.gateway.network import DEPOT, NOBODY, Address, Doors, Network
from hil.gateway.probing import FORBIDDEN, IN_NO_CONTAINER
from hil.story import run
from hil.story.script import STORIES, load

ROOTLESS = bench_gateway.missing()
TOLD = [path for path in sorted(STORIES.glob("*.toml")) if "gateway" in load(path).benches]


def test_a_document_is_the_same_in_toml() -> None:
    document = {
        "schema": 1,
        "site": {"id": "north", "name": 'with "quotes" and \\ and é'},
        "charger": [{"id": "a1", "min_a": 6.5, "phases": ["L1", "L2"], "on": True}],
        "derogation": [{"date": date(2027, 2, 11)}],
        "empty": [],
    }
    assert tomllib.loads(toml.dumps(document)) == document


def test_toml_has_no_word_for_nothing() -> None:
    with pytest.raises(TypeError, match="no word for None"):
        toml.dumps({"unknown": None})


@pytest.fixture
def delivered(tmp_path: Path) -> Path:
    """A bundle with a wheel that holds just enough to be revised."""
    at = tmp_path / "bundle"
    at.mkdir()
    with zipfile.ZipFile(at / "loadkeeper-0.1.0-cp311-abi3-linux_x86_64.whl", "w") as wheel:
        wheel.writestr("controller/version.py", 'VERSION = "0.1.0"\n')
        wheel.writestr("controller/enforcer.py", "def hold(enforcer): ...\n")
        wheel.writestr("loadkeeper-0.1.0.dist-info/METADATA", "Name: x\nVersion: 0.1.0\nA: b\n")
        wheel.writestr("loadkeeper-0.1.0.dist-info/RECORD", "stale\n")
    (at / "VERSION").write_text("0.1.0\n")
    (at / "install.sh").write_text("#!/bin/sh\n")
    (at / "SHA256SUMS").write_text("stale\n")
    return at


def test_a_next_version_is_whole(delivered: Path, tmp_path: Path) -> None:
    """As pip and sha256sum will look at it."""
    at = tmp_path / "next"
    bundle.revise(delivered, at, "99.0.1")
    (wheel,) = at.glob("*.whl")
    assert wheel.name == "loadkeeper-99.0.1-cp311-abi3-linux_x86_64.whl"
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read("controller/version.py") == b'VERSION = "99.0.1"\n'
        assert b"\nVersion: 99.0.1\n" in opened.read("loadkeeper-99.0.1.dist-info/METADATA")
        record = opened.read("loadkeeper-99.0.1.dist-info/RECORD").decode().split()
        for row in record[:-1]:
            name, digest, size = row.split(",")
            data = opened.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={wanted}", str(len(data)))
    assert (at / "VERSION").read_text() == "99.0.1\n"
    lines = (at / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(sums) == {"VERSION", "install.sh", wheel.name}
    assert sums[wheel.name] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert (delivered / "VERSION").read_text() == "0.1.0\n"


def test_a_spoilt_version_dies_as_it_begins(delivered: Path, tmp_path: Path) -> None:
    bundle.revise(delivered, tmp_path / "broken", "99.0.2", bundle._spoil)
    (wheel,) = (tmp_path / "broken").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        code = opened.read("controller/enforcer.py").decode()
    names: dict[str, object] = {}
    exec(code, names)  # as Python would
    hold = names["hold"]
    assert callable(hold)
    with pytest.raises(RuntimeError, match="spoilt"):
        hold(None)


def test_a_bundle_without_a_wheel_is_none(delivered: Path, tmp_path: Path) -> None:
    next(delivered.glob("*.whl")).unlink()
    with pytest.raises(bundle.BundleError, match="holds no wheel"):
        bundle.revise(delivered, tmp_path / "next", "99.0.1")


def test_the_probe_tells_what_is_possible_from_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert probe.tried("connect", f"127.0.0.1:{port}") == (True, "")
    assert probe.tried("connect", f"127.0.0.1:{port}") == (True, ""), "refused is not forbidden"
    assert probe.tried("read", str(tmp_path / "there")) == (True, "")
    assert probe.tried("entries", str(tmp_path)) == (True, "")
    assert probe.tried("write", str(tmp_path)) == (True, "")
    assert not (tmp_path / ".probe").exists()
    for name, on in (("read", "gone"), ("entries", "empty"), ("write", "gone"), ("unix", "gone")):
        possible, said = probe.tried(name, str(tmp_path / on))
        assert not possible, (name, on)
        assert said


def test_the_probe_believes_what_the_kernel_says_of_a_process() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    within = int(status["CapBnd"], 16)
    for capability in (1, 21):
        assert probe.tried("bound", str(capability))[0] == bool(within >> capability & 1)
    assert not probe.tried("bound", "63")[0], "there is no such capability"
    assert probe.tried("gain", "")[0] == (status["NoNewPrivs"].strip() == "0")


def test_bundles_that_another_run_may_use_are_kept(tmp_path: Path) -> None:
    made: list[Path] = []
    for number in range(bundle.KEPT + 2):
        bundle._kept(tmp_path, f"now-{number}", made.append)
    assert len(list(tmp_path.glob("now-*"))) == bundle.KEPT + 2
    for number in (0, 1, 2):
        os.utime(tmp_path / f"now-{number}", (number, number))  # long ago
    assert bundle._kept(tmp_path, "now-1", made.append) == tmp_path / "now-1"
    bundle._kept(tmp_path, "now-9", made.append)
    left = {each.name for each in tmp_path.glob("now-*")}
    assert left == {"now-1", "now-3", "now-4", "now-9"}
    assert len(made) == bundle.KEPT + 3, "what is there is not made again"


def test_every_attempt_is_known_and_made_once() -> None:
    assert {name for name, _ in FORBIDDEN} <= set(probe.ATTEMPTS)
    assert len(set(FORBIDDEN)) == len(FORBIDDEN)
    calls = {on for name, on in FORBIDDEN if name == "system_call"}
    assert all(calls <= set(numbers) for numbers in probe.CALLS.values())
    assert set(FORBIDDEN) >= IN_NO_CONTAINER


@pytest.mark.skipif(bool(ROOTLESS), reason=f"needs {'; '.join(ROOTLESS)}")
def test_networks_are_apart_and_nothing_is_left_of_them() -> None:
    doors = Doors()
    with Network() as network:
        network.depot.inhabit([NOBODY])
        there = Address(network.depot, NOBODY)
        doors.open(network.depot, NOBODY, 502)
        with pytest.raises(OSError, match="in use"):
            there.listen(502)
        with pytest.raises(OSError, match=r"unreachable|timed out"):
            socket.create_connection((NOBODY, 502), 0.2)  # from here nobody gets there
        assert doors.knocked() == 0
        network.gateway.run(
            "python3", "-c", f"import socket; socket.create_connection(('{NOBODY}', 502))"
        )
        assert doors.knocked() == 1
        doors.close()
        path = network.depot.path
    assert not Path(path).exists()


@pytest.mark.skipif(bool(ROOTLESS), reason=f"needs {'; '.join(ROOTLESS)}")
def test_no_control_group_is_left_in_any_hierarchy() -> None:
    group = cgroup.Group()
    nobody = int(Path("/proc/sys/kernel/pid_max").read_text())  # no process has this number
    made = [
        place / name for place in cgroup.places() for name in (group.name, f"{PREFIX}{nobody}-1")
    ]
    assert made
    for folder in made:
        (folder / "inner.slice").mkdir(parents=True)
    group.end()
    cgroup.sweep()
    assert not [folder for folder in made if folder.exists()]


def test_a_machine_that_cannot_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = Namespace(bench="gateway", if_possible=True, story=[], json=False, report=None)
    for lacks, in_ci, status in (
        (["root's rights", "ip (apt-get install iproute2)"], "true", 0),
        (["ip (apt-get install iproute2)"], "", 0),
        (["ip (apt-get install iproute2)"], "true", 1),
    ):
        monkeypatch.setattr(bench_gateway, "missing", lambda lacks=lacks: lacks)
        monkeypatch.setenv("CI", in_ci)
        assert run.run(args) == status
        assert f"NO STORY WAS TOLD on the gateway bench: this machine lacks {lacks[0]}" in (
            capsys.readouterr().err
        )


@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.stem)
def test_devices_of_a_story_on_the_gateway_are_where_its_network_is(path: Path) -> None:
    urls = re.findall(r"tcp://([^:]*):", json.dumps(load(path).site_document()))
    assert urls
    assert all(host.startswith(f"{DEPOT}.") for host in urls)
