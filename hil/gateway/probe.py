"""Tries what a unit must not reach, and what it must, from inside its sandbox.

Runs in the gateway with nothing but Python's own library. Its only argument is JSON: a list of
attempts, each a name and what the attempt is made on. Prints a line of JSON for each of them:
whether it was possible, and how it ended. Each is made in a process of its own, and does no harm
where it succeeds: calls that could have an argument that no kernel takes, so that only "not
permitted" tells a sandbox.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

MARK = "loadkeeper-probe "  # before a line of JSON, where other lines are about
CONNECT_S = 1.5
ATTEMPT_S = 4
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
libc = ctypes.CDLL(None, use_errno=True)

# Numbers of calls that have no function in the C library, or whose function checks too much.
CALLS = {
    "x86_64": {
        "finit_module": 313,
        "bpf": 321,
        "perf_event_open": 298,
        "keyctl": 250,
        "kexec_load": 246,
        "clock_settime": 227,
    },
    "aarch64": {
        "finit_module": 273,
        "bpf": 280,
        "perf_event_open": 241,
        "keyctl": 219,
        "kexec_load": 104,
        "clock_settime": 112,
    },
}


def call(status: int) -> None:
    """Raises what the C library says; a call that was let in and then failed is a success here."""
    if status < 0 and ctypes.get_errno() in REFUSED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        file.read(1)


def entries(path: str) -> None:
    """What is in a folder: one that shows nothing is as good as shut."""
    if not list(Path(path).iterdir()):
        raise OSError(errno.EACCES, "empty")


def write(folder: str) -> None:
    path = Path(folder) / ".probe"
    path.write_text("")
    path.unlink()


def device(path: str) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))


def connect(where: str) -> None:
    """To HOST:PORT; a refusal by the other side is none of ours."""
    host, port = where.rsplit(":", 1)
    with suppress(ConnectionRefusedError):
        socket.create_connection((host, int(port)), CONNECT_S).close()


def datagram(where: str) -> None:
    host, port = where.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"probe", (host, int(port)))


def unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as out:
        out.connect(path)


def family(which: str) -> None:
    families = {
        "raw": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0),
        "netlink": (socket.AF_NETLINK, socket.SOCK_RAW, 0),
        "vsock": (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
    }
    socket.socket(*families[which]).close()


def system_call(name: str) -> None:
    """With arguments that are good for nothing."""
    number = CALLS[os.uname().machine][name]
    call(libc.syscall(number, -1, 0, 0, 0, 0, 0))


def ptrace(pid: str) -> None:
    attach, detach = 16, 17
    target = int(pid) if int(pid) else os.getppid()
    if libc.ptrace(attach, target, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(target, 0x4000_0000)
    libc.ptrace(detach, target, 0, 0)


def see(pid: str) -> None:
    """Another's process, by its folder in /proc."""
    read(f"/proc/{pid}/status")


def kill(pid: str) -> None:
    os.kill(int(pid), 0)


def unshare(flag: str) -> None:
    """A namespace of one's own."""
    call(libc.unshare(int(flag, 16)))


def mount(where: str) -> None:
    if libc.mount(b"tmpfs", where.encode(), b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "mount")
    libc.umount2(where.encode(), 2)


def become(uid: str) -> None:
    os.setresuid(int(uid), int(uid), int(uid))


def setuid_bit(folder: str) -> None:
    path = Path(folder) / ".probe-suid"
    path.write_text("")
    try:
        path.chmod(0o4755)
        if not path.stat().st_mode & 0o4000:
            raise OSError(errno.EPERM, "chmod")
    finally:
        path.unlink()


def reboot(_: str) -> None:
    """No kernel takes this word."""
    call(libc.syscall(142 if os.uname().machine == "aarch64" else 169, 1, 2, 3, 0))


def host_name(_: str) -> None:
    name = os.uname().nodename
    call(libc.sethostname(name.encode(), len(name)))


def node(folder: str) -> None:
    path = Path(folder) / ".probe-node"
    os.mknod(path, 0o20600, os.makedev(1, 3))
    path.unlink()


def chroot(where: str) -> None:
    os.chroot(where)


def executable(_: str) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def personality(_: str) -> None:
    call(libc.personality(0x0008))


def bound(capability: str) -> None:
    """Whether this process, or any that it starts, could ever hold it."""
    if libc.prctl(23, int(capability), 0, 0, 0) != 1:
        raise OSError(errno.EPERM, "outside the bounding set")


def gain(_: str) -> None:
    """Whether a program with a set-user-id bit would give it more than it has."""
    if libc.prctl(39, 0, 0, 0, 0) != 0:
        raise OSError(errno.EPERM, "no new privileges")


def fifo(_: str) -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def lock(size: str) -> None:
    held = mmap.mmap(-1, int(size))
    address = ctypes.addressof(ctypes.c_char.from_buffer(held))
    if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(int(size))) < 0:
        raise OSError(ctypes.get_errno(), "mlock")


ATTEMPTS = {
    attempt.__name__: attempt
    for attempt in (
        *(read, entries, write, device, connect, datagram, unix, family, system_call, ptrace),
        *(see, kill, unshare, mount, become, setuid_bit, reboot, host_name, node, chroot),
        *(executable, personality, bound, gain, fifo, lock),
    )
}


def tried(name: str, on: str) -> tuple[bool, str]:
    """In a process of its own: some of what may be possible cannot be undone."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(ATTEMPT_S)
        try:
            ATTEMPTS[name](on)
            said = ""
        except OSError as error:
            said = f"{type(error).__name__}: {error}"
        os.write(theirs, said.encode()[:500])
        os._exit(1 if said else 0)
    os.close(theirs)
    with os.fdopen(ours) as file:
        said = file.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False, f"ended by signal {os.WTERMSIG(status)}"
    return os.WEXITSTATUS(status) == 0, said


def main() -> None:
    asked = json.loads(sys.argv[1])
    found = [(name, on, *tried(name, on)) for name, on in asked]
    # A line of its own each: a journal cuts long ones.
    for row in found:
        print(MARK + json.dumps(row), flush=True)  # noqa: T201  # a script's answer


if __name__ == "__main__":
    main()
