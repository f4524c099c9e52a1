"""The enforcer loads no OpenSSL, and does without it; every other command has it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import document

ROOT = Path(__file__).parents[1]
TELLS = """
import sys
sys.argv = ["loadkeeper", *sys.argv[1:]]
from controller.__main__ import main
status = main()
import asyncio, hashlib
maps = open("/proc/self/maps").read()
print(status, "libcrypto" in maps, "libssl" in maps, hashlib.sha256(b"site").hexdigest())
"""


@pytest.mark.parametrize(("command", "loads"), [("run", False), ("link", True)])
def test_only_who_encrypts_loads_openssl(command: str, loads: bool) -> None:
    if "libcrypto" not in Path("/proc/self/maps").read_text():
        pytest.skip("this Python has OpenSSL built in, or none")
    words = [sys.executable, "-c", TELLS, command, "--help"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    found = ended.stdout.splitlines()[-1].split()
    sum_ = hashlib.sha256(b"site").hexdigest()
    assert found == ["0", str(loads), str(loads), sum_]


def test_a_refused_site_is_told_why_in_the_same_process(tmp_path: Path) -> None:
    """`check` reads certificates, so it needs what the enforcer goes without."""
    site = tmp_path / "site.json"
    site.write_text(json.dumps(document(meter=None, limit_source=None, charger=None, mode="none")))
    words = [sys.executable, "-m", "controller", "run", str(site)]
    words += ["--runtime", str(tmp_path / "r"), "--state", str(tmp_path / "s")]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    assert "mode" in ended.stdout + ended.stderr
