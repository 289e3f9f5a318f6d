"""The forwarder of one destination: its alerts leave oldest first, and wait rather than get lost.

    take --> outbox --breaker, rate limit--> attempt --2xx--> record DELIVERED --> ... entry --> ack
                                                |--later----> pause (backoff, Retry-After), again
                                                |--held-----> wait, warn: the key or URL is wrong
                                                `--never----> dead letter, go on

Several attempts are under way at a time, never two of one signature: its order is kept. When the
destination fails, one at a time, with pauses; when that goes on the breaker opens. An alert that
fails while the destination takes others is its own fault: STRIKES times, then it is buried.
"""

from __future__ import annotations

import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import trio
from trio.lowlevel import ParkingLot

from muttd.backoff import backoff_s
from muttd.decision import Alert
from muttd.event import utc_now
from muttd.queue.breaker import Breaker, BreakerState, BreakerView
from muttd.queue.contract import Queue
from muttd.queue.counters import RateLimit
from muttd.queue.letters import LetterReason
from muttd.store.contract import Store
from muttd.workers.alert_source import AlertSource, GivenUp
from muttd.workers.attempt import Attempt, Verdict, attempt_once, letter_of
from muttd.workers.forwarder_metrics import ForwarderMetrics
from muttd.workers.outbox import Outbox, Outgoing

# Some ten minutes of backoff while others are delivered.
STRIKES = 12
# A receiver that asks for a day must not switch alerting off.
MAX_RETRY_AFTER_S = 3600.0
# Alerts in hand. Many, so that those of one signature that fails do not fill it soon.
_MAX_WAITING = 5000
# Well under any idle limit after which another daemon would take our entries over.
_TOUCH_INTERVAL_S = 5.0
# While the breaker is open another daemon's probe may close it.
_LOOK_AGAIN_S = 1.0
_REPORT_PATIENCE_S = 1.0
# Failures in a row that the log mentions. One now and then is no news.
_WORTH_A_LINE = 3

_log = logging.getLogger(__name__)


class Destination(Protocol):
    """Where alerts go."""

    async def deliver(self, alert: Alert) -> int:
        """Make one attempt; the 2xx status, or a DeliveryError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwarderPolicy:
    """How a forwarder works.

    Attributes:
        name: Of the destination.
        consumer: This daemon's name in the queue.
        backoff_base_s, backoff_cap_s: Of the pause after a failure.
        claim_idle_s: Silence after which another consumer's entries are taken over.
        concurrency: Most attempts under way at a time.
    """

    name: str
    consumer: str
    backoff_base_s: float
    backoff_cap_s: float
    claim_idle_s: float
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What every attempt has to pass; both are shared by all daemons."""

    breaker: Breaker
    limit: RateLimit


class Forwarder:
    """Delivers the alerts of one destination.

    Args:
        queue, store: Where alerts come from and where attempts are written.
        destination: Where they go.
        gates: What an attempt has to pass.
        policy: How it works.
        metrics: What it counts.

    Attributes:
        state: idle, delivering, retrying, held or open.
        last_error: What went wrong last, for a human.
        breaker: What is known of the breaker.
    """

    def __init__(
        self,
        queue: Queue,
        store: Store,
        destination: Destination,
        gates: Gates,
        policy: ForwarderPolicy,
        metrics: ForwarderMetrics,
    ) -> None:
        self._store = store
        self._destination = destination
        self._gates = gates
        self._policy = policy
        self._counts = metrics.of(policy.name)
        self._outbox = Outbox()
        self._source = AlertSource(
            queue,
            store,
            self._outbox,
            name=policy.name,
            consumer=policy.consumer,
            claim_idle_s=policy.claim_idle_s,
        )
        self._failures_in_row = 0
        self._successes = 0
        self._pause_until = float("-inf")
        self._is_probe_wanted = False
        # Whether the log says that alerts wait.
        self._is_told = False
        self._changed = ParkingLot()
        self._turn = trio.CancelScope()
        self._is_stopping = False
        self._stopped = trio.Event()
        # Whatever the forwarder before us, which had another configuration, has shown.
        self._become("idle")
        self.last_error: str | None = None
        self.breaker = BreakerView()

    @property
    def name(self) -> str:
        """Of the destination."""
        return self._policy.name

    @property
    def waiting(self) -> int:
        """Alerts in hand."""
        return len(self._outbox)

    def tally(self) -> dict[str, int]:
        """What was done since the start, for the status document."""
        return self._counts.tally()

    def stop(self) -> None:
        """Finish the attempts under way and return from run(); what is left stays queued."""
        self._source.leave_when_held_up()
        self._is_stopping = True
        self._turn.cancel()
        self._changed.unpark_all()

    def leave_when_held_up(self) -> None:
        """Go on, but return from run() rather than wait for a neighbour that is away.

        An attempt that cannot be written down is made again.
        """
        self._source.leave_when_held_up()

    def poke(self) -> None:
        """Try again now: something changed, a key perhaps. An open breaker lets one probe go."""
        self._pause_until = float("-inf")
        self._is_probe_wanted = True
        self._changed.unpark_all()

    async def run(self) -> None:
        """Deliver until stopped or cancelled; what is left of what was taken is handed back."""
        async with self._source.handing_back(), trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_entries)
            nursery.start_soon(self._fetch_what_is_wanted)
            await self._deliver_until_stopped()
            nursery.cancel_scope.cancel()
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Wait until run() is over."""
        await self._stopped.wait()

    async def _deliver_until_stopped(self) -> None:
        # Left when the attempts under way are over.
        async with trio.open_nursery() as attempts:
            while not self._is_stopping:
                outgoing = self._choice()
                if outgoing is None:
                    await self._wait_change(self._next_at())
                    continue
                token = await self._admitted()
                if token is None:
                    continue
                # Not the one from before: the wait for a turn may have been long.
                outgoing = self._choice()
                if outgoing is None:
                    await self._gates.breaker.report(token, succeeded=None)
                    continue
                self._outbox.begin(outgoing)
                # Perhaps nothing is ready any more, and more is to be fetched.
                self._changed.unpark_all()
                attempts.start_soon(self._attempt, outgoing, token)

    @property
    def _is_failing(self) -> bool:
        return self._failures_in_row > 0 or self.state in ("held", "open")

    def _choice(self) -> Outgoing | None:
        now = trio.current_time()
        most = 1 if self._is_failing else self._policy.concurrency
        if self._is_stopping or now < self._pause_until or self._outbox.in_flight >= most:
            return None
        return self._outbox.next(now, is_failing=self._is_failing)

    def _next_at(self) -> float:
        now = trio.current_time()
        return self._pause_until if self._pause_until > now else self._outbox.next_at(now)

    async def _wait_change(self, until: float) -> None:
        with trio.move_on_at(until):
            await self._changed.park()

    async def _admitted(self) -> str | None:
        """Pass breaker and rate limit; None: look again, something may be different."""
        breaker = self._gates.breaker
        if self._is_probe_wanted:
            self._is_probe_wanted = False
            await breaker.allow_probe()
        admission = await breaker.admit()
        self._see(admission.view)
        if admission.token is None:
            wait_s = min(admission.wait_s, _LOOK_AGAIN_S)
            await self._wait_change(trio.current_time() + wait_s)
            return None
        with trio.CancelScope() as self._turn:
            if self._is_stopping:
                self._turn.cancel()
            await self._gates.limit.wait_turn()
        if self._turn.cancelled_caught:
            await breaker.report(admission.token, succeeded=None)
            return None
        return admission.token

    def _become(self, state: str) -> None:
        self.state = state
        self._counts.hold(is_held=state == "held")

    def _see(self, view: BreakerView) -> None:
        was, self.breaker = self.breaker, view
        self._counts.see(view)
        if view.state is BreakerState.OPEN and was.state is BreakerState.CLOSED:
            self._counts.opened()
            _log.error(
                "destination %s: %d failures in a row: the breaker is open, alerts wait: %s",
                self.name, view.failures, self.last_error,
            )  # fmt: skip
        if view.state is not BreakerState.CLOSED:
            self._become("open")
        elif self.state == "open":
            # Another daemon's probe went well.
            self._become("delivering")
            self._failures_in_row = 0
            _log.warning("destination %s: the breaker is closed", self.name)

    async def _attempt(self, outgoing: Outgoing, token: str) -> None:
        is_reported = False
        try:
            outgoing.attempts += 1
            attempt = await attempt_once(self._destination, outgoing)
            is_reported = True
            view = await self._gates.breaker.report(token, succeeded=attempt.did_answer)
            await self._conclude(outgoing, attempt, view)
        except GivenUp:
            self.stop()
        finally:
            self._outbox.end(outgoing)
            self._changed.unpark_all()
            if not is_reported:
                # Cancelled. It may have been the probe that all daemons wait for.
                with trio.move_on_after(_REPORT_PATIENCE_S, shield=True):
                    await self._gates.breaker.report(token, succeeded=None)

    async def _conclude(self, outgoing: Outgoing, attempt: Attempt, view: BreakerView) -> None:
        self._counts.took(attempt.duration_s)
        if attempt.verdict is Verdict.DELIVERED:
            self._note_success(view)
            await self._record(outgoing, attempt)
            self._counts.count("delivered")
            await self._done(outgoing)
            return
        self.last_error = attempt.error
        if attempt.verdict is Verdict.NEVER:
            if attempt.did_answer:
                # Key and URL are right: the alert is what is wrong.
                self._note_answer(view)
            await self._bury(outgoing, attempt, LetterReason.REJECTED)
            return
        now = trio.current_time()
        if outgoing.failures and self._successes > outgoing.successes_seen:
            # The destination took others meanwhile: this one fails by its own fault.
            outgoing.strikes += 1
            outgoing.not_before = now + self._backoff_s(outgoing.strikes)
        outgoing.failures += 1
        outgoing.successes_seen = self._successes
        outgoing.first_failed_at = outgoing.first_failed_at or utc_now()
        if outgoing.strikes >= STRIKES:
            await self._bury(outgoing, attempt, LetterReason.FAILING)
            return
        self._pause_until = now + self._pause_s(attempt, view)
        self._note_failure(attempt, view)
        await self._record(outgoing, attempt)
        self._counts.count("retried")

    def _backoff_s(self, failures: int) -> float:
        policy = self._policy
        return backoff_s(failures, base_s=policy.backoff_base_s, cap_s=policy.backoff_cap_s)

    def _pause_s(self, attempt: Attempt, view: BreakerView) -> float:
        if attempt.verdict is Verdict.HELD:
            # The key or the URL is wrong: no hurry, and not all daemons at the same moment.
            return self._policy.backoff_cap_s * random.uniform(0.5, 1.0)
        asked_s = min(attempt.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
        return max(asked_s, self._backoff_s(max(1, view.failures)))

    def _note_failure(self, attempt: Attempt, view: BreakerView) -> None:
        self._failures_in_row = max(1, view.failures)
        state = "held" if attempt.verdict is Verdict.HELD else "retrying"
        if not self._is_told and (state == "held" or self._failures_in_row >= _WORTH_A_LINE):
            self._is_told = True
            _log.error("destination %s: alerts wait (%s): %s", self.name, state, attempt.error)
        self._become(state)
        self._see(view)

    def _note_success(self, view: BreakerView) -> None:
        self._successes += 1
        self._note_answer(view)

    def _note_answer(self, view: BreakerView) -> None:
        self._failures_in_row = 0
        self._pause_until = float("-inf")
        if self._is_told:
            self._is_told = False
            _log.warning("destination %s takes alerts again", self.name)
        self._become("delivering")
        self._see(view)
        self._changed.unpark_all()

    async def _record(self, outgoing: Outgoing, attempt: Attempt, *, is_dead: bool = False) -> None:
        delivery = attempt.delivery(outgoing, is_dead=is_dead)
        await self._source.until_done(lambda: self._store.record_deliveries([delivery]))

    async def _bury(self, outgoing: Outgoing, attempt: Attempt, reason: LetterReason) -> None:
        await self._record(outgoing, attempt, is_dead=True)
        letter = letter_of(outgoing, attempt, reason, ids=(self._policy.consumer, self.name))
        await self._source.bury(letter)
        _log.error(
            "destination %s: alert %s is dead: %s",
            self.name, outgoing.alert.alert_id, attempt.error,
        )  # fmt: skip
        self._counts.count("dead")
        await self._done(outgoing)

    async def _done(self, outgoing: Outgoing) -> None:
        await self._source.done(outgoing)
        if not self._outbox and self.state == "delivering":
            self._become("idle")

    def _wants_more(self) -> bool:
        if len(self._outbox) >= _MAX_WAITING or self._is_stopping:
            return False
        if self._is_failing:
            # One to try, and another one, in case that it is the first one's fault.
            return not self._outbox.has_alternative()
        return self._outbox.next(trio.current_time(), is_failing=False) is None

    async def _fetch_what_is_wanted(self) -> None:
        with suppress(GivenUp):
            while True:
                while not self._wants_more():
                    await self._changed.park()
                await self._source.fetch()
                self._changed.unpark_all()
        self.stop()

    async def _keep_entries(self) -> None:
        """Say that we are alive and still work on what we hold, however slow the destination."""
        while True:
            await trio.sleep(_TOUCH_INTERVAL_S)
            self._see(await self._gates.breaker.view())
            await self._source.touch()
