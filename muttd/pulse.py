"""A pulse: by it the watchdog knows that a worker gets on, or has nothing to do.

    rest()     nothing to do: may take for ever
    beat()     a step was made: the next one must follow in time

A worker beats wherever it has come one step on, a wait for an absent neighbour included: it is not
stuck as long as it tries. A worker whose thread never returns beats no more.
"""

from __future__ import annotations

import time


class Pulse:
    """One worker's.

    Args:
        name: Of the worker, for the log.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._beat_at: float | None = None

    def beat(self) -> None:
        """A step was made, and there is more to do."""
        self._beat_at = time.monotonic()

    def rest(self) -> None:
        """There is nothing to do."""
        self._beat_at = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last step; 0 while there is nothing to do."""
        return 0.0 if self._beat_at is None else time.monotonic() - self._beat_at
