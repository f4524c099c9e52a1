"""A charger's order on the wire: which registers are written for it, in which order. Pure."""

from controller.units import NS_PER_S
from drivers.chargerprofile import ChargerProfile
from drivers.decode import decode, encode, raw_words
from drivers.device import Request


def writes_of(
    device: str, unit: int, profile: ChargerProfile, ma: int, *, enabled: bool = False
) -> tuple[Request, ...]:
    """All that must be written for an order, each register's words at once.

    What it may draw comes before that it may: so it never charges at what it was told earlier.
    One that is `enabled` already is not enabled again. Raises ValueError for what a register
    cannot hold, and for what would take the limit away instead.
    """
    setpoint, enable = profile.setpoint, profile.enable

    def write(name: str, fc: int, words: tuple[int, ...]) -> Request:
        addr, gap_s = profile.registers[name].addr, profile.gap_ns / NS_PER_S
        return Request(device, unit, fc, addr, len(words), words, gap_s=gap_s)

    if enable is not None and _pauses(profile, ma):
        words = raw_words(profile.registers[enable.register_name], enable.off)
        return (write(enable.register_name, enable.fc, words),)
    writes = [
        write(name, setpoint.fc, _words(profile, name, ma)) for name in setpoint.register_names
    ]
    if enable is not None and not enabled:
        words = raw_words(profile.registers[enable.register_name], enable.on)
        writes.append(write(enable.register_name, enable.fc, words))
    return tuple(writes)


def write_of(device: str, unit: int, profile: ChargerProfile, ma: int) -> Request:
    """The first of them."""
    return writes_of(device, unit, profile, ma)[0]


def as_written_ma(profile: ChargerProfile, ma: int) -> int:
    """What it then says: no more than `ma`, less where it counts in coarser steps."""
    apart = profile.enable is not None or profile.setpoint.off is not None
    if apart and _pauses(profile, ma):
        return 0
    name = profile.setpoint.register_name
    written = decode(profile.registers[name], _words(profile, name, ma))
    assert isinstance(written, int)
    return written


def _words(profile: ChargerProfile, name: str, ma: int) -> tuple[int, ...]:
    register, setpoint = profile.registers[name], profile.setpoint
    if setpoint.off is not None and _pauses(profile, ma):
        words = raw_words(register, setpoint.off)
    else:
        words = encode(register, ma)
    if any(words == raw_words(register, raw) for raw in setpoint.unlimited):
        raise ValueError(f"{ma} mA would take its limit away, written into {name}")
    return words


def _pauses(profile: ChargerProfile, ma: int) -> bool:
    """Whether so little is a pause: less than it can be told, or nothing."""
    return ma < max(profile.setpoint.min_ma, 1)
