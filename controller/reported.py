"""What the two processes tell each other of documents that come over MQTT."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.desired import Step
from controller.document.problems import PROBLEMS_MAX, Problem
from controller.document.text import BYTES_MAX

PART_CHARS = 128 << 10  # escaped at its worst it still fits a frame
PARTS_MAX = BYTES_MAX // PART_CHARS
TROUBLE_CHARS = 400

State = Literal["testing", "active", "rejected", "rolled_back"]


class Model(BaseModel):
    """A message, or part of one: nothing unknown, nothing converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True
    )


class Desired(Model):
    """Part of a document message as it came, unchecked; in order, the whole from 1 to `parts`.

    `parts` 0 is one that was too large to be kept at all, of `size_bytes`.
    """

    type: Literal["desired"] = "desired"
    part: Annotated[int, Field(ge=0, le=PARTS_MAX)]
    parts: Annotated[int, Field(ge=0, le=PARTS_MAX)]
    size_bytes: Annotated[int, Field(ge=0)]
    text: Annotated[str, Field(max_length=PART_CHARS)]


class Confirmed(Model):
    """The broker has taken this report: the way back is open."""

    type: Literal["confirmed"] = "confirmed"
    revision: int | None
    state: State


class Trouble(Model):
    """One thing that is wrong, and where."""

    path: str
    message: str


class Reported(Model):
    """What became of a document; `site/reported` without `type`."""

    type: Literal["reported"] = "reported"
    revision: int | None = Field(
        description="Of the message that this answers; null: the installer's file, or unreadable."
    )
    state: State
    step: Step | None = Field(default=None, description="Which step failed.")
    reason: str | None = Field(default=None, description="The same for people.")
    errors: tuple[Trouble, ...] = Field(
        default=(), description=f"Every problem of that step, up to {PROBLEMS_MAX}."
    )
    remarks: tuple[str, ...] = Field(default=(), description="What its sender should know.")
    sha256: str | None = Field(
        default=None, description="Of the canonical form of the message's document."
    )
    active_revision: int | None = Field(
        default=None, description="What is in force now; null: the installer's file."
    )
    installation_hash: str | None = Field(default=None, description="Of what is in force now.")


def split(text: str, size_bytes: int) -> list[Desired]:
    """A document message as frames."""
    pieces = [text[at : at + PART_CHARS] for at in range(0, max(1, len(text)), PART_CHARS)]
    return [
        Desired(part=number, parts=len(pieces), size_bytes=size_bytes, text=piece)
        for number, piece in enumerate(pieces, start=1)
    ]


def troubles(problems: tuple[Problem, ...]) -> tuple[Trouble, ...]:
    return tuple(
        Trouble(path=each.path[:TROUBLE_CHARS], message=each.message[:TROUBLE_CHARS])
        for each in problems
    )
