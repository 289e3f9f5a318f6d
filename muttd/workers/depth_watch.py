"""Says in the log when the queue has become long, and when it is no longer.

The page and the status say so too, each time that they are looked at; a log line is for the night.
"""

from __future__ import annotations

import logging

import trio

from muttd.dynamic import Dynamic
from muttd.errors import StoreUnavailable
from muttd.queue.contract import Queue, Stream

_INTERVAL_S = 5.0
# A queue that hovers about the limit must not fill the log.
_OVER_BELOW = 0.9

_log = logging.getLogger(__name__)


async def watch_depth(queue: Queue, dynamic: Dynamic, *, interval_s: float = _INTERVAL_S) -> None:
    """Look at the ingest stream until cancelled."""
    is_long = False
    while True:
        try:
            items = (await queue.depth(Stream.INGEST)).items
        except StoreUnavailable:
            # Whoever needs the queue says that it is away.
            items = None
        limit = dynamic.current.queue_warn_events
        if items is not None and not is_long and items >= limit:
            is_long = True
            _log.warning("the queue holds %d events, %d or more are worth a warning", items, limit)
        elif items is not None and is_long and items < limit * _OVER_BELOW:
            is_long = False
            _log.warning("the queue holds %d events, fewer than %d again", items, limit)
        await trio.sleep(interval_s)
