"""Counters that daemons share. Today one: how many alerts went out lately.

at most `limit` passes in any window of `period_s`, over all who share the limit

Both are asked for anew with every pass, because operators change them meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import trio

# Who waits looks this often whether the limit has become another one.
LOOK_AGAIN_S = 1.0


class Pace(NamedTuple):
    """How many passes in which period, in seconds."""

    limit: int
    period_s: float


class RateLimit(Protocol):
    """What whoever is limited needs of it."""

    async def wait_turn(self) -> None:
        """Wait until one more pass fits, and take it."""
        ...


class LocalRateLimit:
    """A sliding rate limit of this process alone: the embedded backend.

    Args:
        pace: Gives what is in force.
    """

    def __init__(self, pace: Callable[[], Pace]) -> None:
        self._pace = pace
        # Newest last; those that no window of the present period holds are forgotten.
        self._passes: deque[float] = deque()

    async def wait_turn(self) -> None:
        """Wait until one more pass fits, and take it."""
        while (wait_s := self._wait_s()) > 0:  # noqa: ASYNC110 -- the limit itself may change
            await trio.sleep(min(wait_s, LOOK_AGAIN_S))
        self._passes.append(trio.current_time())

    def _wait_s(self) -> float:
        limit, period_s = self._pace()
        now = trio.current_time()
        passes = self._passes
        while passes and passes[0] + period_s <= now:
            passes.popleft()
        return passes[-limit] + period_s - now if len(passes) >= limit else 0.0
