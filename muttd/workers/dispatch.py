"""Every destination's forwarder: started, replaced when the configuration is read again, stopped.

    Line "moog"     alert            --> forwarder --> webhook
    Line "tickets"  alert.tickets    --> forwarder --> webhook       none waits for another
    no line         alert.gone       --> the routes, after a while: nobody else will deliver it

Destinations share nothing: each has its stream, its breaker, its rate limit, its connections.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import trio

from muttd.decision import decode_alerts
from muttd.errors import StoreUnavailable
from muttd.queue.contract import MOOG, Entry, Queue, alert_stream
from muttd.store.contract import Store
from muttd.workers.forwarder import Forwarder, ForwarderPolicy, Gates
from muttd.workers.forwarder_metrics import ForwarderMetrics
from muttd.workers.routing import Router, Routes
from muttd.workers.webhook import WebhookSettings, open_webhook

# What waits for a destination that is not configured here. Other daemons may have it already, or
# still, while the configuration of a cluster is changed one by one.
ORPHAN_GRACE_S = 600.0
_ORPHAN_INTERVAL_S = 5.0
_ENTRIES = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One destination, ready to be opened. Two lines are equal when their configurations are.

    Attributes:
        config: What the others were made of.
        policy, gates, webhook: How it works, what attempts pass, where they go.
    """

    config: object
    policy: ForwarderPolicy = field(compare=False)
    gates: Gates = field(compare=False)
    webhook: WebhookSettings = field(compare=False)


class Dispatch:
    """The forwarders.

    Args:
        queue, store: Where alerts come from and where attempts are written.
        router: Where alerts go.
        metrics: What forwarders count.
        consumer: This daemon's name in the queue.
        orphan_grace_s: How long alerts for an unknown destination wait.
    """

    def __init__(
        self,
        queue: Queue,
        store: Store,
        router: Router,
        metrics: ForwarderMetrics,
        *,
        consumer: str,
        orphan_grace_s: float = ORPHAN_GRACE_S,
    ) -> None:
        self._queue = queue
        self._store = store
        self._metrics = metrics
        self._consumer = consumer
        self._orphan_grace_s = orphan_grace_s
        self._lines: dict[str, Line] = {}
        self._nursery: trio.Nursery | None = None
        self._leaves_when_held_up = False
        self._is_stopping = False
        self._orphan_since: dict[str, float] = {}
        self.router = router
        self.forwarders: dict[str, Forwarder] = {}
        # Alerts that wait for a destination which is not configured here.
        self.orphans: dict[str, int] = {}
        # A dashboard must find the series at zero, also where there is no destination yet.
        metrics.of(MOOG)

    @property
    def names(self) -> list[str]:
        """Every destination, the default one first."""
        default = self.router.routes.default
        return sorted(self._lines, key=lambda name: (name != default, name))

    def replace(self, lines: Mapping[str, Line], routes: Routes) -> None:
        """Put another configuration in force. What did not change goes on; nothing is lost."""
        before, self._lines = self._lines, dict(lines)
        self.router.replace(routes)
        for name in lines:
            self._metrics.of(name)
        for name in before.keys() - lines.keys():
            self._metrics.forget(name)
        for name, line in before.items():
            if lines.get(name) != line and name in self.forwarders:
                # The attempts under way end by themselves; its successor begins then.
                self.forwarders[name].stop()
        if self._nursery is not None:
            for name, line in lines.items():
                if before.get(name) != line:
                    self._nursery.start_soon(self._serve, line, self.forwarders.get(name))

    async def run(self) -> None:
        """Deliver until stopped or cancelled."""
        async with trio.open_nursery() as self._nursery:
            for line in self._lines.values():
                self._nursery.start_soon(self._serve, line, None)
            await self._look_after_orphans()

    async def _serve(self, line: Line, predecessor: Forwarder | None) -> None:
        if predecessor is not None:
            await predecessor.wait_stopped()
        name = line.policy.name
        async with open_webhook(line.webhook) as webhook:
            if self._lines.get(name) is not line or self._is_stopping:
                return
            forwarder = Forwarder(
                self._queue, self._store, webhook, line.gates, line.policy, self._metrics
            )
            self.forwarders[name] = forwarder
            if predecessor is not None:
                # Somebody has changed something: it may be worth a try.
                forwarder.poke()
            if self._leaves_when_held_up:
                forwarder.leave_when_held_up()
            await forwarder.run()
        if name not in self._lines:
            del self.forwarders[name]

    def poke(self) -> None:
        """Try again now, everywhere."""
        for forwarder in self.forwarders.values():
            forwarder.poke()

    def leave_when_held_up(self) -> None:
        """Go on, but end rather than wait for a neighbour that is away."""
        self._leaves_when_held_up = True
        for forwarder in self.forwarders.values():
            forwarder.leave_when_held_up()

    async def stop(self) -> None:
        """Finish the attempts under way; what is left stays in the queue."""
        self._is_stopping = True
        for forwarder in self.forwarders.values():
            forwarder.stop()
        for forwarder in list(self.forwarders.values()):
            await forwarder.wait_stopped()

    async def is_busy(self) -> bool:
        """Whether alerts wait that a destination takes just now. Raises StoreUnavailable."""
        for name, forwarder in self.forwarders.items():
            if forwarder.state in ("idle", "delivering"):
                depth = await self._queue.depth(alert_stream(name))
                if depth.items:
                    return True
        return False

    async def _look_after_orphans(self) -> None:
        while True:
            try:
                await self._find_orphans()
                for name in list(self.orphans):
                    await self._route_anew(name)
            except StoreUnavailable as exc:
                _log.debug("dispatch: the queue does not say what waits: %s", exc)
            await trio.sleep(_ORPHAN_INTERVAL_S)

    async def _find_orphans(self) -> None:
        orphans = {}
        for name in await self._queue.destinations():
            if name not in self._lines:
                items = (await self._queue.depth(alert_stream(name))).items
                if items:
                    orphans[name] = items
        now = trio.current_time()
        self.orphans = orphans
        self._orphan_since = {name: self._orphan_since.get(name, now) for name in orphans}

    async def _route_anew(self, name: str) -> None:
        """Move what waits for a destination that nobody has any more to where the routes say."""
        waited_s = trio.current_time() - self._orphan_since[name]
        # The first destination has no name in the queue: what is raised without a route is there.
        if self.router.routes.default is None or (name != MOOG and waited_s < self._orphan_grace_s):
            return
        stream = alert_stream(name)
        while entries := await self._take_abandoned(stream):
            for entry in entries:
                batches = self.router.batches(decode_alerts(entry.payload))
                await self._queue.ack(stream, [entry.entry_id], then_append=batches)
                _log.warning(
                    "dispatch: %d alerts for %s, which is not configured, go to %s",
                    entry.item_count, name, self.router.routes.default,
                )  # fmt: skip

    async def _take_abandoned(self, stream: str) -> list[Entry]:
        taken = await self._queue.take(stream, self._consumer, count=_ENTRIES, wait_s=0.0)
        # What a daemon held that was killed: no forwarder is there to take it over.
        return taken or await self._queue.claim_idle(
            stream, self._consumer, idle_s=self._orphan_grace_s, count=_ENTRIES
        )
