"""What the demo's viewer can break, a key each, and whether Loadkeeper has noticed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controller.status_report import StatusReport
from hil.devices.pdu import Manner
from hil.devices.rs485 import Rs485
from hil.faults import Fault
from hil.faults.device import DeviceFault
from hil.faults.process import PauseFault, ProcessFault
from hil.faults.proxy import LineFault
from hil.faults.site import ContactFault, DisobeyFault
from hil.faults.thread import ThreadFault
from hil.rig import Rig

# Of the demo's site.
METER, CLAMP, FEEDER, DIM, STUBBORN = "meter", "clamp", "feeder", "dim", "a1"
Notices = Callable[[StatusReport | None], bool]


@dataclass(slots=True)
class Trouble:
    """A fault that can be switched."""

    key: str
    word: str  # on the screen's last line
    name: str
    fault: Fault
    begins: str
    ends: str
    notices: Notices
    within_s: float = 3.0  # a fault that lasts longer must have been noticed
    lasts_s: float | None = None  # ends by itself; None: when switched again
    on: bool = False
    began_s: float = 0.0
    ends_s: float | None = None


def troubles(rig: Rig, dim: Callable[[bool], None]) -> dict[str, Trouble]:
    """By key, in the order in which they are shown; `dim` moves the contact. The rig must be up."""
    parts = (*_lines(rig), *_pins(rig, dim), *_processes(rig))
    return {each.key: each for each in parts}


def _lines(rig: Rig) -> Iterable[Trouble]:
    assert rig.line is not None
    yield Trouble(
        "c",
        "cloud",
        "cloud cut",
        LineFault(rig.line),
        "cloud cut: the broker cannot be reached",
        "the line to the broker is restored",
        lambda report: report is not None and not report.link.connected,
    )
    yield Trouble(
        "m",
        "meter",
        "meter silent",
        DeviceFault(rig.meters[METER], Manner.SILENT),
        "the transformer's meter falls silent",
        "the transformer's meter answers again",
        _offline(METER),
    )
    yield Trouble(
        "s",
        "clamp",
        "clamp unplugged",
        AdapterFault(rig.clamps[CLAMP].line),
        "the clamp's serial adapter is pulled out",
        "the clamp's serial adapter is back in its socket",
        _offline(CLAMP),
    )
    (line,) = rig.lines.values()
    yield Trouble(
        "a",
        "adapter",
        "RS-485 adapter unplugged",
        AdapterFault(line),
        "the RS-485 adapter is pulled out: the feeder's meter and row-h go with it",
        "the RS-485 adapter is back in its socket",
        _offline(FEEDER),
    )


def _pins(rig: Rig, dim: Callable[[bool], None]) -> Iterable[Trouble]:
    yield Trouble(
        "d",
        "dim",
        "dim contact",
        ContactFault(dim),
        "the network operator's relay box asks to dim",
        "the relay box rests",
        _pin(DIM, "dims"),
    )
    yield Trouble(
        "o",
        f"{STUBBORN} disobeys",
        f"{STUBBORN} disobeys",
        DisobeyFault(rig.depot.plant, list(rig.sockets).index(STUBBORN)),
        f"{STUBBORN} confirms every order and draws what it likes",
        f"{STUBBORN} obeys again",
        lambda report: report is not None and any(each.stubborn for each in report.chargers),
        within_s=30.0,  # only while it draws more than it is told
    )


def _processes(rig: Rig) -> Iterable[Trouble]:
    yield Trouble(
        "k",
        "kill enforcer",
        "enforcer killed",
        ProcessFault(rig.enforcer),
        "enforcer killed (SIGKILL): nobody controls the chargers",
        "the enforcer is started again, as systemd would",
        lambda report: report is None,
        lasts_s=8.0,  # long enough to see the chargers fall back alone
    )
    yield Trouble(
        "t",
        "stall kernel",
        "kernel stalled",
        ThreadFault(rig.enforcer, "kernel"),
        "the enforcer's kernel thread stands still; all its others go on",
        "the kernel thread goes on",
        lambda report: report is not None and report.tick_age_s > 1,
        within_s=5.0,
        lasts_s=6.0,
    )
    yield Trouble(
        "p",
        "stop enforcer",
        "enforcer stopped",
        PauseFault(rig.enforcer),
        "the enforcer stands still (SIGSTOP)",
        "the enforcer goes on (SIGCONT)",
        lambda report: report is None,
        lasts_s=6.0,
    )
    yield Trouble(
        "l",
        "kill link",
        "link killed",
        ProcessFault(rig.link),
        "link killed (SIGKILL)",
        "the link is started again, as systemd would",
        lambda report: report is not None and not report.link.attached,
        lasts_s=4.0,
    )


def _offline(device: str) -> Notices:
    return lambda report: (
        report is not None and any(each.id == device and not each.online for each in report.devices)
    )


def _pin(pin: str, state: str) -> Notices:
    return lambda report: (
        report is not None and any(each.id == pin and each.state == state for each in report.pins)
    )


class AdapterFault:
    """A serial line's adapter, out of its socket from `begin` to `end`."""

    def __init__(self, line: Rs485) -> None:
        self._line = line

    async def begin(self) -> None:
        self._line.pull()

    async def end(self) -> None:
        self._line.plug()
