"""The rig's parts: site documents of its own, broker and cloud, what it says when it fails."""

import asyncio
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from controller.hardware import build_plant, hardware
from controller.site import parse
from drivers.library import library
from hil import broker
from hil.broker import KINDS, Broker, BrokerError, Kind, find_mosquitto
from hil.cloud import Ask, Cloud
from hil.rig import Depot, Rig, RigError
from hil.story.expect import Sample, Trace
from hil.story.measure import measure
from hil.story.script import SITES
from hil.story.script import parse as parse_story
from tests.test_demo import SITE


def depot(**changes: Any) -> Depot:
    written = tomllib.loads((SITES / "demo.toml").read_text()) | changes
    rows = hardware(SITE)
    return Depot(SITE, written, build_plant(SITE, 1, rows), rows)


def test_the_rig_puts_its_own_addresses_into_the_document(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(depot(), tmp_path)
        for server in (*rig.chargers.values(), *rig.meters.values()):
            await server.open()
        site = parse(rig.document("127.0.0.1:1883"), library())
        assert [charger.id for charger in site.chargers] == [
            f"{row}{n}" for row in "akh" for n in range(1, 9)
        ]
        for charger in site.chargers:
            assert charger.bus.url == rig.chargers[charger.id].url
        for meter in site.meters:
            assert meter.bus.url == rig.meters[meter.id].url
        assert site.link is not None
        assert site.link.port == 1883
        for server in (*rig.chargers.values(), *rig.meters.values()):
            await server.close()

    asyncio.run(story())


def test_a_profile_that_no_device_of_the_rig_behaves_like_is_named(tmp_path: Path) -> None:
    strange = replace(SITE.chargers[0], profile="abb_terra")
    other = replace(depot(), site=replace(SITE, chargers=(strange, *SITE.chargers[1:])))
    with pytest.raises(RigError, match="abb_terra"):
        Rig(other, tmp_path)


def test_a_process_that_ends_at_once_is_shown_with_its_words(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(depot(weather="fine"), tmp_path):
            raise AssertionError("it came up")

    with pytest.raises(RigError, match=r"ended at once[\s\S]*weather"):
        asyncio.run(story())


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with Rig(depot(), tmp_path / ("x" * 100)):
            raise AssertionError("it came up")

    with pytest.raises(RigError, match="TMPDIR"):
        asyncio.run(story())


def test_a_missing_mosquitto_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(broker, "_PATH_WITH_SBIN", "/nowhere")
    with pytest.raises(BrokerError, match="apt-get install mosquitto"):
        find_mosquitto()


class Link:
    """Stands for the link: announces sessions, keeps limits, answers them."""

    def __init__(self, port: int) -> None:
        self.limits: list[dict[str, Any]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("loadkeeper/depot/limit/+", qos=1)
        self._client.loop_start()

    def online(self, nonce: str | None) -> None:
        status = {"online": nonce is not None, "nonce": nonce}
        self._client.publish("loadkeeper/depot/status", json.dumps(status), 1, retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self.limits.append(json.loads(message.payload))
        assert message.properties is not None
        client.publish(vars(message.properties)["ResponseTopic"], '{"accepted": true}', 1)


async def until(what: Any) -> None:
    for _ in range(500):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never true")


@pytest.mark.parametrize("kind", KINDS)
def test_the_cloud_publishes_renews_and_starts_anew_with_every_session(
    tmp_path: Path, kind: Kind
) -> None:
    async def story() -> None:
        server = Broker(tmp_path, kind)
        await server.start()
        cloud, link = Cloud("depot", server.port), Link(server.port)
        try:
            await cloud.start()
            cloud.hold(Ask("grid", "root", (80, 80, 79), ttl_s=9, until_s=60), every_s=0.05)
            await asyncio.sleep(0.1)
            assert cloud.sent == 0  # nobody is there to hear it
            link.online("first")
            await until(lambda: len(link.limits) >= 3 and len(cloud.answers) >= 3)
            cloud.hold(Ask("grid", "root", None, ttl_s=9), every_s=60)
            await until(lambda: link.limits[-1]["amps"] == "unlimited")
            link.online("second")
            await until(lambda: link.limits[-1]["nonce"] == "second")
        finally:
            link.close()
            await cloud.stop()
            await server.stop()
        first = link.limits[0]
        assert (first["nonce"], first["circuit"], first["amps"]) == ("first", "root", [80, 80, 79])
        assert first["until"].endswith("+00:00")
        assert len({limit["epoch"] for limit in link.limits}) == 1
        sequences = [limit["sequence"] for limit in link.limits]
        assert sequences == sorted(set(sequences))
        assert cloud.answers[0] == {"accepted": True}

    asyncio.run(story())


def _told(*events: dict[str, Any]) -> dict[str, float]:
    """Measured of a story in which a circuit of 100 A carries 110 A from 5 to 7 and at 9 s."""
    story = parse_story(
        {
            "schema": 1,
            "name": "measured",
            "about": "is measured",
            "duration_s": 10,
            "site": {},
            "at": list(events),
            "expect": [{"kind": "energy", "at_least_kwh": 1, "why": "cars charge"}],
        }
    )
    trace = Trace(["root"], [])
    for t_s in range(11):
        load_ma = 110_000 if t_s in (5, 6, 9) else 90_000
        over_ma = max(0, load_ma - 100_000)
        trace.samples.append(
            Sample(float(t_s), ((load_ma,) * 3,), ((100_000,) * 3,), (over_ma,), (), (), 0)
        )
    return measure(story, trace, [(100_000,) * 3])


def test_the_time_after_a_base_step_and_after_a_death_is_measured() -> None:
    step = {"do": "base", "circuit": "root", "load_a": 1}
    assert _told({"t_s": 5, **step}) == {"base_step_s": 2.0}
    assert _told({"t_s": 2, **step}) == {}  # what comes later is not its doing
    assert _told({"t_s": 4, "do": "kill", "process": "enforcer"}) == {"enforcer_killed_s": 5.0}
    assert _told({"t_s": 4, "do": "kill", "process": "link"}) == {}
