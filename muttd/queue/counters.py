"""Counters that daemons share. Today one: how many alerts went out lately.

at most `limit` passes in any window of `period_s`, over all who share the limit
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import trio


class RateLimit(Protocol):
    """What whoever is limited needs of it."""

    async def wait_turn(self) -> None:
        """Wait until one more pass fits, and take it."""
        ...


class LocalRateLimit:
    """A sliding rate limit of this process alone: the embedded backend.

    Args:
        limit: Passes in any window.
        period_s: The window, in seconds.
    """

    def __init__(self, limit: int, *, period_s: float) -> None:
        self._period_s = period_s
        self._passes: deque[float] = deque(maxlen=limit)

    async def wait_turn(self) -> None:
        """Wait until one more pass fits, and take it."""
        passes = self._passes
        if len(passes) == passes.maxlen:
            await trio.sleep_until(passes[0] + self._period_s)
        passes.append(trio.current_time())
