"""Memory of the two processes: in the demo with all its faults, and with 500 connections."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from hil.faults.process import resident_mb
from hil.figures import CannotMeasureError, Figure, Must, Value
from hil.figures.crowd import ROOT, Crowd

DEMO_S = 30
METERS, CHARGERS = 20, 480
POLL_S = 1.0
SETTLE_S = 20.0
MOST_MB = 64


def demo() -> dict[str, Value]:
    """The most that each process had resident."""
    words = [sys.executable, "-m", "hil", "demo", "--seconds", str(DEMO_S), "--json"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = ended.stdout.splitlines()
    try:
        said = json.loads(lines[-1])
        return {"enforcer": said["enforcer_rss_mb"], "link": said["link_rss_mb"]}
    except (IndexError, ValueError, KeyError):
        last = (ended.stderr.splitlines() or ["it said nothing"])[-1]
        raise CannotMeasureError(f"the demo did not go to its end: {last}") from None


def five_hundred() -> float:
    with Crowd(METERS, CHARGERS, POLL_S) as crowd:
        time.sleep(SETTLE_S)
        if crowd.connections() < METERS + CHARGERS:
            raise CannotMeasureError(f"void: {crowd.connections()} connections stood")
        return round(resident_mb(crowd.enforcer.pid), 1)


FIGURES = (
    Figure(
        field="enforcer_rss_mb",
        unit="MB",
        must=Must("≤", MOST_MB),
        how=f"most resident memory of the enforcer in {DEMO_S} s of the demo with all its faults",
        measure=demo,
        part="enforcer",
    ),
    Figure(
        field="link_rss_mb",
        unit="MB",
        must=Must("≤", MOST_MB),
        how="likewise, the link",
        measure=demo,
        part="link",
    ),
    Figure(
        field="rss500_mb",
        unit="MB",
        must=Must("≤", MOST_MB),
        how=f"the enforcer with {METERS} meters and {CHARGERS} chargers on 500 connections, after "
        f"{SETTLE_S:g} s",
        measure=five_hundred,
    ),
)
