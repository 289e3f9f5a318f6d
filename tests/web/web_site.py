"""The whole application over the real embedded queue and store, driven without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import trio
from api_document import ApiDocument, document_of
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from muttd.arrivals import Arrivals
from muttd.decision import Alert, AlertState, Decided, Decision, Environment, Handling, alert_id_for
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, Transport
from muttd.event_ids import EventIds
from muttd.mibs.shelf import MibShelf
from muttd.protocol import mib
from muttd.protocol.mib import Mib
from muttd.queue.contract import Stream
from muttd.queue.fanout import LocalFanout
from muttd.queue.sqlite import open_queue
from muttd.rules.compile import EMPTY
from muttd.rules.engine import RuleSet
from muttd.sink import Load
from muttd.store.contract import Store
from muttd.store.sqlite import open_store
from muttd.web.access import Access
from muttd.web.app import create_app
from muttd.web.auth import ApiKey, KeyRing, Role, session_cookie
from muttd.web.services import Services
from muttd.web.sessions import Sessions
from muttd.workers.mib_watch import MibWatch

KEYS = {role: f"{role.name.lower()}-key-of-32-characters-or-so" for role in Role}
SHIPPED_MIB = Mib.from_octets(Path(mib.__file__).with_name(mib.TABLE_FILE_NAME).read_bytes())
SUMMARY = {
    "rates": {"received_per_s_1m": 2.5, "received_per_s_15m": 1.0, "received_per_s_1h": 0.0},
    "top_talkers": [{"hostname": "core-sw-1", "events": 7}],
}
SERVICE_LEVELS = {"target": 0.999, "window_s": 86_400.0, "components": []}
BODY_LIMIT_OCTETS = 1_000_000
QUEUE_LIMIT = 1000


class MemorySink:
    """A sink that keeps what it is given, or fails as told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failure: Exception | None = None

    async def put(
        self, listener: str, load: Load, receipt: Callable[[], None] | None = None
    ) -> None:
        assert not isinstance(load, Arrivals), "over HTTP nothing comes unparsed"
        self.events += load
        if receipt is not None:
            receipt()

    async def put_and_wait(self, listener: str, events: Sequence[Event], *, wait_s: float) -> None:
        if self.failure is not None:
            raise self.failure
        self.events += events


@dataclass
class Clock:
    """Seconds that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def time(self) -> datetime:
        """The same, as a time of day."""
        return datetime(2025, 3, 1, tzinfo=UTC) + timedelta(seconds=self.now)


@dataclass
class Site:
    """One application and what is behind it."""

    services: Services
    sessions: Sessions
    access: Access
    store: Store
    sink: MemorySink
    clock: Clock
    registry: CollectorRegistry
    app: Any
    rules_changes: list[None] = field(default_factory=list)
    rule_sets: list[RuleSet] = field(default_factory=list)
    dynamic_changes: list[None] = field(default_factory=list)
    readiness: dict[str, dict[str, Any]] = field(default_factory=dict)
    event_ids: EventIds = field(default_factory=EventIds)

    @cached_property
    def document(self) -> ApiDocument:
        """What the application says of itself."""
        return document_of(self.app.state.openapi)

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: Role | None = Role.ADMIN,
        headers: Mapping[str, str] | None = None,
        peer: str = "192.0.2.1",
        **more: Any,
    ) -> httpx.Response:
        """One request, with that role's key."""
        given = dict(headers or {})
        if role is not None:
            given.setdefault("X-API-KEY", KEYS[role])
        transport = httpx.ASGITransport(app=self.app, client=(peer, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://mutt.example") as client:
            response = await client.request(method, path, headers=given, **more)
        self._hold_to_the_document(response)
        return response

    def _hold_to_the_document(self, response: httpx.Response) -> None:
        """Every answer that any test gets is one that the API promises."""
        if response.request.method not in {"GET", "POST", "PUT", "DELETE"}:
            return
        if response.status_code in {404, 405} or response.status_code >= 500:
            return
        if response.status_code == 400 and response.json()["error"] == "unsupported_version":
            # Told before anybody looks whether there is anything at the path.
            return
        if not response.request.url.path.startswith(("/api/", "/ingest")):
            return
        complaint = self.document.complaint(response)
        assert complaint is None, complaint

    @property
    def routes(self) -> list[BaseRoute]:
        """Every route, in the order they are tried."""
        routes: list[BaseRoute] = list(self.app.routes)
        return routes

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """GET, as a viewer."""
        return await self.call("GET", path, **({"role": Role.VIEWER} | more))

    async def octets(
        self, method: str, path: str, *, headers: Mapping[str, str], received: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """One request as a server makes it: what the app receives, and what it sends."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return received.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        given = {"X-API-KEY": KEYS[Role.ADMIN]} | dict(headers)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
        await self.app(scope, receive, send)
        return sent

    async def sign_in(self, role: Role) -> tuple[dict[str, str], str]:
        """A browser's headers with a session of that role, and its CSRF token."""
        principal = self.services.keys.check(KEYS[role])
        assert principal is not None
        token, csrf_token = await self.sessions.open(principal)
        cookie = session_cookie(token, secure=False).partition(";")[0]
        return {"Cookie": cookie, "Origin": "http://mutt.example"}, csrf_token

    def an_event(self, message: str = "%LINK-3-UPDOWN: down", **fields: Any) -> Event:
        """An event that was received now."""
        values: dict[str, Any] = {
            "event_id": self.event_ids.next(),
            "received_at": datetime.now(UTC),
            "source_ip": "192.0.2.7",
            "hostname": "core-sw-1",
            "transport": Transport.SYSLOG_UDP,
            "severity": 3,
            "facility": 23,
            "message": message,
            "raw": message.encode(),
        }
        return Event(**(values | fields))

    async def record(self, event: Event, *, rule_id: int | None = None) -> Event:
        """Store an event: matched by that rule, with its alert, or unmatched."""
        decision = Decision(environment=Environment.PROD)
        alerts = []
        if rule_id is not None:
            decision = Decision(
                environment=Environment.PROD,
                rule_id=rule_id,
                rule_name="link down",
                rule_revision=1,
                handling=Handling.PAGE_AND_TICKET,
                team="NETO",
            )
            alert = Alert(
                alert_id=alert_id_for(event.event_id, rule_id),
                signature="core-sw-1::syslog::link::3",
                event=event,
                decision=decision,
                created_at=event.received_at,
            )
            alerts.append(alert)
        await self.store.record([Decided(event, decision)], alerts, AlertState.QUEUED)
        return event


@asynccontextmanager
async def open_site(directory: Path) -> AsyncIterator[Site]:
    """An application with a queue and a store of its own in that directory."""
    clock = Clock()
    registry = CollectorRegistry()
    sink = MemorySink()
    async with (
        open_queue(directory / "queue.sqlite", limits=dict.fromkeys(Stream, QUEUE_LIMIT)) as queue,
        open_store(directory / "store.sqlite") as store,
        trio.open_nursery() as nursery,
    ):
        (directory / "mibs").mkdir()
        mibs = MibWatch(
            SHIPPED_MIB,
            store,
            directory=directory / "mibs",
            shelf=MibShelf(directory / "mibs.compiled"),
            check_interval_s=3600.0,
        )
        nursery.start_soon(mibs.run)
        readiness = {"queue": {"ok": True, "error": None}, "store": {"ok": True, "error": None}}
        rules_changes: list[None] = []
        rule_sets: list[RuleSet] = [EMPTY]
        dynamic_changes: list[None] = []

        async def ready() -> dict[str, dict[str, Any]]:
            return readiness

        async def status() -> dict[str, Any]:
            return {"daemon": {"name": "test", "state": "running"}, "warnings": []}

        keys = KeyRing(
            (ApiKey(f"{role.name.lower()}-bot", role, key) for role, key in KEYS.items()),
            clock=clock,
            now=clock.time,
        )
        sessions = Sessions(store, keys, clock=clock.time)
        access = Access(store, keys, sessions)
        await access.refresh()

        services = Services(
            store=store,
            queue=queue,
            fanout=LocalFanout(),
            sink=sink,
            event_ids=EventIds(),
            keys=keys,
            access_changed=access.refresh,
            summary=lambda: SUMMARY,
            service_levels=lambda: SERVICE_LEVELS,
            registry=registry,
            readiness=ready,
            status=status,
            rule_set=lambda: rule_sets[-1],
            rules_changed=lambda: rules_changes.append(None),
            mibs=mibs,
            dynamic=Dynamic(DynamicSettings(breaker_failures=7), configured={"breaker_failures"}),
            dynamic_changed=lambda: dynamic_changes.append(None),
            is_accepting=lambda: True,
            queue_limit=QUEUE_LIMIT,
            ingest_wait_s=1.0,
            max_body_octets=BODY_LIMIT_OCTETS,
            secure_cookies=False,
        )
        yield Site(
            services=services,
            sessions=sessions,
            access=access,
            store=store,
            sink=sink,
            clock=clock,
            registry=registry,
            app=create_app(services, sessions),
            rules_changes=rules_changes,
            rule_sets=rule_sets,
            dynamic_changes=dynamic_changes,
            readiness=readiness,
        )
        nursery.cancel_scope.cancel()
