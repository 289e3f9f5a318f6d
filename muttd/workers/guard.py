"""The guard: one event that makes the code fail costs itself, never its batch and never the loop.

entry of many, one fails     the others go on; the failing one comes again as an entry of its own
entry of one fails           stays pending, is delivered again when idle, buried at the last time
entry came too often         the daemon died on it: split it, and bury what is alone already
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field

from muttd.arrivals import Content, decode_entry
from muttd.decision import Decided
from muttd.dynamic import Dynamic
from muttd.errors import StoreRefused
from muttd.event import Event, Transport, encode_events, utc_now
from muttd.queue.contract import Entry
from muttd.queue.letters import DeadLetter, LetterKind, LetterReason, letter_id_at
from muttd.rules.engine import RuleSet
from muttd.workers.digest import Digest

# Of an exception's text; it may quote an event, which has its own place in the letter.
_ERROR_CHARS = 500

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Round:
    """What became of the entries of one round.

    Attributes:
        digest: What is kept of the events that were decided.
        letters: Events given up on.
        again: Payloads of events that come again, each as an entry of its own.
        pending: Entries that are left pending.
        malformed: Messages that were parsed now for the first time, and could not be whole.
        failed: Ids of the events that made the code fail.
    """

    digest: Digest = field(default_factory=Digest)
    letters: list[DeadLetter] = field(default_factory=list)
    again: list[bytes] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    malformed: Counter[Transport] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)


class Guard:
    """Decides entries without ever failing.

    Args:
        dynamic: Says after how many deliveries a failing event is buried.
        origin: This daemon's name, for dead letters.
    """

    def __init__(self, dynamic: Dynamic, *, origin: str) -> None:
        self._dynamic = dynamic
        self._origin = origin

    def decide(self, entry: Entry, rule_set: RuleSet, outcome: Round) -> list[Decided]:
        """Decide the events of an entry; what else became of it is in the outcome."""
        try:
            content = decode_entry(entry.payload)
            if entry.deliveries > self._dynamic.current.alerter_max_retries:
                self._suspect(entry, content, outcome)
                return []
            events = content.all_events()
        except StoreRefused as exc:
            outcome.letters.append(self._letter(entry, None, str(exc)))
            return []
        if content.arrivals and entry.deliveries == 1:
            outcome.malformed.update(
                each.transport for each in events if each.malformed is not None
            )
        try:
            return list(map(Decided, events, rule_set.decide_batch(events)))
        except Exception:
            # Whatever it is, it is one event's: find out whose.
            return self._decide_singly(entry, events, rule_set, outcome)

    def fail(self, entry: Entry, event: Event, exc: Exception, outcome: Round) -> None:
        """Take note that working on this event raised an exception that nobody foresaw."""
        _log.error("event %s makes the code fail", event.event_id, exc_info=exc)
        outcome.failed.add(event.event_id)
        if entry.item_count > 1:
            outcome.again.append(encode_events([event]))
        elif entry.deliveries < self._dynamic.current.alerter_max_retries:
            outcome.pending.add(entry.entry_id)
        else:
            text = f"{type(exc).__name__}: {exc}"[:_ERROR_CHARS]
            outcome.letters.append(self._letter(entry, event, text))

    def _decide_singly(
        self, entry: Entry, events: list[Event], rule_set: RuleSet, outcome: Round
    ) -> list[Decided]:
        decided = []
        for event in events:
            try:
                decided.append(Decided(event, rule_set.decide(event)))
            except Exception as exc:
                # The last line: the error text goes to the dead letter, the loop goes on.
                self.fail(entry, event, exc, outcome)
        return decided

    def _suspect(self, entry: Entry, content: Content, outcome: Round) -> None:
        # Not parsed: it may be the parser that the daemon died in.
        if entry.item_count > 1:
            outcome.again += content.payloads()
            return
        text = f"taken {entry.deliveries - 1} times and never finished"
        event = content.events[0] if content.events else None
        outcome.letters.append(self._letter(entry, event, text))

    def _letter(self, entry: Entry, event: Event | None, error: str) -> DeadLetter:
        now, past = utc_now(), entry.past
        item_id = entry.entry_id if event is None else event.event_id
        came_at = entry.appended_at if event is None else event.received_at
        return DeadLetter(
            letter_id=letter_id_at(came_at, item_id, past),
            kind=LetterKind.EVENT,
            item_id=item_id,
            reason=LetterReason.UNDECODABLE if event is None else LetterReason.POISON,
            error=error,
            attempts=entry.deliveries + (past.attempts if past else 0),
            first_failed_at=past.first_failed_at if past else now,
            last_failed_at=now,
            origin=self._origin,
            payload=entry.payload if event is None else encode_events([event]),
            replays=past.replays if past else 0,
        )
