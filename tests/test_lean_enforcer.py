"""What the enforcer's process does without."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOKS = """
import sys
sys.argv = ["loadkeeper", "run", "--help"]
from controller.__main__ import main
assert main() == 0
from controller.site import parse
from drivers.library import library
meter = {"id": "m", "circuit": "grid", "profile": "eastron_sdm630_v2", "bus": "tcp://127.0.0.1:1"}
grid = {"id": "grid", "rating_a": 100, "worst_base_a": 10}
site = parse({"schema": 1, "site": {"id": "s"}, "circuit": [grid], "meter": [meter]}, library())
assert site.meters[0].id == "m"
import json
print(json.dumps([name for name, module in sys.modules.items() if module is not None]))
"""


def loaded() -> set[str]:
    words = [sys.executable, "-c", LOOKS]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_it_reads_a_site_without_openssl_and_without_looking_for_plugins() -> None:
    modules = loaded()
    assert "controller.enforcer" in modules
    assert not modules & {"ssl", "_ssl", "_hashlib", "importlib.metadata", "email", "zipfile"}
    assert not modules & {"numpy", "scipy", "paho", "gpiozero", "cryptography"}
