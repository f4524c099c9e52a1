"""How chargers' profiles say what is written for an order, and what it means that is read."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from cext.rows import Vehicle
from controller.units import NS_PER_S
from drivers.arming import wants_of
from drivers.chargerprofile import ChargerProfile
from drivers.decode import Value, decode
from drivers.library import parse
from drivers.reader import Sample
from drivers.report import (
    force_registers,
    in_force_ma,
    proven,
    remark,
    time_set_ns,
    told_fallback_ma,
    vehicle,
)
from drivers.setpoint import as_written_ma, writes_of
from drivers.watts import seated
from tests.driven import charger
from tests.test_profiles import said

PLAIN: dict[str, Any] = {
    "schema": 1,
    "kind": "charger",
    "vendor": "Nobody",
    "model": "None",
    "transports": ["tcp"],
    "error_a": 0.3,
    "lag_s": 1,
    "tolerance_pct": 3,
    "standby_a": 0.1,
    "settle_s": 6,
    "sources": ["this test"],
    "confidence": "assumed",
    "block": [
        {"fc": 3, "start": 0, "count": 20},
        {"fc": 1, "start": 400, "count": 1},
    ],
    "registers": {
        "state": {"addr": 0, "type": "uint16", "mask": 0x7F00},
        "cable": {"addr": 1, "type": "uint16"},
        "runs": {"addr": 2, "type": "uint16"},
        "setpoint": {"addr": 3, "type": "uint16", "unit": "A"},
        "setpoint_l2": {"addr": 4, "type": "uint16", "unit": "A"},
        "setpoint_l3": {"addr": 5, "type": "uint16", "unit": "A"},
        "percent": {"addr": 6, "type": "uint16", "unit": "%"},
        "enable": {"addr": 7, "type": "uint16"},
        "coil": {"addr": 400, "fc": 1, "type": "bool"},
        "timeout": {"addr": 8, "type": "uint16", "unit": "s"},
        "fallback": {"addr": 9, "type": "uint16", "unit": "A"},
        "life": {"addr": 10, "type": "uint16"},
        "granted": {"addr": 11, "type": "uint16", "unit": "A"},
        "command": {"addr": 900, "type": "uint16", "write_only": True},
    },
    "setpoint": {
        "register": "setpoint",
        "fc": 6,
        "applied": "setpoint",
        "min_a": 6,
        "max_a": 32,
        "step_a": 1,
    },
    "status": {"register": "state", "iec": {"0": "A", "1": "B", "2": "B", "4": "C"}},
    "watchdog": {"kind": "none"},
}
SHOWN: dict[str, Value] = {
    **{"state": 2, "cable": 1, "runs": 0, "setpoint": 10_000, "setpoint_l2": 10_000},
    **{"setpoint_l3": 10_000, "percent": 50_000, "enable": 1, "coil": 1, "timeout": 20_000},
    **{"fallback": 6_000, "life": 1, "granted": 9_000},
}


def merged(changes: dict[str, Any]) -> dict[str, Any]:
    data = deepcopy(PLAIN)
    for section, fields in changes.items():
        data[section] = data.get(section, {}) | fields
    return data


def made(**changes: dict[str, Any]) -> ChargerProfile:
    profile = parse(merged(changes), "it")
    assert isinstance(profile, ChargerProfile)
    return seated(profile)


def armed_by_a_setting(**watchdog: Any) -> ChargerProfile:
    """By its register enable, which must be 1."""
    setting = {"register": "enable", "fc": 6, "value": 1, "wrong": "its watchdog is not armed"}
    profile = parse(merged({"watchdog": watchdog}) | {"setting": [setting]}, "it")
    assert isinstance(profile, ChargerProfile)
    return seated(profile)


def told(
    profile: ChargerProfile, ma: int, *, enabled: bool = False
) -> list[tuple[int, int, tuple[int, ...]]]:
    writes = writes_of("bay", 1, profile, ma, enabled=enabled)
    return [(each.fc, each.address, each.words) for each in writes]


def sample(**shown: Value) -> Sample:
    return Sample(0, {**SHOWN, **shown})


# What is written.


def test_a_plain_one_is_told_its_current_and_0() -> None:
    assert told(made(), 16_000) == [(6, 3, (16,))]
    assert told(made(), 16_999) == [(6, 3, (16,))]
    assert told(made(), 0) == [(6, 3, (0,))]


def test_each_phase_has_its_register() -> None:
    names = ["setpoint", "setpoint_l2", "setpoint_l3"]
    profile = made(setpoint={"register": names, "applied": names})
    assert told(profile, 13_000) == [(6, 3, (13,)), (6, 4, (13,)), (6, 5, (13,))]
    assert told(profile, 0) == [(6, 3, (0,)), (6, 4, (0,)), (6, 5, (0,))]
    assert in_force_ma(profile, sample(setpoint_l3=16_000)) == 16_000
    assert in_force_ma(profile, sample(setpoint_l2=None)) is None
    assert as_written_ma(profile, 13_500) == 13_000


LIFE = {"kind": "life_bit", "timeout_s": 20, "feed": "life", "feed_value": 1}
COIL = {"register": "coil", "fc": 5, "on": 1, "off": 0}


def test_a_coil_lets_it_charge_after_it_was_told_how_much_and_stops_it_first() -> None:
    profile = made(setpoint={"zero": "refused"}, enable=COIL)
    assert told(profile, 13_000) == [(6, 3, (13,)), (5, 400, (1,))]
    assert told(profile, 13_000, enabled=True) == [(6, 3, (13,))]
    assert told(profile, 0, enabled=True) == [(5, 400, (0,))]
    assert told(profile, 5_000) == [(5, 400, (0,))]  # less than it can be told: a pause
    assert as_written_ma(profile, 0) == 0


def test_where_a_coil_stops_it_what_it_was_told_is_not_in_force() -> None:
    profile = made(setpoint={"zero": "ignored"}, enable=COIL)
    assert in_force_ma(profile, sample()) == 10_000
    assert in_force_ma(profile, sample(coil=0)) == 0
    assert "coil" in profile.reported


def test_a_flag_that_pauses_is_the_other_way_round() -> None:
    enable = {"register": "enable", "fc": 16, "on": 0, "off": 1}
    profile = made(setpoint={"zero": "ignored"}, enable=enable)
    assert told(profile, 8_000) == [(6, 3, (8,)), (16, 7, (0,))]
    assert told(profile, 0) == [(16, 7, (1,))]
    assert in_force_ma(profile, sample(enable=1)) == 0


def test_what_a_command_says_is_no_state() -> None:
    enable = {"register": "command", "fc": 6, "on": 5, "off": 4, "command": True}
    profile = made(setpoint={"zero": "refused", "applied": "granted"}, enable=enable)
    assert told(profile, 0) == [(6, 900, (4,))]
    assert in_force_ma(profile, sample()) == 9_000
    problem = said(merged({"setpoint": {"zero": "refused"}, "enable": enable}))
    assert "setpoint.applied must tell what is applied" in problem


def test_a_special_value_pauses_where_0_does_not() -> None:
    changes = {"zero": "unlimited", "off": 1, "unlimited": [0]}
    profile = made(setpoint=changes)
    assert told(profile, 0) == [(6, 3, (1,))]
    assert as_written_ma(profile, 0) == 0
    assert in_force_ma(profile, sample(setpoint=1_000)) == 0
    assert in_force_ma(profile, sample(setpoint=0)) == 32_000  # after its reboot: anything
    assert "must have 0 in it" in said(merged({"setpoint": changes | {"unlimited": [9]}}))
    without = {key: each for key, each in PLAIN["setpoint"].items() if key != "max_a"}
    assert "needs max_a" in said(PLAIN | {"setpoint": without | changes})


def test_a_percentage_of_a_stated_current() -> None:
    percent = {"register": "percent", "applied": "percent", "percent_of_a": 32, "step_a": 0.32}
    profile = made(setpoint=percent)
    assert told(profile, 16_000) == [(6, 6, (50,))]
    assert told(profile, 16_300) == [(6, 6, (50,))]
    assert decode(profile.registers["percent"], (50,)) == 16_000
    assert profile.facts.writable_ma == 32_000
    assert "no whole number of" in said(merged({"setpoint": percent | {"step_a": 0.5}}))
    assert "needs percent in A, not %" in said(
        merged({"setpoint": {"register": "percent", "applied": "percent"}})
    )


def test_a_duty_cycle() -> None:
    percent = {"register": "percent", "applied": "percent", "duty": True, "step_a": 0.6}
    profile = made(setpoint=percent)
    assert told(profile, 6_000) == [(6, 6, (10,))]
    assert told(profile, 16_000) == [(6, 6, (26,))]  # 15.6 A: never more
    assert told(profile, 0) == [(6, 6, (100,))]
    assert [decode(profile.registers["percent"], (pct,)) for pct in (10, 26, 100, 5)] == [
        *(6_000, 15_600, 0),
        80_000,  # nobody knows what is told on the other way
    ]
    for pct in (101, 255, 65535):  # no duty cycle: unknown, and not "no current"
        assert decode(profile.registers["percent"], (pct,)) is None
    assert "must be a whole number" in said(merged({"setpoint": percent}) | {"registers": coarse()})


def coarse() -> dict[str, Any]:
    registers: dict[str, Any] = deepcopy(PLAIN["registers"])
    registers["percent"]["scale"] = 6
    return registers


@pytest.mark.parametrize("zero", ["ignored", "refused", "unlimited"])
def test_one_that_0_does_not_stop_needs_something_that_does(zero: str) -> None:
    problem = said(merged({"setpoint": {"zero": zero, "unlimited": [0]}}))
    assert f"setpoint.zero: {zero}: needs an off or an [enable]" in problem


def test_one_that_0_ends_says_so() -> None:
    assert made(setpoint={"zero": "ends_session"}).facts.zero_ends_session
    assert not made(setpoint={"zero": "ends_session"}, enable=COIL).facts.zero_ends_session
    assert not made().facts.zero_ends_session


@pytest.mark.parametrize(
    ("section", "fields", "words"),
    [
        ("setpoint", {"unlimited": [0]}, "for so says zero, or has not"),
        ("setpoint", {"zero": "unlimited", "off": 0, "unlimited": [0]}, "take its limit away"),
        ("setpoint", {"unlimited": [20]}, "20 is a current, and off or unlimited, too"),
        ("setpoint", {"zero": "ignored", "off": 16}, "16 is a current"),
        ("setpoint", {"zero": "ignored", "off": -1}, "-1 cannot be written into setpoint"),
        ("setpoint", {"unlimited": [-1]}, "-1 cannot be written into setpoint"),
        ("enable", {**COIL, "on": 255}, "255 cannot be written into coil"),
        ("enable", {**COIL, "fc": 6}, "5 writes coils, and them alone"),
        ("enable", {**COIL, "register": "enable"}, "5 writes coils, and them alone"),
        ("watchdog", LIFE | {"feed_value": 70_000}, "70000 cannot be written into life"),
    ],
)
def test_what_cannot_be_told_or_would_be_misread_is_refused(
    section: str, fields: dict[str, Any], words: str
) -> None:
    assert words in said(merged({section: fields}))


@pytest.mark.parametrize("special", [{"off": 0}, {"unlimited": [100]}])
def test_a_duty_cycle_has_no_special_values(special: dict[str, Any]) -> None:
    percent = {"register": "percent", "applied": "percent", "duty": True, "step_a": 0.6}
    assert "neither off nor unlimited" in said(merged({"setpoint": percent | special}))


def test_half_a_number_or_an_input_is_never_written() -> None:
    for changed, words in (({"type": "uint32", "addr": 30}, "6 writes one word"), ({"fc": 4}, "4")):
        data = merged({})
        data["registers"]["setpoint"] |= changed
        data["block"] += [{"fc": 3, "start": 30, "count": 2}, {"fc": 4, "start": 3, "count": 1}]
        assert words in said(data)


# What is read.


def test_bits_are_a_code_and_a_second_register_tells_two_states_apart() -> None:
    cable = {"register": "cable", "values": [0]}
    runs = {"register": "runs", "values": [1, 2]}
    profile = made(status={"unplugged": cable, "charging": runs})
    assert vehicle(profile, sample()) is Vehicle.B
    assert vehicle(profile, sample(cable=0)) is Vehicle.A
    assert vehicle(profile, sample(runs=2)) is Vehicle.C
    assert vehicle(profile, sample(state=4, cable=0)) is Vehicle.C  # only B is in doubt
    assert vehicle(profile, sample(runs=None)) is Vehicle.UNKNOWN
    assert vehicle(profile, sample(state=9)) is Vehicle.UNKNOWN
    assert decode(profile.registers["state"], (0x8234,)) == 2


# Watchdogs.


def test_a_life_bit_or_a_time_may_show_that_the_watchdog_is_off() -> None:
    profile = made(watchdog={**LIFE, "feed_off": [2], "timeout": "timeout", "timeout_off": [999]})
    assert time_set_ns(profile, sample()) == 20 * 10**9
    assert time_set_ns(profile, sample(life=2)) == 0
    assert time_set_ns(profile, sample(timeout=999_000)) == 0
    assert time_set_ns(profile, sample(timeout=0)) == 0


def verdict(profile: ChargerProfile, **shown: Value) -> bool | None:
    its = charger(1, profile=profile.name, facts=profile.facts, fallback_delay_ns=20 * 10**9)
    return proven(its, profile, sample(**shown))


SHAPES: list[dict[str, Any]] = [
    {"kind": "none"},
    {"kind": "any_traffic", "timeout_s": 20},
    {"kind": "any_traffic", "timeout_s": 20, "fallback": "fallback"},
    {"kind": "any_traffic", "timeout_s": 20, "fallback": "fallback", "remaining": "timeout"},
    {"kind": "setpoint_rewrite", "timeout_s": 20, "fallback": "fallback"},
]


@pytest.mark.parametrize("watchdog", SHAPES)
@pytest.mark.parametrize("lapsed", [True, False])
def test_what_is_read_first_tells_what_is_in_force(watchdog: dict[str, Any], lapsed: bool) -> None:
    """Of any watchdog, and one that applies nothing yet counts at what it was told."""
    profile = made(setpoint={"applied": "granted"}, watchdog=watchdog)
    whole = sample(setpoint=32_000, granted=0)
    first = Sample(0, {name: whole.values[name] for name in force_registers(profile)})
    assert in_force_ma(profile, first, lapsed) == 32_000


def test_a_watchdog_that_is_armed_by_a_setting_is_not_proven_without_it() -> None:
    profile = armed_by_a_setting(**LIFE, fallback="fallback")
    assert verdict(profile, enable=1) is True
    assert verdict(profile, enable=0) is False
    assert verdict(profile, enable=None) is False  # what is unknown proves nothing


def test_a_watchdog_that_is_off_or_too_slow_is_not_proven_where_no_fallback_is_shown() -> None:
    profile = made(watchdog={**LIFE, "feed_off": [0], "timeout": "timeout"})
    assert verdict(profile) is None  # what it falls back to it does not tell
    bad: tuple[dict[str, Value], ...] = ({"life": 0}, {"timeout": 0}, {"timeout": 20_001})
    unknown: tuple[dict[str, Value], ...] = ({"life": None}, {"timeout": None})
    for shown in bad + unknown:
        assert verdict(profile, **shown) is False


def test_a_watchdog_whose_time_is_unknown_is_not_proven_by_its_fallback() -> None:
    shows = {"feed_off": [0], "timeout": "timeout", "fallback": "fallback"}
    profile = made(watchdog={**LIFE, **shows})
    assert verdict(profile) is True
    assert verdict(profile, timeout=None) is False
    assert verdict(profile, life=None) is False
    its = charger(1, profile=profile.name, facts=profile.facts)
    assert "does not tell whether its watchdog" in str(remark(its, profile, sample(life=None)))
    assert verdict(made(watchdog={**LIFE, "feed_off": [0], "fallback": "fallback"})) is True


@pytest.mark.parametrize(("reads_ms", "told"), [(10_000, True), (19_500, False), (20_000, False)])
def test_one_that_falls_back_sooner_than_declared_is_remarked_upon(
    reads_ms: int, told: bool
) -> None:
    """It is safe, and somebody has set it up otherwise. Less than a step is its rounding."""
    profile = made(watchdog={**LIFE, "timeout": "timeout", "fallback": "fallback"})
    its = charger(1, profile=profile.name, facts=profile.facts)
    its = replace(its, fallback_ma=6_000, fallback_delay_ns=20 * NS_PER_S)
    said_of_it = remark(its, profile, sample(timeout=reads_ms))
    assert said_of_it == (
        "its watchdog is set to 10 s, the site document says 20 s: it falls back sooner"
        if told
        else None
    )
    assert proven(its, profile, sample(timeout=reads_ms)) is True
    programmed = replace(its, set_delay_ns=20 * NS_PER_S)  # then it is written, and told so
    assert remark(programmed, profile, sample(timeout=reads_ms)) is None


def test_of_an_unknown_watchdog_or_an_unknown_fallback_nothing_is_promised() -> None:
    for watchdog in ({"kind": "unknown"}, {**LIFE, "fallback_unknown": True}):
        facts = made(watchdog=watchdog).facts
        assert not facts.has_fallback
    profile = made(watchdog={**LIFE, "fallback_unknown": True})
    assert in_force_ma(profile, sample(), lapsed=True, alone_ma=32_000) == 32_000
    assert in_force_ma(profile, sample(), lapsed=False, alone_ma=32_000) == 10_000


@pytest.mark.parametrize(
    ("watchdog", "words"),
    [
        ({"kind": "life_bit", "timeout_s": 20}, "watchdog.feed: belongs to a life_bit"),
        ({**LIFE, "kind": "setpoint_rewrite"}, "watchdog.feed: belongs to a life_bit"),
        ({**LIFE, "feed_value": None}, "has a feed and its feed_value, or neither"),
        ({**LIFE, "feed": "setpoint"}, "needs setpoint in None, not A"),
        ({**LIFE, "timeout_s": None}, "has a timeout_s where there is a watchdog"),
        ({**LIFE, "fallback": "fallback", "fallback_unknown": True}, "is not: fallback names it"),
        ({**LIFE, "fallback_set": "fallback"}, "is set blindly"),
        ({**LIFE, "timeout": "fallback"}, "needs fallback in s, not A"),
        ({"kind": "timeout_rewrite", "timeout_s": 9}, "writing it is what feeds it"),
        ({"kind": "unknown", "timeout_s": 9}, "has a timeout_s where there is a watchdog"),
        ({"kind": "none", "fallback": "fallback"}, "nobody can rely upon"),
        ({"kind": "any_traffic", "timeout_s": 9, "feed_every_s": 2}, "of one that is fed apart"),
        ({**LIFE, "feed": "command", "feed_off": [2]}, "feed is never read"),
    ],
)
def test_each_mistake_of_a_watchdog_is_named(watchdog: dict[str, Any], words: str) -> None:
    given = {key: value for key, value in watchdog.items() if value is not None}
    assert words in said(merged({}) | {"watchdog": given})


# Several connectors.


def test_connectors_may_have_registers_or_units_of_their_own() -> None:
    assert "which is whose?" in said(merged({"connectors": {"count": 2}}))
    facts = made(connectors={"count": 2, "unit_stride": 1}).facts
    assert (facts.connectors, facts.unit_stride) == (2, 1)
    shared = {"count": 2, "stride": 100, "common": ["coil", "timeout"]}
    assert "holds what all connectors share, and more" in said(merged({"connectors": shared}))


SECOND = "connectors.stride: state of connector 2 would be cable, connector 1's"


@pytest.mark.parametrize(
    ("connectors", "places"),
    [
        (
            {"count": 16, "stride": 4096},
            ["registers.command.addr: is up to 65560 for connector 16: no address is above 65535"],
        ),
        ({"count": 15, "stride": 4096}, []),
        ({"count": 4, "stride": 1}, [SECOND]),
        ({"count": 2, "stride": 19}, ["connectors.stride: state of connector 2 would be last"]),
        ({"count": 2, "stride": 20}, []),
        (
            {"count": 5, "stride": 100, "common": ["coil"]},
            ["connectors.stride: gate of connector 2 would be coil, what all connectors share"],
        ),
    ],
    ids=str,
)
def test_each_connector_has_registers_of_its_own_that_there_are(
    connectors: dict[str, Any], places: list[str]
) -> None:
    data = merged({"connectors": connectors})
    data["registers"]["command"]["addr"] = 4120
    data["registers"]["last"] = {"addr": 19, "type": "uint16"}
    data["registers"]["gate"] = {"addr": 300, "fc": 1, "type": "bool"}
    data["block"].append({"fc": 1, "start": 300, "count": 1})
    if not places:
        assert isinstance(parse(data, "it"), ChargerProfile)
        return
    for each in places:
        assert each in said(data)


def test_blocks_of_connectors_end_where_addresses_do() -> None:
    data = merged({"connectors": {"count": 16, "stride": 4096}})
    data["block"].append({"fc": 4, "start": 4000, "count": 100})
    assert "block[2].start: is up to 65539 for connector 16" in said(data)


@pytest.mark.parametrize(
    ("watchdog", "common", "words"),
    [
        (LIFE, "life", "life feeds the watchdog of all connectors, also of one that refuses"),
        (
            {"kind": "timeout_rewrite", "timeout_s": 20, "timeout": "timeout"}
            | {"timeout_set": "timeout", "fallback": "fallback"},
            "timeout",
            "timeout feeds the watchdog of all connectors",
        ),
        (LIFE, "setpoint", "setpoint is one connector's own"),
        (LIFE, "coil", "coil is one connector's own"),
    ],
)
def test_what_one_connector_is_told_or_fed_with_is_not_shared(
    watchdog: dict[str, Any], common: str, words: str
) -> None:
    shared = {"count": 2, "stride": 30, "common": [common]}
    assert words in said(merged({"watchdog": watchdog, "connectors": shared, "enable": COIL}))


@pytest.mark.parametrize(
    ("section", "fields", "words"),
    [
        ("endurance", {"registers": ["x"], "writes_a_day": 9, "writes": 9}, "needs a register x"),
        (
            "endurance",
            {"registers": ["state"], "writes_a_day": 9, "writes": 9},
            "state is never written",
        ),
        ("endurance", {"registers": ["life"], "writes_a_day": 0, "writes": 9}, "writes_a_day"),
        ("pacing", {"write_gap_s": 1}, "would keep a reduction waiting"),
        (
            "endurance",
            {"registers": ["life"], "writes_a_day": 9, "writes": 9},
            "to feed the",
        ),
        ("enable", {**COIL, "on": 0}, "must differ from off"),
        ("enable", {**COIL, "register": "x"}, "needs a register x"),
        ("setpoint", {"register": ["setpoint", "setpoint_l2"]}, "or one for each of three"),
        ("setpoint", {"register": []}, "setpoint.register"),
    ],
)
def test_each_mistake_is_named(section: str, fields: dict[str, Any], words: str) -> None:
    assert words in said(merged({section: fields}) | {"watchdog": LIFE})


# Several fallbacks.

TWO = ["fallback", "fallback_1p"]
RELIED: dict[str, Any] = {"kind": "life_bit", "timeout_s": 20, "feed": "life", "feed_value": 1}


def of_two(**watchdog: Any) -> dict[str, Any]:
    one_phase = {"fallback_1p": {"addr": 12, "type": "uint16", "unit": "A"}}
    return {"registers": one_phase, "watchdog": RELIED | {"fallback": TWO} | watchdog}


def test_of_several_fallbacks_the_highest_counts_and_none_may_be_unknown() -> None:
    profile = made(**of_two())
    assert {"fallback", "fallback_1p"} <= {*profile.reported}
    assert told_fallback_ma(profile, sample(fallback=6_000, fallback_1p=8_000)) == 8_000
    assert told_fallback_ma(profile, sample(fallback=9_000, fallback_1p=8_000)) == 9_000
    assert told_fallback_ma(profile, sample(fallback=6_000, fallback_1p=None)) is None
    assert in_force_ma(profile, sample(setpoint=0, granted=0, fallback_1p=13_000)) == 13_000


def test_each_of_several_fallbacks_is_written() -> None:
    profile = made(**of_two(fallback_set=TWO))
    wanted = wants_of(profile, 6_500, None)
    assert [(each.register_name, each.words) for each in wanted] == [
        ("fallback", (6,)),
        ("fallback_1p", (6,)),
    ]
    assert profile.facts.sets_fallback
    assert not made(**of_two()).facts.sets_fallback


def test_a_fallback_that_nothing_reads_back_is_refused() -> None:
    assert "set blindly" in said(merged(of_two(fallback="fallback", fallback_set=TWO)))


# What is written is a number.


@pytest.mark.parametrize(
    "changes",
    [
        {"enable": {"register": "letter", "fc": 6, "on": 1, "off": 0}},
        {"watchdog": RELIED | {"feed": "letter"}},
    ],
)
def test_a_text_is_never_written(changes: dict[str, Any]) -> None:
    letter = {"registers": {"letter": {"addr": 13, "type": "ascii", "len": 1}}}
    assert "needs a number in letter" in said(merged(letter | changes))


def test_a_text_is_no_setting() -> None:
    data = merged({"registers": {"letter": {"addr": 13, "type": "ascii", "len": 1}}})
    data["setting"] = [{"register": "letter", "fc": 6, "value": 1, "wrong": "so it is"}]
    assert "needs a number in letter" in said(data)
