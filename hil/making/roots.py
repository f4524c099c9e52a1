"""Debian in a folder: made once with debootstrap, kept in a cache, and never changed after that.

What happens in a root happens in an overlay over it, or in a mount namespace of its own: neither
the root nor this machine's mounts are changed by it. Needs root, and says what else it lacks.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOSTS = {"x86_64": "amd64", "aarch64": "arm64"}  # the machine's word: Debian's
EMULATORS = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}
RECIPE = 1  # counts up when a root is made in another way
BINFMT = Path("/proc/sys/fs/binfmt_misc")
SHARED_CACHE = Path("/var/cache/loadkeeper")
_AARCH64_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_AARCH64_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Sees the root alone: own mounts and processes, which end with it. $0 is where the root stands.
_ENTER = """
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/tmp"
mount --bind /sys "$0/sys"
exec chroot "$0" "$@"
"""


class RootError(RuntimeError):
    """A root that cannot be made or used, and why."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A root as one run sees it: what is written goes to `folder`, the root stays as it was.

    Nothing is mounted but in the namespaces of those who ask for it with `mounting`.
    """

    root: Path
    folder: Path
    below: tuple[Path, ...] = ()  # more of them, where `root` is what another layer has taken

    @property
    def upper(self) -> Path:
        """What was written: readable from outside at any time, to be changed while nobody runs."""
        return self.folder / "upper"

    @property
    def at(self) -> Path:
        """Where the whole stands, for whoever has mounted it."""
        return self.folder / "root"

    def make(self) -> None:
        for each in (self.upper, self.folder / "work", self.at):
            each.mkdir(parents=True, exist_ok=True)
        self.upper.chmod(0o755)

    @property
    def mounting(self) -> str:
        """A line of shell, to be run in a mount namespace of one's own."""
        lower = ":".join(str(each) for each in (self.root, *self.below))
        options = f"lowerdir={lower},upperdir={self.upper},workdir={self.folder / 'work'}"
        return f"mount -t overlay overlay -o '{options}' '{self.at}'\n"


@dataclass(frozen=True, slots=True)
class Run:
    """A command in a root: what it is told, and what it may see of this machine."""

    env: Mapping[str, str] = field(default_factory=dict)
    binds: Mapping[Path, str] = field(default_factory=dict)  # ours: read-only where in the root
    cwd: str = "/"
    timeout_s: float = 900.0


def host_arch() -> str:
    """Debian's word for what this machine is. Raises RootError."""
    machine = platform.machine()
    if machine not in HOSTS:
        raise RootError(f"no root can be made on a {machine} machine")
    return HOSTS[machine]


def missing(arch: str) -> list[str]:
    """What this machine lacks to make and use a root; empty where it has what it takes."""
    lacks = []
    if platform.system() != "Linux":
        return ["Linux"]
    if os.getuid() != 0:
        lacks.append("root's rights (mounts and namespaces)")
    for program, package in {
        "debootstrap": "debootstrap",
        "unshare": "util-linux",
        "chroot": "coreutils",
    }.items():
        if shutil.which(program, path=_PATH) is None:
            lacks.append(f"{program} (apt-get install {package})")
    if platform.machine() not in HOSTS:
        lacks.append("an x86-64 or arm64 processor")
    elif arch != host_arch() and shutil.which(EMULATORS[arch], path=_PATH) is None:
        lacks.append(f"{EMULATORS[arch]} (apt-get install qemu-user-static)")
    if not lacks and not _may_mount():
        lacks.append("the right to mount in a namespace of its own (a container's bounds?)")
    return lacks


def cache() -> Path:
    """Where roots are kept: shared where we are root, else the user's own."""
    if os.getuid() == 0:
        return SHARED_CACHE / "roots"
    own = os.environ.get("XDG_CACHE_HOME")
    return (Path(own) if own else Path.home() / ".cache") / "loadkeeper" / "roots"


def root(suite: str, arch: str, packages: Sequence[str]) -> Path:
    """A minimal Debian with these packages; made now where the cache has none. Raises RootError.

    It is everybody's: change nothing in it. Other packages make another one.
    """
    wanted = sorted(set(packages))
    key = hashlib.sha256(repr((RECIPE, suite, arch, wanted)).encode()).hexdigest()[:12]
    found = cache() / f"{suite}-{arch}-{key}"
    if found.is_dir():
        return found
    if lacks := missing(arch):
        raise RootError(f"a {arch} root needs {'; '.join(lacks)}")
    cache().mkdir(parents=True, exist_ok=True)
    with alone(found.with_suffix(".lock")):
        if not found.is_dir():  # another maker was faster
            making = found.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)  # of a maker that was killed
            try:
                _make(making, suite, arch, wanted)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
            making.rename(found)
    return found


def enter(
    where: Path | Layer, command: Sequence[str], how: Run | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command inside, as its root user; a Layer takes what it writes. Raises RootError
    when it fails, with its last words."""
    how = how or Run()
    at = where.at if isinstance(where, Layer) else where
    script = "set -e\n"
    if isinstance(where, Layer):
        where.make()
        script += where.mounting
    for ours, inside in how.binds.items():
        there = f"{at}/{inside.lstrip('/')}"
        script += f"mkdir -p '{there}'\nmount --bind -o ro '{ours}' '{there}'\n"
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script + _ENTER]
    words += [str(at), "sh", "-c", 'cd "$0" && exec "$@"', how.cwd, *command]
    env = {"PATH": _PATH, "HOME": "/tmp", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    return _do(words, how.timeout_s, {**env, **how.env})


def clean() -> None:
    """Removes all roots. One that is being made is left to its maker."""
    if not cache().is_dir():
        return
    for each in cache().iterdir():
        if each.is_dir() and each.suffix != ".making":
            with alone(each.with_suffix(".lock")):
                shutil.rmtree(each)


def _make(at: Path, suite: str, arch: str, packages: Sequence[str]) -> None:
    ours = arch == host_arch()
    if not ours:
        emulate(arch)
    words = ["debootstrap", "--variant=minbase", f"--arch={arch}"]
    words += [f"--include={','.join(packages)}"] if packages else []
    words += [] if ours else ["--foreign"]
    # Its own mounts, so that none is left when it is ended half-way.
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    _do([*apart, *words, suite, str(at)], 1800.0)
    if not ours:
        enter(at, ["/debootstrap/debootstrap", "--second-stage"], Run(timeout_s=3600.0))
    for each in (at / "var/cache/apt/archives").glob("*.deb"):
        each.unlink()


def emulate(arch: str) -> None:
    """Has the kernel run that architecture's programs, as the emulator's package would have it.
    Raises RootError."""
    if arch != "arm64":
        raise RootError(f"nobody here emulates {arch}")
    if not (BINFMT / "register").exists():
        _do(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], 10.0)
    emulator = shutil.which(EMULATORS[arch], path=_PATH)
    if emulator is None:
        raise RootError(f"{EMULATORS[arch]} is not there: apt-get install qemu-user-static")
    if (BINFMT / "qemu-aarch64").exists():
        return
    # F: opened now, so that a chroot needs no copy of it.
    row = f":qemu-aarch64:M::{_AARCH64_MAGIC}:{_AARCH64_MASK}:{emulator}:OCF"
    try:
        (BINFMT / "register").write_text(row)
    except OSError as error:
        if not (BINFMT / "qemu-aarch64").exists():  # another one has just done it
            raise RootError(f"{emulator} cannot be registered: {error.strerror}") from error


def _may_mount() -> bool:
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One maker at a time; the lock ends with its holder, however that ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _do(
    words: Sequence[str], timeout_s: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    given = dict(os.environ | {"PATH": _PATH} if env is None else env)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=given,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RootError(f"{words[0]}: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise RootError(f"exit status {done.returncode}: {' '.join(words)[-200:]}\n{said}")
    return done
