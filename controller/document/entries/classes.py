"""Classes of chargers: how long each waits behind those that go before it."""

from typing import Annotated

from pydantic import Field, StrictInt

from controller.document.entries.base import Entry, Title, optional
from controller.document.quantities import LeaseSeconds

CLASS_WAIT_S = 1800  # two turns of a quarter of an hour


class ClassEntry(Entry):
    """A class, by its rank."""

    rank: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        description="As `class` of its chargers says; lower goes first."
    )
    name: Title = ""
    wait_ns: LeaseSeconds = optional(
        CLASS_WAIT_S,
        "wait_s",
        "So long its chargers wait for their minimum behind other classes and advice; then they "
        "go before them for a turn.",
    )
