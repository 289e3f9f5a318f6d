"""A forwarder with a destination that answers as the test says."""

from __future__ import annotations

from collections.abc import Callable

import trio
from interruption import Interruption, an_event, wait_until
from prometheus_client import CollectorRegistry

from muttd.decision import (
    Alert,
    AlertState,
    Decided,
    Decision,
    Environment,
    Handling,
    encode_alerts,
)
from muttd.event import utc_now
from muttd.queue.breaker import BreakerLimits, LocalBreaker
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.counters import LocalRateLimit, Pace
from muttd.store.contract import Store, Window
from muttd.workers.forwarder import Forwarder, ForwarderPolicy, Gates
from muttd.workers.forwarder_metrics import ForwarderMetrics

CONCURRENCY = 3


class ScriptedDestination:
    """Takes alerts, or raises what the script says.

    Attributes:
        most_at_once: Attempts that were under way at a time.
        gate: What every attempt waits for, if there is one; or those of `gated` alone.
    """

    def __init__(self) -> None:
        self.gate: trio.Event | None = None
        self.gated: str | None = None
        self.most_at_once = 0
        self._at_once = 0
        self.attempts: list[str] = []
        self.taken: list[str] = []
        self.script: Callable[[str], Exception | None] = lambda text: None

    async def deliver(self, alert: Alert) -> int:
        text = alert.event.message
        self.attempts.append(text)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await trio.lowlevel.checkpoint()
            if self.gate is not None and self.gated in (None, text):
                await self.gate.wait()
        finally:
            self._at_once -= 1
        if error := self.script(text):
            raise error
        self.taken.append(text)
        return 200


class Scene:
    """A forwarder and what is around it."""

    def __init__(self, queue: Queue, store: Store, registry: CollectorRegistry) -> None:
        self.queue = Interruption(queue)
        self.store = Interruption(store)
        self.destination = ScriptedDestination()
        self.limits = BreakerLimits(failures=1000, open_s=0.3, attempt_s=30.0)
        self.forwarder = Forwarder(
            self.queue,
            self.store,
            self.destination,
            Gates(
                breaker=LocalBreaker(lambda: self.limits),
                limit=LocalRateLimit(lambda: Pace(1000, 1.0)),
            ),
            ForwarderPolicy(
                name="moog",
                consumer="test",
                backoff_base_s=0.01,
                backoff_cap_s=0.05,
                claim_idle_s=0.2,
                concurrency=CONCURRENCY,
            ),
            ForwarderMetrics(registry),
        )

    async def raise_alerts(self, *texts: str) -> list[Alert]:
        alerts = [an_alert(text) for text in texts]
        decided = [Decided(alert.event, alert.decision) for alert in alerts]
        await self.store.record(decided, alerts, AlertState.QUEUED)
        await self.queue.append(Stream.ALERT, [Batch(encode_alerts(alerts), len(alerts))])
        return alerts

    async def wait_empty(self) -> None:
        async def is_so() -> bool:
            return bool((await self.queue.depth(Stream.ALERT)).items == 0)

        await wait_until(is_so)

    async def states(self) -> dict[str, AlertState]:
        page = await self.store.search_alerts(state=None, hostname=None, window=Window())
        return {each.alert.event.message: each.state for each in page.items}


def an_alert(text: str) -> Alert:
    event = an_event(text)
    return Alert(
        alert_id=f"{event.event_id}.1",
        signature=f"sw1::app::{text.rstrip('!')}::",
        event=event,
        decision=Decision(
            environment=Environment.PROD,
            rule_id=1,
            rule_name="r",
            rule_revision=1,
            handling=Handling.PAGE_ONLY,
            team="NETO",
        ),
        created_at=utc_now(),
    )
