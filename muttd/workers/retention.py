"""Retention: forget what is old, and make room for what will come, every ten minutes."""

from __future__ import annotations

import logging
from pathlib import Path

import trio

from muttd.dynamic import Dynamic
from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.store.contract import Retention, Store
from muttd.workers.dynamic_watch import DynamicWatch

# Often enough that one round is small, seldom enough to cost nothing.
_INTERVAL_S = 600.0

_log = logging.getLogger(__name__)


async def run_retention(
    store: Store, dynamic: Dynamic, watch: DynamicWatch, archive_dir: Path | None
) -> None:
    """Maintain the store until cancelled; and at once when it is decided anew what is kept.

    Args:
        store: The store.
        dynamic: Says how long what is kept.
        watch: Keeps that current: what the store itself says must be known before the first round.
        archive_dir: Where matched events are written before they go; None: nowhere.
    """
    changed = trio.Event()
    dynamic.listen(lambda: changed.set())
    await watch.wait_confirmed()
    while True:
        changed = trio.Event()
        try:
            done = await store.maintain(_retention(dynamic, archive_dir), now=utc_now())
        except StoreUnavailable as exc:
            _log.warning("retention: the store is away: %s", exc)
        else:
            for line in done:
                _log.info("retention: %s", line)
        with trio.move_on_after(_INTERVAL_S):
            await changed.wait()


def _retention(dynamic: Dynamic, archive_dir: Path | None) -> Retention:
    kept = dynamic.current
    return Retention(
        history_days=kept.history_days,
        event_retention_months=kept.event_retention_months,
        config_audit_days=kept.config_audit_days,
        archive_dir=archive_dir,
    )
