"""Who writes documents in a story: an installer with his key, a stranger with another."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue

from controller import trust
from hil.cloud import Cloud
from hil.story.happenings import Desired, Prooftest

KEY_ID = "installer"


class Installer:
    """Makes messages out of the document that the rig's enforcer was started with."""

    def __init__(self, site: str) -> None:
        self.unmet: list[str] = []  # what became otherwise than a story says
        self._site = site
        self._keys = {who: Ed25519PrivateKey.generate() for who in ("installer", "stranger")}

    @property
    def entry(self) -> dict[str, str]:
        """The [[key]] of the rig's document."""
        public = trust.public_text(self._keys["installer"])
        return {"id": KEY_ID, "role": "installer", "ed25519": public}

    async def publish(self, event: Desired, document: Mapping[str, Any], cloud: Cloud) -> None:
        """Publishes, and waits for what the story says will become of it."""
        cloud.desire(json.dumps(self._message(event, document)))
        wanted = (event.revision, event.becomes)
        try:
            async with asyncio.timeout(event.within_s):
                while _said(cloud) != wanted:
                    await cloud.news()
        except TimeoutError:
            told = json.dumps(cloud.reported)
            self.unmet.append(
                f"revision {event.revision} is not {event.becomes} within {event.within_s:g} s "
                f"of {event.t_s:g} s; the last report is {told}"
            )

    async def test(self, event: Prooftest, runtime: Path) -> None:
        """Runs `loadkeeper prooftest`, and holds what it says against what the story says."""
        words = ["prooftest", *event.contactor, "--runtime", str(runtime), "--json"]
        words += ["--even-charging"] if event.even_charging else []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "controller", *words), stdout=asyncio.subprocess.PIPE
        )
        told = ""
        try:
            async with asyncio.timeout(event.within_s):
                told = (await process.communicate())[0].decode()
            became = {
                each["contactor"]: each["outcome"]
                for each in json.loads(told.splitlines()[-1])["contactors"]
            }
        except (TimeoutError, LookupError, ValueError):
            became = {}
        finally:
            if process.returncode is None:
                process.kill()
        passed = all(outcome in ("follows", "refused") for outcome in became.values())
        if became != event.becomes or (process.returncode == 0) > passed:
            self.unmet.append(f"proof test of {event.t_s:g} s: {event.becomes} expected; {told}")

    def _message(self, event: Desired, document: Mapping[str, Any]) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        if event.operation:
            parts["operation"] = event.operation
        if event.change:
            parts["installation"] = changed(document, event.change)
        message: dict[str, Any] = {"revision": event.revision, "document": parts}
        if event.signed_by != "nobody":
            key = self._keys[event.signed_by]
            message["signature"] = trust.sign(key, self._site, event.revision, parts)
        return message


def changed(document: Mapping[str, Any], change: Mapping[str, JsonValue]) -> dict[str, Any]:
    """The document with keys set by paths such as `circuit.row-a.rating_a`.

    Raises KeyError where there is no such entry.
    """
    made = deepcopy(dict(document))
    for path, value in change.items():
        *way, last = path.split(".")
        here: Any = made
        for step in way:
            if isinstance(here, list):
                here = {entry["id"]: entry for entry in here}[step]
            else:
                here = here.setdefault(step, {})
        here[last] = value
    return made


def _said(cloud: Cloud) -> tuple[object, object]:
    return cloud.reported.get("revision"), cloud.reported.get("state")
