"""Over TLS: who is let in, who is not, and that the log names the reason."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.__main__ import main
from controller.credentials import context
from controller.document.link import Tls
from controller.link.mqtt import account
from controller.site import load
from drivers.library import library
from tests.certificates import Authority
from tests.linked import DOCUMENT, Cloud, World, free_port, world
from tests.patience import until

# paho leaves a socket whose handshake failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

RULES = """
user gateway
topic readwrite loadkeeper/test/#
topic write cloud/answers
user cloud
topic read loadkeeper/test/#
topic write loadkeeper/test/limit/cloud
topic read cloud/answers
user guest
topic read loadkeeper/test/#
"""


def whys(logs: list[Any]) -> list[str]:
    return [each["why"] for each in logs if each["event"] == "broker not connected"]


def attempt(
    server: Tls, client: Tls | None, certified: bool = False, port_is_plain: bool = False
) -> str:
    """The reason that is logged when such a gateway meets such a broker; "" when it is let in."""

    async def run() -> None:
        port = free_port()
        tls = None if port_is_plain else server
        async with world(port, "enforcer", tls=tls, certified=certified) as made:
            await made.start_link(replace(made.account, tls=context(client)))
            await until(lambda: whys(logs) or connected(logs))

    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(run(), 40))
    return "" if connected(logs) else whys(logs)[0]


def connected(logs: list[Any]) -> bool:
    return any(each["event"] == "broker connected" for each in logs)


def test_a_gateway_and_its_broker_know_each_other(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    server = ca.issue("broker", "127.0.0.1")
    assert attempt(server, Tls(ca.file, None, None)) == ""
    assert attempt(server, ca.issue("gateway"), certified=True) == ""


def test_a_broker_that_is_not_the_one_is_named(tmp_path: Path) -> None:
    ca, other = Authority(tmp_path), Authority(tmp_path, "other-ca")
    us = Tls(ca.file, None, None)
    refused = "the broker's certificate is not accepted: "
    expired = ca.issue("expired", "127.0.0.1", ends_in=timedelta(days=-1))
    assert refused + "certificate has expired" in attempt(expired, us)
    elsewhere = attempt(ca.issue("elsewhere", "broker.example"), us)
    assert refused in elsewhere
    assert "127.0.0.1" in elsewhere.partition(refused)[2]
    assert refused in attempt(other.issue("stranger", "127.0.0.1"), us)
    assert "does it speak it?" in attempt(expired, us, port_is_plain=True)
    assert "wants TLS" in attempt(ca.issue("broker", "127.0.0.1"), None)


def test_a_broker_that_does_not_know_us_says_why(tmp_path: Path) -> None:
    ca, other = Authority(tmp_path), Authority(tmp_path, "other-ca")
    server = ca.issue("broker", "127.0.0.1")
    for ours, why in (
        (Tls(ca.file, None, None), "certificate required"),
        (replace(other.issue("stranger"), ca=ca.file), "unknown ca"),
        (ca.issue("late", ends_in=timedelta(days=-1)), "certificate expired"),
    ):
        told = attempt(server, ours, certified=True)
        assert "refuses our certificate" in told
        assert why in told


def play(story: Callable[[World, int, Tls], Awaitable[None]], directory: Path, acl: str) -> None:
    """With passwords over TLS and access rules."""
    ca = Authority(directory)
    users = {"gateway": "g", "cloud": "c", "guest": "x"}
    tls = ca.issue("broker", "127.0.0.1")

    async def run() -> None:
        port = free_port()
        async with world(port, "enforcer", users=users, acl=acl, tls=tls) as made:
            us = Tls(ca.file, None, None)
            ours = replace(made.account, username="gateway", password="g", tls=context(us))
            await made.start_link(ours)
            await story(made, port, us)

    asyncio.run(asyncio.wait_for(run(), 40))


def test_access_rules_let_only_the_cloud_set_limits(tmp_path: Path) -> None:
    async def story(made: World, port: int, us: Tls) -> None:
        with (
            Cloud(port, "cloud", "c", context(us)) as cloud,
            Cloud(port, "guest", "x", context(us)) as guest,
        ):
            await until(cloud.nonce)
            assert (await cloud.ask(amps=60))["accepted"]
            guest.publish(json.dumps(cloud.message(amps=200)))
            guest.desire({"revision": 1, "document": {}})
            cloud.desire({"revision": 1, "document": {}})
            await until(lambda: len(guest.refused) == 2 and cloud.refused)
            assert set(guest.refused + cloud.refused) == {"Not authorized"}
            assert (await cloud.ask(amps=61))["accepted"]  # all that came before is done by now
            await until(lambda: cloud.cap() == [61, 61, 61])
            assert cloud.limits()["refused"] == []  # nobody even tried, as seen from here

    play(story, tmp_path, RULES)


def test_a_site_document_names_its_files_and_check_looks_at_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca = Authority(tmp_path)
    ca.issue("gw")
    ca.issue("other")
    path = tmp_path / "site.json"

    def checked(**link: Any) -> dict[str, str]:
        broker = {"broker": "mqtts://broker.example", "username": "u", "password_file": "word"}
        path.write_text(json.dumps({**DOCUMENT, "link": {**broker, **link}}))
        main(["check", str(path), "--json"])
        answer = json.loads(capsys.readouterr().out)
        return {each["path"]: each["message"] for each in answer["problems"]}

    good = {"ca": "ca.pem", "cert": "gw.pem", "key": "gw.key"}
    assert checked(tls=good) == {
        "link.password_file": f"{tmp_path / 'word'}: No such file or directory"
    }
    (tmp_path / "word").write_text("secret\n")
    assert not checked(tls=good)
    made = account("test", load(path, library()).link)  # type: ignore[arg-type]
    assert (made.host, made.port, made.client_id) == ("broker.example", 8883, "loadkeeper-test")
    assert (made.password, made.tls is None) == ("secret", False)
    assert (
        "no certificate with its key" in checked(tls={**good, "key": "other.key"})["link.tls.cert"]
    )
    assert "No such file" in checked(tls={**good, "key": "none"})["link.tls.key"]
    assert "no certificate" in checked(tls={**good, "ca": "gw.key"})["link.tls.ca"]
    assert main(["link", str(path)]) == 1
    assert str(tmp_path / "gw.key") in capsys.readouterr().err
