"""The circuit breaker before one destination, shared by all who deliver to it.

    closed --failures in a row--> open --open_s--> one probe --it succeeds--> closed
                                   ^                  `--it fails--> open again

An attempt is admitted before it is made and reported afterwards. No more attempts are under way at
a time than the breaker still has failures to count: so a destination that is dead gets exactly
`failures` attempts before it opens, however many daemons deliver, and one in each period after.
While it is open nothing is tried, so nothing is counted against any alert.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import trio

# Somebody else's attempts are under way: how soon to ask again.
ASK_AGAIN_S = 0.1


class BreakerState(enum.StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    # Open for long enough: one probe may go, or is under way.
    PROBING = "probing"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When it opens, and for how long.

    Attributes:
        failures: In a row, that open it.
        open_s: How long it then stays so.
        attempt_s: Longest time from admission to report. Who takes longer is dead.
    """

    failures: int
    open_s: float
    attempt_s: float


@dataclass(frozen=True, slots=True)
class BreakerView:
    """What is known of a breaker.

    Attributes:
        state: What it lets through.
        failures: In a row, up to now.
        left_s: While it is open: seconds until a probe may go.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    left_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to who wants to make an attempt.

    Attributes:
        token: Names the attempt when it is reported; None: not now.
        wait_s: When to ask again.
        view: What the breaker was like.
    """

    token: str | None
    wait_s: float
    view: BreakerView


class Breaker(Protocol):
    """What whoever delivers needs of it. No method raises: a breaker stops no delivery."""

    async def admit(self) -> Admission:
        """Ask to make one attempt now."""
        ...

    async def report(self, token: str, *, succeeded: bool | None) -> BreakerView:
        """Say how an admitted attempt went; None: it was not made."""
        ...

    async def allow_probe(self) -> None:
        """Somebody says that it is worth a try: while it is open, a probe may go at once."""
        ...

    async def view(self) -> BreakerView:
        """What it is like now."""
        ...


class LocalBreaker:
    """A breaker of this process alone: the embedded backend.

    Args:
        limits: Asked each time: they may change while it runs.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        limits: Callable[[], BreakerLimits],
        *,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._tokens = count(1)
        self._failures = 0
        self._opened_at: float | None = None
        self._probe: str | None = None
        # Attempts under way, by when they count as dead.
        self._flights: dict[str, float] = {}

    async def admit(self) -> Admission:
        """Ask to make one attempt now."""
        await trio.lowlevel.checkpoint()
        limits, now = self._limits(), self._clock()
        if self._opened_at is None and self._failures >= limits.failures:
            # The limit was lowered.
            self._opened_at = now
        if self._opened_at is not None:
            left_s = self._opened_at + limits.open_s - now
            if left_s > 0:
                return Admission(None, left_s, self._seen())
            # Counted from now: a probe that nobody reports is not followed by another at once.
            self._opened_at = now
            self._probe = self._flight(now, limits)
            view = BreakerView(BreakerState.PROBING, self._failures)
            return Admission(self._probe, 0.0, view)
        self._flights = {token: until for token, until in self._flights.items() if until > now}
        if self._failures + len(self._flights) >= limits.failures:
            return Admission(None, ASK_AGAIN_S, self._seen())
        return Admission(self._flight(now, limits), 0.0, self._seen())

    def _flight(self, now: float, limits: BreakerLimits) -> str:
        token = str(next(self._tokens))
        self._flights[token] = now + limits.attempt_s
        return token

    async def report(self, token: str, *, succeeded: bool | None) -> BreakerView:
        """Say how an admitted attempt went; None: it was not made."""
        await trio.lowlevel.checkpoint()
        limits, now = self._limits(), self._clock()
        self._flights.pop(token, None)
        is_probe = token == self._probe
        if is_probe:
            self._probe = None
        if succeeded:
            self._failures, self._opened_at, self._probe = 0, None, None
        elif succeeded is None:
            if is_probe and self._opened_at is not None:
                # It may be made again at once.
                self._opened_at = now - limits.open_s
        else:
            self._failures += 1
            if is_probe or (self._opened_at is None and self._failures >= limits.failures):
                self._opened_at = now
        return self._seen()

    async def allow_probe(self) -> None:
        """While it is open, a probe may go at once."""
        await trio.lowlevel.checkpoint()
        if self._seen().state is BreakerState.OPEN:
            self._opened_at = self._clock() - self._limits().open_s

    async def view(self) -> BreakerView:
        """What it is like now."""
        await trio.lowlevel.checkpoint()
        return self._seen()

    def _seen(self) -> BreakerView:
        if self._opened_at is None:
            return BreakerView(BreakerState.CLOSED, self._failures)
        now = self._clock()
        left_s = self._opened_at + self._limits().open_s - now
        is_probing = left_s <= 0 or self._flights.get(self._probe or "", now) > now
        state = BreakerState.PROBING if is_probing else BreakerState.OPEN
        return BreakerView(state, self._failures, max(0.0, left_s))
