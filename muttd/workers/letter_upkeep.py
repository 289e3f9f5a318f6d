"""What is done about dead letters without anybody: some go out again, old ones are forgotten.

    failing  --the destination is well, every remediation_interval--> replayed, remediation_batch
    poison, rejected, undecodable, parked                             never: somebody has to look
    older than dead_letter_days                                       forgotten

Several daemons do it at a time: a letter is replayed by one of them.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from muttd.dynamic import Dynamic
from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.queue.breaker import BreakerState
from muttd.queue.contract import Queue
from muttd.queue.letters import LetterKind, LetterQuery, LetterReason
from muttd.store.contract import Change, ChangedRecord, Store
from muttd.workers.dispatch import Dispatch

# How often the intervals are looked at: they may be changed meanwhile.
_TICK_S = 1.0
_COUNT_INTERVAL_S = 15.0
_FORGET_INTERVAL_S = 600.0
_ACTOR = "muttd"
_WHY = "the destination is healthy again"

_log = logging.getLogger(__name__)


class LetterMetrics:
    """At zero from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.letters = Gauge(
            "muttd_dead_letters", "Dead letters that are kept.", ["kind"], registry=registry
        )
        for kind in LetterKind:
            self.letters.labels(kind.value)
        self.replayed = Counter(
            "muttd_dead_letters_replayed_total",
            "Dead letters replayed by the daemon itself.",
            registry=registry,
        )
        self.forgotten = Counter(
            "muttd_dead_letters_forgotten_total",
            "Dead letters forgotten because they were old.",
            registry=registry,
        )


class LetterUpkeep:
    """Looks after dead letters.

    Args:
        queue, store: Where they are, and where it is written down.
        dispatch: Knows which destination is well.
        dynamic: The intervals and limits in force.
        metrics: What it counts.
    """

    def __init__(
        self,
        queue: Queue,
        store: Store,
        dispatch: Dispatch,
        dynamic: Dynamic,
        metrics: LetterMetrics,
    ) -> None:
        self._queue = queue
        self._store = store
        self._dispatch = dispatch
        self._dynamic = dynamic
        self._metrics = metrics

    async def run(self) -> None:
        """Look after them until cancelled."""
        started = trio.current_time()
        replayed_at, counted_at, forgot_at = started, float("-inf"), float("-inf")
        while True:
            now = trio.current_time()
            interval_s = self._dynamic.current.remediation_interval
            try:
                if now - counted_at >= _COUNT_INTERVAL_S:
                    await self._count()
                    counted_at = now
                if now - forgot_at >= _FORGET_INTERVAL_S:
                    await self._forget()
                    forgot_at = now
                if interval_s and now - replayed_at >= interval_s:
                    replayed_at = now
                    await self.replay()
            except StoreUnavailable as exc:
                _log.debug("dead letters: not now: %s", exc)
            await trio.sleep(_TICK_S)

    async def _count(self) -> None:
        for kind in LetterKind:
            count = await self._queue.letters.count(LetterQuery(kind=kind))
            self._metrics.letters.labels(kind.value).set(count)

    async def _forget(self) -> None:
        days = self._dynamic.current.dead_letter_days
        count = await self._queue.letters.forget(failed_before=utc_now() - timedelta(days=days))
        self._metrics.forgotten.inc(count)
        if count:
            _log.info("dead letters: %d are older than %d days and forgotten", count, days)

    async def replay(self) -> None:
        """Replay some of each destination that is well.

        Raises:
            StoreUnavailable: Some may have been replayed.
        """
        current = self._dynamic.current
        for name, forwarder in list(self._dispatch.forwarders.items()):
            is_well = forwarder.state in ("idle", "delivering")
            if not is_well or forwarder.breaker.state is not BreakerState.CLOSED:
                continue
            query = LetterQuery(
                kind=LetterKind.ALERT,
                reason=LetterReason.FAILING,
                destination=name,
                most_replays=current.max_poison_retries - 1,
            )
            letters = await self._queue.letters.find(
                query, limit=current.remediation_batch, oldest_first=True
            )
            if not letters:
                continue
            records = [
                ChangedRecord(
                    "dead_letters",
                    letter.letter_id,
                    {"state": "dead", "item_id": letter.item_id, "replays": letter.replays},
                    {"state": "replayed", "item_id": letter.item_id, "replays": letter.replays + 1},
                )
                for letter in letters
            ]
            # The record first, as in the API: what was done is never without one.
            await self._store.record_changes(Change(actor=_ACTOR, reason=_WHY), records)
            ids = await self._queue.letters.replay([letter.letter_id for letter in letters])
            self._metrics.replayed.inc(len(ids))
            _log.info("destination %s: %d dead letters replayed", name, len(ids))
