"""How often who asks once asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from drivers.device import DeviceError, HeldError

ATTEMPTS = 3  # where a device itself says that it is busy

Answer = TypeVar("Answer")


async def patiently(exchange: Callable[[], Awaitable[Answer]]) -> Answer:
    """For people who ask once: tries again where the device says that it is busy, and waits where
    it may not be asked yet, which is so after a lost answer only.

    Raises DeviceError.
    """
    tried = 0
    for _ in range(2 * ATTEMPTS):
        try:
            return await exchange()
        except HeldError as error:
            await asyncio.sleep(error.again_s)
        except DeviceError as error:
            tried += 1
            if tried == ATTEMPTS or not error.passing:
                raise
    return await exchange()
