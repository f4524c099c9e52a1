"""How many random depots a property is told: some in every run, all with `make thorough`."""

import os

from hypothesis import settings

EVERY_RUN = 3, 5  # of them
THOROUGH = "LOADKEEPER_THOROUGH"


def depots(count: int) -> settings:
    """The same ones in every run."""
    part, whole = (1, 1) if os.environ.get(THOROUGH) else EVERY_RUN
    most = -(-count * part // whole)
    return settings(max_examples=most, deadline=None, derandomize=True)
