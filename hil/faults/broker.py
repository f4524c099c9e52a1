"""A broker that is dead, stands still, or lets nobody in."""

from __future__ import annotations

from typing import Literal

from hil.broker import Broker

BrokerFaultKind = Literal["killed", "frozen", "refusing"]


class BrokerFault:
    """The broker as `kind` says, from `begin` to `end`. Its port stays."""

    def __init__(self, broker: Broker, kind: BrokerFaultKind) -> None:
        self._broker = broker
        self._kind = kind

    async def begin(self) -> None:
        match self._kind:
            case "killed":
                await self._broker.kill()
            case "frozen":
                await self._broker.freeze()
            case "refusing":
                await self._broker.kill()
                await self._broker.start(anonymous=False)

    async def end(self) -> None:
        if self._kind == "frozen":
            self._broker.thaw()
        elif not self._broker.answers:
            await self._broker.kill()
            await self._broker.start()
