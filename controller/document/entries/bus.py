"""Lines that devices hang on."""

from pydantic import Field

from controller.document.entries.base import Entry, Slug, Text, optional
from controller.document.quantities import (
    ReplySeconds,
)


class BusEntry(Entry):
    id: Slug
    url: Text = Field(
        description="tcp://host:port, or rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1"
    )
    timeout_ns: ReplySeconds = optional(0.5, "timeout_s", "How long a reply may take.")
