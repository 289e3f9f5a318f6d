"""Whether a neighbour answers, for whoever asks and will not wait for one that hangs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from muttd.errors import StoreUnavailable

# A neighbour that does not answer for this long is down for whoever asks. Below the two seconds
# that a load balancer's check usually waits.
_PATIENCE_S = 1.5


class Probe:
    """Asks one neighbour, one question at a time, in a task of its own.

    A call to a neighbour that hangs cannot be given up before its own deadline; who asks here can.

    Args:
        ping: Returns when the neighbour is well.
        note: Says what should be looked at although it is well; None: nothing.
    """

    def __init__(
        self, ping: Callable[[], Awaitable[None]], note: Callable[[], str | None] = lambda: None
    ) -> None:
        self._ping = ping
        self.note = note
        self._asked = trio.Event()
        self._answered = trio.Event()
        self._error: str | None = None

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            try:
                await self._ping()
                self._error = None
            except StoreUnavailable as exc:
                self._error = str(exc)
            answered, self._answered = self._answered, trio.Event()
            answered.set()

    async def ask(self) -> dict[str, Any]:
        """{"ok": bool, "error": text or null}, as GET /readyz shows it."""
        answered = self._answered
        self._asked.set()
        with trio.move_on_after(_PATIENCE_S):
            await answered.wait()
            return {"ok": self._error is None, "error": self._error}
        return {"ok": False, "error": f"no answer within {_PATIENCE_S:g} s"}
