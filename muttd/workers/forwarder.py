"""The forwarder: alerts leave in the order they were raised, and wait rather than get lost.

    take --> attempt --2xx--> record DELIVERED --> ... whole entry done --> ack
                |--later----> wait (backoff, Retry-After), the same alert again
                |--held-----> wait, warn: the key or the URL is wrong
                |--never----> dead letter, go on

The destination's fault holds everything, in order. An alert that fails while the destination takes
others is its own fault: after FAILURES_BEFORE_PROBE attempts the alert behind it is tried too, and
when that went well STRIKES times the failing one is buried. A limited alert waits; none is dropped.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

import prometheus_client
import trio
from prometheus_client import CollectorRegistry

from muttd.backoff import backoff_s
from muttd.decision import Alert, AlertState, Delivery, decode_alerts, encode_alerts
from muttd.errors import (
    DeliverLater,
    DeliveryError,
    DestinationHeld,
    StoreError,
    StoreUnavailable,
    Undeliverable,
)
from muttd.event import EventIds, utc_now
from muttd.queue.contract import Entry, Queue, Stream
from muttd.queue.counters import RateLimit
from muttd.queue.letters import DeadLetter, LetterKind, Past
from muttd.store.contract import Store
from muttd.workers.hand_back import handing_back

# Some ten minutes of backoff: an outage is over by then, or it is not the alert's fault.
FAILURES_BEFORE_PROBE = 15
STRIKES = 3
# A receiver that asks for a day must not switch alerting off.
MAX_RETRY_AFTER_S = 3600.0
_ENTRIES = 16
_WAIT_S = 1.0
# Well under any idle limit after which another daemon would take our entries over.
_TOUCH_INTERVAL_S = 5.0
_STORE_RETRY_BASE_S = 0.1
_STORE_RETRY_CAP_S = 5.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Destination(Protocol):
    """Where alerts go."""

    async def deliver(self, alert: Alert) -> int:
        """Make one attempt; the 2xx status, or a DeliveryError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderPolicy:
    """How the forwarder works.

    Attributes:
        consumer: This daemon's name in the queue.
        backoff_base_s, backoff_cap_s: Of the wait after a failure.
        claim_idle_s: Silence after which another consumer's entries are taken over.
    """

    consumer: str
    backoff_base_s: float
    backoff_cap_s: float
    claim_idle_s: float


class _GivenUp(StoreError):
    """A neighbour is away and we are to leave: what is in hand stays in the queue."""


class ForwarderMetrics:
    """attempts = delivered + retried + dead."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(
                f"muttd_forwarder_{name}_total", text, registry=registry
            )

        self.by_name = {
            "delivered": counter("delivered", "Alerts that the destination took."),
            "retried": counter("retried", "Attempts that failed and are repeated."),
            "dead": counter("dead", "Alerts given up on, now dead letters."),
        }


@dataclass(eq=False, slots=True)
class _Outgoing:
    """One alert on its way out.

    Attributes:
        attempts: Over all its lives, for the history.
        failures: In a row, in this life, for the backoff.
        strikes: How often another alert went through while this one failed.
    """

    alert: Alert
    entry_id: str
    attempts: int
    failures: int = 0
    strikes: int = 0
    first_failed_at: datetime | None = None
    past: Past | None = None


class Forwarder:
    """Delivers the alert stream to one destination.

    Args:
        queue, store: Where alerts come from and where attempts are written.
        destination: Where they go.
        limit: The rate limit.
        policy: How it works.
        metrics: What it counts.
    """

    def __init__(
        self,
        queue: Queue,
        store: Store,
        destination: Destination,
        limit: RateLimit,
        policy: ForwarderPolicy,
        metrics: ForwarderMetrics,
    ) -> None:
        self._queue = queue
        self._store = store
        self._destination = destination
        self._limit = limit
        self._policy = policy
        self._metrics = metrics
        self._event_ids = EventIds()
        self._waiting: deque[_Outgoing] = deque()
        # Entries that we hold; how many alerts of each are not done yet, once that is known.
        self._held: set[str] = set()
        self._left: Counter[str] = Counter()
        self._next_claim = -1.0
        # What the receiver asked for in its last Retry-After.
        self._asked_s = 0.0
        self._stopping = trio.Event()
        self._leaves_when_held_up = False
        self._stopped = trio.Event()
        self._poked = trio.Event()
        self._tally = dict.fromkeys(metrics.by_name, 0)
        self.state = "idle"
        self.last_error: str | None = None

    def tally(self) -> dict[str, int]:
        """What was done since the start, for the status document."""
        return dict(self._tally)

    def _count(self, name: str) -> None:
        self._metrics.by_name[name].inc()
        self._tally[name] += 1

    def stop(self) -> None:
        """Finish the attempt under way and return from run(); what is left stays in the queue."""
        self._leaves_when_held_up = True
        self._stopping.set()
        self._poked.set()

    def leave_when_held_up(self) -> None:
        """Go on, but return from run() rather than wait for a neighbour that is away.

        An attempt that cannot be written down is made again.
        """
        self._leaves_when_held_up = True

    def poke(self) -> None:
        """Try again now: something changed, a key perhaps."""
        self._poked.set()

    async def run(self) -> None:
        """Deliver until stopped or cancelled; what is left of what was taken is handed back."""
        held = (self._queue, Stream.ALERT, self._policy.consumer, self._held)
        async with trio.open_nursery() as nursery, handing_back(*held):
            nursery.start_soon(self._keep_entries)
            with suppress(_GivenUp):
                await self._deliver_until_stopped()
            nursery.cancel_scope.cancel()
        self._stopped.set()

    async def _deliver_until_stopped(self) -> None:
        while not self._stopping.is_set():
            if self._waiting:
                await self._step()
            else:
                self.state = "idle" if self.state == "delivering" else self.state
                await self._fetch(wait_s=_WAIT_S)

    async def wait_stopped(self) -> None:
        """Wait until run() is over."""
        await self._stopped.wait()

    async def _step(self) -> None:
        head = self._waiting[0]
        if await self._attempt(head):
            return
        await self._pause(head)
        if head.failures < FAILURES_BEFORE_PROBE or self._stopping.is_set():
            return
        if len(self._waiting) == 1:
            await self._fetch(wait_s=0.0)
        behind = self._behind(head)
        if behind is not None and await self._attempt(behind):
            head.strikes += 1

    def _behind(self, head: _Outgoing) -> _Outgoing | None:
        """The next alert about another fault: order within a signature is kept."""
        signature = head.alert.signature
        return next((each for each in self._waiting if each.alert.signature != signature), None)

    async def _attempt(self, outgoing: _Outgoing) -> bool:
        """Make one attempt; whether the alert is done, delivered or buried."""
        await self._limit.wait_turn()
        outgoing.attempts += 1
        attempted_at, started = utc_now(), trio.current_time()

        async def record(outcome: AlertState, status: int | None, error: str | None) -> None:
            delivery = Delivery(
                alert_id=outgoing.alert.alert_id,
                attempt=outgoing.attempts,
                attempted_at=attempted_at,
                outcome=outcome,
                status=status,
                error=error,
                duration_s=round(trio.current_time() - started, 4),
            )
            await self._until_done(lambda: self._store.record_deliveries([delivery]))

        try:
            status = await self._deliver(outgoing.alert)
        except Undeliverable as exc:
            self.last_error = str(exc)
            await record(AlertState.DEAD, exc.status, str(exc))
            await self._bury(outgoing, "rejected", str(exc))
            return True
        except (DeliverLater, DestinationHeld) as exc:
            if outgoing.strikes >= STRIKES:
                # The destination took others meanwhile: this one fails by its own fault.
                await record(AlertState.DEAD, exc.status, str(exc))
                await self._bury(outgoing, "failing", str(exc))
                return True
            await record(AlertState.RETRYING, exc.status, str(exc))
            self._note_failure(outgoing, exc)
            return False
        await record(AlertState.DELIVERED, status, None)
        if self.state in ("retrying", "held"):
            _log.warning("forwarder: the destination takes alerts again")
        self.state = "delivering"
        self._count("delivered")
        await self._done(outgoing)
        return True

    async def _deliver(self, alert: Alert) -> int:
        try:
            return await self._destination.deliver(alert)
        except DeliveryError:
            raise
        except Exception as exc:
            # The last line: an alert on which the code fails must not stop the others, at every
            # restart again. It becomes a dead letter, and the log is loud.
            _log.error("alert %s makes the code fail", alert.alert_id, exc_info=exc)
            raise Undeliverable(f"{type(exc).__name__} here; the log says what") from exc

    def _note_failure(self, outgoing: _Outgoing, exc: DeliveryError) -> None:
        state = "held" if isinstance(exc, DestinationHeld) else "retrying"
        if state != self.state:
            _log.error("forwarder: alerts wait (%s): %s", state, exc)
        self.state = state
        self.last_error = str(exc)
        outgoing.failures += 1
        outgoing.first_failed_at = outgoing.first_failed_at or utc_now()
        self._count("retried")
        asked_s = exc.retry_after_s if isinstance(exc, DeliverLater) else None
        self._asked_s = min(asked_s or 0.0, MAX_RETRY_AFTER_S)

    async def _pause(self, outgoing: _Outgoing) -> None:
        policy = self._policy
        wait_s = max(
            self._asked_s,
            backoff_s(outgoing.failures, base_s=policy.backoff_base_s, cap_s=policy.backoff_cap_s),
        )
        if not self._stopping.is_set():
            self._poked = trio.Event()
        with trio.move_on_after(wait_s):
            await self._poked.wait()

    async def _bury(self, outgoing: _Outgoing, reason: str, error: str) -> None:
        now, past = utc_now(), outgoing.past
        letter = DeadLetter(
            letter_id=self._event_ids.next(),
            kind=LetterKind.ALERT,
            item_id=outgoing.alert.alert_id,
            reason=reason,
            error=error,
            attempts=outgoing.attempts,
            first_failed_at=past.first_failed_at if past else outgoing.first_failed_at or now,
            last_failed_at=now,
            origin=self._policy.consumer,
            payload=encode_alerts([outgoing.alert]),
            destination="moog",
            replays=past.replays if past else 0,
        )
        await self._until_done(lambda: self._queue.bury(Stream.ALERT, [], [letter]))
        _log.error("forwarder: alert %s is dead: %s", outgoing.alert.alert_id, error)
        self._count("dead")
        await self._done(outgoing)

    async def _done(self, outgoing: _Outgoing) -> None:
        self._waiting.remove(outgoing)
        entry_id = outgoing.entry_id
        self._left[entry_id] -= 1
        if not self._left[entry_id]:
            del self._left[entry_id]
            await self._ack(entry_id)

    async def _ack(self, entry_id: str) -> None:
        await self._until_done(lambda: self._queue.ack(Stream.ALERT, [entry_id]))
        self._held.discard(entry_id)

    async def _fetch(self, *, wait_s: float) -> None:
        try:
            entries = await self._take(wait_s)
        except StoreUnavailable as exc:
            _log.error("forwarder: the queue gives no alerts: %s", exc)
            if self._leaves_when_held_up:
                raise _GivenUp from exc
            await trio.sleep(_STORE_RETRY_CAP_S)
            return
        self._held.update(entry.entry_id for entry in entries)
        for entry in entries:
            if entry.entry_id in self._left:
                # Claimed back from ourselves: the queue was away for longer than the idle limit.
                continue
            alerts = decode_alerts(entry.payload)
            ids = [alert.alert_id for alert in alerts]
            delivered = await self._until_done(partial(self._store.delivered_ids, ids))
            attempts = await self._until_done(partial(self._store.attempt_counts, ids))
            left = [alert for alert in alerts if alert.alert_id not in delivered]
            if not left:
                await self._ack(entry.entry_id)
                continue
            self._left[entry.entry_id] = len(left)
            self._waiting.extend(
                _Outgoing(alert, entry.entry_id, attempts.get(alert.alert_id, 0), past=entry.past)
                for alert in left
            )

    async def _take(self, wait_s: float) -> Sequence[Entry]:
        policy = self._policy
        if trio.current_time() >= self._next_claim:
            self._next_claim = trio.current_time() + policy.claim_idle_s / 2
            claimed = await self._queue.claim_idle(
                Stream.ALERT, policy.consumer, idle_s=policy.claim_idle_s, count=_ENTRIES
            )
            if claimed:
                return claimed
        return await self._queue.take(Stream.ALERT, policy.consumer, count=_ENTRIES, wait_s=wait_s)

    async def _keep_entries(self) -> None:
        """Say that we are alive and still work on what we hold, however slow the destination."""
        while True:
            await trio.sleep(_TOUCH_INTERVAL_S)
            with suppress(StoreUnavailable):
                await self._queue.touch(Stream.ALERT, self._policy.consumer, list(self._held))

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await step()
            except StoreUnavailable as exc:
                if self._leaves_when_held_up:
                    raise _GivenUp from exc
                failures += 1
                if failures == 1:
                    _log.error("forwarder: waits, nothing is lost: %s", exc)
                await trio.sleep(
                    backoff_s(failures, base_s=_STORE_RETRY_BASE_S, cap_s=_STORE_RETRY_CAP_S)
                )
