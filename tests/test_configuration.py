"""Documents over MQTT at a real broker: judged, tried on the running depot, kept or rolled back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller import configuration, saver, trust
from controller import running as running_module
from controller.depot import Depot
from controller.document.text import BYTES_MAX
from controller.revisions import pack, unpack
from controller.running import Running
from tests.linked import DOCUMENT, Cloud, World, free_port, world
from tests.patience import until

KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
BAY = {**DOCUMENT["charger"][0], "settle_s": 0.2, "poll_s": 0.1}
SECOND = {**BAY, "id": "bay-2", "unit": 3}
PACE = {"trial_s": 5, "ramp_a_per_s": 50, "dwell_s": 1, "calm_s": 1}
Document = dict[str, Any]
Story = Callable[[World, Cloud], Awaitable[None]]


def installed(**sections: Any) -> Document:
    """Two bays, an installer's key, and the shortest trial."""
    entry = {"id": "anna", "role": "installer", "ed25519": trust.public_text(KEY)}
    whole = {**DOCUMENT, "key": [entry], "charger": [BAY, SECOND], "control": PACE}
    return {**whole, **sections}


def rated(row_a: float) -> list[Document]:
    grid, row = DOCUMENT["circuit"]
    return [grid, {**row, "rating_a": row_a}]


def lowered(row_a: float) -> Document:
    """What else must be true of a row with this rating."""
    cloud, price = DOCUMENT["limit_source"]
    return {"circuit": rated(row_a), "limit_source": [cloud, {**price, "failsafe_a": row_a}]}


def message(
    revision: int,
    operation: Any = None,
    installation: Any = None,
    key: Ed25519PrivateKey | None = KEY,
    reset: str | None = None,
) -> Document:
    parts = {"operation": operation, "installation": installation, "reset": reset}
    written = {name: part for name, part in parts.items() if part is not None}
    sent: Document = {"revision": revision, "document": written}
    if key is not None:
        sent["signature"] = trust.sign(key, "test", revision, written)
    return sent


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "CLEAN_S", 0.3)
    monkeypatch.setattr(configuration, "APART_S", 0.01)


def play(story: Story, **sections: Any) -> None:
    async def run() -> None:
        port = free_port()
        link = {"broker": f"mqtt://127.0.0.1:{port}", "client_id": "loadkeeper-test"}
        document = installed(**{"link": link} | sections)
        async with world(port, parts="") as made:
            await made.start_enforcer(document)
            await made.start_link()
            with Cloud(port) as cloud:
                await until(cloud.nonce)
                await until(cloud.reported)
                await story(made, cloud)

    asyncio.run(asyncio.wait_for(run(), 60))


async def told(cloud: Cloud, revision: int | None, state: str) -> Document:
    """The report of that revision, as soon as its state is that one."""

    def is_it() -> bool:
        said = cloud.reported()
        return (said.get("revision"), said.get("state")) == (revision, state)

    try:
        await until(is_it)
    except TimeoutError:
        raise AssertionError(f"the last report is {cloud.reported()}") from None
    return cloud.reported()


def running(made: World) -> Depot:
    assert made.enforcer is not None
    return made.enforcer.depot


def setpoints(made: World) -> dict[str, int | None]:
    depot = running(made)
    return {
        id_: depot.kernel.output(index).setpoint_ma
        for id_, index in depot.tables.charger_index.items()
    }


def total_ma(made: World) -> int:
    return sum(ma or 0 for ma in setpoints(made).values())


async def charging(made: World) -> None:
    """Both bays have what the row gives them."""
    """Half of the row each, and to one of them the step that is left over."""
    steps_ma = {30_400, 30_500}

    def charges() -> bool:
        return set(setpoints(made).values()) <= steps_ma

    await until(charges, within_s=30)


def test_an_operation_part_is_tried_and_kept_with_everything_running_on() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        assert cloud.reported()["revision"] is None
        assert cloud.status()["revision"] is None
        await charging(made)
        before = running(made)
        cloud.desire(message(3, {"charger": [{"id": "bay-2", "max_a": 16}]}, key=None))
        testing = await told(cloud, 3, "testing")
        assert testing["active_revision"] is None
        active = await told(cloud, 3, "active")
        assert active["active_revision"] == 3
        assert active["errors"] == []
        await until(lambda: cloud.status()["revision"] == 3)
        after = running(made)
        assert after.drivers[0] is before.drivers[0]  # the meter; the fakes know no ceiling
        assert after.kernel.ticks > before.kernel.ticks
        await until(lambda: setpoints(made)["bay-2"] == 16_000, within_s=20)
        report = await made.report()
        assert report.revision == 3
        assert report.installation_hash == before.site.installation_hash

    play(story)


def test_what_stays_keeps_its_setpoint_and_its_lease() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        assert (await cloud.ask(amps=150))["accepted"]
        await charging(made)
        before = setpoints(made)
        first = running(made).kernel.output(0)
        cloud.desire(message(1, {"site": {"name": "Nord"}}, key=None))
        await told(cloud, 1, "testing")
        assert setpoints(made) == before
        assert running(made).kernel.output(0).changed_tick == first.changed_tick
        await told(cloud, 1, "active")
        assert setpoints(made) == before
        await until(lambda: cloud.cap() == [150, 150, 150])
        assert (await cloud.ask(amps=140))["accepted"]  # in the same session

    play(story)


def test_a_lower_rating_under_signature_sheds_at_once() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await charging(made)
        hashed = running(made).site.installation_hash
        cloud.desire(message(1, installation=installed(**lowered(20))))
        await told(cloud, 1, "testing")
        assert total_ma(made) <= 20_000
        active = await told(cloud, 1, "active")
        assert active["installation_hash"] != hashed
        await until(lambda: cloud.status()["installation_hash"] == active["installation_hash"])

    play(story)


def test_after_a_signed_change_the_installers_own_file_needs_a_signature_too() -> None:
    """Else anybody could lift a lowered rating by sending what was there before."""

    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(1, installation=installed(**lowered(20))))
        await told(cloud, 1, "active")
        cloud.desire(message(2, installation=dict(made.document), key=None))
        assert (await told(cloud, 2, "rejected"))["step"] == "signature"
        cloud.desire(message(3, {"site": {"name": "A"}}, key=None))  # and what is signed stays
        await told(cloud, 3, "active")
        assert running(made).site.circuits[1].rating_ma == (20_000,) * 3
        await made.stop("enforcer")
        await made.start_enforcer()
        assert running(made).site.circuits[1].rating_ma == (20_000,) * 3

    play(story)


def test_a_trial_without_decisions_rolls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(made: World, cloud: Cloud) -> None:
        monkeypatch.setattr(Running, "late_s", lambda self: 99.0)
        cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
        said = await told(cloud, 1, "rolled_back")
        assert "nothing was decided any more" in said["reason"]

    play(story)


def test_a_higher_rating_is_reached_by_the_ramp_only() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(lambda: total_ma(made) > 19_000, within_s=30)
        cloud.desire(message(1, installation=installed(control=slow)))
        await told(cloud, 1, "testing")
        assert total_ma(made) < 24_000  # 1 A/s each
        await told(cloud, 1, "active")
        await until(lambda: total_ma(made) > 24_000, within_s=30)

    slow = {**PACE, "ramp_a_per_s": 1}
    play(story, **lowered(20))


STRANGE = {"charger": [{"id": "x"}]}
UNSAFE = [{**DOCUMENT["circuit"][0], "worst_base_a": 199}, DOCUMENT["circuit"][1]]
NAN = '{"revision": 1, "document": {"operation": {"x": NaN}}}'
REFUSED: list[tuple[Any, str, str]] = [
    (b"x" * (BYTES_MAX + 1), "form", "document"),
    (b"x" * BYTES_MAX, "form", "document"),
    (NAN, "form", "document"),
    ("[" * 50_000, "form", "document"),
    (message(0, {}, key=None), "form", "revision"),
    (message(1, STRANGE, key=None), "document", "operation.charger[0].id (x)"),
    (message(1, installation=installed(mode="observe"), key=None), "signature", "signature"),
    (message(1, installation=installed(), key=STRANGER), "signature", "signature"),
    (message(1, installation=installed(circuit=[])), "document", "installation.circuit"),
    (
        message(1, installation=installed(control={**PACE, "dead_man_s": 3})),
        "document",
        "installation.control.dead_man_s",
    ),
    (message(1, installation=installed(circuit=UNSAFE)), "proof", "proof.unattended.grid.L1"),
]


def failure(cloud: Cloud) -> tuple[str, str] | None:
    said = cloud.reported()
    if said["state"] != "rejected":
        return None
    return said["step"], said["errors"][0]["path"]


def test_what_is_refused_changes_nothing_and_is_told() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        before = running(made)
        for sent, step, path in REFUSED:
            cloud.desire(sent, retain=False)
            await until(lambda: failure(cloud) == (step, path))  # noqa: B023
            said = cloud.reported()
            assert said["errors"][0]["message"]
            assert said["active_revision"] is None
        assert running(made) is before
        assert (await cloud.ask(amps=100))["accepted"]

    play(story)


def test_a_device_that_the_unit_does_not_permit_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.linked.ENVIRON", {"LOADKEEPER_PERMITS": "127.0.0.1"})

    async def story(made: World, cloud: Cloud) -> None:
        before = running(made)
        elsewhere = [BAY, {**SECOND, "bus": "tcp://192.0.2.99"}]
        cloud.desire(message(1, installation=installed(charger=elsewhere)), retain=False)
        await until(lambda: failure(cloud) == ("document", "bay-2"))
        assert "loadkeeper unit" in cloud.reported()["errors"][0]["message"]
        assert running(made) is before

    play(story)


def test_an_enforcer_that_may_not_reach_its_devices_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.linked.ENVIRON", {"LOADKEEPER_PERMITS": "192.0.2.1"})

    async def story(made: World, cloud: Cloud) -> None:
        assert made.enforcer is not None
        told = {each.what: each.why for each in made.enforcer.events.after(0)}
        assert "does not permit 127.0.0.1" in told["not_permitted"]
        assert (await cloud.ask(amps=100))["accepted"]

    play(story)


DIM = {"id": "dim", "pin": 23, "source": "cloud", "limit_a": 16, "active": "open"}
PINNED: list[tuple[str, Any]] = [
    ("gpio", {"factory": "lgpio"}),
    ("output", [{"id": "contactor", "pin": 18, "drops": "row"}]),
    ("input", [DIM]),
    ("mode", "observe"),
]


def test_pins_change_in_the_installers_file_only() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        before = running(made)
        for section, changed in PINNED:
            sent = message(1, installation={**made.document, section: changed})
            cloud.desire(sent, retain=False)
            wanted = ("document", f"installation.{section}")
            await until(lambda: failure(cloud) == wanted)  # noqa: B023
            assert "needs a restart" in cloud.reported()["errors"][0]["message"]
        assert running(made) is before

    cloud, price = DOCUMENT["limit_source"]
    play(
        story,
        gpio={"factory": "mock"},
        output=[{"id": "contactor", "pin": 17, "drops": "row"}],
        limit_source=[{**cloud, "lease_s": 10}, price],
    )


def test_an_older_revision_is_refused_and_a_repeated_one_answered() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(5, {"site": {"name": "A"}}, key=None))
        first = await told(cloud, 5, "active")
        depot = running(made)
        cloud.desire(message(4, {"site": {"name": "B"}}, key=None))
        assert (await told(cloud, 4, "rejected"))["step"] == "revision"
        cloud.desire(message(5, {"site": {"name": "B"}}, key=None))
        assert (await told(cloud, 5, "rejected"))["step"] == "revision"
        cloud.desire(message(5, {"site": {"name": "A"}}, key=None))
        assert await told(cloud, 5, "active") == first
        await made.stop("link")
        await made.start_link()  # and the retained one comes again
        await until(lambda: cloud.status().get("online"))
        cloud.latest.pop("loadkeeper/test/site/reported")
        assert await told(cloud, 5, "active") == first
        assert running(made) is depot

    play(story)


def test_a_charger_removed_while_it_charges_is_told_and_the_others_go_on() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await charging(made)
        before = running(made)
        cloud.desire(message(1, installation=installed(charger=[SECOND])))
        testing = await told(cloud, 1, "testing")
        assert "bay was removed while it charged" in testing["remarks"][0]
        after = running(made)
        assert after.drivers == [before.drivers[0], before.drivers[2]]
        ma = setpoints(made)["bay-2"]
        assert ma is not None
        assert ma >= 30_400
        await told(cloud, 1, "active")
        cloud.desire(message(2, installation=installed(charger=[SECOND, BAY])))  # and back
        await told(cloud, 2, "active")
        await charging(made)

    play(story)


def test_without_a_link_a_trial_rolls_back() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await charging(made)
        before = setpoints(made)
        hashed = running(made).site.installation_hash
        cloud.desire(message(1, installation=installed(**lowered(20))))
        await until(lambda: running(made).site.installation_hash != hashed)
        await made.stop("link")
        assert total_ma(made) <= 20_000
        await until(lambda: running(made).site.installation_hash == hashed, within_s=15)
        await made.start_link()
        said = await told(cloud, 1, "rolled_back")
        assert (said["step"], said["active_revision"]) == ("trial", None)
        assert "the link was not back" in said["reason"]
        await until(lambda: setpoints(made) == before, within_s=40)
        cloud.desire(message(2, {"site": {"name": "B"}}, key=None))
        await told(cloud, 2, "active")

    play(story)


def test_devices_that_do_not_answer_again_roll_it_back() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
        await told(cloud, 1, "testing")
        made.drivers[0].health().online = False
        said = await told(cloud, 1, "rolled_back")
        assert "meter did not answer again" in said["reason"]

    configuration.CLEAN_S = 2.0  # the fixture puts it back
    play(story)


def test_a_document_outlives_a_restart_and_one_on_trial_does_not() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(1, {"site": {"name": "A"}}, installed(**lowered(20))))
        await told(cloud, 1, "active")
        await made.stop("enforcer")
        await made.start_enforcer()
        assert running(made).site.name == "A"
        assert running(made).site.circuits[1].rating_ma == (20_000,) * 3
        await told(cloud, 1, "active")
        configuration.CLEAN_S = 20.0
        cloud.desire(message(2, {"site": {"name": "B"}}, key=None))
        await told(cloud, 2, "testing")
        await made.stop("enforcer")
        await made.start_enforcer()
        assert running(made).site.name == "A"
        assert running(made).site.circuits[1].rating_ma == (20_000,) * 3
        said = await told(cloud, 2, "rolled_back")  # and is not tried again, retained as it is
        assert said["active_revision"] == 1

    play(story)


def test_a_changed_installers_file_discards_what_came_over_the_air() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(7, {"site": {"name": "A"}}, installed(**lowered(20))))
        await told(cloud, 7, "active")
        original = made.document
        await made.stop("enforcer")
        await made.start_enforcer({**original, "site": {"id": "test", "name": "by hand"}})
        assert running(made).site.name == "by hand"
        assert running(made).site.circuits[1].rating_ma == (63_000,) * 3
        said = await told(cloud, 7, "rejected")  # the retained one must not come back
        assert said["step"] == "revision"
        await made.stop("enforcer")
        await made.start_enforcer(original)  # nor by putting the old file back
        assert running(made).site.name == ""
        cloud.desire(message(8, {"site": {"name": "C"}}, key=None))
        await told(cloud, 8, "active")

    play(story)


def test_who_cannot_be_taken_up_again_is_told_to_its_sender() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(1, {"charger": [{"id": "bay-2", "max_a": 16}]}, key=None))
        await told(cloud, 1, "active")
        await made.stop("enforcer")
        kept = unpack(made.places.documents.read_bytes())
        assert kept.active is not None
        kept.active.operation["charger"][0]["max_a"] = 99  # as if another version judged it
        made.places.documents.write_bytes(pack(kept))
        await made.start_enforcer()
        said = await told(cloud, 1, "rolled_back")
        assert (said["step"], said["active_revision"]) == ("document", None)
        assert "not taken up again after a start: " in said["reason"]
        assert "can only lower" in said["reason"]

    play(story)


def test_a_damaged_file_is_told_until_there_is_a_good_one() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(1, {"site": {"name": "A"}}, key=None), retain=False)
        await told(cloud, 1, "active")
        await made.stop("link")
        await made.stop("enforcer")
        made.places.documents.write_bytes(made.places.documents.read_bytes()[:-1])
        await made.start_enforcer()
        await made.start_link()
        report = await made.report(lambda report: report.state_problem is not None)
        assert "the installer's file is in force" in (report.state_problem or "")
        assert made.enforcer is not None
        events = [event.what for event in made.enforcer.events.kept]
        assert "saved_documents_unreadable" in events
        cloud.desire(message(2, {"site": {"name": "B"}}, key=None))
        await told(cloud, 2, "active")
        await made.report(lambda report: report.state_problem is None)

    play(story)


def test_what_fails_in_the_midst_of_a_change_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody may call that a refused document: orders have stopped. A restart puts it right."""

    def broken(*args: object) -> None:
        raise ValueError("halfway")

    async def story(made: World, cloud: Cloud) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(running_module, "take_over", broken)
            cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
            with pytest.raises(ExceptionGroup) as ended:
                await made.end_of("enforcer")
        assert ended.group_contains(ValueError, match="halfway")
        await made.start_enforcer()
        assert (await told(cloud, 1, "rolled_back"))["active_revision"] is None
        assert running(made).site.name == ""

    play(story)


def test_what_cannot_be_built_is_refused_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: object) -> Depot:
        raise KeyError("profile")

    async def story(made: World, cloud: Cloud) -> None:
        before = running(made)
        assert made.enforcer is not None
        monkeypatch.setattr(made.enforcer._running, "_build", broken)
        cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
        said = await told(cloud, 1, "rejected")
        assert said["step"] == "trial"
        assert running(made) is before
        assert (await cloud.ask(amps=100))["accepted"]

    play(story)


def test_a_disk_that_is_full_is_told_and_control_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    async def story(made: World, cloud: Cloud) -> None:
        before = running(made)
        with monkeypatch.context() as patched:
            patched.setattr(saver, "write_atomically", full)
            cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
            said = await told(cloud, 1, "rejected")
            assert said["step"] == "storage"
            assert "No space left" in said["reason"]
            assert running(made) is before
            report = await made.report(lambda report: report.state_problem is not None)
            assert report.tick_age_s < 1
        cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
        await told(cloud, 1, "active")

    play(story)


def test_a_disk_that_fails_while_it_is_tried_rolls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: object, data: bytes) -> None:
        raise OSError(30, "Read-only file system")

    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(1, {"site": {"name": "A"}}, key=None))
        await told(cloud, 1, "testing")
        monkeypatch.setattr(saver, "write_atomically", read_only)
        said = await told(cloud, 1, "rolled_back")
        assert said["step"] == "storage"
        assert running(made).site.name == ""

    play(story)


def test_a_broker_of_the_document_is_gone_to_and_come_back_from() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        nowhere = {"broker": f"mqtt://127.0.0.1:{free_port()}"}
        cloud.desire(message(1, installation=installed(link=nowhere)))
        assert "the link was not back" in (await told(cloud, 1, "rolled_back"))["reason"]
        await until(cloud.nonce)
        assert (await cloud.ask(amps=100))["accepted"]

    play(story)


def test_a_broker_that_cannot_be_gone_to_is_come_back_from_too() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        keyless = {**made.document["link"], "username": "u", "password_file": "not-there"}
        cloud.desire(message(1, installation=installed(link=keyless)))
        assert "the link was not back" in (await told(cloud, 1, "rolled_back"))["reason"]
        await until(cloud.nonce)
        assert (await cloud.ask(amps=100))["accepted"]

    play(story)


def test_a_limit_for_a_circuit_that_is_gone_is_refused() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        assert (await cloud.ask(amps=100, circuit="attic"))["code"] == "wrong_circuit"
        sources = [DOCUMENT["limit_source"][0]]
        cloud.desire(message(1, installation=installed(limit_source=sources)))
        await told(cloud, 1, "active")
        cloud.publish(json.dumps(cloud.message(circuit="row")), source="price")
        await until(lambda: cloud.answers[-1][1]["code"] == "unknown_source")

    play(story)
