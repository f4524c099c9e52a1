"""All drivers of a site: its devices grouped by the line they hang on."""

from controller.driver import Driver
from controller.site import Site
from controller.units import NS_PER_S
from drivers.bus import Bus
from drivers.charger import ChargerDriver
from drivers.clampdriver import ClampDriver
from drivers.device import ProcessImage
from drivers.lines import line_at
from drivers.meter import MeterDriver
from drivers.profile import library


def build(site: Site, image: ProcessImage, write: bool) -> list[Driver]:
    """One driver a device, meters first, then clamps. Without `write` no device is written to.

    Raises KeyError or ProfileError for a profile that cannot be had any more.
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
    return drivers
