"""Retention: forget unmatched events that are older than the history, a few at a time."""

from __future__ import annotations

import logging
from datetime import timedelta

import trio

from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.store.contract import Store

# Often enough that one round is small, seldom enough to cost nothing.
_INTERVAL_S = 600.0

_log = logging.getLogger(__name__)


async def run_retention(store: Store, *, history_days: int) -> None:
    """Expire history until cancelled."""
    while True:
        try:
            count = await store.expire_history(utc_now() - timedelta(days=history_days))
        except StoreUnavailable as exc:
            _log.warning("retention: the store is away: %s", exc)
        else:
            if count:
                _log.info("retention: %d unmatched events forgotten", count)
        await trio.sleep(_INTERVAL_S)
