"""What happened: the ring, its way over the socket, and a real broker that comes and goes."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller import wire
from controller.events import AHEAD, BATCH, LOST, QUIET_NS, Event, Events
from controller.link import post
from controller.link.post import Post
from tests.linked import Cloud, World, free_port, play, world
from tests.patience import until
from tests.test_limits import NOW, SECOND, UTC_NOW, Time
from tests.test_mqtt_doc import EVENT

ROOT = Path(__file__).parents[1]


def ring(room: int = 1000, count: int = 0) -> Events:
    made = Events(Time(), room)
    for i in range(count):
        made.happened("device_offline", f"bay-{i + 1}", "no reply")
    return made


# --- the ring ----------------------------------------------------------------------------------


def test_a_sequence_without_gaps_from_one() -> None:
    assert [each.sequence for each in ring(count=5).kept] == [1, 2, 3, 4, 5]
    assert ring().run != ring().run


def test_since_when_is_never_later_than_when() -> None:
    events = ring()
    events.happened("device_offline", "bay", "", since_ns=NOW - 5)
    events.happened("device_offline", "bay", "", since_ns=NOW + 5)
    events.happened("device_offline", "bay", "")
    assert [(each.at_ns, each.since_ns) for each in events.kept] == [
        (NOW, NOW - 5),
        (NOW, NOW),
        (NOW, NOW),
    ]


def test_a_few_at_a_time_and_only_so_far_ahead_of_what_was_acknowledged() -> None:
    events = ring(count=200)
    sent = 0
    while found := events.after(sent):
        assert len(found) <= BATCH
        assert [each.sequence for each in found] == list(range(sent + 1, sent + len(found) + 1))
        sent = found[-1].sequence
    assert sent == AHEAD
    events.take(10)
    assert [each.sequence for each in events.after(sent)] == list(range(AHEAD + 1, AHEAD + 11))


def test_nobody_takes_what_did_not_happen_or_untakes_what_was_taken() -> None:
    events = ring(count=5)
    events.take(99)
    assert events.taken == 0
    events.take(4)
    events.take(2)
    assert events.taken == 4


def test_what_was_pushed_out_is_counted_in_its_place() -> None:
    events = ring(room=10, count=25)
    (lost,) = events.after(0)
    assert (lost.what, lost.sequence, lost.lost) == (LOST, 15, 15)
    assert "15 events" in lost.why
    assert [each.sequence for each in events.after(15)] == list(range(16, 26))
    events.take(12)
    assert events.after(12)[0].lost == 3  # 13, 14, 15


def test_what_others_can_cause_is_told_once_in_ten_seconds() -> None:
    time = Time()
    events = Events(time)
    for _ in range(100):
        events.happened_again("limit_refused", "cloud", "late: it ended")
    events.happened_again("limit_refused", "price", "late: it ended")
    assert len(events.kept) == 2
    time.ns += QUIET_NS
    events.happened_again("limit_refused", "cloud", "late: again")
    assert events.kept[-1].why == "late: again (and 99 times before)"


def test_what_others_name_as_they_like_is_alike_all_the_same() -> None:
    time = Time()
    events = Events(time)
    for revision in range(100):
        events.happened_again("document_rejected", f"revision {revision}", "no", "")
    assert [event.subject for event in events.kept] == ["revision 0"]
    time.ns += QUIET_NS
    events.happened_again("document_rejected", "revision 7", "no", "")
    assert (events.kept[-1].subject, events.kept[-1].why) == (
        "revision 7",
        "no (and 99 times before)",
    )


def test_the_memory_for_quiet_is_bounded() -> None:
    events = ring()
    for i in range(10_000):
        events.happened_again("limit_refused", f"s{i}", "")
    assert len(events._quiet) <= 4096


# --- the post ----------------------------------------------------------------------------------


def letters(*sequences: int, run: str = "r") -> wire.Events:
    made = [
        wire.Event(sequence=n, at_s=1.0, since_s=1.0, what="x", subject="", why="")
        for n in sequences
    ]
    return wire.Events(run=run, boot_id="b", events=made)


def mail() -> Post:
    time = Time()
    return Post(time.now_ns, time)


def publish_all(made: Post, first_mid: int = 1) -> list[int]:
    """The sequences published, with message ids counting up."""
    out: list[int] = []
    while (letter := made.next()) is not None:
        made.published(first_mid + len(out))
        out.append(letter.event.sequence)
    return out


def test_no_more_than_eight_in_flight() -> None:
    made = mail()
    made.receive(letters(*range(1, 21)))
    assert publish_all(made) == list(range(1, 9))
    assert made.acknowledged(1) == ("r", 1)
    assert publish_all(made, 9) == [9]


def test_only_what_is_whole_counts_as_taken() -> None:
    made = mail()
    made.receive(letters(1, 2, 3))
    publish_all(made)
    assert made.acknowledged(2) == ("r", 0)  # 1 is still on its way
    assert made.acknowledged(1) == ("r", 2)
    assert made.acknowledged(3) == ("r", 3)
    assert made.acknowledged(3) is None
    assert made.acknowledged(77) is None  # somebody else's message


def test_what_was_received_is_not_doubled_by_another_connection() -> None:
    made = mail()
    made.receive(letters(1, 2, 3))
    made.receive(letters(2, 3, 4))
    assert publish_all(made) == [1, 2, 3, 4]


def test_another_run_begins_anew() -> None:
    made = mail()
    made.receive(letters(1, 2))
    made.receive(letters(1, 2, run="s"))
    assert publish_all(made) == [1, 2, 1, 2]
    assert made.acknowledged(1) is None  # nobody is there to be told
    assert made.acknowledged(3) == ("s", 1)


def test_what_nobody_repeats_goes_out_again_in_order() -> None:
    made = mail()
    made.receive(letters(*range(1, 11)))
    publish_all(made)
    made.again()
    assert publish_all(made, 100)[:3] == [1, 2, 3]


def test_too_many_waiting_become_one_that_counts_them() -> None:
    made = mail()
    for run in range(5):
        made.receive(letters(*range(1, 65), run=f"r{run}"))
    letter = made.next()
    assert letter is not None
    assert (letter.event.what, letter.event.lost) == (post.LOST, 5 * 64 - post.ROOM + 1)
    assert (letter.run, letter.event.sequence) == ("r1", 1)
    assert len(made._waiting) == post.ROOM


def test_times_are_utc_where_the_clock_is_trusted_and_nothing_else() -> None:
    time = Time()
    made = Post(time.now_ns, time)
    event = wire.Event(
        sequence=1, at_s=NOW / SECOND, since_s=NOW / SECOND - 90, what="x", subject="", why=""
    )
    made.receive(wire.Events(run="r", boot_id="b", events=[event]))
    letter = made.next()
    assert letter is not None
    time.ns += 5 * SECOND  # published late
    assert UTC_NOW == 1_800_000_000 * SECOND
    content = made.content(letter)
    assert list(content) == list(EVENT)  # as the page shows it
    assert (content["at"], content["since"]) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T07:58:30.000Z",
    )
    time.is_trusted = False
    assert made.content(letter)["at"] is None


# --- with a broker -----------------------------------------------------------------------------

TOPIC = "loadkeeper/test/event"


def events_of(cloud: Cloud) -> list[dict[str, Any]]:
    return [content for topic, content in cloud.history if topic == TOPIC]


def of_run(cloud: Cloud, run: str) -> list[int]:
    return [each["sequence"] for each in events_of(cloud) if each["run"] == run]


def present(made: World) -> Events:
    assert made.enforcer is not None
    return made.enforcer.events


def test_what_happens_is_published_in_order() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        ours = present(made)
        made.drivers[0].health().online = False
        made.drivers[0].health().error = "no reply"
        await until(lambda: any(e["what"] == "device_offline" for e in events_of(cloud)))
        told = events_of(cloud)
        assert told[0]["what"] == "started"
        assert [each["sequence"] for each in told] == list(range(1, len(told) + 1))
        assert {each["run"] for each in told} == {ours.run}
        offline = next(each for each in told if each["what"] == "device_offline")
        assert (offline["subject"], offline["why"]) == ("meter", "no reply")
        assert offline["at"] is not None
        await until(lambda: ours.taken >= told[-1]["sequence"])

    play(story)


def test_a_refused_limit_is_an_event() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        await until(lambda: cloud.nonce() is not None)
        await cloud.ask(nonce="of another time")
        await until(lambda: any(e["what"] == "limit_refused" for e in events_of(cloud)))
        refused = next(e for e in events_of(cloud) if e["what"] == "limit_refused")
        assert refused["subject"] == "cloud"
        assert refused["why"].startswith("wrong_session: ")
        assert present(made).taken >= 0

    play(story)


def test_a_broker_that_was_away_gets_all_that_happened_meanwhile() -> None:
    async def story() -> None:
        port = free_port()
        async with world(port) as made:
            ours = present(made)
            await until(lambda: ours.taken > 0)
            await made.broker.stop()
            for i in range(300):  # more than may be on its way at once
                ours.happened("suspicion", f"meter-{i}", "frozen")
            assert ours.taken < 300
            await made.broker.start()
            with Cloud(port) as cloud:
                # The last ones at least reach the cloud that came with the broker; all are taken.
                await until(lambda: ours.taken >= 300, 20)
                told = of_run(cloud, ours.run)
                assert sorted(set(told)) == list(range(min(told), max(told) + 1))

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_link_that_dies_loses_no_event() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        ours = present(made)
        await until(lambda: bool(events_of(cloud)))
        await made.stop("link")
        for i in range(20):
            ours.happened("suspicion", f"meter-{i}", "frozen")
        await made.start_link()
        last = ours.kept[-1].sequence
        await until(lambda: last in of_run(cloud, ours.run))
        told = of_run(cloud, ours.run)
        assert sorted(set(told)) == list(range(1, max(told) + 1))

    play(story)


def test_what_the_ring_could_not_keep_is_said_to_be_lost() -> None:
    async def story() -> None:
        port = free_port()
        async with world(port, "enforcer") as made:
            ours = present(made)
            for _ in range(1100):
                ours.happened("suspicion", "meter", "frozen")
            with Cloud(port) as cloud:
                await made.start_link()
                await until(lambda: bool(events_of(cloud)))
                first = events_of(cloud)[0]
                assert first["what"] == "lost"
                assert first["lost"] == first["sequence"] >= 100
                await until(lambda: len(events_of(cloud)) > 1)
                assert events_of(cloud)[1]["sequence"] == first["sequence"] + 1

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_broker_that_takes_no_events_costs_nothing_but_them() -> None:
    """Denied by its access rules: said once, and limits go on."""

    async def story() -> None:
        port = free_port()
        rules = "\n".join(
            [
                "topic readwrite loadkeeper/test/status",
                "topic readwrite loadkeeper/test/limits",
                "topic readwrite loadkeeper/test/site/#",
                "topic readwrite loadkeeper/test/limit/#",
                "topic readwrite cloud/answers",
                "topic read loadkeeper/#",
            ]
        )
        with capture_logs() as logs:
            async with world(port, acl=rules) as made:
                ours = present(made)
                await until(lambda: ours.taken > 0)
                with Cloud(port) as cloud:
                    await until(lambda: cloud.nonce() is not None)
                    assert (await cloud.ask())["accepted"]
                    assert not events_of(cloud)
        refused = [e for e in logs if e["event"] == "the broker does not publish this"]
        assert [each["topic"] for each in refused] == [TOPIC]

    asyncio.run(asyncio.wait_for(story(), 60))


# --- the page ----------------------------------------------------------------------------------


def test_every_kind_of_event_is_on_the_page() -> None:
    page = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| `.*", page, re.MULTILINE))))
    text = "\n".join(
        (ROOT / "controller" / name).read_text(encoding="utf-8")
        for name in ("enforcer.py", "watch.py")
    )
    calls = re.findall(r"happened(?:_again)?\(([^)]*)", text)
    kinds = {kind for call in calls for kind in re.findall(r'"(\w+_\w+|started|derogated)"', call)}
    assert len(kinds) > 12
    assert kinds <= told, kinds - told


@pytest.mark.parametrize("field", Event.__slots__)
def test_every_field_is_on_the_page(field: str) -> None:
    page = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
    assert f'"{field.removesuffix("_ns")}": ' in page
