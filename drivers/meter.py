"""A meter's driver: polls its currents and posts them, signed, all that it measures or none."""

from controller.document.devices import Meter
from controller.image import MeterReading
from controller.units import MA_PER_A, NS_PER_S
from drivers.bell import Bell
from drivers.bus import Bus
from drivers.device import ProcessImage, Rank
from drivers.health import DeviceHealth, Health
from drivers.meterprofile import DIRECTION, MeterProfile
from drivers.reader import Reader, Sample
from drivers.silence import Silence

TERMINALS = (1, 2, 3)
_NAMES = {n: (f"current_l{n}", f"power_l{n}", f"voltage_l{n}") for n in TERMINALS}
LONGEST_PAUSE_NS = NS_PER_S  # while it is silent: everything is blind without it


class MeterDriver:
    """Polls on absolute instants; a slow meter skips polls, they never queue up."""

    def __init__(self, meter: Meter, profile: MeterProfile, bus: Bus, image: ProcessImage) -> None:
        self.id = meter.id
        self._period_s = meter.poll_ns / NS_PER_S
        self._profile = profile
        self._reversed = meter.reversed
        self._bus = bus
        self._image = image
        self._health = Health(meter.id, image.clock, meter.poll_ns, meter.bus.timeout_ns)
        self._silence = Silence(image.clock, meter.poll_ns, LONGEST_PAUSE_NS)
        self._reader = Reader(meter.id, meter.unit, profile, bus, Rank.METER, needed(profile))

    def health(self) -> DeviceHealth:
        return self._health.now

    async def run(self) -> None:
        """Until cancelled."""
        self._bus.join()
        bell = Bell(self.id, self._period_s)
        turn = self._image.turn
        try:
            while True:
                turn.busy(self.id, bell.longest_ns)
                await bell.wait()
                if self._silence.may_ask:
                    turn.busy(self.id)  # the bus answers for it
                    await self._reader.poll(self._health, self._post, self._silence)
        finally:
            turn.leave(self.id)
            self._bus.close()

    def _post(self, sample: Sample) -> None:
        l1, l2, l3 = (
            self._current_ma(sample, terminal) if terminal in self._profile.terminals else 0
            for terminal in TERMINALS
        )
        try:
            self._image.post_meter(self.id, MeterReading(sample.at_ns, (l1, l2, l3)))
        except ValueError as error:
            raise self._reader.bad("current_l1", f"cannot be used: {error}") from error

    def _current_ma(self, sample: Sample, terminal: int) -> int:
        current_ma = signed_ma(self._profile, sample, terminal, reversed_ct=self._reversed)
        if current_ma is None:
            raise self._reader.bad(f"current_l{terminal}", "has no value, or no direction")
        return current_ma


def needed(profile: MeterProfile) -> tuple[str, ...]:
    """The registers that signed currents come from."""
    names = ("current", *DIRECTION) if profile.tells_direction else ("current",)
    return tuple(f"{name}_l{terminal}" for name in names for terminal in profile.terminals)


def signed_ma(
    profile: MeterProfile, sample: Sample, terminal: int, *, reversed_ct: bool = False
) -> int | None:
    """Current at a terminal, + is import; None where it, or its direction, is unknown.

    Where the meter tells the power, an export counts with its active part alone: a reactive
    current beside a few watts of export must not look like headroom. Where nothing tells a
    direction, all counts as import. With a reversed CT what is export on the circuit looks like
    import here, and the other way round.
    """
    current, power, voltage = _NAMES[terminal]
    current_ma = sample.ma(current)
    turned = -1 if reversed_ct else 1
    if current_ma is None or profile.current_sign == "none":
        return None if current_ma is None else turned * abs(current_ma)
    if not profile.tells_direction:
        return current_ma
    power_mw = sample.number(power)
    voltage_mv = sample.number(voltage)
    if power_mw is None:
        return None
    if turned * power_mw >= 0:
        return turned * abs(current_ma)
    if not voltage_mv or voltage_mv < 0:
        return None
    return -turned * min(abs(current_ma), abs(power_mw) * MA_PER_A // voltage_mv)
