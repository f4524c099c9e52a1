"""The enforcer without plug-ins: two megabytes of looking for what may not be there.

Before it makes its first model pydantic looks through all that is installed for plug-ins, and loads
for that how packages, archives and mail are read. What else is installed on a gateway has no
business in how the enforcer checks its documents: so there is none, and nobody looks. A pydantic
that keeps this in another place goes on looking, and nothing else changes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType

PLACE = "pydantic.plugin._loader"


class _Nobody(ModuleType):
    """In the place of who looks for them."""

    @staticmethod
    def get_plugins() -> Iterable[object]:
        return ()


def without_plugins() -> None:
    """For the entry of the process: once a model is made it changes nothing."""
    sys.modules.setdefault(PLACE, _Nobody(PLACE))
