"""What is, for /metrics: how deep the queue is, how old its oldest event, who answers.

    muttd_queue_events{stream}                 waiting or pending
    muttd_queue_pending_events{stream}         taken by a consumer, not yet acknowledged
    muttd_queue_oldest_age_seconds{stream}
    muttd_dependency_up{dependency}            1 or 0
    muttd_alerter_lag_seconds                  from the queue to the decision
    muttd_rules_active, muttd_rules_faulty

Sampled by a task: a scrape waits for nobody. While the queue does not answer its depth is NaN, so
that no alert is raised, and none is resolved, on what was true some time ago.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import trio
from prometheus_client import CollectorRegistry, Gauge

from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.queue.contract import Queue, Stream, alert_stream
from muttd.workers.probe import Probe
from muttd.workers.rules_watch import RulesWatch

# Well below the fifteen seconds between two scrapes of a usual Prometheus.
_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauged:
    """What is looked at.

    Attributes:
        queue_limit: Most events that the ingest stream may hold.
        lag_s: Seconds from the queue to the decision.
        destinations: Gives the destinations that there are now, and those that are gone and for
            which alerts wait all the same.
    """

    queue: Queue
    queue_limit: int
    probes: Mapping[str, Probe]
    lag_s: Callable[[], float]
    rules: RulesWatch
    destinations: Callable[[], Sequence[str]]


class Gauges:
    """Samples what is.

    Args:
        gauged: What is looked at.
        registry: Where it is shown.
    """

    def __init__(self, gauged: Gauged, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"muttd_{name}", text, labels, registry=registry)

        self._gauged = gauged
        self._streams: set[str] = set(Stream)
        self._events = gauge("queue_events", "Events or alerts in the queue.", "stream")
        self._pending = gauge(
            "queue_pending_events", "Those that a consumer took and did not acknowledge.", "stream"
        )
        self._age = gauge(
            "queue_oldest_age_seconds", "Time since the oldest in the queue came in.", "stream"
        )
        self._up = gauge("dependency_up", "Whether it answers: 1 or 0.", "dependency")
        self._lag = gauge("alerter_lag_seconds", "Time from the queue to the decision.")
        self._active = gauge("rules_active", "Rules in force.")
        self._faulty = gauge("rules_faulty", "Stored rules that take no part.")
        limit = gauge("queue_limit_events", "Most events that the ingest stream may hold.")
        limit.set(gauged.queue_limit)
        for stream in Stream:
            self._show_depth(stream, math.nan, math.nan, math.nan)
        for name in gauged.probes:
            self._up.labels(name).set(0)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            await trio.sleep(_INTERVAL_S)

    async def sample(self) -> None:
        """Look once."""
        for name, probe in self._gauged.probes.items():
            self._up.labels(name).set((await probe.ask())["ok"])
        others = map(alert_stream, self._gauged.destinations())
        streams = {*Stream, *others}
        for stream in self._streams - streams:
            # What waited there last would be shown for ever.
            for gauge in (self._events, self._pending, self._age):
                gauge.remove(str(stream))
        self._streams = streams
        for stream in streams:
            await self._sample_depth(stream)
        self._lag.set(self._gauged.lag_s())
        self._active.set(self._gauged.rules.active_count)
        self._faulty.set(len(self._gauged.rules.faults))

    async def _sample_depth(self, stream: str) -> None:
        try:
            depth = await self._gauged.queue.depth(stream)
        except StoreUnavailable:
            self._show_depth(stream, math.nan, math.nan, math.nan)
            return
        oldest_at, now = depth.oldest_at, utc_now()
        age_s = 0.0 if oldest_at is None else max(0.0, (now - oldest_at).total_seconds())
        self._show_depth(stream, depth.items, depth.pending_items, age_s)

    def _show_depth(self, stream: str, items: float, pending: float, age_s: float) -> None:
        self._events.labels(str(stream)).set(items)
        self._pending.labels(str(stream)).set(pending)
        self._age.labels(str(stream)).set(age_s)
