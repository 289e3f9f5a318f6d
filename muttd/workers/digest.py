"""What the alerter keeps of events between their decision and the end of their round.

    Decided, an entry's at a time --add--> rows, alerts, counts

A round holds thousands of events, and memory that was not looked at for so long is slow. So all
that will be needed of an event is made of it at once, and then it is let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from muttd.decision import Decided
from muttd.dynamic import Dynamic
from muttd.queue.fanout import Fanout
from muttd.rules.engine import RuleSet
from muttd.store.contract import Rows, Store
from muttd.workers.sightings import Sighted, Sightings
from muttd.workers.verdicts import Raised, raised_of
from muttd.workers.volume import Counts


@dataclass(slots=True)
class Digest:
    """What is kept of a round.

    Attributes:
        rows: For the store, but for those of events that are to be judged.
        raised: Events whose rule wants an alert, in order.
        sighted, volume: What they add to the counts.
        matched, unmatched: How many there were.
        shown: All of them, when somebody looks on.
    """

    rows: list[Rows] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    sighted: Sighted = field(default_factory=Sighted)
    volume: Counts = field(default_factory=Counts)
    matched: int = 0
    unmatched: int = 0
    shown: list[Decided] = field(default_factory=list)


class Digester:
    """Makes digests.

    Args:
        store: Makes rows.
        fanout: Knows whether somebody looks on.
        dynamic: Whether events that no rule matches are stored.
    """

    def __init__(self, store: Store, fanout: Fanout, dynamic: Dynamic) -> None:
        self._store = store
        self._fanout = fanout
        self._dynamic = dynamic
        self._sightings = Sightings(dynamic)

    @property
    def sightings(self) -> Sightings:
        """What knows the groups."""
        return self._sightings

    def add(self, digest: Digest, decided: Sequence[Decided], rule_set: RuleSet) -> None:
        """Add events to the digest of their round.

        Raises:
            Exception: Any; it is the fault of one of them, and none was added.
        """
        raised = [raised_of(each) for each in decided if each.decision.raises_alert]
        to_judge = {each.decided.event.event_id for each in raised if each.claim is not None}
        rows = self.rows_of(
            [each for each in decided if each.event.event_id not in to_judge]
            if to_judge
            else decided
        )
        self.count(digest, decided, rule_set)
        digest.rows += rows
        digest.raised += raised

    def rows_of(self, decided: Sequence[Decided]) -> list[Rows]:
        """Their rows, as far as they are stored."""
        if not self._dynamic.current.history_days:
            decided = [each for each in decided if each.decision.matched]
        return [self._store.rows_of(decided)] if decided else []

    def count(self, digest: Digest, decided: Sequence[Decided], rule_set: RuleSet) -> None:
        """Add nothing but their counts, and show them."""
        matched = [each.event for each in decided if each.decision.rule_id is not None]
        unmatched = [each.event for each in decided if each.decision.rule_id is None]
        digest.matched += len(matched)
        digest.unmatched += len(unmatched)
        self._sightings.add(digest.sighted, decided, unmatched, rule_set)
        digest.volume.add(matched, matched=True)
        if self._dynamic.current.history_days:
            digest.volume.add(unmatched, matched=False)
        if self._fanout.subscriber_count:
            digest.shown += decided
