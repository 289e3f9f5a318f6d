"""How many events came in when, and who talks most: counted beside the alerter's work.

    count(Counts) --> cells of this daemon --every 5 s--> the store, where all daemons' add up
                  '--> hosts by slot of five minutes --> top talkers of the last hour

Bounded: a host that is not among the most talkative of its slot may be counted short.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from muttd.errors import StoreUnavailable
from muttd.event import Event
from muttd.store.volume import VolumeCell, VolumeStore

FLUSH_INTERVAL_S = 5.0
# The store is away: a day of minutes, and beyond that the chart has a gap.
_MAX_CELLS = 24 * 60 * 16
_SLOT_S = 300.0
_SLOTS = 12
# Hosts of one slot; at twice as many the quieter half is forgotten.
MAX_HOSTS = 2000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """How many events there were in a batch so far.

    Attributes:
        cells: By minute since 1970, severity and whether a rule matched.
        hosts: By host.
    """

    cells: Counter[tuple[int, int, bool]] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)

    def add(self, events: Sequence[Event], *, matched: bool) -> None:
        """Add events of which all or none were matched."""
        counted = Counter([(event.received_at, event.severity) for event in events])
        for (moment, severity), count in counted.items():
            self.cells[int(moment.timestamp()) // 60, severity, matched] += count
        self.hosts.update([event.hostname for event in events])


class Volume:
    """The counts of one daemon."""

    def __init__(self) -> None:
        self._cells: Counter[tuple[int, int, bool]] = Counter()
        # (when it began, host -> events), oldest first.
        self._slots: deque[tuple[float, Counter[str]]] = deque(maxlen=_SLOTS)

    def count(self, counts: Counts) -> None:
        """Count events that were recorded."""
        self._cells.update(counts.cells)
        hosts = self._slot()
        hosts.update(counts.hosts)
        if len(hosts) > 2 * MAX_HOSTS:
            loudest = hosts.most_common(MAX_HOSTS)
            hosts.clear()
            hosts.update(dict(loudest))

    def talkers(self, count: int) -> list[tuple[str, int]]:
        """The hosts that most events of about the last hour came from, with how many."""
        since = trio.current_time() - _SLOT_S * _SLOTS
        total: Counter[str] = Counter()
        for began, hosts in self._slots:
            if began >= since:
                total.update(hosts)
        return total.most_common(count)

    async def flush(self, store: VolumeStore) -> None:
        """Give the counts to the store.

        Raises:
            StoreUnavailable: They are kept, and go with the next ones.
        """
        cells, self._cells = self._cells, Counter()
        try:
            await store.add_volume(
                [
                    VolumeCell(minute=minute, severity=severity, matched=matched, events=events)
                    for (minute, severity, matched), events in cells.items()
                ]
            )
        except BaseException:
            if len(cells) < _MAX_CELLS:
                self._cells.update(cells)
            raise

    async def run(self, store: VolumeStore) -> None:
        """Flush now and then, and when cancelled once more."""
        try:
            while True:
                await trio.sleep(FLUSH_INTERVAL_S)
                await self._try_flush(store)
        finally:
            with trio.move_on_after(1.0, shield=True):
                await self._try_flush(store)

    async def _try_flush(self, store: VolumeStore) -> None:
        try:
            await self.flush(store)
        except StoreUnavailable as exc:
            # The alerter, which waits for the same store, says so in the log.
            _log.debug("volume: the store is away: %s", exc)

    def _slot(self) -> Counter[str]:
        now = trio.current_time()
        if not self._slots or now - self._slots[-1][0] >= _SLOT_S:
            self._slots.append((now, Counter()))
        return self._slots[-1][1]
