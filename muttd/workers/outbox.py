"""The alerts that one daemon has in hand for one destination, and which of them is tried next.

    entry: [a1 b1 a2]  entry: [c1 a3]      a, b, c: signatures
      ready    a1 b1 c1                    the first of each signature; a2 waits for a1
      done     of every alert of an entry: the entry is acked

While the destination is well the oldest ready alert is tried. While it fails, so is the oldest, a
few times; then one that failed less, for it may be the alert's own fault. No waiting in here: time
is passed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from muttd.decision import Alert
from muttd.queue.letters import Past

# Failures in a row after which another alert is tried first.
_PATIENCE_FAILURES = 3


@dataclass(eq=False, slots=True, kw_only=True)
class Outgoing:
    """One alert on its way out.

    Attributes:
        attempts: Over all its lives, for the history.
        past: Of an alert that was a dead letter before.
        failures: In this life, since it was taken.
        strikes: How often it failed again after the destination had taken others.
        not_before: When it may be tried again; on Trio's clock.
        successes_seen: How many the destination had taken when it failed last.
        is_in_flight: Whether an attempt is under way.
    """

    alert: Alert
    entry_id: str
    attempts: int
    past: Past | None = None
    failures: int = 0
    strikes: int = 0
    not_before: float = float("-inf")
    successes_seen: int = 0
    first_failed_at: datetime | None = None
    is_in_flight: bool = False


class Outbox:
    """What is in hand; oldest first."""

    def __init__(self) -> None:
        # In order of arrival. A dict, because an alert in the middle may be done first.
        self._waiting: dict[Outgoing, None] = {}
        self._left: Counter[str] = Counter()
        self._alert_ids: set[str] = set()
        self.in_flight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def holds(self, entry_id: str) -> bool:
        """Whether alerts of that entry are in hand."""
        return entry_id in self._left

    def has(self, alert_id: str) -> bool:
        """Whether that alert is in hand."""
        return alert_id in self._alert_ids

    @property
    def entry_ids(self) -> Collection[str]:
        """Entries of which some alerts are in hand."""
        return self._left.keys()

    def add(self, alerts: Sequence[Outgoing]) -> None:
        """Take the alerts of one entry in hand."""
        for each in alerts:
            self._waiting[each] = None
            self._left[each.entry_id] += 1
            self._alert_ids.add(each.alert.alert_id)

    def done(self, outgoing: Outgoing) -> bool:
        """Forget an alert. Whether it was the last one of its entry."""
        del self._waiting[outgoing]
        self._alert_ids.discard(outgoing.alert.alert_id)
        self._left[outgoing.entry_id] -= 1
        if self._left[outgoing.entry_id]:
            return False
        del self._left[outgoing.entry_id]
        return True

    def begin(self, outgoing: Outgoing) -> None:
        """An attempt begins."""
        outgoing.is_in_flight = True
        self.in_flight += 1

    def end(self, outgoing: Outgoing) -> None:
        """The attempt is over."""
        outgoing.is_in_flight = False
        self.in_flight -= 1

    def next(self, now: float, *, is_failing: bool) -> Outgoing | None:
        """The alert to try next; None: none is ready."""
        ready = (each for each in self._firsts() if not each.is_in_flight)
        ready = (each for each in ready if each.not_before <= now)
        if not is_failing:
            return next(ready, None)
        return min(ready, key=lambda each: each.failures // _PATIENCE_FAILURES, default=None)

    def next_at(self, now: float) -> float:
        """When another alert will be ready, if nothing else happens."""
        times = (each.not_before for each in self._firsts() if not each.is_in_flight)
        return min((at for at in times if at > now), default=float("inf"))

    def has_alternative(self) -> bool:
        """Whether there are two alerts that do not wait for each other."""
        firsts = self._firsts()
        return next(firsts, None) is not None and next(firsts, None) is not None

    def _firsts(self) -> Iterator[Outgoing]:
        """The first of each signature, oldest first: the others wait for it."""
        seen: set[str] = set()
        for each in self._waiting:
            if each.alert.signature not in seen:
                seen.add(each.alert.signature)
                yield each
