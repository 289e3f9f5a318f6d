"""Where a forwarder gets its alerts from: one stream, and what the store knows of each alert.

take or claim --> those that were delivered before are left out --> outbox --> ack
touch, every few seconds: we are alive and still work on what we hold
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

import trio

from muttd.backoff import backoff_s
from muttd.decision import decode_alerts
from muttd.errors import StoreError, StoreUnavailable
from muttd.queue.contract import Entry, Queue, alert_stream
from muttd.queue.letters import DeadLetter
from muttd.store.contract import Store
from muttd.workers.hand_back import handing_back
from muttd.workers.outbox import Outbox, Outgoing

_ENTRIES = 16
_WAIT_S = 1.0
_RETRY_BASE_S = 0.1
_RETRY_CAP_S = 5.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class GivenUp(StoreError):
    """A neighbour is away and we are to leave: what is in hand stays in the queue."""


class AlertSource:
    """The alerts for one destination.

    Args:
        queue, store: Where they are, and what became of them.
        outbox: Where they go.
        name: Of the destination.
        consumer: This daemon's name in the queue.
        claim_idle_s: Silence after which another consumer's entries are taken over.
    """

    def __init__(
        self,
        queue: Queue,
        store: Store,
        outbox: Outbox,
        *,
        name: str,
        consumer: str,
        claim_idle_s: float,
    ) -> None:
        self._queue = queue
        self._store = store
        self._outbox = outbox
        self._name = name
        self._stream = alert_stream(name)
        self._consumer = consumer
        self._claim_idle_s = claim_idle_s
        # Entries that we hold, from the moment they are taken.
        self._held: set[str] = set()
        self._next_claim = -1.0
        self._leaves_when_held_up = False

    def leave_when_held_up(self) -> None:
        """From now on raise GivenUp rather than wait for a neighbour that is away."""
        self._leaves_when_held_up = True

    @asynccontextmanager
    async def handing_back(self) -> AsyncIterator[None]:
        """Hand back what is held when the block ends."""
        async with handing_back(self._queue, self._stream, self._consumer, self._held):
            yield

    async def fetch(self) -> None:
        """Put more alerts into the outbox; waits a moment for some.

        Raises:
            GivenUp: The queue is away and we are to leave.
        """
        try:
            entries = await self._take()
        except StoreUnavailable as exc:
            _log.error("destination %s: the queue gives no alerts: %s", self._name, exc)
            if self._leaves_when_held_up:
                raise GivenUp from exc
            await trio.sleep(_RETRY_CAP_S)
            return
        self._held.update(entry.entry_id for entry in entries)
        for entry in entries:
            # Claimed back from ourselves: the queue was away for longer than the idle limit.
            if not self._outbox.holds(entry.entry_id):
                await self._take_in_hand(entry)

    async def _take(self) -> Sequence[Entry]:
        if trio.current_time() >= self._next_claim:
            self._next_claim = trio.current_time() + self._claim_idle_s / 2
            claimed = await self._queue.claim_idle(
                self._stream, self._consumer, idle_s=self._claim_idle_s, count=_ENTRIES
            )
            if claimed:
                return claimed
        return await self._queue.take(self._stream, self._consumer, count=_ENTRIES, wait_s=_WAIT_S)

    async def _take_in_hand(self, entry: Entry) -> None:
        # An alert may be queued twice: of an ack that appends it the answer got lost, and it was
        # made again. Looked at before the store is asked: in between the first one may be done.
        alerts = [
            alert for alert in decode_alerts(entry.payload) if not self._outbox.has(alert.alert_id)
        ]
        ids = [alert.alert_id for alert in alerts]
        attempts = await self.until_done(partial(self._store.attempt_counts, ids))
        # Nearly always nobody has tried any of them: one question to the store instead of two.
        tried = list(attempts)
        delivered = (
            await self.until_done(partial(self._store.delivered_ids, tried)) if tried else set()
        )
        left = [
            Outgoing(
                alert=alert,
                entry_id=entry.entry_id,
                attempts=attempts.get(alert.alert_id, 0),
                past=entry.past,
            )
            for alert in alerts
            if alert.alert_id not in delivered
        ]
        if left:
            self._outbox.add(left)
        else:
            await self._ack(entry.entry_id)

    async def done(self, outgoing: Outgoing) -> None:
        """Forget an alert; and its entry, when it was the last one."""
        if self._outbox.done(outgoing):
            await self._ack(outgoing.entry_id)

    async def _ack(self, entry_id: str) -> None:
        await self.until_done(lambda: self._queue.ack(self._stream, [entry_id]))
        self._held.discard(entry_id)

    async def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter; its alert is still to be done."""
        await self.until_done(lambda: self._queue.bury(self._stream, [], [letter]))

    async def touch(self) -> None:
        """Say that we are alive and still work on what we hold, however slow the destination."""
        with suppress(StoreUnavailable):
            await self._queue.touch(self._stream, self._consumer, list(self._held))

    async def until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step until its neighbour is back.

        Raises:
            GivenUp: We are to leave.
        """
        failures = 0
        while True:
            try:
                return await step()
            except StoreUnavailable as exc:
                if self._leaves_when_held_up:
                    raise GivenUp from exc
                failures += 1
                if failures == 1:
                    _log.error("destination %s: waits, nothing is lost: %s", self._name, exc)
                await trio.sleep(backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))
