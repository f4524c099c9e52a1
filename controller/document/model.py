"""The site document as people write it: one model for TOML, JSON and the published schema.

Keys are in amperes and seconds (`min_a`); attributes are what the core counts in (`min_ma`).
A key that may be left out because the device's profile knows better is None until
:mod:`controller.document.devices` has asked the profile.
"""

from typing import Any, Literal

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema

from controller.document.entries.base import Entry
from controller.document.entries.bus import BusEntry
from controller.document.entries.charger import ChargerEntry
from controller.document.entries.circuit import CircuitEntry
from controller.document.entries.clamp import ClampEntry
from controller.document.entries.classes import ClassEntry
from controller.document.entries.derogation import Derogation
from controller.document.entries.gpio import GpioEntry, InputEntry, OutputEntry
from controller.document.entries.key import KeyEntry
from controller.document.entries.limit import LimitSource
from controller.document.entries.link import LinkEntry
from controller.document.entries.meter import MeterEntry
from controller.document.entries.site import Control, SiteEntry


class Document(Entry):
    """A site document of Loadkeeper."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of this format.")
    mode: Literal["control", "observe"] = Field(
        default="control", description="observe decides, records and writes nothing to any device."
    )
    site: SiteEntry
    control: Control = Field(default_factory=Control)
    circuits: tuple[CircuitEntry, ...] = Field(
        alias="circuit", max_length=1000, json_schema_extra={"minItems": 1}
    )
    buses: tuple[BusEntry, ...] = Field(default=(), alias="bus", max_length=1000)
    meters: tuple[MeterEntry, ...] = Field(default=(), alias="meter", max_length=1000)
    clamps: tuple[ClampEntry, ...] = Field(default=(), alias="clamp", max_length=100)
    chargers: tuple[ChargerEntry, ...] = Field(default=(), alias="charger", max_length=5000)
    classes: tuple[ClassEntry, ...] = Field(default=(), alias="class", max_length=101)
    limit_sources: tuple[LimitSource, ...] = Field(
        default=(), alias="limit_source", max_length=1000
    )
    keys: tuple[KeyEntry, ...] = Field(default=(), alias="key", max_length=100)
    derogations: tuple[Derogation, ...] = Field(default=(), alias="derogation", max_length=1000)
    gpio: GpioEntry | None = None
    outputs: tuple[OutputEntry, ...] = Field(default=(), alias="output", max_length=100)
    inputs: tuple[InputEntry, ...] = Field(default=(), alias="input", max_length=100)
    link: LinkEntry | None = None


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the key."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schema(whole: type[Entry] = Document) -> dict[str, Any]:
    """The JSON Schema (2020-12) published in docs/, of the site document unless told otherwise."""
    return {
        "$schema": _Untitled.schema_dialect,
        **whole.model_json_schema(schema_generator=_Untitled),
    }
