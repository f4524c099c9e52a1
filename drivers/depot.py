"""All drivers of a site: its devices grouped by the line they hang on, and what is on its pins."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TypeVar

from controller.document.buses import Bus as SiteBus
from controller.document.buses import PinAddress
from controller.document.contacts import Feedback
from controller.document.devices import Charger
from controller.document.gpio import Gpio
from controller.document.outputs import at_rest
from controller.driver import Driver
from controller.site import Site
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.clampdriver import ClampDriver
from drivers.contact import Contact
from drivers.contactor import ContactorDriver
from drivers.device import ProcessImage
from drivers.dim import DimDriver
from drivers.led import LedDriver
from drivers.library import library
from drivers.lines import line_at
from drivers.meter import MeterDriver
from drivers.pindriver import DEBOUNCE_NS, OutputPin
from drivers.relay import HealthRelayDriver
from drivers.switch import SwitchDriver
from drivers.wear import Wear

Made = TypeVar("Made", Bus, Driver)


class Fleet:
    """The drivers of one gateway, from one site document to the next.

    What a new document leaves as it was keeps its driver, the connection included.
    """

    def __init__(self, wear: Wear | None = None) -> None:
        """`wear` outlives them all; None: what wears out is counted by each driver alone."""
        self._wear = wear
        self._buses: dict[Hashable, Bus] = {}
        self._drivers: dict[Hashable, Driver] = {}
        self._on_pins: list[Driver] = []  # whatever a document says: pins change with a restart

    def drivers(self, site: Site, image: ProcessImage, write: bool) -> list[Driver]:
        """One driver a device, meters first, then clamps. Without `write` no device is written to.

        Raises KeyError or ProfileError for a profile that cannot be had any more, and PinError
        for a pin factory or a pin that cannot be had: then nothing has changed.
        """
        buses: dict[Hashable, Bus] = {}
        made: dict[Hashable, Driver] = {}

        def bus_of(bus: SiteBus) -> Bus:
            address = bus.address
            assert not isinstance(address, PinAddress)  # of those with a switch only

            def make() -> Bus:
                line = line_at(address, bus.timeout_ns / NS_PER_S, may_write=write)
                return Bus(line, image.clock, image.turn)

            key = (bus.address, bus.timeout_ns, write)
            return _kept(buses, self._buses, key, make)

        def keep(key: Hashable, make: Callable[[], Driver]) -> None:
            _kept(made, self._drivers, key, make)

        for meter in site.meters:
            profile, bus = library().meter_profile(meter.profile), bus_of(meter.bus)
            keep((meter, write), partial(MeterDriver, meter, profile, bus, image))
        for clamp in site.clamps:
            keep(clamp, partial(ClampDriver, clamp, image))
        for charger in site.chargers:
            if charger.switch is not None:
                continue  # on a pin
            how, bus = library().charger_profile(charger.profile), bus_of(charger.bus)
            made_so = partial(ChargerDriver, charger, how, bus, image, write, self._wear)
            keep((_as_device(charger), write), made_so)
        if not self._on_pins and site.gpio is not None and site.gpio.used:
            self._on_pins = _on_pins(site.gpio, site.chargers, image, write)
        self._buses, self._drivers = buses, made
        return [*made.values(), *self._on_pins]


def build(site: Site, image: ProcessImage, write: bool) -> list[Driver]:
    """The drivers of a site's first document; see Fleet."""
    return Fleet().drivers(site, image, write)


def _kept(
    now: dict[Hashable, Made],
    before: dict[Hashable, Made],
    key: Hashable,
    make: Callable[[], Made],
) -> Made:
    """The one of this document, else that of the one before, else a new one."""
    if key not in now:
        now[key] = before[key] if key in before else make()
    return now[key]


def _as_device(charger: Charger) -> Charger:
    """Without what its driver does not care for: the operator's own wishes."""
    device = replace(
        charger,
        name="",
        weight=1,
        class_rank=0,
        class_wait_ns=None,
        min_on_ns=0,
        min_off_ns=0,
        advice=None,
        ceiling_ma=None,
    )
    return charger if device == charger else device  # the same one is not kept twice


def _on_pins(
    gpio: Gpio, chargers: Sequence[Charger], image: ProcessImage, write: bool
) -> list[Driver]:
    from drivers.pins import pins_of  # noqa: PLC0415 - gpiozero: 5 MB that only such a site needs

    pins = pins_of(gpio.factory)
    drivers: list[Driver] = []
    rest = {each.pin: each.high for each in at_rest(gpio)}
    with ExitStack() as undo:

        def contact(owner: str, pin: int, debounce_ns: int) -> Contact:
            opened = pins.input(owner, pin)
            undo.callback(opened.close)
            return Contact(opened, debounce_ns)

        def output(owner: str, pin: int) -> OutputPin | None:
            if not write:
                return None
            opened = pins.output(owner, pin, rest[pin])
            undo.callback(opened.close)
            return opened

        def auxiliary(owner: str, feedback: Feedback | None) -> Contact | None:
            return None if feedback is None else contact(owner, feedback.pin, DEBOUNCE_NS)

        for charger in chargers:
            if (switch := charger.switch) is not None:
                feedback = auxiliary(charger.id, switch.feedback)
                pin = output(charger.id, switch.pin)
                drivers.append(SwitchDriver(charger, switch, pin, feedback, image))
        for each in gpio.contactors:
            feedback = auxiliary(each.id, each.feedback)
            pin = output(each.id, each.pin)
            drivers.append(ContactorDriver(each, pin, feedback, image))
        for relay in gpio.relays:
            pin = output(relay.id, relay.pin)
            driver = HealthRelayDriver(relay, pin, image.clock)
            image.turn.fed(driver.pulse)
            drivers.append(driver)
        for led in gpio.leds:
            lamp = LedDriver(led, output(led.id, led.pin), image)
            image.turn.fed(lamp.pulse)
            drivers.append(lamp)
        for dim in gpio.inputs:
            contacts = [contact(dim.id, step.pin, dim.debounce_ns) for step in dim.steps]
            drivers.append(DimDriver(dim, contacts, image))
        undo.pop_all()
    return drivers
