"""What every queue backend promises. The suite in tests/conformance holds each of them to it.

    append --> [ entry | entry | entry ] --take--> pending entries --ack--> gone
                                             |          |---bury---> dead letter (letters.py)
                                             |          |---idle: claim_idle, by any consumer
                                             |          |---release: taken by any consumer
    an entry is one batch: a payload (octets) and how many items it holds

At least once: what append() returned from is taken by somebody, again and again, until it is acked
or buried. Order: entries of one stream come out in the order they went in.
Every method raises StoreUnavailable when the backend cannot answer now (nothing was changed, or
repeating the call does no harm) and StoreRefused when it never will.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from muttd.queue.letters import DeadLetter, Letters, Past

if TYPE_CHECKING:
    from muttd.queue.ledger import Counted, Ledger


class Stream(enum.StrEnum):
    """The streams of the pipeline."""

    INGEST = "ingest"  # batches of events, muttd.event.encode_events
    ALERT = "alert"  # batches of alerts, muttd.decision.encode_alerts


@dataclass(frozen=True, slots=True)
class Batch:
    """What is appended: one payload that holds item_count items."""

    payload: bytes
    item_count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch in a stream, held by the consumer that took it.

    Attributes:
        entry_id: Its place in the stream; opaque.
        payload, item_count: As appended.
        deliveries: How often it was taken or claimed, this time included; 1 for the first.
        appended_at: When it was appended; aware, UTC.
        past: Of an entry that was a dead letter before.
    """

    entry_id: str
    payload: bytes
    item_count: int
    deliveries: int
    appended_at: datetime
    past: Past | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """How much a stream holds.

    Attributes:
        items: Items not yet acked, pending ones included.
        entries: Entries not yet acked, pending ones included.
        pending_items: Items that a consumer has taken and not yet acked.
        oldest_at: When the oldest entry not yet acked was appended; None when there is none.
    """

    items: int
    entries: int
    pending_items: int
    oldest_at: datetime | None


class Queue(Protocol):
    """Durable streams of batches."""

    @property
    def ledger(self) -> Ledger:
        """What was counted, held back and reported."""
        ...

    @property
    def letters(self) -> Letters:
        """What was buried."""
        ...

    async def append(self, stream: Stream, batches: Sequence[Batch]) -> None:
        """Append batches, in this order, all or none; durable when it returns.

        Raises:
            QueueFull: The stream would hold more items than its limit. Nothing was appended.
            StoreUnavailable: Whether it was appended is not known; items carry ids, so repeat it.
        """
        ...

    async def take(
        self, stream: Stream, consumer: str, *, count: int, wait_s: float
    ) -> list[Entry]:
        """Take up to count entries that no consumer holds, oldest first.

        Waits up to wait_s seconds for the first one; an empty list when none came. Cancelling it
        never loses an entry: what was taken meanwhile stays pending and is claimed when idle.
        """
        ...

    async def ack(
        self,
        stream: Stream,
        entry_ids: Sequence[str],
        *,
        then_append: Sequence[tuple[Stream, Batch]] = (),
        counted: Counted | None = None,
    ) -> None:
        """Forget entries, append batches elsewhere and count in the ledger: all or nothing.

        The limit does not apply to then_append: what was accepted is never shed. An entry_id that
        is gone already is ignored; when all of them are, nothing is counted, for it was.
        """
        ...

    async def touch(self, stream: Stream, consumer: str, entry_ids: Sequence[str]) -> None:
        """Say that the consumer is alive and still works on these: their idle time starts anew."""
        ...

    async def release(self, stream: Stream, consumer: str, entry_ids: Sequence[str]) -> None:
        """Hand back what the consumer holds, for whoever takes next, before anything newer.

        Holding it does not count as a delivery. What the consumer does not hold is ignored.
        """
        ...

    async def claim_idle(
        self, stream: Stream, consumer: str, *, idle_s: float, count: int
    ) -> list[Entry]:
        """Take over up to count pending entries whose consumer was silent for idle_s or longer."""
        ...

    async def bury(
        self, stream: Stream, entry_ids: Sequence[str], letters: Sequence[DeadLetter]
    ) -> None:
        """Forget entries and keep dead letters: both or neither. entry_ids may be empty."""
        ...

    async def depth(self, stream: Stream) -> Depth:
        """How much the stream holds."""
        ...

    async def ping(self) -> None:
        """Return when the backend can take a write; raise StoreUnavailable when it cannot."""
        ...
