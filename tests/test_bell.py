"""Absolute instants: no drift, nothing made up, nothing rung twice."""

import asyncio
import time

from drivers.bell import Bell

PERIOD_S = 0.01


def test_rings_at_once_then_once_a_period_whatever_a_round_takes() -> None:
    async def whole() -> list[float]:
        bell = Bell("grid", PERIOD_S)
        loop = asyncio.get_running_loop()
        rung_s = []
        for i in range(12):
            await bell.wait()
            rung_s.append(loop.time())
            if i % 4 == 1:
                time.sleep(2.5 * PERIOD_S)  # noqa: ASYNC251  # a stalled loop misses instants
        slots = [int((each - bell._phase_s + 1e-6) // PERIOD_S) for each in rung_s[1:]]
        assert slots == sorted(set(slots))
        return rung_s

    rung_s = asyncio.run(whole())
    assert rung_s[3] - rung_s[1] >= 2.5 * PERIOD_S


def test_rings_by_hand_do_not_move_the_instants() -> None:
    async def whole() -> None:
        bell = Bell("bay-01", 3600)
        loop = asyncio.get_running_loop()
        await bell.wait()
        begun_s = loop.time()
        for _ in range(3):
            bell.ring()
            bell.ring()  # heard once
            await bell.wait()
        assert bell._next_s is not None
        assert (bell._next_s - bell._phase_s) % 3600 < 1e-6
        assert begun_s < bell._next_s <= begun_s + 3600

    asyncio.run(whole())


def test_bells_of_other_names_ring_at_other_moments() -> None:
    async def whole() -> None:
        phases = {round(Bell(f"bay-{n:02}", 1)._phase_s, 2) for n in range(50)}
        assert len(phases) > 25

    asyncio.run(whole())
