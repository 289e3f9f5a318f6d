"""The alerter: from the ingest stream to audit rows and alerts.

    take --> decide --> judge (repetitions, clears) --round--> record (audit, history, alert rows)
         --> ack + append alerts + count, in one go

One round is decided while the one before it is made to last, and no further ahead. A crash between
two arrows repeats work and never an effect: rows are idempotent by event_id, alerts by alert_id.
While the store is away events wait, and nothing is counted against them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import trio
from prometheus_client import CollectorRegistry, Counter

from muttd.accounts import Accounts
from muttd.decision import Alert, Decided
from muttd.dynamic import Dynamic
from muttd.errors import StoreError
from muttd.event import utc_now
from muttd.pulse import Pulse
from muttd.queue.contract import Batch, Entry, Queue, Stream
from muttd.queue.fanout import DecidedBatch, Fanout
from muttd.rules.engine import RuleSet
from muttd.rush import Rush
from muttd.store.contract import Rows, Store
from muttd.workers.digest import Digest, Digester
from muttd.workers.guard import Guard, Round
from muttd.workers.hand_back import handing_back
from muttd.workers.in_hand import GivenUp, InHand
from muttd.workers.routing import Router
from muttd.workers.rules_watch import RulesWatch
from muttd.workers.verdicts import Judged, judged
from muttd.workers.volume import Volume

_WAIT_S = 1.0
# From one round to the next, unless it was full: a round costs as much for one event as for a
# hundred; and with many events the second, because each group of them is counted once a round.
_ROUND_S = 0.05
_BUSY_ROUND_S = 0.2
_BUSY_EVENTS = 500
# Entries of the first round; every full one may be followed by one twice as large, up to the most
# that the policy allows, and to about as many octets.
_FIRST_ENTRIES = 16
_ROUND_OCTETS = 8 * 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlerterPolicy:
    """How the alerter works.

    Attributes:
        consumer: This daemon's name in the queue.
        batch_entries: Entries taken at once, at most.
        claim_idle_s: Silence after which another consumer's entries are taken over.
        router: Where alerts go.
        dynamic: What operators change: retries, and whether unmatched events are stored.
    """

    consumer: str
    batch_entries: int
    claim_idle_s: float
    router: Router
    dynamic: Dynamic


@dataclass(frozen=True, slots=True)
class _Ready:
    """A round that is decided, and not yet made to last.

    Attributes:
        entries: What it was decided from, and by which rules.
        outcome, told: What became of them, and what the ledger said of it.
    """

    entries: Sequence[Entry]
    rule_set: RuleSet
    outcome: Round
    told: Judged


class AlerterMetrics:
    """taken = matched + unmatched + buried, for every event that is not pending.

    Redelivered events are counted again: these are rates of work, the store has the truth.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"muttd_alerter_{name}_total", text, registry=registry)

        self.by_name = {
            "matched": counter("matched", "Events that a rule matched, audited."),
            "unmatched": counter("unmatched", "Events that no rule matched."),
            "alerts": counter("alerts", "Alerts raised."),
            "held_back": counter("held_back", "Alerts not sent, because another stands for them."),
            "buried": counter("buried", "Events that made the code fail, now dead letters."),
        }
        self.failures = counter("failures", "Times the store or the queue did not answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Whom the alerter talks to."""

    queue: Queue
    store: Store
    fanout: Fanout
    rules: RulesWatch
    accounts: Accounts
    volume: Volume = field(default_factory=Volume)
    rush: Rush = field(default_factory=Rush)


class Alerter:
    """Decides every event and makes the decision last.

    Args:
        neighbours: Whom it talks to.
        policy: How it works.
        metrics: What it counts.
    """

    def __init__(
        self, neighbours: Neighbours, policy: AlerterPolicy, metrics: AlerterMetrics
    ) -> None:
        self._queue = neighbours.queue
        self._store = neighbours.store
        self._fanout = neighbours.fanout
        self._rules = neighbours.rules
        self._volume = neighbours.volume
        self._accounts = neighbours.accounts
        self._rush = neighbours.rush
        self._policy = policy
        self._metrics = metrics
        self._digester = Digester(neighbours.store, neighbours.fanout, policy.dynamic)
        self._guard = Guard(policy.dynamic, origin=policy.consumer)
        self._hand = InHand(neighbours.queue, policy.consumer, metrics.failures)
        self._next_claim = trio.current_time()
        self._lag_s = 0.0
        self._most = min(_FIRST_ENTRIES, policy.batch_entries)
        self._stop_asked = trio.Event()
        self._stopped = trio.Event()
        self._tally = dict.fromkeys(metrics.by_name, 0)

    async def run(self) -> None:
        """Work until stopped or cancelled; what was begun and not finished is handed back."""
        await self._rules.wait_loaded()
        consumer, held = self._policy.consumer, self._hand.entries
        async with handing_back(self._queue, Stream.INGEST, consumer, held):
            give, get = trio.open_memory_channel[_Ready](0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._decide_until_stopped, give)
                nursery.start_soon(self._finish_all, get)
        self.pulse.rest()
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Wait until run() is over."""
        await self._stopped.wait()

    async def _decide_until_stopped(self, give: trio.MemorySendChannel[_Ready]) -> None:
        # Broken: the round before cannot be finished, and this one stays in the queue with it.
        with suppress(GivenUp, trio.BrokenResourceError):
            async with give:
                while not self._stop_asked.is_set():
                    entries = await self._take()
                    if not entries:
                        continue
                    began = trio.current_time()
                    is_full = len(entries) >= self._most
                    self._most = self._most_after(entries)
                    await give.send(await self._decide(entries))
                    if not is_full:
                        is_busy = sum(entry.item_count for entry in entries) >= _BUSY_EVENTS
                        with trio.move_on_at(began + (_BUSY_ROUND_S if is_busy else _ROUND_S)):
                            await self._stop_asked.wait()

    def _most_after(self, entries: Sequence[Entry]) -> int:
        octets = sum(len(entry.payload) for entry in entries)
        affordable = _ROUND_OCTETS * len(entries) // max(1, octets)
        wanted = self._most if len(entries) < self._most else 2 * len(entries)
        return max(1, min(wanted, affordable, self._policy.batch_entries))

    async def _take(self) -> list[Entry]:
        """What is next; nothing when nothing came."""
        if trio.current_time() >= self._next_claim:
            # What is in hand for long would look as if it had been forgotten.
            await self._hand.wait_empty()
        if not self._hand.entries:
            self.pulse.beat()
        entries = await self._hand.until_done(self._take_once)
        self._hand.take(entries)
        if not self._hand.entries:
            self._lag_s = 0.0
        return entries

    async def _take_once(self) -> list[Entry]:
        consumer, count = self._policy.consumer, self._most
        if not self._hand.entries and trio.current_time() >= self._next_claim:
            idle_s = self._policy.claim_idle_s
            self._next_claim = trio.current_time() + idle_s / 2
            entries = await self._queue.claim_idle(
                Stream.INGEST, consumer, idle_s=idle_s, count=count
            )
            if entries:
                return entries
        return await self._queue.take(Stream.INGEST, consumer, count=count, wait_s=_WAIT_S)

    async def _decide(self, entries: Sequence[Entry]) -> _Ready:
        rule_set = self._rules.current
        outcome = Round()
        for entry in entries:
            await self._rush.let_pass()
            self._digest(entry, self._guard.decide(entry, rule_set, outcome), rule_set, outcome)
        for transport, count in outcome.malformed.items():
            self._accounts.of_transport(transport).malformed += count
        return _Ready(entries, rule_set, outcome, await self._judge(outcome))

    def _digest(
        self, entry: Entry, decided: Sequence[Decided], rule_set: RuleSet, outcome: Round
    ) -> None:
        try:
            self._digester.add(outcome.digest, decided, rule_set)
        except Exception:
            # Whatever it is, it is one event's: find out whose.
            for each in decided:
                try:
                    self._digester.add(outcome.digest, [each], rule_set)
                except Exception as exc:
                    # The last line: the error text goes to the dead letter, the loop goes on.
                    self._guard.fail(entry, each.event, exc, outcome)

    async def _judge(self, outcome: Round) -> Judged:
        """Ask the ledger about alerts that hang on what went before."""
        raised = outcome.digest.raised
        claims = [each.claim for each in raised if each.claim is not None]
        verdicts = (
            await self._hand.until_done(lambda: self._queue.ledger.judge(claims)) if claims else []
        )
        return judged(raised, verdicts)

    async def _finish_all(self, get: trio.MemoryReceiveChannel[_Ready]) -> None:
        try:
            async with get:
                async for ready in get:
                    await self._finish(ready)
                    self._lag_s = self.lag_s
                    self._hand.done(ready.entries)
        except GivenUp:
            self._stop_asked.set()

    async def _finish(self, ready: _Ready) -> None:
        """Make decisions last; returns when the queue forgot their entries."""
        outcome, told = ready.outcome, ready.told
        alerts = await self._record(ready)
        done = [entry.entry_id for entry in ready.entries if entry.entry_id not in outcome.pending]
        then_append: list[tuple[str, Batch]] = [
            (Stream.INGEST, Batch(payload, 1)) for payload in outcome.again
        ]
        then_append += self._policy.router.batches(alerts)
        until_done = self._hand.until_done
        if outcome.letters:
            # Before the ack: letters carry their item's id, and buried twice is better than lost.
            await until_done(lambda: self._queue.bury(Stream.INGEST, [], outcome.letters))
        counted = self._digester.sightings.counted(outcome.digest.sighted, told.ids)
        await until_done(
            lambda: self._queue.ack(Stream.INGEST, done, then_append=then_append, counted=counted),
        )
        self._volume.count(outcome.digest.volume)
        self._count(ready, len(alerts))
        if self._fanout.subscriber_count and outcome.digest.shown:
            shown = [told.decided.get(d.event.event_id, d) for d in outcome.digest.shown]
            self._fanout.publish(DecidedBatch(shown))

    def tally(self) -> dict[str, int]:
        """What was done since the start, for the status document."""
        return dict(self._tally)

    @property
    def lag_s(self) -> float:
        """Seconds from the queueing of what is in hand, or was last, to its decision."""
        oldest_at = self._hand.oldest_at
        if oldest_at is None:
            return self._lag_s
        return max(0.0, (utc_now() - oldest_at).total_seconds())

    @property
    def pulse(self) -> Pulse:
        """Beats as rounds are finished, or there is nothing to finish."""
        return self._hand.pulse

    @property
    def is_held_up(self) -> bool:
        """Whether a neighbour is away and the alerter waits for it."""
        return self._hand.is_held_up

    def stop(self) -> None:
        """Finish the round under way and return from run(); what is left stays in the queue."""
        self._stop_asked.set()
        self._hand.leaves_when_held_up = True

    def leave_when_held_up(self) -> None:
        """Go on, but return from run() rather than wait for a neighbour that is away."""
        self._hand.leaves_when_held_up = True

    def _count(self, ready: _Ready, alert_count: int) -> None:
        digest = ready.outcome.digest
        counts = {
            "matched": digest.matched,
            "unmatched": digest.unmatched,
            "alerts": alert_count,
            "held_back": ready.told.held_back,
            "buried": len(ready.outcome.letters),
        }
        for name, count in counts.items():
            self._metrics.by_name[name].inc(count)
            self._tally[name] += count

    async def _record(self, ready: _Ready) -> list[Alert]:
        """Make decisions last; events that cannot be recorded go back through the guard."""
        alerts = [alert for of_one in ready.told.alerts.values() for alert in of_one]
        try:
            rows = ready.outcome.digest.rows + self._digester.rows_of(
                list(ready.told.decided.values())
            )
            await self._record_rows(rows, alerts)
        except StoreError:
            raise
        except Exception as exc:
            # One event's fault, whatever it is; the others must not suffer for it.
            _log.error("alerter: a batch cannot be recorded whole", exc_info=exc)
            return await self._record_singly(ready)
        return alerts

    async def _record_singly(self, ready: _Ready) -> list[Alert]:
        outcome, told, rule_set = ready.outcome, ready.told, ready.rule_set
        digest = Digest()
        alerts: list[Alert] = []
        for entry in ready.entries:
            # What fails in this fails as it did before, and is known.
            for each in self._guard.decide(entry, rule_set, Round()):
                event_id = each.event.event_id
                if event_id in outcome.failed:
                    continue
                one, of_one = told.decided.get(event_id, each), told.alerts.get(event_id, [])
                try:
                    await self._record_rows(self._digester.rows_of([one]), of_one)
                    self._digester.count(digest, [one], rule_set)
                except StoreError:
                    raise
                except Exception as exc:
                    # The last line: the error text goes to the dead letter, the loop goes on.
                    self._guard.fail(entry, one.event, exc, outcome)
                else:
                    alerts += of_one
        outcome.digest = digest
        return alerts

    async def _record_rows(self, rows: Sequence[Rows], alerts: Sequence[Alert]) -> None:
        if rows or alerts:
            state = self._policy.router.state
            await self._hand.until_done(lambda: self._store.record_rows(rows, alerts, state))
