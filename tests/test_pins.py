"""What is on the gateway's pins, on gpiozero's mock factory: contactors, the relay, contacts."""

import asyncio
import re

import pytest
from gpiozero import PinEdgeDetectUnsupported
from gpiozero.pins.mock import MockFactory, MockPin

from controller.document.gpio import Contactor, HealthRelay
from controller.units import NS_PER_S
from drivers.contact import Contact
from drivers.device import PinError
from drivers.pins import Pins, pins_of
from drivers.relay import HealthRelayDriver
from tests.patience import until
from tests.pinned import MIRROR, MS, PLAIN, ROW, Bench, Running, installed, told

__all__ = ["installed"]


# --- the factory -------------------------------------------------------------------------------


def refused(factory: str) -> str:
    with pytest.raises(PinError) as caught:
        pins_of(factory)
    return str(caught.value)


def test_the_factory_is_the_named_one_and_always_the_same(installed: dict[str, str]) -> None:
    assert pins_of("mock") is pins_of("mock")


def test_an_unknown_factory_is_told_with_those_that_are_installed(
    installed: dict[str, str],
) -> None:
    installed["lgpio"] = "nowhere:Factory"
    message = refused("lgpoi")
    assert message == (
        'gpio.factory "lgpoi": there is no such pin factory; installed are lgpio, mock'
    )


def test_a_factory_that_cannot_be_loaded_or_started_is_told(installed: dict[str, str]) -> None:
    installed |= {
        "absent": "no_such_library:Factory",
        "broken": f"{__name__}:Broken",
        "lgpio": "gpiozero.pins.lgpio:LGPIOFactory",
    }
    assert "No module named 'no_such_library'" in refused("absent")
    assert re.search(r'"broken": cannot be used here.*no board revision', refused("broken"))
    assert "lgpio" in refused("lgpio")  # not installed, or no Raspberry Pi


class Broken:
    """A factory whose errors derive from nothing but Exception, as lgpio's do."""

    class Error(Exception):
        pass

    def __init__(self) -> None:
        raise self.Error("no board revision")


# --- pins --------------------------------------------------------------------------------------


def test_a_pin_that_the_board_does_not_have_is_told_with_its_owner() -> None:
    with pytest.raises(PinError, match=r"^far \(GPIO99\): cannot be had: .*99"):
        Pins(MockFactory()).output("far", 99, rest=False)


def test_a_pin_cannot_be_driven_and_read_at_once() -> None:
    pins = Pins(MockFactory())
    pins.input("dim", 17)
    with pytest.raises(PinError, match=r"^row \(GPIO17\): is in use as one that is read"):
        pins.output("row", 17, rest=False)


@pytest.mark.parametrize("rest", [False, True])
def test_an_output_begins_and_ends_at_rest(rest: bool) -> None:
    factory = MockFactory()
    pin = Pins(factory).output("row", 17, rest)
    line = factory.pin(17)
    assert (line.function, line.state) == ("output", rest)
    pin.write(not rest)
    assert line.state == (not rest)
    line.clear_states()
    pin.close()
    pin.close()
    assert [bool(each.state) for each in line.states][1] == rest
    assert line.function == "input"


def test_who_takes_over_before_the_other_ends_keeps_the_level() -> None:
    factory = MockFactory()
    pins = Pins(factory)
    old = pins.output("row", 17, rest=False)
    old.write(True)
    new = pins.output("row", 17, rest=False)
    old.close()
    assert (factory.pin(17).function, factory.pin(17).state) == ("output", True)
    old.write(False)  # has let go
    assert factory.pin(17).state
    new.close()
    assert factory.pin(17).function == "input"


def test_a_pin_that_fails_is_told_each_time() -> None:
    factory = MockFactory()
    pins = Pins(factory)
    pin, contact = pins.output("row", 17, rest=False), pins.input("dim", 23)
    factory.pin(17).function = "input"  # somebody else took it
    with pytest.raises(PinError, match=r"^row \(GPIO17\): cannot be driven: cannot set state"):
        pin.write(True)
    contact.close()
    with pytest.raises(PinError, match="is closed"):
        contact.high()


# --- contactors --------------------------------------------------------------------------------


@pytest.mark.parametrize(("active_high", "energised"), [(1, 1), (0, 1), (1, 0), (0, 0)])
def test_a_contactor_follows_its_live_order_and_is_open_without(
    active_high: int, energised: int
) -> None:
    async def story(bench: Bench) -> None:
        row = Contactor("row", "", 17, bool(active_high), bool(energised), "row", ROW, None, 1)
        driver = bench.contactor(row)
        closed = not row.open_high
        assert bench.level(17) == row.open_high
        async with Running(driver):
            await until(lambda: driver.health().online)
            assert bench.level(17) == row.open_high  # nothing was decided yet
            bench.board.switch("row", closed=True, lasts_s=0.3)
            await until(lambda: bench.level(17) == closed)
            await until(lambda: bench.level(17) == row.open_high)  # its order has expired
            bench.board.switch("row", closed=True)
            await until(lambda: bench.level(17) == closed)
            bench.board.switch("row", closed=False)
            await until(lambda: bench.level(17) == row.open_high)
            bench.board.switch("row", closed=True)
            await until(lambda: bench.level(17) == closed)
        assert not bench.driven(17)

    told(story)


def test_observing_drives_no_pin_and_reads_contacts_all_the_same() -> None:
    async def story(bench: Bench) -> None:
        row = Contactor("row", "", 17, True, True, "row", ROW, MIRROR, 1)
        driver = bench.contactor(row, write=False)
        relay = HealthRelayDriver(
            HealthRelay("health", "", 22, "row", ROW, NS_PER_S), None, bench.board.clock
        )
        bench.board.switch("row", closed=True)
        async with Running(driver, relay):
            relay.pulse()
            bench.ground(27, connected=True)
            await until(lambda: ("row", False) in [(c[0], c[2]) for c in bench.board.contacts])
        assert not bench.driven(17)
        assert not bench.driven(22)
        assert relay.health().error == "no pulses: row is dropped while nothing may be driven"

    told(story)


def test_an_auxiliary_contact_is_told_again_and_again_with_its_time() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.contactor(Contactor("row", "", 17, True, True, "row", ROW, MIRROR, 1))
        begin_ns = bench.board.clock.now_ns()
        bench.ground(27, connected=True)  # the mirror contact: closed while it is open
        async with Running(driver):
            await until(lambda: len(bench.board.contacts) >= 3)
            assert {closed for _, _, closed in bench.board.contacts} == {False}
            times = [at_ns for _, at_ns, _ in bench.board.contacts]
            assert times == sorted(times)
            assert times[0] >= begin_ns + 20 * MS  # not before it was still for so long
            bench.ground(27, connected=False)
            await until(lambda: bench.board.contacts[-1][2])

    told(story)


def test_a_contactor_that_does_not_as_ordered_is_remarked() -> None:
    async def story(bench: Bench) -> None:
        row = Contactor("row", "", 17, True, True, "row", ROW, MIRROR, 50 * MS)
        driver = bench.contactor(row)
        bench.ground(27, connected=False)  # welded: says closed, ordered open
        async with Running(driver):
            await until(lambda: "welded" in (driver.health().error or ""))
            assert driver.health().online
            bench.board.switch("row", closed=True)
            await until(lambda: driver.health().error is None)
            bench.ground(27, connected=True)
            await until(lambda: "no coil voltage" in (driver.health().error or ""))

    told(story)


def test_a_pin_that_fails_makes_its_driver_offline_and_mends() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.contactor(PLAIN)
        async with Running(driver):
            await until(lambda: driver.health().online)
            bench.factory.pin(17).function = "input"
            await until(lambda: not driver.health().online)
            assert "row (GPIO17): cannot be driven" in str(driver.health().error)
            bench.factory.pin(17).function = "output"
            await until(lambda: driver.health().online)

    told(story)


# --- contacts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("active_open", [True, False])
def test_a_contact_that_asks_to_dim_is_told_while_it_is_still(active_open: bool) -> None:
    async def story(bench: Bench) -> None:
        driver = bench.dim(active_open)
        bench.ground(23, connected=True)
        async with Running(driver):
            await until(lambda: len(bench.board.inputs) >= 3)
            asked = {(name, limit_ma) for name, _, limit_ma in bench.board.inputs}
            assert asked == {("dim", None if active_open else (16_000,) * 3)}
            bench.ground(23, connected=False)  # it opens, or its wire breaks
            await until(lambda: (bench.board.inputs[-1][2] is not None) == active_open)
            assert driver.health().online
            last_ns = max((at for _, at, active in bench.board.inputs if active), default=0)
            bench.ground(23, connected=True)
            await until(lambda: (bench.board.inputs[-1][2] is not None) != active_open)
            dims = [at for _, at, active in bench.board.inputs if active]
            if active_open:  # lifted only after it was at rest for a second
                assert dims[-1] - last_ns >= 900 * MS

    told(story)


def test_a_contact_that_bounces_is_not_believed() -> None:
    async def story(bench: Bench) -> None:
        driver = bench.dim(debounce_ns=NS_PER_S)
        async with Running(driver):
            for _ in range(40):
                bench.ground(23, connected=True)
                bench.ground(23, connected=False)
                await asyncio.sleep(0.01)
        assert not bench.board.inputs

    told(story)


def test_an_edge_between_two_looks_starts_the_wait_anew() -> None:
    async def story(bench: Bench) -> None:
        contact = Contact(bench.pins.input("dim", 23), 50 * MS)
        rung: list[int] = []
        contact.watch(lambda: rung.append(1))
        assert contact.look(0) is None
        assert contact.look(50 * MS) is True
        bench.ground(23, connected=True)
        bench.ground(23, connected=False)  # the same level again, but it moved
        await until(lambda: rung)
        assert contact.look(60 * MS) is None
        assert contact.look(109 * MS) is None
        assert contact.look(110 * MS) is True
        await until(lambda: len(rung) >= 2)  # rung again when it can be believed
        contact.close()

    told(story)


def test_where_no_edges_are_told_a_contact_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deaf(self: object) -> None:
        raise PinEdgeDetectUnsupported("no edges here")

    async def story(bench: Bench) -> None:
        driver = bench.dim()
        bench.ground(23, connected=True)
        async with Running(driver):
            await until(lambda: bench.board.inputs and bench.board.inputs[-1][2] is None)
            bench.ground(23, connected=False)
            await until(lambda: bench.board.inputs[-1][2])
            assert "does not tell its edges: no edges here" in str(driver.health().error)
            assert driver.health().online

    monkeypatch.setattr(MockPin, "_enable_event_detect", deaf)
    told(story)


def test_a_contact_that_cannot_be_read_renews_nothing_and_is_waited_for_afterwards() -> None:
    async def story(bench: Bench) -> None:
        class Torn:
            fails = False

            def high(self) -> bool:
                if self.fails:
                    raise PinError("cannot be read", line="dim (GPIO23)")
                return True

        torn = Torn()
        contact = Contact(torn, 50 * MS)  # type: ignore[arg-type]
        assert [contact.look(0), contact.look(50 * MS)] == [None, True]
        torn.fails = True
        with pytest.raises(PinError):
            contact.look(60 * MS)
        torn.fails = False
        assert [contact.look(70 * MS), contact.look(120 * MS)] == [None, True]

    told(story)


# --- the health relay --------------------------------------------------------------------------


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at_ns = NS_PER_S

    def now_ns(self) -> int:
        return self.at_ns


def test_each_completed_turn_toggles_the_pin_and_nothing_else_does() -> None:
    bench, clock = Bench(), Hand()
    row = HealthRelay("health", "", 22, "row", ROW, 5 * NS_PER_S)
    driver = HealthRelayDriver(row, bench.pins.output("health", 22, rest=False), clock)
    assert (driver.health().online, driver.health().error) == (False, "no pulse yet")
    levels = []
    for _ in range(6):
        driver.pulse()
        levels.append(bench.level(22))
        clock.at_ns += 100 * MS
    assert levels == [True, False] * 3
    assert driver.health().online
    driver.pulse()
    clock.at_ns += 10 * MS  # closer than a relay needs its pulses
    driver.pulse()
    assert bench.level(22)
    clock.at_ns += 5 * NS_PER_S  # the process stands still: so does the pin
    assert bench.level(22)
    assert (driver.health().online, driver.health().error) == (
        False,
        "no pulse for 5 s: row is dropped",
    )
    driver.pulse()
    assert driver.health().online


def test_a_relay_pin_that_fails_never_breaks_the_turn() -> None:
    bench, clock = Bench(), Hand()
    row = HealthRelay("health", "", 22, "row", ROW, 5 * NS_PER_S)
    driver = HealthRelayDriver(row, bench.pins.output("health", 22, rest=False), clock)
    bench.factory.pin(22).function = "input"
    driver.pulse()
    assert "health (GPIO22): cannot be driven" in str(driver.health().error)
    assert not driver.health().online
