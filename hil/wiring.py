"""The rig's end of the gateway's pins: a board whose relays really cut supplies.

Contactors, the health relay and contacts behave as they are wired in the site document, whatever
the gateway believes of them. A pin that nobody drives is low; on a board whose pins do not fall it
stays as it was driven last. When the gateway's connection ends, nobody drives any pin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from cext.rows import Phases
from controller.document.contacts import Feedback
from controller.document.gpio import Gpio, HealthRelay
from hil.contacts import Contacts
from hil.pinfactory import ADDRESS

FACTORY = "loadkeeper_rig"
MOVES_S = 0.04  # from a coil's voltage to its main contacts
_INFO = "loadkeeper_rig-1.dist-info"
_METADATA = """\
Metadata-Version: 2.1
Name: loadkeeper-rig
Version: 1
"""
_ENTRY_POINTS = f"""\
[gpiozero_pin_factories]
{FACTORY} = hil.pinfactory:RigFactory
"""


def plug_in(directory: Path) -> Path:
    """A folder that, on a process's PYTHONPATH, lets gpiozero find the rig's factory.

    A distribution of nothing but an entry point: what is installed for users knows no rig.
    """
    folder = directory / "plugins"
    info = folder / _INFO
    info.mkdir(parents=True, exist_ok=True)
    info.joinpath("METADATA").write_text(_METADATA)
    info.joinpath("entry_points.txt").write_text(_ENTRY_POINTS)
    return folder


class Board:
    """What is soldered to the pins, and the socket that the gateway's factory comes to."""

    def __init__(self, path: Path, *, falls: bool = True) -> None:
        """`falls`: a pin that nobody drives any more is low; else it stays as it was driven."""
        self.path = path
        self.driven: dict[int, bool] = {}  # levels of the pins that somebody drives, or drove
        self._falls = falls
        self.moved_s: dict[int, float] = {}  # when each changed its level last
        self._contacts: dict[int, bool] = {}  # levels of the pins that contacts pull
        self._server: asyncio.Server | None = None
        self._gateway: asyncio.StreamWriter | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {ADDRESS: str(self.path)}

    @property
    def attended(self) -> bool:
        """Whether a gateway holds the pins."""
        return self._gateway is not None

    def pulled(self, pin: int) -> bool:
        """What the gateway reads there."""
        return self._contacts.get(pin, True)

    def level(self, pin: int) -> bool:
        return self.driven.get(pin, False)

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._gateway is not None:
            self._gateway.transport.abort()

    def pull(self, pin: int, high: bool) -> None:
        """A contact lets the pin go, or connects it to ground."""
        if self._contacts.get(pin) == high:
            return
        self._contacts[pin] = high
        if self._gateway is not None:
            self._gateway.write(f"level {pin} {int(high)}\n".encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._gateway is not None:  # the last one was killed, and its end has yet to be read
            self._gateway.transport.abort()
            self._release()
        self._gateway = writer
        for pin, high in self._contacts.items():
            writer.write(f"level {pin} {int(high)}\n".encode())
        writer.write(b"ready\n")
        try:
            while line := await reader.readline():
                self._take(line.decode("ascii").split())
        except (ConnectionError, asyncio.CancelledError):
            pass  # it ends, one way or another
        finally:
            writer.transport.abort()
            if self._gateway is writer:
                self._gateway = None
                self._release()

    def _take(self, words: list[str]) -> None:
        pin = int(words[1])
        high = words[0] == "drive" and words[2] == "1"
        if words[0] == "release" and not self._falls:
            return
        if self.level(pin) != high:
            self.moved_s[pin] = asyncio.get_running_loop().time()
        if words[0] == "drive":
            self.driven[pin] = high
        else:
            self.driven.pop(pin, None)

    def _release(self) -> None:
        if self._falls:
            self.driven.clear()


class Switchgear:
    """Every relay and contact as it really is."""

    def __init__(self, gpio: Gpio, board: Board) -> None:
        self._board = board
        self._coils = [
            Coil(
                each.id,
                each.pin,
                each.active_high == each.closed_energised,
                each.feedback,
                each.chargers,
                closed=not each.closed_energised,
            )
            for each in gpio.contactors
        ]
        self._switches = [
            Coil(
                each.charger,
                each.pin,
                each.active_high == each.on_energised,
                each.feedback,
                closed=not each.on_energised,
            )
            for each in gpio.switches
        ]
        self._relays = gpio.relays
        self._by_id = {coil.id: coil for coil in (*self._coils, *self._switches)}
        self._contacts = Contacts(gpio.inputs)
        self._broken: set[str] = set()  # wires of auxiliary contacts
        groups = [each.chargers for each in gpio.contactors]
        groups += [each.chargers for each in gpio.relays]
        self.supplied = {charger: False for chargers in groups for charger in chargers}
        self._pull()

    def look(self, now_s: float) -> Mapping[str, bool]:
        """Brings all up to now; chargers whose supply has changed, and whether they have it."""
        for coil in self._by_id.values():
            coil.move(self._board.level(coil.pin), now_s)
        self._pull()
        cut: set[str] = set()
        for coil in self._coils:
            cut.update(() if coil.closed else coil.chargers)
        for relay in self._relays:
            cut.update(() if self._holds(relay, now_s) else relay.chargers)
        changed = {
            charger: charger not in cut
            for charger, had in self.supplied.items()
            if had == (charger in cut)
        }
        self.supplied |= changed
        return changed

    def closed(self) -> list[bool]:
        """Each contactor's main contacts, in the document's order."""
        return [coil.closed for coil in self._coils]

    def switched(self) -> dict[str, bool]:
        """The chargers without a bus, and whether each is on."""
        return {coil.id: coil.closed for coil in self._switches}

    # What happens to it.

    def weld(self, contactor: str) -> None:
        """It stays closed, or closes for good when it closes next."""
        self._by_id[contactor].welded = True

    def ask(self, contact: str, active: bool, percent: int | None = None) -> None:
        """Whoever holds the contact asks to dim, or no longer."""
        self._contacts.ask(contact, active, percent)

    def break_wire(self, of: str, broken: bool) -> None:
        """The wire of a contact that asks to dim, or of a contactor's auxiliary contact."""
        if of in self._contacts:
            self._contacts.break_wire(of, broken)
        else:
            (self._broken.add if broken else self._broken.discard)(of)

    def asked(self, contact: str) -> Phases | None:
        """What the gateway is to take the contact for: by its pins."""
        return self._contacts.asked(contact).limit_ma

    # How it stands.

    def _holds(self, relay: HealthRelay, now_s: float) -> bool:
        """While its pin moves; one that nobody drives does not."""
        moved_s = self._board.moved_s.get(relay.pin)
        driven = relay.pin in self._board.driven
        return driven and moved_s is not None and now_s - moved_s < relay.release_ns / 1e9

    def _pull(self) -> None:
        for coil in self._by_id.values():
            feedback = coil.feedback
            if feedback is not None:
                high = coil.closed == feedback.normally_closed
                self._board.pull(feedback.pin, high or coil.id in self._broken)
        for row in self._contacts:
            for step in row.steps:
                self._board.pull(step.pin, self._contacts.high(row, step))


class Coil:
    """A contactor or relay between its pin and its main contacts."""

    def __init__(
        self,
        id_: str,
        pin: int,
        closed_high: bool,
        feedback: Feedback | None,
        chargers: tuple[str, ...] = (),
        *,
        closed: bool,
    ) -> None:
        """A pin that is `closed_high` closes it; `closed`: without any power at its coil."""
        self.id = id_
        self.pin = pin
        self.feedback = feedback
        self.chargers = chargers
        self.closed = closed
        self.welded = False
        self._closed_high = closed_high
        self._wanted = closed
        self._since_s = 0.0

    def move(self, high: bool, now_s: float) -> None:
        """The main contacts follow the coil a little later."""
        wanted = high == self._closed_high
        if wanted != self._wanted:
            self._wanted, self._since_s = wanted, now_s
        if now_s - self._since_s >= MOVES_S and not (self.welded and self.closed):
            self.closed = wanted
