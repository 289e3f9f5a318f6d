"""Live fan-out: what the dashboards of all daemons see as it happens.

    intake  --received(events)--> Fanout --> every subscriber --> websocket
    alerter --decided(decided)-->

Lossy on purpose: a subscriber that does not keep up loses live events (counted for it) and never
slows a publisher; the store has the truth.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from muttd.decision import Decided
from muttd.event import Event

# Batches that a subscriber may lag behind. The websocket drains it on every tick, so this is
# about a second of flood.
SUBSCRIBER_BATCHES = 256


@dataclass(frozen=True, slots=True)
class Received:
    """Events that the queue has now."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """Events that the store has now, with their decisions."""

    decided: Sequence[Decided]


LiveBatch = Received | DecidedBatch


class Subscription:
    """One subscriber's end: iterate `batches`; `missed` counts events that it lost by lagging."""

    def __init__(self) -> None:
        self._send, self.batches = trio.open_memory_channel[LiveBatch](SUBSCRIBER_BATCHES)
        self.missed = 0

    def offer(self, batch: LiveBatch) -> None:
        """Hand one batch over, or count it as missed. Never waits."""
        try:
            self._send.send_nowait(batch)
        except trio.WouldBlock:
            self.missed += len(batch.events if isinstance(batch, Received) else batch.decided)


class Fanout(Protocol):
    """What publishers and dashboards need of a fan-out backend."""

    @property
    def subscriber_count(self) -> int:
        """How many subscribers there are; publishers skip work when there are none."""
        ...

    def publish(self, batch: LiveBatch) -> None:
        """Show a batch to every subscriber. Never waits, never raises."""
        ...

    def subscribe(self) -> AbstractAsyncContextManager[Subscription]:
        """`async with fanout.subscribe() as subscription`: receive everything from now on."""
        ...


class LocalFanout:
    """Fan-out within one process: the embedded backend."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    @property
    def subscriber_count(self) -> int:
        """How many subscribers there are."""
        return len(self._subscriptions)

    def publish(self, batch: LiveBatch) -> None:
        """Show a batch to every subscriber. Never waits, never raises."""
        for subscription in self._subscriptions:
            subscription.offer(batch)

    def miss(self, count: int) -> None:
        """Count events that no subscriber gets."""
        for subscription in self._subscriptions:
            subscription.missed += count

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        """Receive everything from now on, until the block ends."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
