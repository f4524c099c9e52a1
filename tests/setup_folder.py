"""A folder that stands for a gateway, and the steps of install.sh in it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
SYSTEMD = ROOT / "systemd"

# Everything in our folder; no systemd, no users, and what is tried by hand of each test.
OURS = """
set -eu
here={bundle}
. {steps}/places.sh
opt={at}/opt versions={at}/opt/versions states={at}/opt/states switching={at}/opt/switching
etc={at}/etc site={at}/etc/site.toml state={at}/state link_state={at}/link units={at}/units
command={at}/command lock={at}/lock wheels=
for step in checks build machine state switch; do . {steps}/$step.sh; done
logger() {{ :; }}
sync() {{ :; }}
running() {{ false; }}
lay_out() {{ :; }}
"""


class Gateway:
    """A folder that stands for a gateway."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self.opt = at / "opt"
        for name in ("opt/versions", "etc", "state", "units", "bundle"):
            (at / name).mkdir(parents=True)

    def version(self, name: str, standing: str = "none") -> None:
        """A complete one, which would go on with any documents, or says so."""
        folder = self.opt / "versions" / name
        (folder / "setup").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "setup" / "VERSION").write_text(f"{name}\n")
        (folder / "setup" / "SHA256SUMS").write_text(f"{name}\n")
        program = folder / "bin" / "loadkeeper"
        program.write_text(f"#!/bin/sh\necho loadkeeper {name}\n")
        program.chmod(0o755)
        (folder / "standing").write_text(standing)

    def installed(self, *names: str) -> None:
        """One after the other, up to the last."""
        for name in names:
            self.version(name)
        for link, name in (("current", names[-1]), ("previous", names[-2])):
            (self.opt / link).symlink_to(f"versions/{name}")

    def start(self, script: str, env: Mapping[str, str] | None = None) -> str:
        ended = self.end(script, env)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def end(
        self, script: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        begin = OURS.format(at=self.at, steps=SYSTEMD / "steps", bundle=self.at / "bundle")
        judged = 'judged() { echo "runs $(cat "$1/standing")"; }\n'
        return subprocess.run(
            ["sh", "-c", begin + judged + script],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def named(self, link: str) -> str | None:
        place = self.opt / link
        return place.readlink().name if place.is_symlink() else None

    @property
    def versions(self) -> set[str]:
        return {each.name for each in (self.opt / "versions").iterdir()}
