"""The depot of a story around a gateway as it is delivered: the rig's devices, broker and back
office, each in its own network, and between them a container in which the product is installed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.document.buses import SerialAddress, TcpAddress
from controller.site import Charger, Meter
from hil.cloud import Cloud
from hil.devices.mbap import Server
from hil.devices.rs485 import Rs485
from hil.gateway import toml
from hil.gateway.bundle import Bundles
from hil.gateway.container import LOOK_EVERY_S, Container, Said, Unit, until
from hil.gateway.network import BROKER, DEPOT, ELSEWHERE, NOBODY, Address, Doors, Network
from hil.making.roots import Layer
from hil.rig import Depot, Rig, RigError

BROKER_PORT = 1883
LINKED_WITHIN_S = 20.0
RIG = "/srv/rig"  # in there: what a bench brings along
SETUP = "/opt/loadkeeper/current/setup/install.sh"
SITE = "/etc/loadkeeper/site.toml"
UNITS = {"enforcer": "loadkeeper.service", "link": "loadkeeper-link.service"}
REST = "loadkeeper-rest.service"  # brings pins to rest when the enforcer is latched
DIALOUT = 20  # Debian's number of the group
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Installed:
    """A root in which install.sh has been run, without a site document; layers, the upper first."""

    layers: tuple[Path, ...]
    bundles: Bundles


class Gateway(Rig):
    """A rig whose two processes are units of a container's systemd."""

    def __init__(self, depot: Depot, directory: Path, installed: Installed) -> None:
        self._installed = installed
        self.network = Network()
        self.doors = Doors()  # where nobody of ours has any business
        upper, *lower = installed.layers
        self._layer = Layer(upper, directory / "layer", tuple(lower))
        self.container = Container(self._layer, None, {}, directory)
        self.on_started = _nobody
        self._watching: asyncio.Task[None] | None = None
        super().__init__(depot, directory)

    @property
    def units(self) -> Mapping[str, Unit]:
        assert isinstance(self.enforcer, Unit)
        assert isinstance(self.link, Unit)
        return {"enforcer": self.enforcer, "link": self.link}

    async def __aexit__(self, *unused: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.keep_logs()
        await self.container.cut()
        await super().__aexit__(*unused)
        self.doors.close()
        self.network.close()

    @property
    def serial_ports(self) -> list[str]:
        """Of all devices on serial lines, as the gateway names them."""
        devices: list[Meter | Charger] = [*self.depot.site.meters, *self.depot.site.chargers]
        found = [each.address.port for each in self.depot.site.clamps]
        found += [
            each.bus.address.port for each in devices if isinstance(each.bus.address, SerialAddress)
        ]
        return sorted(set(found))

    def open_doors(self) -> None:
        """Ports in both networks that are open, and that no unit has any business with."""
        if not self.doors.any:
            self.doors.open(self.network.depot, NOBODY, 502)
            self.doors.open(self.network.internet, ELSEWHERE, BROKER_PORT)

    async def boot(self) -> None:
        """Switches the gateway on; returns when its systemd is there."""
        await self.container.boot()

    async def install(self, *words: str) -> Said:
        """The documented way, with a script out of a bundle or the one that is installed."""
        return await self.container.run("sh", *words, within_s=300.0)

    async def keep_logs(self) -> None:
        """What both units said, where `last_words` looks for it: no machine, no journal."""
        if not self.container.runs:
            return
        for unit in self.units.values():
            words = ("journalctl", "--quiet", "--output=cat", "--boot=all", f"--unit={unit.unit}")
            said = await self.container.run(*words)
            unit.log.write_text(said.out)

    def _child(self, command: str, name: str, document: Path, env: dict[str, str]) -> Unit:
        return Unit(name, UNITS[name], self.container, self.directory / f"{name}.log")

    async def _start(self) -> None:
        self.network.__enter__()
        self._move_to_depot()
        await self._open_depot()
        cloud, _ = await self._open_cloud(Address(self.network.internet, BROKER), BROKER_PORT)
        self.written = self.document(f"{BROKER}:{BROKER_PORT}")
        binds = self._binds()
        self.container = Container(self._layer, self.network.gateway.path, binds, self.directory)
        for unit in self.units.values():
            unit.move(self.container)
        await self.boot()
        await self.container.settled()
        await self._commission()
        await self._linked(cloud)
        self._watching = asyncio.create_task(self._watch())

    async def _linked(self, cloud: Cloud) -> None:
        """Of the enforcer install.sh has seen that it answers."""
        try:
            await cloud.online(LINKED_WITHIN_S)
        except TimeoutError:
            await self.keep_logs()
            raise RigError(f"no link within {LINKED_WITHIN_S:g} s\n{self.last_words()}") from None

    async def _commission(self) -> None:
        """As the installer does: the site document, then install.sh once more."""
        document = toml.dumps(self.written).encode()
        await self.container.run("sh", "-ec", f"cat > {SITE}", stdin=document)
        await self._bring_pins()
        if self.serial_ports:  # here they are pseudo-terminals, whatever they are called
            await self._drop_in(
                UNITS["enforcer"], "rig-serial", "[Service]\nDeviceAllow=char-pts rw\n"
            )
        said = await self.install(SETUP)
        if said.status != 0:
            raise RigError(f"install.sh ended with {said.status}\n{said.out}")

    async def _bring_pins(self) -> None:
        """The rig's pin factory, by the environment alone: the unit is otherwise as delivered."""
        if self.supplies.gear is None:
            return
        lines = "".join(
            f"Environment={name}={RIG}/{place}\n"
            for name, place in (("PYTHONPATH", "pins"), ("LOADKEEPER_RIG_PINS", "pins.sock"))
        )
        lines += f"BindReadOnlyPaths={RIG}\n"
        for unit in (UNITS["enforcer"], REST):
            await self._drop_in(unit, "rig-pins", f"[Service]\n{lines}")

    async def _drop_in(self, unit: str, name: str, text: str) -> None:
        folder = f"/etc/systemd/system/{unit}.d"
        script = f"mkdir -p {folder} && cat > {folder}/{name}.conf && systemctl daemon-reload"
        await self.container.run("sh", "-ec", script, stdin=text.encode())

    def _move_to_depot(self) -> None:
        """Each device that speaks TCP listens at the very address that the document gives."""
        hosts = set()
        servers = {**self.meters, **self.chargers}
        devices: list[Meter | Charger] = [*self.depot.site.meters, *self.depot.site.chargers]
        for device in devices:
            address = device.bus.address
            if not isinstance(address, TcpAddress):
                continue
            server = servers[device.id]
            assert isinstance(server, Server)
            if not address.host.startswith(f"{DEPOT}."):
                raise RigError(f"{device.id} is at {address.host}, outside {DEPOT}.0/24")
            hosts.add(address.host)
            server.place = Address(self.network.depot, address.host)
            server.port = address.port
        self.network.depot.inhabit([*hosts, NOBODY])
        self.network.internet.inhabit([BROKER, ELSEWHERE])

    def document(self, broker: str) -> dict[str, Any]:
        """As it was written, but for the broker, the installer's key and the pins."""
        document = super().document(broker)
        ports = {line.url: url for url, line in self.lines.items()}
        for bus in document["bus"]:
            bus["url"] = ports.get(bus["url"], bus["url"])
        by_id = {clamp.id: clamp.address.port for clamp in self.depot.site.clamps}
        for entry in document.get("clamp", ()):
            entry["port"] = by_id[entry["id"]]
        return document

    def _binds(self) -> dict[str, str]:
        """What of this machine is seen in there, and where."""
        binds = {str(_ROOT / "hil/gateway/probe.py"): f"{RIG}/probe.py"}
        binds |= {str(folder): f"{RIG}/{name}" for name, folder in self._installed.bundles.folders}
        serial: list[tuple[SerialAddress, Rs485]] = [
            (clamp.address, self.clamps[clamp.id].line) for clamp in self.depot.site.clamps
        ]
        devices: list[Meter | Charger] = [*self.depot.site.meters, *self.depot.site.chargers]
        for device in devices:
            if isinstance(device.bus.address, SerialAddress):
                serial.append((device.bus.address, self.lines[device.bus.url]))
        for address, line in serial:
            terminal = line.port.resolve()
            os.chown(terminal, 0, DIALOUT)
            terminal.chmod(0o660)
            binds[str(terminal)] = address.port
        if self.supplies.gear is not None:
            self._lay_out_pins()
            self.supplies.board.path.chmod(0o666)
            binds[str(self.directory / "pins")] = f"{RIG}/pins"
            binds[str(self.supplies.board.path)] = f"{RIG}/pins.sock"
        return binds

    def _lay_out_pins(self) -> None:
        """The rig's factory and the entry point by which gpiozero finds it, and nothing else."""
        assert self.supplies.plugins is not None
        folder = self.directory / "pins"
        (folder / "hil").mkdir(parents=True)
        (folder / "hil/__init__.py").touch()
        factory = (_ROOT / "hil/pinfactory.py").read_bytes()
        (folder / "hil/pinfactory.py").write_bytes(factory)
        for info in self.supplies.plugins.iterdir():
            info.rename(folder / info.name)

    async def _watch(self) -> None:
        """Tells of each new enforcer."""
        before = self.enforcer.pid
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = self.enforcer.pid
            if now is not None and now != before:
                self.on_started()
            before = now if now is not None else before

    # What is measured.

    def writes(self) -> dict[str, int]:
        """How many setpoints each charger has taken."""
        return {id_: station.writes for id_, station in self.sockets.items()}

    async def all_written(self, since: Mapping[str, int], within_s: float) -> float:
        """When each charger has taken one more than then: the time, CLOCK_MONOTONIC in s.

        Raises TimeoutError.
        """
        await until(lambda: all(self._written(since)), within_s)
        return time.monotonic()

    async def first_written(self, since: Mapping[str, int], within_s: float) -> float:
        """Likewise, when the first of them has."""
        await until(lambda: any(self._written(since)), within_s)
        return time.monotonic()

    def _written(self, since: Mapping[str, int]) -> list[bool]:
        return [count > since[id_] for id_, count in self.writes().items()]


def _nobody() -> None:
    """Hears of no start."""
