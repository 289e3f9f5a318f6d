"""A sliding rate limit: at most `limit` passes in any window of `period_s`."""

from __future__ import annotations

from collections import deque

import trio


class SlidingLimit:
    """Who calls wait_turn() waits until one more fits into the last period_s seconds.

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
