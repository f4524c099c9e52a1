"""Export is headroom only where it is credited, and only its active part is."""

from dataclasses import replace
from typing import Any

import pytest

from controller.tables import Wiring
from drivers.library import library
from drivers.meter import needed, signed_ma
from drivers.meterprofile import MeterProfile
from drivers.reader import Sample
from tests.documents import SHELF, Shelf, circuit, document, problems
from tests.oracle.site import Circuit, flat
from tests.test_bounds import THREE, Depot, charger

EM24 = library().meter_profile("carlo_gavazzi_em24_ethernet")
OWN = EM24.model_copy(update={"current_sign": "own"})
BARE = OWN.model_copy(
    update={"registers": {k: v for k, v in OWN.registers.items() if not k.startswith("power_l")}}
)


def read(profile: MeterProfile, amps: float, watts: float | None, volts: float = 230) -> Sample:
    power = None if watts is None else round(watts * 1000)
    values: dict[str, Any] = {"current_l1": round(amps * 1000), "voltage_l1": round(volts * 1000)}
    return Sample(0, values | {"power_l1": power})


def on_the_circuit(profile: MeterProfile, sample: Sample, reversed_ct: bool) -> int | None:
    """What the image makes of what the driver posts."""
    shown = signed_ma(profile, sample, 1, reversed_ct=reversed_ct)
    if shown is None:
        return None
    return Wiring(THREE, 1_000_000, reversed_ct).to_grid((shown, 0, 0))[0]


CASES = [
    # amps, watts, volts, on the circuit
    (10, 2300, 230, 10_000),  # import
    (10, 1150, 230, 10_000),  # import at half the power factor: all of it flows
    (10, 0, 230, 10_000),  # nothing but reactive: all of it flows, and none of it is fed in
    (10, -2300, 230, -10_000),  # fed in, all active
    (10, -1150, 230, -5_000),  # only the active half
    (10, -1, 230, -4),  # a reactive current beside a watt
    (10, -2500, 230, -10_000),  # a power that the current does not carry gives no more
    (10, -2300, 0, None),  # no voltage, no active part
]


@pytest.mark.parametrize("reversed_ct", [False, True])
@pytest.mark.parametrize(("amps", "watts", "volts", "ma"), CASES)
def test_only_the_active_part_of_an_export_counts(
    amps: float, watts: float, volts: float, ma: int | None, reversed_ct: bool
) -> None:
    """However the CT is turned: a turned one shows the power turned, too."""
    shown = -watts if reversed_ct else watts
    assert on_the_circuit(EM24, read(EM24, amps, shown, volts), reversed_ct) == ma


@pytest.mark.parametrize("reversed_ct", [False, True])
def test_a_meter_that_signs_its_currents_is_held_to_its_power_too(reversed_ct: bool) -> None:
    turned = -1 if reversed_ct else 1
    for amps, watts, ma in ((10, 2300, 10_000), (-10, -1150, -5_000), (10, -1150, -5_000)):
        sample = read(OWN, turned * amps, turned * watts)
        assert on_the_circuit(OWN, sample, reversed_ct) == ma
    assert on_the_circuit(OWN, read(OWN, -10, None), reversed_ct) is None


def test_without_a_power_of_each_phase_nothing_may_be_credited() -> None:
    assert EM24.facts.active_export and OWN.facts.active_export
    assert not BARE.facts.active_export
    bare = OWN.model_copy(update={"registers": BARE.registers})  # of one that was asked before
    assert not bare.facts.active_export
    assert needed(BARE) == ("current_l1", "current_l2", "current_l3")
    assert "power_l2" in needed(OWN)
    assert signed_ma(BARE, read(BARE, -10, None), 1) == -10_000  # as it says: for plausibility


def test_a_document_that_credits_it_all_the_same_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Shelf.meter
    rows = [circuit("grid", credit_export=True), circuit("row", parent="grid")]
    assert problems(circuit=rows) == {}
    monkeypatch.setattr(
        Shelf, "meter", lambda self, name: replace(real(self, name), active_export=False)
    )
    said = problems(circuit=rows)
    assert list(said) == ["circuit[0].credit_export (grid)"]
    assert "only the active part" in next(iter(said.values()))
    assert (
        problems(circuit=[circuit("grid"), circuit("row", parent="grid", credit_export=True)]) == {}
    )
    assert document()["meter"] and SHELF is not None


@pytest.mark.parametrize(("credited", "each"), [(False, 20_000), (True, 30_000)])
def test_export_is_headroom_only_where_the_circuit_says_so(credited: bool, each: int) -> None:
    one = Depot(Circuit(-1, flat(40_000), flat(0), credit_export=credited), charger(), charger())
    one.live(60, flat(-20_000))
    assert one.orders() == [each] * 2
    one.live(1, flat(0))
    assert max(one.load(flat(0))) <= 40_000
