"""A depot made real: a plant that lives by the clock, behind true protocols and processes.

One Modbus TCP server for each device, or a serial line with several, a broker, a line to it
that can be cut, and the product's own two processes, told of all this by a site document of
their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from cext.plant import Plant, PlantCharger
from controller.document.buses import Bus, SerialAddress
from controller.document.patterns import expand
from controller.site import Charger, Meter, Site
from controller.status_report import StatusReport
from controller.wire import FrameError, ask_status
from hil.broker import Broker, Kind
from hil.cloud import Cloud
from hil.devices.alpitronic import Alpitronic, Connector, Hypercharger
from hil.devices.clamp import Clamp
from hil.devices.converter import Behind, Converter
from hil.devices.mbap import Server
from hil.devices.place import LOOPBACK, Place
from hil.devices.rs485 import Rs485, Slave
from hil.devices.simulated import (
    SIMULATED,
    SIMULATED_CHARGERS,
    SIMULATED_METERS,
    Device,
    Gauge,
)
from hil.devices.switched import Switched
from hil.faults.process import Child
from hil.faults.proxy import Line, Proxy
from hil.profiles import found
from hil.service import Service
from hil.story.installer import Installer
from hil.supply import Supplies
from hil.wiring import FACTORY

UP_WITHIN_S = 20.0
SOCKET_PATH_BYTES = 107
_ROOT = Path(__file__).parents[1]


class RigError(RuntimeError):
    """The depot could not be brought up, with the last words of what failed."""


@dataclass(frozen=True, slots=True)
class Depot:
    """A site with its document as it was written, and the plant that stands for it."""

    site: Site
    document: Mapping[str, Any]
    plant: Plant
    rows: tuple[PlantCharger, ...]  # in the site's order


class Station(Protocol):
    """A simulated charger."""

    writes: int  # setpoints that it took

    def reboot(self) -> None:
        """Its own power was cut."""

    def feel(self, voltage: float) -> None:
        """The voltage is so much of nominal now."""


class Rig:
    """`async with Rig(depot, directory)`: up when entered, all gone when left."""

    def __init__(
        self,
        depot: Depot,
        directory: Path,
        watchdog_s: float | None = None,
        *,
        proxied: Collection[str] = (),
        broker: Kind | None = None,
    ) -> None:
        """Between the enforcer and the `proxied` devices, which speak TCP, stands a proxy each.

        `broker` None: mosquitto where there is one, else the embedded broker.
        """
        used = {charger.profile for charger in depot.site.chargers if charger.switch is None}
        used |= {meter.profile for meter in depot.site.meters}
        if strange := sorted(used - SIMULATED):
            raise RigError(f"the rig has no device that behaves like {', '.join(strange)}")
        self.depot = depot
        self.directory = directory
        self.runtime = directory / "r"
        self.state = directory / "s"
        self.lines: dict[str, Rs485] = {}  # serial ones, by the bus's URL in the site
        self.sockets: dict[str, Station] = {}
        self.converters: dict[str, Converter] = {}  # those to RTU, by the bus's URL in the site
        self.chargers: dict[str, Server | Slave | Behind | Connector] = {}
        self._stations: dict[tuple[str, int], Hypercharger] = {}  # by bus and unit
        self.meters: dict[str, Server | Slave | Behind] = {}
        self.meter_devices = {meter.id: self._meter(meter) for meter in depot.site.meters}
        for meter in depot.site.meters:
            self.meters[meter.id] = self._served(self.meter_devices[meter.id], meter.bus)
        circuits = [circuit.id for circuit in depot.site.circuits]
        self.clamps = {
            clamp.id: Clamp(depot.plant, circuits.index(clamp.circuit), self.present, clamp)
            for clamp in depot.site.clamps
        }
        self.switched: dict[str, Switched] = {}  # chargers without a bus
        for index, (charger, row) in enumerate(zip(depot.site.chargers, depot.rows, strict=True)):
            if charger.switch is not None:
                self.switched[charger.id] = Switched(depot.plant, index, row, self.present)
                self.sockets[charger.id] = self.switched[charger.id]
                continue
            device = SIMULATED_CHARGERS[charger.profile](
                depot.plant, index, row, self.present, charger.unit
            )
            self.sockets[charger.id] = device
            self.chargers[charger.id] = self._connector(charger, device) or self._served(
                device, charger.bus
            )
        self.proxies: dict[str, Proxy] = {}
        self._proxied = proxied
        self.broker = Broker(directory, broker)
        self.installer = Installer(depot.site.id)
        self.written: dict[str, Any] = {}  # the site document, once it is
        self.line: Proxy | None = None
        self.cloud: Cloud | None = None
        self.service = Service(directory, watchdog_s)
        self.supplies = Supplies(
            depot.site.gpio,
            directory,
            self.sockets,
            self.chargers,
            self._supply,
            self._switch,
            lambda charger, on: self.switched[charger].switch(on),
        )
        document = directory / "site.json"
        self.enforcer = self._child(
            "run", "enforcer", document, {**self.supplies.environment, **self.service.env}
        )
        self.link = self._child("link", "link", document, {})

    def present(self) -> int:
        """Brings the plant up to this instant and returns it."""
        now_ns = time.monotonic_ns()
        self.depot.plant.advance(now_ns)
        return now_ns

    @property
    def hears_cloud(self) -> bool:
        """Whether there is a way from the broker to a running enforcer."""
        line = self.line is not None and self.line.line is Line.OPEN and self.broker.answers
        return line and self.link.running and self.enforcer.running

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends everything, in spite of whatever fails on the way."""
        await self.service.close()
        ends = [self.link.stop(), self.enforcer.stop()]
        await asyncio.gather(*ends, return_exceptions=True)
        await self.supplies.close()
        rest = [server.close() for server in (*self.chargers.values(), *self.meters.values())]
        rest += [clamp.close() for clamp in self.clamps.values()]
        rest += [proxy.close() for proxy in self.proxies.values()]
        if self.cloud is not None:
            rest.append(self.cloud.stop())
        if self.line is not None:
            rest.append(self.line.close())
        await asyncio.gather(*rest, return_exceptions=True)
        await self.broker.stop()

    async def status(self, within_s: float = 0.5) -> StatusReport | None:
        """What the enforcer believes; None when it does not answer."""
        try:
            return await ask_status(self.runtime / "enforcer.sock", within_s)
        except (OSError, FrameError):
            return None

    def last_words(self, lines: int = 30) -> str:
        """The ends of all logs."""
        children = [self.enforcer, self.link, self.broker.child]
        return "\n".join(
            f"--- {child.name}, last lines of its log\n{child.tail(lines)}"
            for child in children
            if child is not None
        )

    async def _start(self) -> None:
        socket = self.runtime / "enforcer.sock"
        if len(bytes(socket)) > SOCKET_PATH_BYTES:
            raise RigError(f"{socket} is too long a path for a Unix socket: set TMPDIR")
        await self._open_depot()
        cloud, port = await self._open_cloud(LOOPBACK)
        self.written = self.document(f"127.0.0.1:{port}")
        (self.directory / "site.json").write_text(json.dumps(self.written))
        await self.service.open(self.enforcer)
        await self.enforcer.start()
        await self.link.start()
        await self._up(cloud)

    async def _open_depot(self) -> None:
        """All devices, and what stands between them and the enforcer."""
        for server in (*self.chargers.values(), *self.meters.values()):
            await server.open()
        for clamp in self.clamps.values():
            await clamp.open()
        await self.supplies.open()
        for id_ in self._proxied:
            server = {**self.chargers, **self.meters}[id_]
            if not isinstance(server, Server):
                raise RigError(f"{id_} hangs on a serial line, not on a network")
            self.proxies[id_] = Proxy(server.port)
            await self.proxies[id_].open()

    async def _open_cloud(self, place: Place, port: int = 0) -> tuple[Cloud, int]:
        """A broker, a way to it that begins at that place, and a back office; the way's port."""
        await self.broker.start()
        self.line = Proxy(self.broker.port, place, port)
        await self.line.open()
        self.cloud = Cloud(self.depot.site.id, self.broker.port)
        await self.cloud.start()
        return self.cloud, self.line.port

    async def _up(self, cloud: Cloud) -> None:
        """Returns when both processes are at work."""
        try:
            async with asyncio.timeout(UP_WITHIN_S):
                while await self.status() is None or cloud.nonce is None:
                    if self.enforcer.died or self.link.died:
                        raise RigError(f"a process ended at once\n{self.last_words()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise RigError(f"not up within {UP_WITHIN_S:g} s\n{self.last_words()}") from None

    def _switch(self, contactor: int, closed: bool) -> None:
        if self.depot.plant.contactor(contactor) != closed:
            self.present()
            self.depot.plant.set_contactor(contactor, closed)

    def _supply(self, charger: str, supplied: bool) -> None:
        self.present()
        self.depot.plant.set_supply(list(self.sockets).index(charger), supplied)

    def _child(self, command: str, name: str, document: Path, env: dict[str, str]) -> Child:
        words = [sys.executable, "-m", "controller", command, str(document)]
        words += ["--runtime", str(self.runtime), "--state", str(self.state)]
        plugins = self.supplies.plugins
        paths = (str(_ROOT), str(plugins or ""), os.environ.get("PYTHONPATH"))
        env = {**os.environ, **env, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        return Child(name, words, self.directory / f"{name}.log", env)

    def _connector(self, charger: Charger, device: Device) -> Connector | None:
        """Its place in a station that has several; None: it is alone at its address."""
        at = charger.bus.url, charger.unit
        alike = [each for each in self.depot.site.chargers if (each.bus.url, each.unit) == at]
        if len(alike) == 1 or not isinstance(device, Alpitronic):
            return None
        station = self._stations.setdefault(at, Hypercharger(charger.unit))
        return station.add(charger.connector, device)

    def _served(self, device: Device, bus: Bus) -> Server | Slave | Behind:
        """What carries requests to it: a port of its own, its place on the line, or that behind a
        converter, which several units at one port share."""
        if isinstance(bus.address, SerialAddress):
            if bus.url not in self.lines:
                self.lines[bus.url] = Rs485.at(bus.address)
            return Slave(self.lines[bus.url], device)
        devices: list[Meter | Charger] = [*self.depot.site.meters, *self.depot.site.chargers]
        if len({each.unit for each in devices if each.bus == bus}) > 1:
            return Behind(self.converters.setdefault(bus.url, Converter()), device)
        return device.serve()

    def _meter(self, meter: Meter) -> Gauge:
        circuits = [circuit.id for circuit in self.depot.site.circuits]
        ratio = meter.ratio_ppm / 1e6 * (-1 if meter.reversed else 1)
        circuit = circuits.index(meter.circuit)
        device = SIMULATED_METERS[meter.profile]
        return device(self.depot.plant, circuit, self.present, meter.phases, ratio, meter.unit)

    def document(self, broker: str) -> dict[str, Any]:
        """The site document with this rig's addresses: a bus for each device, or serial line."""
        document = deepcopy(dict(self.depot.document))
        document["charger"] = [
            member for row in document.get("charger", ()) for member in _members(row)
        ]
        buses: dict[str, dict[str, Any]] = {}
        for section, devices, servers in (
            ("meter", self.depot.site.meters, self.meters),
            ("charger", self.depot.site.chargers, self.chargers),
        ):
            by_id = {device.id: device for device in devices}
            for entry in document.get(section, ()):
                if entry["id"] in self.switched:
                    continue
                bus = by_id[entry["id"]].bus
                url = servers[entry["id"]].url
                if entry["id"] in self.proxies:
                    url = f"tcp://127.0.0.1:{self.proxies[entry['id']].port}"
                made = {"id": f"rig-{entry['id']}", "url": url, "timeout_s": bus.timeout_ns / 1e9}
                entry["bus"] = buses.setdefault(url, made)["id"]
                entry["profile"] = found(entry["profile"])
        document["bus"] = list(buses.values())
        for entry in document.get("clamp", ()):
            entry["port"] = self.clamps[entry["id"]].port
        document["key"] = [self.installer.entry]
        if "gpio" in document:
            document["gpio"] = {**document["gpio"], "factory": FACTORY}
        document["link"] = {"broker": f"mqtt://{broker}"}
        return document


def _members(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The chargers of a row, each written out."""
    if "count" not in row:
        return [row]
    first = row.get("first", 1)
    alike = {key: value for key, value in row.items() if key not in ("count", "first")}
    return [
        {
            key: expand(value, n)
            if key in ("id", "name", "unit") and isinstance(value, str)
            else value
            for key, value in alike.items()
        }
        for n in range(first, first + row["count"])
    ]
