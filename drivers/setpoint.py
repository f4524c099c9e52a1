"""A charger's setpoint on the wire. Pure."""

from controller.units import NS_PER_S
from drivers.decode import decode, encode
from drivers.device import Request
from drivers.profile import ChargerProfile


def write_of(device: str, unit: int, profile: ChargerProfile, ma: int) -> Request:
    """The request that writes it, all its words at once."""
    register = profile.registers[profile.setpoint.register_name]
    words, gap_s = encode(register, ma), profile.gap_ns / NS_PER_S
    fc = profile.setpoint.fc
    return Request(device, unit, fc, register.addr, len(words), words, gap_s=gap_s)


def as_written_ma(profile: ChargerProfile, ma: int) -> int:
    """What its register then says: no more than `ma`, less where it counts in coarser steps."""
    register = profile.registers[profile.setpoint.register_name]
    written = decode(register, encode(register, ma))
    assert isinstance(written, int)
    return written
