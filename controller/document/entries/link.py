"""The way to the broker."""

from pydantic import Field

from controller.document.entries.base import Entry, Text


class LinkEntry(Entry):
    broker: Text = Field(description="mqtt://host:port")
    client_id: Text | None = None
    username: Text | None = None
    password_file: Text | None = Field(
        default=None,
        description="Relative to the site document; holds the password and nothing else.",
    )
