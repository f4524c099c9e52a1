"""The enforcer without OpenSSL: five megabytes of it and of its bindings that it never needs.

It speaks to devices in the clear and over a socket of its own machine; what is encrypted is the
link's. asyncio and hashlib load OpenSSL where they find it, and do without where there is none
(hashlib has SHA-256 of its own), so for them there is none. Whatever else would open an encrypted
connection from here fails at once. Signatures are checked by `cryptography`, which brings its own.
"""

import sys

BINDINGS = ("ssl", "_hashlib")


def without_openssl() -> None:
    """For the entry of the process: once asyncio or hashlib is imported it changes nothing."""
    for name in BINDINGS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # then its import fails


def with_openssl() -> None:
    """Whoever is told why a site is refused hears of its certificates, too."""
    for name in BINDINGS:
        if sys.modules.get(name, sys) is None:
            del sys.modules[name]
