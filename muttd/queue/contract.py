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

from muttd.queue.letters import DeadLetter, LetterKind, Letters, Past

if TYPE_CHECKING:
    from muttd.queue.ledger import Counted, Ledger


class Stream(enum.StrEnum):
    """The streams of the pipeline."""

    INGEST = "ingest"  # batches of events, muttd.event.encode_events
    ALERT = "alert"  # batches of alerts, muttd.decision.encode_alerts


# The destination whose stream has no name of its own.
MOOG = "moog"


def alert_stream(destination: str) -> str:
    """The stream of the alerts for one destination: none of them waits behind another's.

    "moog" has Stream.ALERT; any other, say "tickets", has "alert.tickets".
    """
    return Stream.ALERT.value if destination == MOOG else f"{Stream.ALERT}.{destination}"


def destination_of(stream: str) -> str | None:
    """Whose alerts a stream holds; None: it holds none."""
    if stream == Stream.ALERT:
        return MOOG
    kind, _, name = stream.partition(".")
    return name if kind == Stream.ALERT and name else None


def stream_of(letter: DeadLetter) -> str:
    """Where a dead letter goes when it is replayed."""
    if letter.kind is LetterKind.EVENT:
        return Stream.INGEST
    return alert_stream(letter.destination or MOOG)


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

    async def append(self, stream: str, batches: Sequence[Batch]) -> None:
        """Append batches, in this order, all or none; durable when it returns.

        Raises:
            QueueFull: The stream would hold more items than its limit. Nothing was appended.
            StoreUnavailable: Whether it was appended is not known; items carry ids, so repeat it.
        """
        ...

    async def take(self, stream: str, consumer: str, *, count: int, wait_s: float) -> list[Entry]:
        """Take up to count entries that no consumer holds, oldest first.

        Waits up to wait_s seconds for the first one; an empty list when none came. Cancelling it
        never loses an entry: what was taken meanwhile stays pending and is claimed when idle.
        """
        ...

    async def ack(
        self,
        stream: str,
        entry_ids: Sequence[str],
        *,
        then_append: Sequence[tuple[str, Batch]] = (),
        counted: Counted | None = None,
    ) -> None:
        """Forget entries, append batches elsewhere and count in the ledger: all or nothing.

        The limit does not apply to then_append: what was accepted is never shed. An entry_id that
        is gone already is ignored; when all of them are, nothing is counted, for it was.
        """
        ...

    async def touch(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Say that the consumer is alive and still works on these: their idle time starts anew."""
        ...

    async def release(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Hand back what the consumer holds, for whoever takes next, before anything newer.

        Holding it does not count as a delivery. What the consumer does not hold is ignored.
        """
        ...

    async def claim_idle(
        self, stream: str, consumer: str, *, idle_s: float, count: int
    ) -> list[Entry]:
        """Take over up to count pending entries whose consumer was silent for idle_s or longer."""
        ...

    async def bury(
        self, stream: str, entry_ids: Sequence[str], letters: Sequence[DeadLetter]
    ) -> None:
        """Forget entries and keep dead letters: both or neither. entry_ids may be empty."""
        ...

    async def depth(self, stream: str) -> Depth:
        """How much the stream holds."""
        ...

    async def destinations(self) -> list[str]:
        """For which destinations alerts may wait, sorted; MOOG always."""
        ...

    async def ping(self) -> None:
        """Return when the backend can take a write; raise StoreUnavailable when it cannot."""
        ...

    def note(self) -> str | None:
        """What an operator should look at although ping() is content; None: nothing."""
        ...
