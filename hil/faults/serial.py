"""What goes wrong on a serial line between its master and its slaves.

Each fault stands on the line of the rig (hil.devices.rs485) and changes the bytes that pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Literal

from hil.devices.rs485 import Rs485, Tamper

SerialFaultKind = Literal["cut", "noise", "wrong_speed", "stuck", "echo", "unplugged"]
NOISE_EVERY_S = 0.05
_BURST = 6  # stray bytes at most, at once
_BABBLE_EVERY_S = 0.001


class Cut:
    """The cable is broken: nothing passes, either way."""

    def to_slaves(self, data: bytes) -> bytes:
        return b""

    def to_master(self, data: bytes) -> bytes:
        return b""


class Noise:
    """Each byte is wrong with a probability; a byte is lost or added now and then."""

    def __init__(self, wrong: float = 0.01, seed: int = 1) -> None:
        self._wrong = wrong
        self._random = Random(seed)

    def to_slaves(self, data: bytes) -> bytes:
        return self._spoilt(data)

    def to_master(self, data: bytes) -> bytes:
        return self._spoilt(data)

    def stray(self) -> bytes:
        """What is heard when nobody speaks."""
        return self._random.randbytes(self._random.randint(1, _BURST))

    def _spoilt(self, data: bytes) -> bytes:
        heard = bytearray()
        for byte in data:
            if self._random.random() >= self._wrong:
                heard.append(byte)
                continue
            fate = self._random.randrange(4)
            if fate == 0:
                continue  # lost
            heard.append(byte ^ 1 << self._random.randrange(8))
            if fate == 1:
                heard += self.stray()
        return bytes(heard)


class WrongSpeed:
    """The other side is set to another baud: so many other bytes, none of them as sent."""

    def __init__(self, ratio: float = 0.5, seed: int = 1) -> None:
        self._ratio = ratio
        self._random = Random(seed)

    def to_slaves(self, data: bytes) -> bytes:
        return self._random.randbytes(max(1, round(len(data) * self._ratio)))

    def to_master(self, data: bytes) -> bytes:
        return self._random.randbytes(max(1, round(len(data) / self._ratio)))


class SerialFault:
    """A line that is as `kind` says from `begin` to `end`."""

    def __init__(self, line: Rs485, kind: SerialFaultKind, seed: int = 1) -> None:
        self._line = line
        self._kind = kind
        self._seed = seed
        self._talking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.end()
        noise = Noise(seed=self._seed)
        tampers: dict[str, Tamper] = {
            "cut": Cut(),
            "noise": noise,
            "wrong_speed": WrongSpeed(seed=self._seed),
            "stuck": Cut(),
        }
        self._line.tamper = tampers.get(self._kind)
        self._line.echoes = self._kind == "echo"
        if self._kind == "unplugged":
            self._line.pull()
        if self._kind == "noise":
            self._talk(noise.stray, NOISE_EVERY_S)
        if self._kind == "stuck":  # a driver that never lets go of the line
            self._talk(lambda: b"\0", _BABBLE_EVERY_S)

    async def end(self) -> None:
        talking, self._talking = self._talking, None
        if talking is not None:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        self._line.tamper, self._line.echoes = None, False
        self._line.plug()

    def _talk(self, words: Callable[[], bytes], every_s: float) -> None:
        async def go_on() -> None:
            while True:
                self._line.say(words())
                await asyncio.sleep(every_s)

        self._talking = asyncio.ensure_future(go_on())


class Misrouted:
    """Requests to one unit are answered by another one, under its own number."""

    def __init__(self, line: Rs485, asked: int, answers: int) -> None:
        self._line = line
        self._asked = asked
        self._answers = answers

    async def begin(self) -> None:
        self._line.misrouted[self._asked] = self._answers

    async def end(self) -> None:
        self._line.misrouted.pop(self._asked, None)
