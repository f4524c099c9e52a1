"""What happens to the gateway and its processes in a story."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hil.story.words import Event, Id, NotNegative, Positive


class Kill(Event):
    """A process is killed (SIGKILL), and started again after `restart_after_s` if given."""

    do: Literal["kill"]
    process: Literal["link", "enforcer"]
    restart_after_s: NotNegative | None = None


class Stall(Event):
    """One thread of the enforcer stands still, its others go on."""

    do: Literal["stall"]
    thread: Annotated[
        Literal["kernel", "io"], Field(description="that decides, or that talks to the devices")
    ]
    for_s: Positive


class Stop(Event):
    """A process stands still as a whole (SIGSTOP), and goes on."""

    do: Literal["stop"]
    process: Literal["link", "enforcer"] = "enforcer"
    for_s: Positive


class CrashLoop(Event):
    """The enforcer is killed, started again, killed again …; after the last time it lives on."""

    do: Literal["crash_loop"]
    times: Annotated[int, Field(strict=True, ge=2, le=100)]
    lives_s: Positive = Field(description="from a start to the next death")
    restart_after_s: NotNegative = 0.1


class Leave(Event):
    """The enforcer is asked to end (SIGTERM): a planned stop."""

    do: Literal["leave"]
    restart_after_s: NotNegative | None = None


class PowerOff(Event):
    """The gateway is switched off by somebody who knows how (`systemctl poweroff`)."""

    do: Literal["power_off"]
    boot_after_s: NotNegative | None = Field(None, description="from when it is off")


class PowerCut(Event):
    """The gateway's own supply fails, at this instant."""

    do: Literal["power_cut"]
    boot_after_s: NotNegative | None = None


class Install(Event):
    """Somebody at the gateway installs a version, or returns; the story fails when it ends
    otherwise."""

    do: Literal["install"]
    version: Literal["next", "broken", "back"]
    ends: Literal["in_force", "returned"] = "in_force"


class Command(Event):
    """Root at the gateway gives a command; it must succeed."""

    do: Literal["command"]
    words: Annotated[tuple[Id, ...], Field(min_length=1)]


class UnitIs(Event):
    """At this instant systemd says so of a unit, or the story fails."""

    do: Literal["unit_is"]
    unit: Literal["link", "enforcer"]
    state: Literal["active", "failed", "inactive"]


class Probe(Event):
    """In the unit's own sandbox a script tries what the unit must not reach, and what it must; the
    unit is started anew for it."""

    do: Literal["probe"]
    unit: Literal["link", "enforcer"]
