"""The web side, put together: keys, services, the live feed, the server."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from muttd.accounts import Account
from muttd.errors import StoreUnavailable
from muttd.listeners.http import serve_http
from muttd.listeners.http_options import HttpLimits, HttpMetrics, HttpOptions
from muttd.listeners.tls import ServerTls
from muttd.queue.bulletin import Topic
from muttd.settings import Settings
from muttd.state_dir import KeyFile
from muttd.web.access import Access
from muttd.web.api.metrics import MAX_TALKERS
from muttd.web.app import create_app
from muttd.web.auth import ApiKey, KeyRing, Role
from muttd.web.envelope import SERVER_HEADERS
from muttd.web.ingest_limits import IngestLimits, SlidingLimit
from muttd.web.live import LIVE_PATH, LiveHub
from muttd.web.services import Services
from muttd.web.sessions import Sessions
from muttd.wiring import Parts, service_levels, stream_listeners
from muttd.workers.slo import ServiceLevels
from muttd.workers.status import Parts as StatusParts
from muttd.workers.status import readiness, status


@dataclass(frozen=True, slots=True)
class WebListener:
    """Where it is served.

    Attributes:
        sockets: Bound; without any, nothing is served.
        tls: What every connection begins with, or None for HTTP in clear text.
    """

    sockets: Sequence[socket.socket]
    tls: ServerTls | None


def api_keys(settings: Settings, key_files: Sequence[KeyFile]) -> list[ApiKey]:
    """The keys that are valid: configured ones, or those of the state directory."""
    roles = {"admin": Role.ADMIN, "ingest": Role.INGEST}
    configured = {"admin": settings.keys.admin, "ingest": settings.keys.ingest}
    keys = [
        ApiKey(name, roles[name], secret.reveal())
        for name, secrets in configured.items()
        for secret in secrets
    ]
    keys += [ApiKey(key.path.stem, roles[key.path.stem], key.secret) for key in key_files]
    return keys


def _services(
    settings: Settings,
    parts: Parts,
    scene: StatusParts,
    keys: KeyRing,
    access: Access,
    levels: ServiceLevels,
) -> Services:
    account = parts.accounts["http"]

    def count_received(items: int, rejected: int) -> None:
        account.received += items
        account.refused["invalid"] += rejected

    def rules_changed() -> None:
        parts.rules.poke()
        parts.mibs.poke()
        parts.backends.bulletin.announce(Topic.RULES)

    def dynamic_changed() -> None:
        parts.dynamic_watch.poke()
        parts.backends.bulletin.announce(Topic.DYNAMIC)

    async def access_changed() -> None:
        parts.backends.bulletin.announce(Topic.ACCESS)
        # The change is stored: not to be able to read it just now does not undo it.
        with suppress(StoreUnavailable):
            await access.refresh()

    return Services(
        store=parts.backends.store,
        queue=parts.backends.queue,
        fanout=parts.backends.fanout,
        sink=parts.intake,
        event_ids=parts.event_ids,
        keys=keys,
        registry=parts.registry,
        readiness=partial(readiness, scene),
        status=partial(status, scene),
        rule_set=lambda: parts.rules.current if parts.rules.is_loaded else None,
        rules_changed=rules_changed,
        mibs=parts.mibs,
        dynamic=parts.dynamic,
        dynamic_changed=dynamic_changed,
        access_changed=access_changed,
        summary=lambda: _summary(parts),
        service_levels=levels.document,
        is_accepting=lambda: not scene.is_draining(),
        count_received=count_received,
        queue_limit=settings.queue.max_events,
        ingest_wait_s=settings.intake.wait_s,
        max_body_octets=settings.http_server.max_body_octets,
        secure_cookies=settings.is_https,
        ingest_limits=_limits(settings, account),
    )


def _limits(settings: Settings, account: Account) -> IngestLimits:
    http = settings.http_server

    def count_limited() -> None:
        # How many events its body holds nobody has looked at.
        account.received += 1
        account.refused["rate"] += 1

    return IngestLimits(
        SlidingLimit(http.ingest_key_limit, http.ingest_window_s),
        SlidingLimit(http.ingest_source_limit, http.ingest_window_s),
        count_refused=count_limited,
    )


def _summary(parts: Parts) -> dict[str, Any]:
    return {
        "rates": {
            f"received_per_s_{name}": parts.rates.received_per_s(window_s)
            for name, window_s in (("1m", 60.0), ("15m", 900.0), ("1h", 3600.0))
        },
        "top_talkers": [
            {"hostname": hostname, "events": events}
            for hostname, events in parts.volume.talkers(MAX_TALKERS)
        ],
    }


def start_web(
    nursery: trio.Nursery,
    settings: Settings,
    parts: Parts,
    scene: StatusParts,
    keys: KeyRing,
    listener: WebListener,
) -> None:
    """Start the page, the API and the live feed."""
    sessions = Sessions(parts.backends.store, keys)
    access = Access(parts.backends.store, keys, sessions)
    parts.backends.bulletin.listen(Topic.ACCESS, access.poke)
    nursery.start_soon(access.run)
    levels = service_levels(parts)
    nursery.start_soon(levels.run)
    services = _services(settings, parts, scene, keys, access, levels)
    hub = LiveHub(services, sessions)
    nursery.start_soon(hub.serve_hub)
    server = settings.http_server
    options = HttpOptions(
        limits=HttpLimits(
            max_body_octets=server.max_body_octets,
            max_connections=server.max_connections,
            max_connections_per_peer=server.max_connections_per_peer,
            request_timeout_s=server.request_timeout_s,
            idle_timeout_s=server.idle_timeout_s,
            send_timeout_s=server.send_timeout_s,
        ),
        metrics=HttpMetrics.register(parts.registry),
        websockets={LIVE_PATH: hub.serve_viewer},
        error_headers=SERVER_HEADERS,
        tls=listener.tls,
    )
    app = create_app(services, sessions)
    if listener.sockets:
        nursery.start_soon(serve_http, stream_listeners(listener.sockets), app, options)
