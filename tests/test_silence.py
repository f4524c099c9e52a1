"""Devices that do not answer: what they cost the others, and what is said of them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from controller.units import NS_PER_S
from drivers.device import HushedError, NoReplyError, RefusedError
from drivers.health import DeviceHealth, Health
from drivers.silence import Silence
from tests.driven import MS_NS, Alfen, Devices, Em24, Scene, told
from tests.patience import until


class Hand:
    at_ns = 5 * NS_PER_S

    def now_ns(self) -> int:
        return self.at_ns


def test_silent_units_do_not_starve_the_others_on_their_line() -> None:
    """Three of seven answer nothing, and all are to be told something."""
    timeout_s, poll_ns = 0.1, 200 * MS_NS

    async def story(scene: Scene, _: Devices) -> None:
        scene.meter(unit=1, poll_ns=poll_ns)
        units = {f"bay-0{unit}": unit for unit in range(2, 8)}
        for name, unit in units.items():
            scene.charger(id=name, unit=unit, poll_ns=poll_ns)
        await until(scene.readings)
        orders = {name: scene.board.command(name, 10_000) for name in units}
        for name in ("bay-02", "bay-03", "bay-04"):
            await scene.proof_of(orders[name], name)
        await asyncio.sleep(2)
        begun, seen = len(scene.wire.asked), len(scene.readings())
        await asyncio.sleep(3)
        dead = [asked for asked in scene.wire.asked[begun:] if asked.unit > 4]
        assert 3 <= len(dead) <= 12  # one in three seconds each, more or less
        assert any(asked.function == 16 for asked in scene.wire.asked if asked.unit > 4)
        at_ns = [reading.at_ns for reading in scene.readings()[seen:]]
        ages_ns = [later - earlier for earlier, later in pairwise(at_ns)]
        assert len(ages_ns) >= 5
        assert max(ages_ns) <= 3 * poll_ns

    units: dict[int, Alfen | Em24 | None] = {1: Em24()}
    units |= {unit: Alfen() for unit in (2, 3, 4)} | dict.fromkeys((5, 6, 7))
    told(story, units, timeout_s)


def test_a_silent_charger_is_written_to_as_soon_as_it_answers() -> None:
    shown = Alfen()

    async def story(scene: Scene, devices: Devices) -> None:
        scene.charger()
        order = scene.board.command("bay-01", 10_000)
        await until(lambda: {asked.function for asked in scene.wire.asked} == {3, 16})
        devices.units[1] = shown
        await scene.proof_of(order)

    told(story, {1: None}, timeout_s=0.1)


def test_a_device_that_nobody_asks_any_more_does_not_stay_online() -> None:
    hand = Hand()
    health = Health("bay-01", hand, poll_ns=NS_PER_S, timeout_ns=NS_PER_S // 2)
    health.good()
    hand.at_ns = 8 * NS_PER_S
    assert health.now.online
    hand.at_ns = 20 * NS_PER_S
    assert health.now == DeviceHealth(
        "bay-01", False, "not heard for 3.5 s", 8 * NS_PER_S + NS_PER_S // 2
    )
    health.good()
    assert health.now == DeviceHealth("bay-01", True, None, 20 * NS_PER_S)


def test_not_having_asked_ends_no_silence() -> None:
    silence = Silence(Hand(), NS_PER_S)
    silence.failed(NoReplyError("no answer", line="rtu"))
    silence.failed(HushedError("not asked", line="rtu"))
    assert silence.left_s == 1
    silence.failed(RefusedError("refuses", line="rtu"))
    assert not silence.lasts
