"""Who leaves hands back what it took and did not finish: another takes it at once.

    async with handing_back(...)    left in order or cancelled: released
                                    left by an error nobody foresaw: pending until it is idle

In the last case an entry may be at fault, and its deliveries must count.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import trio

from muttd.errors import StoreUnavailable
from muttd.queue.contract import Queue

# No stop waits longer for it: what was not handed back is found when it is idle.
_PATIENCE_S = 1.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def handing_back(
    queue: Queue, stream: str, consumer: str, held: Collection[str]
) -> AsyncIterator[None]:
    """Release what is held when the block ends.

    Args:
        queue, stream, consumer: Of whom and by whom it was taken.
        held: The entry ids, as they are when the block ends.
    """
    try:
        yield
    except trio.Cancelled:
        await _release(queue, stream, consumer, held)
        raise
    except BaseExceptionGroup as group:
        # A nursery inside the block was cancelled, and nothing else went wrong.
        if group.split(trio.Cancelled)[1] is None:
            await _release(queue, stream, consumer, held)
        raise
    await _release(queue, stream, consumer, held)


async def _release(queue: Queue, stream: str, consumer: str, held: Collection[str]) -> None:
    if not held:
        return
    with trio.CancelScope(deadline=trio.current_time() + _PATIENCE_S, shield=True):
        try:
            await queue.release(stream, consumer, list(held))
        except StoreUnavailable as exc:
            _log.warning("%s: %d entries not handed back: %s", stream, len(held), exc)
        else:
            _log.info("%s: %d entries handed back", stream, len(held))
