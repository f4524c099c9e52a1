"""What each unit must not reach, and what it must; and how that is tried in its own sandbox.

The probe is started by the unit itself, as one more ExecStartPre: user, filters and namespaces are
the unit's, as they are installed. The same attempts are made first by the machine's own root, in
no unit: what fails there as well proves nothing of the unit.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Literal

from controller.document.buses import TcpAddress
from hil.gateway.network import BROKER, ELSEWHERE, NOBODY
from hil.gateway.probe import MARK
from hil.gateway.rig import BROKER_PORT, RIG, UNITS, Gateway

Attempt = tuple[str, str]
PROBED_WITHIN_S = 60.0
MANY = "16777216"  # bytes: more than anybody may lock who is not told so
_PYTHON = "/opt/loadkeeper/current/bin/python"

OPEN = tuple(f"{place}/everybodys" for place in ("/usr", "/etc", "/opt", "/srv", "/var/lib"))
"""Folders that anybody may write to, so that only the unit's own view of them forbids it."""

# Of every unit. Namespaces: user, mount, network, pid. Capabilities: to be another user, to pass by
# permissions, to administer networks and all else, and to load modules.
FORBIDDEN: tuple[Attempt, ...] = (
    *(("read", path) for path in ("/etc/shadow", "/etc/ssh-secret", "/tmp/diary")),
    *(("entries", path) for path in ("/home", "/var/log/private")),
    *(("write", path) for path in ("/usr", "/etc", "/opt", "/opt/loadkeeper", "/boot", "/srv")),
    *(("write", path) for path in ("/etc/loadkeeper", "/etc/systemd/system", "/var/lib")),
    *(("write", path) for path in OPEN),
    *(("bound", number) for number in ("1", "7", "12", "16", "21")),
    *(("family", which) for which in ("raw", "packet", "netlink")),
    *(("unshare", flag) for flag in ("10000000", "20000", "40000000", "20000000")),
    *(("system_call", name) for name in ("bpf", "keyctl", "perf_event_open")),
    *(("system_call", name) for name in ("finit_module", "kexec_load", "clock_settime")),
    *(("see", "1"), ("kill", "1"), ("mount", "/mnt"), ("become", "0"), ("setuid_bit", "/tmp")),
    *(("reboot", ""), ("host_name", ""), ("node", "/tmp"), ("chroot", "/")),
    *(("executable", ""), ("personality", ""), ("gain", "")),
    *(("device", "/dev/strange"), ("ptrace", "0")),
)
# Not even the container's root can do these: the unit's refusal is looked at all the same.
IN_NO_CONTAINER = {
    ("system_call", name) for name in ("finit_module", "kexec_load", "clock_settime", "keyctl")
}


async def probe(gateway: Gateway, unit: Literal["link", "enforcer"]) -> list[str]:
    """What is otherwise than it must be, in sentences."""
    must_not, must = _wanted(gateway, unit)
    await _prepare(gateway)
    problems = await _control(gateway, must_not)
    gateway.doors.knocked()
    found = await _in_unit(gateway, unit, [*must_not, *must])
    if set(found) != {*must_not, *must}:
        missing = {*must_not, *must} - set(found)
        return [*problems, f"the probe in {UNITS[unit]} told nothing of {sorted(missing)}"]
    for attempt in must_not:
        possible, said = found[attempt]
        if possible:
            problems.append(f"{UNITS[unit]} can {' '.join(attempt)}, and must not ({said})")
    for attempt in must:
        possible, said = found[attempt]
        if not possible:
            problems.append(f"{UNITS[unit]} cannot {' '.join(attempt)}, and must: {said}")
    if knocks := gateway.doors.knocked():
        problems.append(f"{UNITS[unit]} knocked {knocks} times where it must reach nobody")
    return problems


def _wanted(gateway: Gateway, unit: str) -> tuple[list[Attempt], list[Attempt]]:
    """What it must not reach, and what it must."""
    site = gateway.depot.site
    buses = [each.bus for each in site.meters] + [each.bus for each in site.chargers]
    addresses = [bus.address for bus in buses]
    devices = [
        ("connect", f"{each.host}:{each.port}")
        for each in addresses
        if isinstance(each, TcpAddress)
    ]
    serial = [("device", path) for path in gateway.serial_ports]
    broker = ("connect", f"{BROKER}:{BROKER_PORT}")
    strangers: list[Attempt] = [("connect", f"{ELSEWHERE}:{BROKER_PORT}")]
    if unit == "enforcer":
        must_not = [*FORBIDDEN, *strangers, broker, ("connect", f"{NOBODY}:502")]
        must_not += [("datagram", f"{BROKER}:53"), ("entries", "/etc/loadkeeper/link")]
        must_not += [("entries", "/var/lib/loadkeeper-link"), ("write", "/var/lib/loadkeeper-link")]
        must = [*devices, *serial, ("read", "/etc/loadkeeper/site.toml"), ("fifo", "")]
        must += [
            ("write", "/var/lib/loadkeeper"),
            ("write", "/run/loadkeeper"),
            ("lock", MANY),
        ]
    else:
        must_not = [*FORBIDDEN, *devices, *serial, ("fifo", ""), ("lock", MANY)]
        must_not += [("entries", "/var/lib/loadkeeper"), ("write", "/var/lib/loadkeeper")]
        must_not += [("write", "/run/loadkeeper")]
        must = [
            broker,
            ("read", "/etc/loadkeeper/site.toml"),
            ("write", "/var/lib/loadkeeper-link"),
        ]
        must += [("unix", "/run/loadkeeper/enforcer.sock")]
    return list(dict.fromkeys(must_not)), list(dict.fromkeys(must))


async def _prepare(gateway: Gateway) -> None:
    """Somebody's home, somebody's secrets, and open doors where nobody may knock."""
    script = f"""
        mkdir -p -m 1777 {" ".join(OPEN)}
        touch /tmp/diary; chmod 644 /tmp/diary
        mkdir -p /home/somebody /var/log/private /etc/loadkeeper/link
        touch /home/somebody/diary /var/log/private/diary /etc/loadkeeper/link/key.pem
        touch /var/lib/loadkeeper/.there; mkdir -p /var/lib/loadkeeper-link
        touch /var/lib/loadkeeper-link/.there
        echo secret > /etc/ssh-secret; chmod 600 /etc/ssh-secret
        [ -e /dev/strange ] || mknod -m 666 /dev/strange c 1 11
    """
    await gateway.container.run("sh", "-ec", script)
    gateway.open_doors()


async def _control(gateway: Gateway, must_not: list[Attempt]) -> list[str]:
    """What not even root can do here: there a unit's refusal would prove nothing."""
    words = (_PYTHON, f"{RIG}/probe.py", json.dumps(must_not))
    said = await gateway.container.run(*words, within_s=PROBED_WITHIN_S)
    found = _told(said.lines)
    return [
        f"nobody can {' '.join(attempt)} here, so the probe shows nothing by it: {why}"
        for attempt, (possible, why) in found.items()
        if not possible and attempt not in IN_NO_CONTAINER
    ] + [f"the control told nothing of {each}" for each in must_not if each not in found]


async def _in_unit(
    gateway: Gateway, unit: Literal["link", "enforcer"], attempts: list[Attempt]
) -> dict[Attempt, tuple[bool, str]]:
    """Starts the unit anew with the probe before it, and once more without."""
    container, service = gateway.container, UNITS[unit]
    folder = f"/run/systemd/system/{service}.d"
    asked = shlex.quote(json.dumps(attempts)).replace("%", "%%").replace("$", "$$")
    text = f"[Service]\nExecStartPre={_PYTHON} {RIG}/probe.py {asked}\nTimeoutStartSec=60\n"
    script = f"mkdir -p {folder} && cat > {folder}/probe.conf && systemctl daemon-reload"
    await container.run("sh", "-ec", script, stdin=text.encode())
    cursor = await container.run("journalctl", "--quiet", "--lines=0", "--show-cursor")
    since = cursor.out.strip().removeprefix("-- cursor: ")
    await container.run("systemctl", "restart", service, within_s=PROBED_WITHIN_S)
    await container.run("rm", f"{folder}/probe.conf")
    await container.run("systemctl", "daemon-reload")
    found: dict[Attempt, tuple[bool, str]] = {}
    for _ in range(20):  # the journal is written a moment later
        words = ("journalctl", "--quiet", "--output=cat", f"--unit={service}")
        said = await container.run(*words, f"--after-cursor={since}")
        found = _told(said.lines)
        if len(found) == len(attempts):
            break
        await asyncio.sleep(0.1)
    return found


def _told(lines: list[str]) -> dict[Attempt, tuple[bool, str]]:
    rows = [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]
    return {(name, on): (possible, said) for name, on, possible, said in rows}
