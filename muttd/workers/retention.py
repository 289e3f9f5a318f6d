"""Retention: forget what is old, and make room for what will come, every ten minutes."""

from __future__ import annotations

import logging

import trio

from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.store.contract import Retention, Store

# Often enough that one round is small, seldom enough to cost nothing.
_INTERVAL_S = 600.0

_log = logging.getLogger(__name__)


async def run_retention(store: Store, retention: Retention) -> None:
    """Maintain the store until cancelled."""
    while True:
        try:
            done = await store.maintain(retention, now=utc_now())
        except StoreUnavailable as exc:
            _log.warning("retention: the store is away: %s", exc)
        else:
            for line in done:
                _log.info("retention: %s", line)
        await trio.sleep(_INTERVAL_S)
