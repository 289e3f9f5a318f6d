"""Meta-alerts: what the ledger says is due becomes audit rows and alerts, like any other.

    ledger --due--> event of ours, decision, alert --> record --> settle (outbox, alert stream)

    unhandled   a group of events that no rule matches reached the threshold
    silent      nothing was heard of an expected source; back: it was
    alert       a problem that came back while it was held back, and still lasts

Ids are made of what is due, so that a crash between the arrows, or two daemons at once, repeat
work and never an effect. A threshold that was lowered is looked at in every group at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import trio
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from muttd.errors import StoreError, StoreUnavailable
from muttd.event import utc_now
from muttd.queue.fanout import DecidedBatch
from muttd.queue.ledger import KINDS, Due, LedgerStats, to_microseconds
from muttd.workers.alerter import AlerterPolicy, Neighbours
from muttd.workers.own_alerts import raised_of
from muttd.workers.sightings import window_us_of
from muttd.workers.silence import SilenceWatch

_LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class MetaMetrics(Collector):
    """raised: every item that left the outbox here. The others: of all daemons together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stats = LedgerStats()
        self.raised = Counter(
            "muttd_meta_alerts_raised_total",
            "Alerts that muttd raised of its own accord.",
            ["kind"],
            registry=registry,
        )
        for kind in ("unhandled", "silent", "back", "alert"):
            self.raised.labels(kind)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """How full the ledger is, as it was when it was asked last."""
        held = GaugeMetricFamily(
            "muttd_ledger_keys", "Keys that all daemons together hold.", labels=["kind"]
        )
        evicted = CounterMetricFamily(
            "muttd_ledger_evicted",
            "Keys that had to go because their kind was full, of all daemons together.",
            labels=["kind"],
        )
        for kind in KINDS:
            held.add_metric([kind], self.stats.held[kind])
            evicted.add_metric([kind], self.stats.evicted[kind])
        return held, evicted


class MetaAlerts:
    """Raises what is due.

    Args:
        neighbours: Whom it talks to.
        policy: The alerter's.
        metrics: What it counts.
        clock: The time by which silence is judged.
    """

    def __init__(
        self,
        neighbours: Neighbours,
        policy: AlerterPolicy,
        metrics: MetaMetrics,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._neighbours = neighbours
        self._ledger = neighbours.queue.ledger
        self._dynamic = policy.dynamic
        self._router = policy.router
        self._silence = SilenceWatch(neighbours.queue, policy.consumer, clock)
        self._metrics = metrics
        self._poked = trio.Event()
        # Threshold and window by which every group was looked at.
        self._looked_by: tuple[int, int] | None = None
        self._failures = 0
        self._dynamic.listen(self.poke)

    def poke(self) -> None:
        """Look now: something changed."""
        self._poked.set()

    def summary(self) -> dict[str, int]:
        """What all daemons together hold, for the status document."""
        stats = self._metrics.stats
        return {
            "groups": stats.held["groups"],
            "groups_evicted": stats.evicted["groups"],
            "signatures": stats.held["repeats"],
            "open_problems": stats.held["open"],
            "expected_hosts": stats.held["seen"],
            "silent_hosts": stats.held["silent"],
            "due": stats.held["due"],
        }

    async def run(self) -> None:
        """Raise until cancelled."""
        await self._neighbours.rules.wait_loaded()
        while True:
            try:
                is_more = await self.look()
            except StoreUnavailable as exc:
                is_more = False
                self._failures += 1
                if self._failures == 1:
                    _log.error("meta-alerts: wait, nothing is lost: %s", exc)
            else:
                if self._failures:
                    _log.warning("meta-alerts: go on after %d failures", self._failures)
                self._failures = 0
            if not is_more:
                with trio.move_on_after(_LOOK_EVERY_S):
                    await self._poked.wait()
            self._poked = trio.Event()

    async def look(self) -> bool:
        """Raise what is due now; whether there is more."""
        current = self._dynamic.current
        threshold, window_us = limits = current.unhandled_threshold, window_us_of(current)
        if (
            self._looked_by is None
            or threshold < self._looked_by[0]
            or (window_us != self._looked_by[1])
        ):
            now_us = to_microseconds(utc_now())
            became = await self._ledger.recount(
                now_us=now_us, threshold=threshold, window_us=window_us
            )
            if became:
                _log.info("meta-alerts: %d groups are over the threshold of %d", became, threshold)
        self._looked_by = limits
        await self._silence.look(self._neighbours.rules.current)
        due, self._metrics.stats = await self._ledger.due(
            now_us=to_microseconds(utc_now()), window_us=window_us
        )
        if due:
            await self._raise_all(due)
        return bool(due)

    async def _raise_all(self, due: Sequence[Due]) -> None:
        try:
            await self._raise(due)
        except StoreError:
            raise
        except Exception as exc:
            # One item's fault, whatever it is; the others must not suffer for it.
            _log.error("meta-alerts: %d cannot be raised at once", len(due), exc_info=exc)
        else:
            return
        for each in due:
            try:
                await self._raise([each])
            except StoreError:
                raise
            except Exception as exc:
                # The last line: at every start again, it would keep the daemon from running.
                _log.error("meta-alerts: %s is given up", each.due_id, exc_info=exc)
                await self._ledger.settle([(each.due_id, None)])

    async def _raise(self, due: Sequence[Due]) -> None:
        rule_set = self._neighbours.rules.current
        team = self._dynamic.current.unhandled_default_team
        raised = [raised_of(each, rule_set, default_team=team) for each in due]
        decided = [each.decided for each in raised if each.decided is not None]
        alerts = [each.alert for each in raised]
        await self._neighbours.store.record(decided, alerts, self._router.state)
        for own in raised:
            # One batch at most; none when there is no destination.
            batches = self._router.batches([own.alert])
            for stream, batch in batches:
                await self._ledger.settle([(own.due_id, batch)], stream=stream)
            if not batches:
                await self._ledger.settle([(own.due_id, None)])
        for each in due:
            self._metrics.raised.labels(each.kind).inc()
        if decided and self._neighbours.fanout.subscriber_count:
            self._neighbours.fanout.publish(DecidedBatch(decided))
