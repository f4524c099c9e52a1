"""`loadkeeper status`: what a running enforcer believes and orders."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Sequence
from pathlib import Path

from controller.commands import supervisor
from controller.commands.output import (
    FINE,
    NO,
    add_json_option,
    answer_json,
    columns,
    complain,
    say,
)
from controller.places import SOCKET, places, runtime_to_ask
from controller.status_report import (
    ChargerReport,
    CircuitReport,
    DerogationReport,
    DeviceReport,
    LatchReport,
    LimitReport,
    PinReport,
    StatusReport,
    Three,
    TogetherReport,
)
from controller.wire import FrameError, ask_status


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    parser = subparsers.add_parser("status", help="show what a running enforcer believes")
    parser.add_argument("--runtime", type=Path, metavar="DIR", help="its runtime directory")
    add_json_option(parser)


def run(args: Namespace) -> int:
    socket = places(args.runtime).socket
    try:
        socket = runtime_to_ask(args.runtime) / SOCKET
        report = asyncio.run(ask_status(socket))
    except FileNotFoundError:
        complain(f"no enforcer: {socket} does not exist (another --runtime?)")
        return _down(args)
    except ConnectionRefusedError:
        complain(f"no enforcer answers at {socket}: the one that made it is gone")
        return _down(args)
    except (PermissionError, ConnectionResetError):
        complain(f"{socket} is not open to you: ask as root, or as a user whom --allow names")
        return NO
    except (OSError, FrameError) as error:
        complain(f"{socket}: {str(error) or 'no answer in time'}")
        return NO
    if args.json:
        answer_json(report.model_dump(mode="json"))
    else:
        for line in screen(report):
            say(line)
    return FINE


def _down(args: Namespace) -> int:
    """Where nobody answers, systemd may know why."""
    unit = supervisor.ask() if args.runtime is None else None
    if unit is not None:
        complain(unit.sentence)
    return NO


def screen(report: StatusReport) -> Iterator[str]:
    """The report as lines for people."""
    yield f"{report.site}: {_mode(report)}, up {_time(report.uptime_s)}, {report.version}"
    if report.latched is not None:
        yield _latched(report.latched)
    yield _document(report)
    yield _link(report)
    if report.tick_age_s > 1:
        yield f"THE KERNEL HAS NOT TICKED for {_time(report.tick_age_s)}"
    if report.state_problem is not None:
        yield f"LIMITS CANNOT BE SAVED: {report.state_problem}"
    yield from _real_time(report)
    yield from _recording(report)
    for derogation in report.derogations:
        yield _derogation(derogation)
    if not report.clock_trusted:
        yield "the clock is not trusted: `until` of limits is not used"
    yield from _table(
        ["circuit", "load A", "cap A", "bound by", ""], map(_circuit, report.circuits)
    )
    yield from _table(
        ["charger", "set A", "draws A", "vehicle", "why"], map(_charger, report.chargers)
    )
    yield from _table(["turn", "", "for", ""], _turns(report.chargers))
    advised = [each for each in report.chargers if each.advice is not None]
    yield from _table(["advice", "", "still for"], map(_advice, advised))
    yield from _table(["pin", "", "for", "state", "why"], map(_pin, report.pins))
    yield from _table(["limit", "circuit", "cap A", "left", ""], map(_limit, report.limits))
    ill = [each for each in report.devices if each.error or each.suspected or not each.online]
    yield from _table(
        ["device", "", "what is wrong"],
        map(_device, ill),
    )


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> Iterator[str]:
    found = list(rows)
    if found:
        yield ""
        yield from columns([list(head), *found])


def _mode(report: StatusReport) -> str:
    return "in control" if report.mode == "control" else "OBSERVING ONLY, writes nothing"


def _latched(latched: LatchReport) -> str:
    since = "" if latched.since is None else f" since {latched.since}"
    return (
        f"LATCHED{since}: all chargers stay at their fail-safe setpoints, or lower. "
        f"{latched.why}. When the cause is found: sudo loadkeeper reset (from afar it is the latch "
        f"{latched.id})"
    )


def _recording(report: StatusReport) -> Iterator[str]:
    box = report.recording
    if box is None:
        return
    if box.problem is not None:
        yield f"THE BLACK BOX DOES NOT RECORD: {box.problem} (control goes on)"
    elif box.since_s is not None:
        yield f"black box: records without a gap since {_time(box.since_s)}"
    if box.lost:
        yield f"black box: {box.lost} records were lost since the enforcer started"


def _derogation(each: DerogationReport) -> str:
    return (
        f"DEROGATED: {each.name} on {each.circuit or each.source} up to {each.excess_a:g} A above "
        f"what is allowed, which trips after {_time(each.trips_after_s)}, by {each.by} on "
        f"{each.date}: {each.reason}"
    )


def _document(report: StatusReport) -> str:
    which = "the installer's file" if report.revision is None else f"revision {report.revision}"
    return f"document: {which}, installation {report.installation_hash[:12]}"


def _link(report: StatusReport) -> str:
    link = report.link
    for_s = f" for {_time(link.since_s)}" if link.since_s is not None else ""
    if link.connected:
        return f"link: connected to its broker{for_s}"
    return f"link: {'no broker' if link.attached else 'not running'}{for_s}"


def _real_time(report: StatusReport) -> Iterator[str]:
    has = report.real_time
    if has is None:
        return
    late = f"ticks began {has.worst_late_ms:g} ms late at most"
    if has.full:
        yield f"real time: {has.scheduling}, memory {has.memory}; {late}"
    else:
        yield f"real time: not granted in full; {late}"
        yield f"  scheduling: {has.scheduling}"
        yield f"  memory: {has.memory}"


def _circuit(circuit: CircuitReport) -> list[str]:
    remarks = []
    if circuit.blind and circuit.reading_age_s is None:
        remarks.append("no reading")
    elif circuit.blind and circuit.reading_age_s is not None:
        remarks.append(f"meter silent for {_time(circuit.reading_age_s)}")
    if any(circuit.excess_a):
        remarks.append(f"OVER by {_three(circuit.excess_a)} A")
    if circuit.together is not None:
        remarks.append(_together(circuit.together))
    if circuit.busbar_a is not None:
        drawn = _three(circuit.draw_hi_a)
        remarks.append(f"chargers may draw {drawn} of the bus bar's {_three(circuit.busbar_a)} A")
    if circuit.trips_s is not None and not circuit.blind:
        remarks.append(f"its protection may trip in {_time(circuit.trips_s)}")
    if circuit.heat_pct is not None and not circuit.blind and any(circuit.excess_a):
        remarks.append(f"{circuit.heat_pct:.0f} % warm")
    if circuit.beyond_control:
        remarks.append("BEYOND CONTROL: nothing is left to shed")
    bound_by = " ".join(
        circuit.bound_by if len(set(circuit.bound_by)) > 1 else circuit.bound_by[:1]
    )
    return [
        circuit.id,
        _three(circuit.load_a),
        _three(circuit.cap_a),
        bound_by,
        ", ".join(remarks),
    ]


def _together(all_phases: TogetherReport) -> str:
    load = "?" if all_phases.load_a is None else f"{all_phases.load_a:g}"
    over = f", OVER by {all_phases.excess_a:g} A" if all_phases.excess_a else ""
    return f"together {load} of {all_phases.cap_a:g} A{over}"


def _charger(charger: ChargerReport) -> list[str]:
    return [
        charger.id,
        _setpoint(charger),
        _three(charger.current_a),
        charger.vehicle,
        charger.reason if charger.online else f"OFFLINE; {charger.reason}",
    ]


def _turns(chargers: Sequence[ChargerReport]) -> Iterator[list[str]]:
    """Who waits for its minimum, the next ones first, and who has one meanwhile, the longest first.
    Nobody where nobody waits."""
    waiting = [(each, each.waits_s) for each in chargers if each.waits_s is not None]
    if not waiting:
        return
    for each, for_s in sorted(waiting, key=lambda one: (not one[0].overtakes, -one[1])):
        remark = "longer than its class waits: goes before all others" if each.overtakes else ""
        yield [each.id, "waits", _time(for_s), remark]
    having = [(each, each.turn_s) for each in chargers if each.turn_s is not None]
    for each, for_s in sorted(having, key=lambda one: -one[1]):
        remark = "draws nothing of what it is offered: its turn passes" if each.idle else ""
        yield [each.id, "has its turn", _time(for_s), remark]


def _advice(charger: ChargerReport) -> list[str]:
    left = "" if charger.advice_s is None else _time(max(0.0, charger.advice_s))
    return [charger.id, charger.advice or "", left]


def _setpoint(charger: ChargerReport) -> str:
    """Amperes and, where the charger is commanded in watts, those."""
    if charger.setpoint_a is None:
        return "-"
    told = f"{charger.setpoint_a:g}"
    return told if charger.setpoint_w is None else f"{told} ({charger.setpoint_w:g} W)"


def _pin(pin: PinReport) -> list[str]:
    state = pin.state if pin.contact is None else f"{pin.state}, contact {pin.contact}"
    return [f"GPIO{pin.pin}", pin.name or pin.id, pin.of, state, pin.why or ""]


def _limit(limit: LimitReport) -> list[str]:
    return [
        f"{limit.source} ({limit.kind})",
        limit.circuit,
        "none" if limit.cap_a is None else _three(limit.cap_a),
        "" if limit.left_s is None else _time(limit.left_s),
        "LOST: fail-safe cap" if limit.state == "lost" else limit.state,
    ]


def _device(device: DeviceReport) -> list[str]:
    wrong = [f"NOT BELIEVED, {device.suspected}"] if device.suspected else []
    wrong += [device.error] if device.error else []
    return [device.id, "" if device.online else "offline", "; ".join(wrong)]


def _three(amps: Three | None) -> str:
    if amps is None:
        return "?"
    values = [f"{each:.1f}".removesuffix(".0") for each in amps]
    return " ".join(values if len(set(values)) > 1 else values[:1])


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
