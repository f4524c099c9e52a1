"""What goes wrong in the depot itself: a charger that does not do as told, a contact that asks."""

from __future__ import annotations

from collections.abc import Callable

from cext.plant import Plant


class DisobeyFault:
    """A charger confirms every order and draws what it likes, from `begin` to `end`."""

    def __init__(self, plant: Plant, charger: int) -> None:
        self._plant = plant
        self._charger = charger

    async def begin(self) -> None:
        self._plant.set_obeys(self._charger, False)

    async def end(self) -> None:
        self._plant.set_obeys(self._charger, True)


class ContactFault:
    """A contact on the gateway's pins asks to dim, from `begin` to `end`."""

    def __init__(self, ask: Callable[[bool], None]) -> None:
        """`ask` moves the contact, and tells whoever judges of it."""
        self._ask = ask

    async def begin(self) -> None:
        self._ask(True)

    async def end(self) -> None:
        self._ask(False)
