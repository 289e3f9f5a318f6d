"""What the web side is given by the daemon, and nothing more. Settings do not come down here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from muttd.dynamic import Dynamic
from muttd.event_ids import EventIds
from muttd.mibs.entry import MibEntry
from muttd.mibs.module import Parsed
from muttd.protocol.mib import MibInForce
from muttd.queue.contract import Queue
from muttd.queue.fanout import Fanout
from muttd.rules.engine import RuleSet
from muttd.sink import Sink
from muttd.store.contract import Store
from muttd.web.auth import KeyRing
from muttd.web.ingest_limits import IngestLimits, no_limits


class Mibs(Protocol):
    """Operators' MIBs, as the web side needs them."""

    @property
    def entries(self) -> Sequence[MibEntry]:
        """Every text."""
        ...

    @property
    def in_force(self) -> MibInForce:
        """Names things."""
        ...

    async def check(self, octets: bytes) -> Parsed:
        """What would come of a text."""
        ...

    async def apply(self) -> None:
        """Return when what is stored now is in force."""
        ...


def _count_nothing(received: int, invalid: int) -> None:
    """For an app that nobody keeps accounts of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that the web side may use.

    Attributes:
        store, queue, fanout, sink: The pipeline's doors.
        event_ids: The daemon's source of event ids.
        keys: Who may sign in.
        registry: What /metrics shows.
        readiness: Each dependency and listener by name: {"queue": {"ok": True, "error": None}}.
        status: The status document of GET /api/v2/status.
        rule_set: The rules in force; None: none were read yet.
        rules_changed: Tells the daemon to recompile its rules now.
        dynamic: The dynamic configuration in force, and its defaults.
        dynamic_changed: Tells the daemons to look at the stored values now.
        mibs: Names of traps, by operators' own MIBs.
        is_accepting: False while the daemon drains: ingest answers 503.
        queue_limit: Most events the ingest stream may hold; shown in a 503.
        ingest_wait_s: How long ingest waits for the queue before it answers 503.
        max_body_octets: Longest request body, after decompression too.
        secure_cookies: Whether the page is served over TLS.
        ingest_limits: How many events one key and one address may post.
        access_changed: Puts keys made or revoked in force here, and tells the other daemons of
            them and of sessions that ended.
        summary: Rates and top talkers of this daemon, for GET /api/v2/metrics.
        service_levels: The document of GET /api/v2/slo.
        count_received: Told of every ingest request: how many items it brought, and how many of
            them are no events. The accounts of the HTTP listener begin here.
    """

    store: Store
    queue: Queue
    fanout: Fanout
    sink: Sink
    event_ids: EventIds
    keys: KeyRing
    registry: CollectorRegistry
    readiness: Callable[[], Awaitable[dict[str, dict[str, Any]]]]
    status: Callable[[], Awaitable[dict[str, Any]]]
    rule_set: Callable[[], RuleSet | None]
    rules_changed: Callable[[], None]
    dynamic: Dynamic
    dynamic_changed: Callable[[], None]
    mibs: Mibs
    is_accepting: Callable[[], bool]
    queue_limit: int
    ingest_wait_s: float
    max_body_octets: int
    secure_cookies: bool
    summary: Callable[[], dict[str, Any]]
    service_levels: Callable[[], dict[str, Any]]
    access_changed: Callable[[], Awaitable[None]]
    ingest_limits: IngestLimits = field(default_factory=no_limits)
    count_received: Callable[[int, int], None] = _count_nothing
