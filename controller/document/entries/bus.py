"""Lines that devices hang on."""

from pydantic import Field

from controller.document.entries.base import Entry, Slug, Text, optional
from controller.document.quantities import (
    ReplySeconds,
)

EXAMPLES = (
    "tcp://host:port, rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1, "
    "or ascii:///dev/ttyUSB0?baud=9600&bits=7&parity=E&stop=1"
)


class BusEntry(Entry):
    id: Slug
    url: Text = Field(description=EXAMPLES)
    timeout_ns: ReplySeconds = optional(0.5, "timeout_s", "How long a reply may take.")
