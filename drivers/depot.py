"""All drivers of a site: its devices grouped by the line they hang on, and what is on its pins."""

from contextlib import ExitStack

from controller.document.gpio import Gpio
from controller.driver import Driver
from controller.site import Site
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.clampdriver import ClampDriver
from drivers.contact import Contact
from drivers.contactor import DEBOUNCE_NS, ContactorDriver, OutputPin
from drivers.device import ProcessImage
from drivers.dim import DimDriver
from drivers.lines import line_at
from drivers.meter import MeterDriver
from drivers.profile import library
from drivers.relay import HealthRelayDriver


def build(site: Site, image: ProcessImage, write: bool) -> list[Driver]:
    """One driver a device, meters first, then clamps. Without `write` no device is written to.

    Raises KeyError or ProfileError for a profile that cannot be had any more, and PinError for
    a pin factory or a pin that cannot be had: then every pin is let go again.
    """
    buses: dict[str, Bus] = {}
    for each in site.buses:
        line = line_at(each.address, each.timeout_ns / NS_PER_S, may_write=write)
        buses[each.url] = Bus(line, image.clock, image.turn)
    drivers: list[Driver] = []
    for meter in site.meters:
        profile = library().meter_profile(meter.profile)
        drivers.append(MeterDriver(meter, profile, buses[meter.bus.url], image))
    drivers += [ClampDriver(clamp, image) for clamp in site.clamps]
    for charger in site.chargers:
        made = library().charger_profile(charger.profile)
        drivers.append(ChargerDriver(charger, made, buses[charger.bus.url], image, write))
    if site.gpio is not None and site.gpio.used:
        drivers += _on_pins(site.gpio, image, write)
    return drivers


def _on_pins(gpio: Gpio, image: ProcessImage, write: bool) -> list[Driver]:
    from drivers.pins import pins_of  # noqa: PLC0415 - gpiozero: 5 MB that only such a site needs

    pins = pins_of(gpio.factory)
    drivers: list[Driver] = []
    with ExitStack() as undo:

        def contact(owner: str, pin: int, debounce_ns: int) -> Contact:
            opened = pins.input(owner, pin)
            undo.callback(opened.close)
            return Contact(opened, debounce_ns)

        def output(owner: str, pin: int, rest: bool) -> OutputPin | None:
            if not write:
                return None
            opened = pins.output(owner, pin, rest)
            undo.callback(opened.close)
            return opened

        for each in gpio.contactors:
            feedback = None
            if each.feedback is not None:
                feedback = contact(each.id, each.feedback.pin, DEBOUNCE_NS)
            pin = output(each.id, each.pin, each.open_high)
            drivers.append(ContactorDriver(each, pin, feedback, image))
        for relay in gpio.relays:
            pin = output(relay.id, relay.pin, rest=False)
            driver = HealthRelayDriver(relay, pin, image.clock)
            image.turn.fed(driver.pulse)
            drivers.append(driver)
        for dim in gpio.inputs:
            drivers.append(DimDriver(dim, contact(dim.id, dim.pin, dim.debounce_ns), image))
        undo.pop_all()
    return drivers
