"""The way to the broker."""

from pydantic import Field

from controller.document.entries.base import Entry, Text


class TlsEntry(Entry):
    """PEM files, relative to the site document."""

    ca: Text | None = Field(
        default=None, description="Who vouches for the broker; left out: whoever the system trusts."
    )
    cert: Text | None = Field(default=None, description="The gateway's certificate, with key.")
    key: Text | None = Field(default=None, description="Its private key, without a passphrase.")


class LinkEntry(Entry):
    broker: Text = Field(description="mqtt://host:port, or mqtts://host:port with TLS")
    client_id: Text | None = None
    username: Text | None = None
    password_file: Text | None = Field(
        default=None,
        description="Relative to the site document; holds the password and nothing else.",
    )
    tls: TlsEntry | None = None
