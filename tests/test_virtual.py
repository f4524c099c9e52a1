"""The enforcer in virtual time polls, writes, refreshes and gives up as the real one does."""

from typing import Any

import pytest

from cext.errands import Agenda
from cext.plant import Car, Plant
from cext.rows import Vehicle
from controller.hardware import build_plant, hardware
from controller.plant import EARLY_NS, EXCHANGE_NS, VirtualEnforcer, at_terminals
from controller.site import Site, parse
from controller.tables import Tables
from hil.profiles import StoryProfiles

S = 1_000_000_000
MS = 1_000_000
CAR = Car(max_ma=32_000, phases=3, reaction_ns=S, energy_wh=60_000, taper_wh=0)


def site(meter: dict[str, Any] | None = None, **charger: Any) -> Site:
    usual = {
        "id": "bay-{n}",
        "count": 2,
        "circuit": "grid",
        "profile": "alfen_eve",
        "bus": "tcp://192.0.2.{n}:502",
        "max_a": 32,
        "fallback_a": 6,
        "fallback_delay_s": 9,
        "poll_s": 0.5,
        "settle_s": 2,
    }
    usual_meter = {
        "id": "meter",
        "circuit": "grid",
        "profile": "carlo_gavazzi_em24_ethernet",
        "bus": "tcp://192.0.2.99:502",
        "poll_s": 0.2,
    }
    document = {
        "schema": 1,
        "site": {"id": "virtual"},
        "control": {"dwell_s": 2, "calm_s": 5},
        "circuit": [{"id": "grid", "rating_a": 80, "worst_base_a": 20}],
        "meter": [usual_meter | (meter or {})],
        "charger": [usual | charger],
    }
    return parse(document, StoryProfiles())


def begin(of: Site, silent: set[str] | None = None) -> tuple[Plant, VirtualEnforcer]:
    plant = build_plant(of, seed=1)
    plant.advance(0)
    for index in range(len(of.chargers)):
        plant.plug(index, CAR)
    return plant, VirtualEnforcer(of, plant, 0, set() if silent is None else silent)


def test_the_hardware_is_as_documented_and_unknown_is_the_worst() -> None:
    assert hardware(site())[1][:6] == (0, (0, 1, 2), 32_000, 6_000, 6_000, 9 * S)
    (row, _) = hardware(site(fallback_a=10, power_on_a=20, phases="L2 L3"))
    assert row[1:5] == ((1, 2, -1), 32_000, 20_000, 10_000)
    unknown = hardware(site(profile="unmetered"))[0]
    assert (unknown.power_on_ma, unknown.fallback_ma) == (32_000, 6_000)


def test_the_agenda_keeps_time_and_order() -> None:
    done: list[Any] = []
    agenda = Agenda(done.append)
    agenda.at(20, lambda: agenda.at(20, lambda: done.append("c")))
    agenda.at(10, lambda: done.append("a"))
    agenda.at(10, lambda: done.append("b"))
    agenda.run_until(15)
    assert done == [10, "a", 10, "b", 15]
    agenda.run_until(20)
    assert done[5:] == [20, 20, "c", 20]


def test_the_loop_is_closed() -> None:
    plant, enforcer = begin(site())
    plant.set_base(0, (20_000, 20_000, 20_000))
    enforcer.run_until(60 * S)
    assert 60_000 < plant.load(0)[0] <= 80_000
    assert plant.over(0).worst_ma == 0
    assert enforcer.kernel.charger(0).vehicle is Vehicle.C
    assert enforcer.kernel.circuit(0).reading_ma == plant.load(0)


def test_the_kernel_ticks_on_its_period_and_early_at_readings() -> None:
    _, enforcer = begin(site())
    enforcer.run_until(S)
    before = enforcer.kernel.ticks
    enforcer.run_until(11 * S)
    assert enforcer.kernel.ticks - before == 10 * (10 + 5)


def test_readings_that_come_together_share_an_early_tick() -> None:
    _, enforcer = begin(site())
    enforcer.run_until(S + 50 * MS)
    seen = []
    for ms in range(50, 60, 2):  # a reading each 2 ms
        enforcer.tick_early()
        enforcer.tick_early()
        enforcer.run_until(S + ms * MS)
        seen.append(enforcer.kernel.now_ns // MS - 1000)
    assert seen == [50, 50, 50, 55, 55]
    assert EARLY_NS == 5 * MS


def test_a_setpoint_is_written_once_and_then_refreshed() -> None:
    plant, enforcer = begin(site(fallback_delay_s=9))
    enforcer.run_until(60 * S)
    before = enforcer.setpoint_writes
    lowest_s = 9.0
    for tenth in range(601, 900):
        enforcer.run_until(tenth * S // 10)
        lowest_s = min(lowest_s, plant.charger(0).valid_ns / S)
    assert lowest_s >= 5  # a third of its watchdog, one poll and an exchange
    assert 16 <= enforcer.setpoint_writes - before <= 22  # two chargers, each 3 to 3.5 s


def test_a_silent_charger_falls_back_and_is_written_when_it_is_back() -> None:
    silent: set[str] = set()
    plant, enforcer = begin(site(), silent)
    enforcer.run_until(40 * S)
    assert plant.charger(0).offered_ma > 20_000
    silent.add("bay-1")
    enforcer.run_until(50 * S)
    assert plant.charger(0).offered_ma == 6_000
    assert not enforcer.kernel.charger(0).fresh
    silent.discard("bay-1")
    enforcer.run_until(80 * S)
    assert plant.charger(0).offered_ma > 20_000


def test_a_silent_meter_is_not_read() -> None:
    silent: set[str] = set()
    _, enforcer = begin(site(), silent)
    enforcer.run_until(10 * S)
    seen = enforcer.kernel.circuit(0).reading_at_ns
    silent.add("meter")
    enforcer.run_until(20 * S)
    state = enforcer.kernel.circuit(0)
    assert (state.reading_ma, state.reading_at_ns - seen) == (None, 0)


def test_a_rebooted_charger_is_caught_at_the_next_poll() -> None:
    plant, enforcer = begin(site())
    enforcer.run_until(40 * S)
    ordered = plant.charger(0).offered_ma
    plant.power_cycle(0)
    enforcer.run_until(41 * S)
    assert plant.charger(0).valid_ns > 0
    assert plant.charger(0).offered_ma <= ordered
    enforcer.run_until(60 * S)
    assert plant.charger(0).offered_ma > 20_000


def test_an_expired_order_is_never_written() -> None:
    plant, enforcer = begin(site())
    enforcer.run_until(40 * S)
    asked = enforcer.image.order("bay-1")
    assert asked is not None
    enforcer.clock.at_ns = asked.expires_ns
    assert enforcer.image.order("bay-1") is None
    enforcer.clock.at_ns = asked.expires_ns - 1
    assert enforcer.image.order("bay-1") is not None
    assert plant.charger(0).offered_ma == asked.ma


def test_a_report_under_way_during_a_write_does_not_confirm_it() -> None:
    """The kernel hears of the write only with a report that was asked for afterwards."""
    reported: list[tuple[int, int]] = []
    _, enforcer = begin(site())
    post = enforcer.image.post_charger

    def listen(charger: str, report: Any) -> None:
        if charger == "bay-1":
            reported.append((report.at_ns, report.written_tick))
        post(charger, report)

    enforcer.image.post_charger = listen  # type: ignore[method-assign]
    writes: list[tuple[int, int]] = []
    ticks = 0
    for ms in range(1, 20_000, 5):
        enforcer.run_until(ms * MS)
        tick = enforcer.kernel.output(0).changed_tick
        if tick != ticks:
            ticks = tick
            writes.append((enforcer.clock.at_ns, tick))
    assert writes
    for at_ns, tick in reported:
        decided = [at for at, changed in writes if changed == tick]
        assert not decided or at_ns >= decided[0] + EXCHANGE_NS


@pytest.mark.parametrize(
    "ct",
    [
        {"ratio": 1},
        {"ratio": 40, "reversed": True},
        {"ratio": 0.5, "phases": "L3 L1 L2"},
    ],
)
def test_a_meter_shows_what_the_image_turns_back(ct: dict[str, Any]) -> None:
    of = site(meter={"ct": ct})
    wiring = Tables.of(of).source_wiring[0]
    grid = (40_000, -80_000, 120_000)
    assert wiring.to_grid(at_terminals(of.meters[0], grid)) == grid
