"""A profile as one charger of it sits in its depot: its connector's registers, powers as currents.

So that nothing else needs to know of either. The exact factor is a fraction of whole numbers.
"""

from fractions import Fraction

from controller.document.devices import Charger
from controller.units import PPM
from controller.watts import Watts
from drivers.chargerparts import MW_PER_W, InWatts
from drivers.chargerprofile import ChargerProfile
from drivers.connectors import at_connector
from drivers.register import Duty, Power, Register

MV_PER_V = 1_000
CURRENTS = ("current_l1", "current_l2", "current_l3")


def seated(profile: ChargerProfile, charger: Charger | None = None) -> ChargerProfile:
    """As the charger's entry says; without one at 400 V, on three phases, its first connector."""
    profile = at_connector(profile, 1 if charger is None else charger.connector)
    if profile.watts is None:
        return of_percent(_bounded(profile, charger))
    facts = profile.facts
    assert facts.watts is not None
    watts = None if charger is None else charger.watts
    return _in_amperes(profile, profile.watts, Watts.of(facts.watts) if watts is None else watts)


def _bounded(profile: ChargerProfile, charger: Charger | None) -> ChargerProfile:
    """With its site's maximum where the profile knows none, and what is read may stand for it."""
    setpoint = profile.setpoint
    if charger is None or setpoint.max_ma is not None or setpoint.zero_stops:
        return profile  # one for all chargers of a kind
    bounded = setpoint.model_copy(update={"max_ma": charger.max_ma})
    return profile.model_copy(update={"setpoint": bounded})


def _in_amperes(profile: ChargerProfile, how: InWatts, watts: Watts) -> ChargerProfile:
    watchdog, setpoint = profile.watchdog, profile.setpoint
    registers = dict(profile.registers)
    for name in (
        *setpoint.register_names,
        *setpoint.applied_names,
        *watchdog.fallback_names,
        *watchdog.fallback_set_names,
    ):
        registers[name] = _power(profile.registers[name], watts, told=watts)
    if how.power is not None:
        assert watts.measured_ppm is not None
        drawn = _power(profile.registers[how.power], watts, Fraction(PPM, watts.measured_ppm))
        registers |= dict.fromkeys(CURRENTS, drawn)
    facts = watts.in_amperes(profile.facts)
    bounds = {"min_ma": facts.min_ma, "max_ma": facts.max_ma, "step_ma": facts.step_ma}
    updated = {"registers": registers, "setpoint": setpoint.model_copy(update=bounds)}
    return profile.model_copy(update=updated)


def of_percent(profile: ChargerProfile) -> ChargerProfile:
    """A setpoint in % as one in A."""
    setpoint, registers = profile.setpoint, dict(profile.registers)
    names = {*setpoint.register_names, *setpoint.applied_names}
    told = [name for name in names if registers[name].unit == "%"]
    if not told:
        return profile  # one for all chargers of a kind
    for name in told:
        register = registers[name]
        known = {key: getattr(register, key) for key in Register.model_fields} | {"unit": "A"}
        if setpoint.duty:
            registers[name] = Duty.model_construct(**known)
        elif setpoint.percent_of_ma is not None:
            known["scale"] = register.scale * setpoint.percent_of_ma / (100 * 1000)
            registers[name] = Register.model_construct(**known)
    return profile.model_copy(update={"registers": registers})


def _power(
    register: Register, watts: Watts, more: Fraction = Fraction(1), told: Watts | None = None
) -> Power:
    """A register in W as one in A, at nominal voltage."""
    known = {name: getattr(register, name) for name in Register.model_fields}
    amperes_per_watt = Fraction(MV_PER_V, watts.mv) * more
    known |= {"unit": "A", "scale": register.scale * amperes_per_watt}
    raw_mw = register.scale * MW_PER_W
    pause = 0 if told is None else int(told.pause_mw / raw_mw)
    return Power.model_construct(**known, pause=pause, raw_mw=raw_mw, told=told)


def written_w(profile: ChargerProfile, ma: int) -> int:
    """The power that is written for a current; of a seated profile."""
    register = profile.registers[profile.setpoint.register_name]
    assert isinstance(register, Power) and register.told is not None
    return register.told.told_mw(ma) // MW_PER_W
