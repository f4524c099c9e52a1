"""What goes wrong on lines and with the broker, and for how long: as faults of the rig, and as
devices that are silent where there is no line to break.
"""

from __future__ import annotations

from controller.site import Charger, Meter
from hil.faults import Fault
from hil.faults.broker import BrokerFault
from hil.faults.converter import ConverterFault
from hil.faults.proxy import Line, LineFault, Proxy, ResetFault, Weather, WeatherFault
from hil.faults.serial import Misrouted as MisroutedUnit
from hil.faults.serial import SerialFault
from hil.rig import Rig, RigError
from hil.stage import Stage
from hil.story.line_events import BrokerIll, Connection, ConverterIll, Misrouted, SerialLine
from hil.story.words import Event

Mishap = SerialLine | Misrouted | ConverterIll | Connection | BrokerIll
LINES = {"closed": Line.CLOSED, "black_hole": Line.BLACK_HOLE, "half_open": Line.HALF_OPEN}
WEATHERS = {
    "late": Weather(delay_s=0.3),
    "slow": Weather(bytes_per_s=1000),
    "corrupt": Weather(wrong=0.02),
}
_HARMLESS = ("noise", "echo")  # to most of what passes on a serial line


def fault_of(event: Mishap, rig: Rig, stage: Stage) -> Fault:
    """The fault that the event asks for. Raises RigError where there is no such line."""
    match event:
        case SerialLine(bus=bus, fault=fault):
            urls = {each.id: each.url for each in stage.site.buses}
            if urls[bus] not in rig.lines:
                raise RigError(f"{bus} is no serial line")
            return SerialFault(rig.lines[urls[bus]], fault, stage.story.seed)
        case Misrouted(device=device, by=by):
            url = {each.id: each.bus.url for each in _devices(stage)}[device]
            units = {each.id: each.unit for each in _devices(stage)}
            return MisroutedUnit(rig.lines[url], units[device], units[by])
        case ConverterIll(bus=bus, fault=fault):
            urls = {each.id: each.url for each in stage.site.buses}
            if urls[bus] not in rig.converters:
                raise RigError(f"{bus} has no converter with several units behind it")
            return ConverterFault(rig.converters[urls[bus]], fault)
        case Connection(device=device, fault=fault):
            return _on_the_way(rig.proxies[device], fault)
        case BrokerIll(fault=fault):
            return BrokerFault(rig.broker, fault)


def _on_the_way(proxy: Proxy, fault: str) -> Fault:
    if fault == "reset":
        return ResetFault(proxy)
    if fault in LINES:
        return LineFault(proxy, LINES[fault])
    return WeatherFault(proxy, WEATHERS[fault])


def proxied(stage: Stage) -> frozenset[str]:
    """The devices that a story wants something to happen to on the way."""
    return frozenset(each.device for each in stage.story.at if isinstance(each, Connection))


def silenced(event: Event, stage: Stage) -> set[str]:
    """The devices that do not answer while it lasts. TypeError where it is more than that."""
    match event:
        case SerialLine(bus=bus, fault=fault):
            found = {each.id for each in _devices(stage) if each.bus.id == bus}
            return set() if fault in _HARMLESS else found
        case ConverterIll(bus=bus, fault=fault):
            found = {each.id for each in _devices(stage) if each.bus.id == bus}
            return found if fault == "rebooted" else set()
        case Misrouted(device=device):
            return {device}
        case Connection(device=device, fault=fault) if fault in LINES:
            return {device}
    raise TypeError(f"this bench cannot do {type(event).__name__}")


def _devices(stage: Stage) -> list[Meter | Charger]:
    return [*stage.site.meters, *stage.site.chargers]
