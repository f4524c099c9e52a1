"""`python -m hil schemas`: writes the JSON Schemas in docs/ from the models."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import Any

from controller.commands.output import FINE, say
from controller.desired import Message
from controller.document import model
from controller.document.operation import Operation
from controller.reported import Reported
from hil.story import script as story

DOCS = Path(__file__).parents[1] / "docs"


def schemas() -> dict[str, dict[str, Any]]:
    """What each file in docs/ must hold."""
    return {
        "site.schema.json": model.json_schema(),
        "operation.schema.json": model.json_schema(Operation),
        "desired.schema.json": model.json_schema(Message),
        "reported.schema.json": _published(Reported),
        "story.schema.json": story.json_schema(),
    }


def _published(message: type[Reported]) -> dict[str, Any]:
    """Without `type`, which only the two processes need."""
    schema = message.model_json_schema()
    del schema["properties"]["type"]
    return schema


def text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def register(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    subparsers.add_parser("schemas", help="write the JSON Schemas in docs/")


def run(args: Namespace) -> int:
    for name, schema in schemas().items():
        (DOCS / name).write_text(text(schema), encoding="utf-8")
        say(f"docs/{name}")
    return FINE
