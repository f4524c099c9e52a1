"""The status LED: what it blinks, and that nothing but completed turns carries it on."""

from collections.abc import Sequence

import pytest

from controller.condition import Condition, condition_of
from controller.document.gpio import StatusLed
from controller.units import NS_PER_S
from drivers.depot import build
from drivers.health import DeviceHealth
from drivers.led import CODES, STEP_NS, LedDriver
from tests.documents import problems, site
from tests.modbus_wire import Board
from tests.patience import until
from tests.pinned import Bench, Running, installed, told
from tests.test_gpio_document import GPIO
from tests.test_pin_depot import OUTPUTS, depot, wire

__all__ = ["installed"]

LED = {"id": "lamp", "kind": "led", "pin": 21}


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at_ns = 100 * NS_PER_S

    def now_ns(self) -> int:
        return self.at_ns


def lamp(active_high: bool = True) -> tuple[Bench, Hand, LedDriver]:
    bench, clock = Bench(), Hand()
    bench.board.clock = clock
    row = StatusLed("lamp", "", 21, active_high)
    pin = bench.pins.output("lamp", 21, rest=not active_high)
    return bench, clock, LedDriver(row, pin, bench.board)


def shown(bench: Bench, clock: Hand, driver: LedDriver, seconds: int = 4) -> str:
    """What is to be seen, by half seconds, while turns complete each quarter of one."""
    seen = []
    for quarter in range(4 * seconds):
        driver.pulse()
        if quarter % 2:
            seen.append("#" if bench.level(21) else ".")
        clock.at_ns += NS_PER_S // 4
    return "".join(seen)


@pytest.mark.parametrize("condition", list(Condition))
@pytest.mark.parametrize("active_high", [True, False])
def test_each_condition_has_its_own_blink_code(condition: Condition, active_high: bool) -> None:
    bench, clock, driver = lamp(active_high)
    bench.board.present = condition
    code = CODES[condition]
    lit = code if active_high else code.translate(str.maketrans("#.", ".#"))
    assert shown(bench, clock, driver) == lit
    assert shown(bench, clock, driver) == lit


def test_no_code_stands_still_and_none_looks_like_another() -> None:
    turned = {tuple(sorted(code[i:] + code[:i] for i in range(8))) for code in CODES.values()}
    assert len(turned) == len(CODES) == len(Condition)
    assert all(len(set(code)) == 2 for code in CODES.values())
    assert len({len(code) for code in CODES.values()}) == 1


def test_without_turns_it_stands_as_it_was() -> None:
    """Lit or dark, whatever time passes."""
    bench, clock, driver = lamp()
    driver.pulse()
    was = bench.level(21)
    states = len(bench.factory.pin(21).states)
    clock.at_ns += 60 * NS_PER_S
    assert (bench.level(21), len(bench.factory.pin(21).states)) == (was, states)
    driver.pulse()
    assert len(bench.factory.pin(21).states) >= states


def test_a_change_is_seen_with_the_next_step() -> None:
    bench, clock, driver = lamp()
    bench.board.present = Condition.RUNNING
    assert shown(bench, clock, driver, 2) == "#..."
    bench.board.present = Condition.LATCHED
    assert shown(bench, clock, driver, 2) == "#.#."


def test_a_pin_that_fails_never_breaks_the_turn_and_is_told() -> None:
    bench, clock, driver = lamp()
    bench.factory.pin(21).function = "input"
    driver.pulse()
    assert "lamp (GPIO21): cannot be driven" in str(driver.health().error)
    bench.factory.pin(21).function = "output"
    clock.at_ns += STEP_NS
    driver.pulse()
    assert (driver.health().online, driver.health().error) == (True, None)


# --- the condition -----------------------------------------------------------------------------


class Device:
    """A driver that is well, or not."""

    def __init__(self, online: bool = True, error: str | None = None) -> None:
        self.id = "bay"
        self._health = DeviceHealth("bay", online, error, 0)

    def health(self) -> DeviceHealth:
        return self._health

    async def run(self) -> None:
        """Never."""


@pytest.mark.parametrize(
    ("latched", "drivers", "doubted", "linked", "condition"),
    [
        (False, [Device()], False, True, Condition.RUNNING),
        (False, [], False, True, Condition.RUNNING),
        (False, [Device()], False, False, Condition.NO_LINK),
        (False, [Device(), Device(online=False)], False, False, Condition.DEGRADED),
        (False, [Device(error="welded?")], False, True, Condition.DEGRADED),
        (False, [Device()], True, True, Condition.DEGRADED),
        (True, [Device(online=False)], True, False, Condition.LATCHED),
    ],
)
def test_the_worst_is_shown(
    latched: bool, drivers: Sequence[Device], doubted: bool, linked: bool, condition: Condition
) -> None:
    made = condition_of(latched=latched, drivers=drivers, doubted=doubted, linked=linked)
    assert made is condition


# --- in a site ---------------------------------------------------------------------------------


def test_an_led_drops_nothing_and_needs_nothing() -> None:
    (made,) = site(gpio=GPIO, output=[{**LED, "active_high": False}]).gpio.leds  # type: ignore[union-attr]
    assert made == StatusLed("lamp", "", 21, active_high=False)
    refused = problems(gpio=GPIO, output=[{**LED, "drops": "row", "opens_s": 1, "release_s": 5}])
    assert refused == {
        "output[0].drops (lamp)": 'belongs to an output of kind "contactor" or "health" only',
        "output[0].opens_s (lamp)": 'belongs to an output of kind "contactor" only',
        "output[0].release_s (lamp)": 'belongs to an output of kind "health" only',
    }


def test_completed_turns_light_it_and_a_stalled_process_leaves_it(
    installed: dict[str, str],
) -> None:
    async def story(_: Bench) -> None:
        board = Board()
        board.present = Condition.LATCHED
        contactor, driver = build(depot(output=[OUTPUTS[0], LED]), board, write=True)[1:]
        async with Running(contactor, driver):  # the first of them takes part in turns
            await until(lambda: wire(21))
            await until(lambda: not wire(21))
            board.turn.stall()
            await until(lambda: not board.turn.fresh)
            was = wire(21)
            assert isinstance(driver, LedDriver)
            step = driver._step
            await until(lambda: board.clock.now_ns() // STEP_NS > (step or 0) + 2)
            assert (wire(21), driver._step) == (was, step)

    told(story)


def test_observing_lights_nothing(installed: dict[str, str]) -> None:
    (driver,) = build(depot(output=[LED]), Board(), write=False)[1:]
    assert isinstance(driver, LedDriver)
    driver.pulse()
    assert driver.health().error is None
