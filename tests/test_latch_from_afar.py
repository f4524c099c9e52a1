"""The latch, reset from afar: by a document under the installer's signature that names it."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from controller.latch import Latch
from tests.linked import Cloud, World
from tests.patience import until
from tests.test_configuration import fast, message, play, told

__all__ = ["fast"]
WHY = "the guard disputed three decisions in a row"


def latch_of(made: World) -> Latch:
    assert made.enforcer is not None
    return made.enforcer.latch


async def closed(made: World, cloud: Cloud, but: str | None = None) -> str:
    """Latches; the id that `status` shows."""
    latch_of(made).close("guard_disputes", WHY)
    await until(lambda: (cloud.status().get("latched") or {}).get("id") not in (None, but))
    shown: dict[str, Any] = cloud.status()["latched"]
    assert (shown["cause"], shown["why"]) == ("guard_disputes", WHY)
    return str(shown["id"])


def test_the_installer_s_signature_resets_the_latch_that_it_names() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        first = await closed(made, cloud)
        cloud.desire(message(3, None, key=None, reset=first))
        assert (await told(cloud, 3, "rejected"))["step"] == "signature"
        assert latch_of(made).closed
        cloud.desire(message(4, None, reset=first))
        await told(cloud, 4, "active")
        await until(lambda: not cloud.status()["latched"])
        assert not latch_of(made).closed
        await closed(made, cloud, first)
        cloud.desire(message(4, None, reset=first))  # of old, by whoever kept it
        await asyncio.sleep(1)
        assert latch_of(made).closed
        cloud.desire(message(5, None, reset=first))
        refused = await told(cloud, 5, "rejected")
        assert refused["step"] == "document"
        assert [each["path"] for each in refused["errors"]] == ["document.reset"]
        assert latch_of(made).closed

    play(story)


def test_a_retained_reset_opens_no_later_latch_where_the_documents_were_lost() -> None:
    """A dying card damages the documents and latches: the broker brings the reset of last time."""

    async def story(made: World, cloud: Cloud) -> None:
        first = await closed(made, cloud)
        cloud.desire(message(4, None, reset=first))
        await told(cloud, 4, "active")
        second = await closed(made, cloud, first)
        await made.stop("enforcer")
        made.places.documents.write_bytes(b"x")
        await made.start_enforcer()
        cloud.desire(message(4, None, reset=first))
        await told(cloud, 4, "rejected")
        report = latch_of(made).report
        assert report is not None
        assert report.id == second

    with capture_logs():
        play(story)


def test_what_latches_while_the_reset_is_tried_is_not_swallowed() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        first = await closed(made, cloud)
        cloud.desire(message(4, None, reset=first))
        await told(cloud, 4, "testing")
        latch_of(made).close("guard_disputes", "the new kernel was disputed, too")
        rolled_back = await told(cloud, 4, "rolled_back")
        assert rolled_back["step"] == "trial"
        assert "disputed" in rolled_back["reason"]
        assert latch_of(made).closed

    play(story, control={"trial_s": 5})


def test_a_reset_is_refused_where_nothing_is_latched() -> None:
    async def story(made: World, cloud: Cloud) -> None:
        cloud.desire(message(4, None, reset="0a1b2c3d"))
        refused = await told(cloud, 4, "rejected")
        assert "nothing is latched" in str(refused["errors"])

    play(story)
