"""How many events one API key, and one address, may post: sliding windows, off by default.

    429 + Retry-After <-- full -- [ slice | slice | ... | slice ] <-- events of a batch
                                  |<------ window_s ----------->|

A batch that begins while there is room is taken whole: to cut it would leave its sender with half
a receipt. What is over the limit then keeps the next ones out for longer.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from muttd.web.guesses import peer_network

# The window slides by this part of itself: a client waits at most 2 % longer than it had to.
_SLICES = 50
# 50 slices of some 150 octets each: 30 MB at most. Beyond it whoever posted first is forgotten.
_MAX_KNOWN = 4096


class _Window:
    """What one client posted lately, by slices of time."""

    __slots__ = ("slices", "total")

    def __init__(self) -> None:
        # (number of the slice, events), oldest first.
        self.slices: deque[tuple[int, int]] = deque()
        self.total = 0

    def forget_before(self, number: int) -> None:
        """Drop the slices that have left the window."""
        while self.slices and self.slices[0][0] < number:
            self.total -= self.slices.popleft()[1]

    def add(self, number: int, count: int) -> None:
        """Add events to the newest slice."""
        if self.slices and self.slices[-1][0] == number:
            count_before = self.slices.pop()[1]
            self.slices.append((number, count_before + count))
        else:
            self.slices.append((number, count))
        self.total += count


class SlidingLimit:
    """At most so many events of each client in a window of time.

    Args:
        limit: Events; 0 is any number.
        window_s: How long the window is.
        clock: Seconds that never step back.
    """

    def __init__(
        self, limit: int, window_s: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._slice_s = window_s / _SLICES
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def retry_after_s(self, client: str) -> float:
        """How long this client has to wait; 0 when it may post now."""
        window = self._windows.get(client) if self._limit else None
        if window is None:
            return 0.0
        now = self._clock()
        window.forget_before(int(now / self._slice_s) - _SLICES + 1)
        excess = window.total - self._limit
        for number, count in window.slices:
            if excess < 0:
                break
            excess -= count
            if excess < 0:
                return max(0.0, (number + _SLICES) * self._slice_s - now)
        return 0.0

    def add(self, client: str, count: int) -> None:
        """Book events on their way into the queue; a negative count gives them back."""
        if not self._limit or not count:
            return
        window = self._windows.setdefault(client, _Window())
        self._windows.move_to_end(client)
        window.add(int(self._clock() / self._slice_s), count)
        if len(self._windows) > _MAX_KNOWN:
            self._windows.popitem(last=False)


class IngestLimits:
    """Both limits of ingest.

    Args:
        per_key: Of the key's name: one that is rotated has one limit.
        per_source: Of the address; an IPv6 host has a whole /64.
        count_refused: Told of every request that is turned away.
    """

    def __init__(
        self,
        per_key: SlidingLimit,
        per_source: SlidingLimit,
        *,
        count_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._per_key = per_key
        self._per_source = per_source
        self._count_refused = count_refused

    def retry_after_s(self, key: str, source_ip: str) -> float:
        """How long this client has to wait; 0 when it may post now. Counted when it has to."""
        wait_s = self._wait_s(key, source_ip)
        if wait_s:
            self._count_refused()
        return wait_s

    def may_post(self, key: str, source_ip: str) -> bool:
        """Whether this client may post now; a look, which is not counted."""
        return not self._wait_s(key, source_ip)

    def _wait_s(self, key: str, source_ip: str) -> float:
        return max(
            self._per_key.retry_after_s(key),
            self._per_source.retry_after_s(peer_network(source_ip)),
        )

    def add(self, key: str, source_ip: str, count: int) -> None:
        """Book events on their way into the queue; a negative count gives them back."""
        self._per_key.add(key, count)
        self._per_source.add(peer_network(source_ip), count)


def no_limits() -> IngestLimits:
    """Anybody may post any number."""
    return IngestLimits(SlidingLimit(0, 1.0), SlidingLimit(0, 1.0))
