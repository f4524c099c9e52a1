"""A control group of its own for each machine: two that shared one would share their units' groups,
and with them address filters, device lists and who is killed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

PREFIX = "loadkeeper-bench-"
GONE_WITHIN_S = 5.0
_number = count(1)


class Group:
    """Made by whoever joins it with `joining`, a line of shell for a mount namespace whose /run is
    its own; ended by us."""

    def __init__(self) -> None:
        self.name = f"{PREFIX}{os.getpid()}-{next(_number)}"

    @property
    def joining(self) -> str:
        here = f"/run/cgroup/{self.name}"
        mount = "mkdir /run/cgroup\nmount -t cgroup2 cgroup2 /run/cgroup\n"
        return f"{mount}mkdir -p {here}\necho $$ > {here}/cgroup.procs\n"

    def end(self) -> None:
        """All that is in it is killed, at one instant, and it is no more."""
        for place in places():
            _end(place / self.name)


def sweep() -> None:
    """Ends the groups of benches that were killed themselves."""
    for place in places():
        for folder in place.glob(f"{PREFIX}*"):
            maker = folder.name.removeprefix(PREFIX).split("-")[0]
            if maker.isdigit() and not Path(f"/proc/{maker}").exists():
                _end(folder)


def _end(folder: Path) -> None:
    with suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
    ends_s = time.monotonic() + GONE_WITHIN_S
    while folder.is_dir():
        for inner, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):  # somebody in there has yet to go
                Path(inner).rmdir()
        if not folder.is_dir() or time.monotonic() > ends_s:
            return
        time.sleep(0.01)


def places() -> list[Path]:
    """Where this machine has control groups of version 2, and after them systemd's of version 1, in
    which nspawn makes the same groups again where a machine has both."""
    found: dict[str, Path] = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.setdefault(kind, Path(place))
    return [found[kind] for kind in ("cgroup2", "cgroup") if kind in found]
