"""A way to make a backend fail, and events to try it with."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from muttd.errors import StoreUnavailable
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds

_event_ids = EventIds()


class Interruption:
    """Stands before a backend: while `is_away`, every call to it raises StoreUnavailable.

    Args:
        backend: A queue or a store.

    Attributes:
        refused: Calls that were refused.
        answers: Calls wait for it, as for a backend that hangs.
        waiting: Calls that wait for it now.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.is_away = False
        self.refused = 0
        self.answers: trio.Event | None = None
        self.waiting = 0

    def __getattr__(self, name: str) -> Any:
        """A method of the backend, behind the interruption."""
        method = getattr(self._backend, name)
        if not inspect.iscoroutinefunction(method):
            # What needs no answer; and a queue's letters: a test looks at them in the end.
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.answers is not None:
                self.waiting += 1
                await self.answers.wait()
                self.waiting -= 1
            if self.is_away:
                self.refused += 1
                raise StoreUnavailable("away for this test")
            return await method(*args, **kwargs)

        return call


def an_event(message: str, **values: Any) -> Event:
    """An event with that text."""
    return Event(
        **{
            "event_id": _event_ids.next(),
            "received_at": utc_now(),
            "source_ip": "192.0.2.1",
            "hostname": "sw1",
            "transport": Transport.SYSLOG_UDP,
            "severity": 5,
            "message": message,
            "raw": message.encode(),
            **values,
        }
    )


async def wait_until(look: Callable[[], Awaitable[object]], *, within_s: float = 10.0) -> None:
    """Wait until look() is true of a real backend, whose time no clock of ours can move."""
    with trio.fail_after(within_s):
        while not await look():  # noqa: ASYNC110 -- a backend sets no trio.Event
            await trio.sleep(0.01)
