"""Dead letters: what was given up on, with why. A part of what every queue backend promises.

    bury --> letter --replay--> an entry again, which remembers its past
                |------edit-----> the same letter with another payload, and no replays
                |----discard----> gone         forget: gone by age

A letter that is replayed and fails again is a new letter with one replay more: whoever replays
looks at that number, and so nothing goes round for ever.
Errors are those of the queue (muttd.queue.contract).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from muttd.event_ids import event_id_at


class LetterKind(enum.StrEnum):
    """What a dead letter holds."""

    EVENT = "event"  # payload: muttd.event.encode_events of exactly one event
    ALERT = "alert"  # payload: muttd.decision.encode_alerts of exactly one alert


class LetterReason(enum.StrEnum):
    """Why something was given up on."""

    POISON = "poison"  # an event on which the code fails, again and again
    UNDECODABLE = "undecodable"  # an entry that is no batch of ours; it can only be discarded
    REJECTED = "rejected"  # an alert that the destination will never take (4xx)
    FAILING = "failing"  # an alert that failed while the destination took others


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry that was a dead letter went through before.

    Attributes:
        attempts: How often it was tried in its former lives.
        replays: How often it was put back since somebody last edited it.
        first_failed_at: Aware, UTC.
    """

    attempts: int
    replays: int
    first_failed_at: datetime


def letter_id_at(came_at: datetime, item_id: str, past: Past | None) -> str:
    """The id of the letter about an item: always the same one, until it is replayed.

    Whoever dies between burying an item and forgetting its entry buries it again, and the letter
    is there already.

    Args:
        came_at: When the item came; letters sort by it.
        item_id: The event's, the alert's or the entry's.
        past: Of the entry that it came in.
    """
    return event_id_at(came_at, f"{item_id}/{past.replays if past else 0}")


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One item that was given up on, with why.

    Attributes:
        letter_id: By letter_id_at(), UUIDv7; the item's own id is item_id (event_id or alert_id).
        kind: What the payload is.
        reason: A LetterReason; kept as text, for a newer daemon may have more of them.
        error: What went wrong, for a human; no secret, no URL.
        attempts: How often it was tried, in all its lives.
        first_failed_at, last_failed_at: Aware, UTC.
        origin: The daemon that gave up.
        payload: A batch of one.
        destination: Of an alert: where it should have gone. None for an event.
        replays: How often it was put back before, since somebody last edited it.
    """

    letter_id: str
    kind: LetterKind
    item_id: str
    reason: str
    error: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    origin: str
    payload: bytes
    destination: str | None = None
    replays: int = 0

    @property
    def past(self) -> Past:
        """What its entry remembers when it is put back now."""
        return Past(
            attempts=self.attempts,
            replays=self.replays + 1,
            first_failed_at=self.first_failed_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterQuery:
    """Which dead letters. None: any.

    Attributes:
        kind, reason, destination: Exactly this one.
        least_replays, most_replays: Put back so often at least, at most.
    """

    kind: LetterKind | None = None
    reason: str | None = None
    destination: str | None = None
    least_replays: int | None = None
    most_replays: int | None = None


ANY_LETTER = LetterQuery()


class Letters(Protocol):
    """The dead letters of a queue. They get here by Queue.bury()."""

    async def find(
        self,
        query: LetterQuery = ANY_LETTER,
        *,
        offset: int = 0,
        limit: int = 50,
        oldest_first: bool = False,
    ) -> list[DeadLetter]:
        """Dead letters, the one buried last first unless asked otherwise."""
        ...

    async def count(self, query: LetterQuery = ANY_LETTER) -> int:
        """How many there are."""
        ...

    async def get(self, letter_id: str) -> DeadLetter | None:
        """One of them."""
        ...

    async def edit(self, letter_id: str, payload: bytes) -> bool:
        """Give a letter another payload; its replays are counted anew. False: there is none."""
        ...

    async def replay(self, letter_ids: Sequence[str]) -> list[str]:
        """Put letters back into the streams they came from and forget them, atomically.

        In the order they were buried; each entry has the letter's past. The limit of a stream
        does not apply: what was accepted is never shed. Returns the ids of those put back;
        unknown ids are ignored.
        """
        ...

    async def discard(self, letter_ids: Sequence[str]) -> list[str]:
        """Forget letters. Returns the ids of those that were there."""
        ...

    async def forget(self, *, failed_before: datetime) -> int:
        """Forget letters that failed last before that moment. Returns how many."""
        ...
