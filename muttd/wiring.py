"""The parts of the daemon and how they hang together. Imported by daemon.py alone.

bind_all(settings)  every socket, or every bind mistake at once
open_parts(...)     queue and store open, workers made; nothing runs yet
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector

from muttd import __version__, protocol
from muttd.accounts import Accounts
from muttd.decision import AlertState
from muttd.errors import ConfigError
from muttd.event import EventIds, utc_now
from muttd.listeners.bind import BoundSocket, bind, bind_mistake
from muttd.listeners.http import serve_http
from muttd.listeners.http_options import HttpLimits, HttpMetrics, HttpOptions
from muttd.listeners.snmp_trap import Communities, SnmpTraps, TrapEvents
from muttd.listeners.syslog_event import SyslogEvents
from muttd.listeners.syslog_tcp import SyslogTcp, TcpLimits
from muttd.listeners.syslog_udp import SyslogUdp
from muttd.listeners.udp import UdpSocket
from muttd.protocol.mib import TABLE_FILE_NAME, Mib
from muttd.queue.contract import Queue, Stream
from muttd.queue.counters import LocalRateLimit
from muttd.queue.fanout import LocalFanout
from muttd.queue.sqlite import open_queue
from muttd.settings import Settings
from muttd.settings_values import Address
from muttd.state_dir import KeyFile
from muttd.store.contract import Store
from muttd.store.sqlite import open_store
from muttd.web.app import create_app
from muttd.web.auth import ApiKey, KeyRing, Role, Sessions
from muttd.web.envelope import SERVER_HEADERS
from muttd.web.live import LIVE_PATH, LiveHub
from muttd.web.services import Services
from muttd.workers.alerter import Alerter, AlerterMetrics, AlerterPolicy, Neighbours
from muttd.workers.forwarder import Forwarder, ForwarderMetrics, ForwarderPolicy
from muttd.workers.intake import Intake
from muttd.workers.kernel_drops import DropGauge, KernelDrops
from muttd.workers.rules_watch import RulesWatch
from muttd.workers.status import Parts as StatusParts
from muttd.workers.status import Rates, readiness, status
from muttd.workers.webhook import WebhookSettings, open_webhook

# The alert stream is filled by the alerter alone, which is never refused: what was accepted is
# not shed. The number bounds nothing but a replay by hand.
_ALERT_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """Every bound socket, by listener: (listener, socket and the address it got)."""

    sockets: list[tuple[str, BoundSocket]] = field(default_factory=list)

    def of(self, listener: str) -> list[socket.socket]:
        """The sockets of one listener."""
        return [bound.sock for name, bound in self.sockets if name == listener]

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """(listener, address) of every socket."""
        return [(name, bound.address) for name, bound in self.sockets]

    def close(self) -> None:
        """Close them all."""
        for _, bound in self.sockets:
            bound.sock.close()


def bind_all(settings: Settings) -> Bound:
    """Bind every socket that the settings name.

    Raises:
        ConfigError: Some cannot be bound: which, why, and the cure. None is left bound.
    """
    wanted: list[tuple[str, str, Sequence[Address], socket.SocketKind]] = [
        ("syslog_udp", "MUTTD_SYSLOG_UDP", settings.syslog.udp, socket.SOCK_DGRAM),
        ("syslog_tcp", "MUTTD_SYSLOG_TCP", settings.syslog.tcp, socket.SOCK_STREAM),
        ("snmp", "MUTTD_SNMP_UDP", settings.snmp.udp, socket.SOCK_DGRAM),
        ("http", "MUTTD_HTTP", settings.http, socket.SOCK_STREAM),
    ]
    bound = Bound()
    mistakes = []
    for listener, setting, addresses, kind in wanted:
        for address in addresses:
            try:
                bound.sockets.append((listener, bind(address.host, address.port, kind)))
            except OSError as exc:
                mistakes.append(bind_mistake(setting, str(address), address.port, exc))
    if mistakes:
        bound.close()
        raise ConfigError(mistakes)
    return bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that runs, made and not yet running."""

    registry: CollectorRegistry
    accounts: Accounts
    rates: Rates
    queue: Queue
    store: Store
    fanout: LocalFanout
    event_ids: EventIds
    intake: Intake
    rules: RulesWatch
    alerter: Alerter
    forwarder: Forwarder | None


@asynccontextmanager
async def open_parts(
    settings: Settings, moog_key: Callable[[], str | None]
) -> AsyncIterator[Parts]:
    """Open queue and store and make the workers; closed with the block.

    Args:
        settings: All of them.
        moog_key: Gives the webhook's key now in force.

    Raises:
        StoreRefused: A file is no database of ours, or another daemon has it.
    """
    async with AsyncExitStack() as stack:
        limits = {Stream.INGEST: settings.queue.max_events, Stream.ALERT: _ALERT_LIMIT}
        queue = await stack.enter_async_context(
            open_queue(settings.state_dir / "queue.db", limits=limits)
        )
        store = await stack.enter_async_context(open_store(settings.state_dir / "store.db"))
        registry = _registry()
        accounts = Accounts(registry)
        fanout = LocalFanout()
        event_ids = EventIds()
        rules = RulesWatch(
            store,
            check_interval_s=settings.rules_check_interval_s,
            snapshot=settings.state_dir / "rules.snapshot",
        )
        forwarder = await _forwarder(settings, stack, (queue, store), registry, moog_key)
        alerter = Alerter(
            Neighbours(queue=queue, store=store, fanout=fanout, rules=rules),
            AlerterPolicy(
                consumer=settings.daemon_name,
                batch_entries=settings.alerter.batch_entries,
                max_retries=settings.alerter.max_retries,
                claim_idle_s=settings.queue.claim_idle_s,
                keep_history=settings.history_days > 0,
                alert_state=AlertState.UNROUTED if forwarder is None else AlertState.QUEUED,
            ),
            AlerterMetrics(registry),
            event_ids,
        )
        yield Parts(
            registry=registry,
            accounts=accounts,
            rates=Rates(accounts),
            queue=queue,
            store=store,
            fanout=fanout,
            event_ids=event_ids,
            intake=Intake(queue, fanout, accounts, buffer_events=settings.intake.buffer_events),
            rules=rules,
            alerter=alerter,
            forwarder=forwarder,
        )


async def _forwarder(
    settings: Settings,
    stack: AsyncExitStack,
    neighbours: tuple[Queue, Store],
    registry: CollectorRegistry,
    moog_key: Callable[[], str | None],
) -> Forwarder | None:
    moog = settings.moog
    # Registered in any case: a dashboard must find the series at zero.
    metrics = ForwarderMetrics(registry)
    if moog.webhook_url is None:
        return None
    webhook = await stack.enter_async_context(
        open_webhook(
            WebhookSettings(
                url=moog.webhook_url,
                auth_header=moog.auth_header,
                key=moog_key,
                timeout_s=moog.timeout_s,
                daemon_name=settings.daemon_name,
            )
        )
    )
    policy = ForwarderPolicy(
        consumer=settings.daemon_name,
        backoff_base_s=moog.backoff_base_s,
        backoff_cap_s=moog.backoff_cap_s,
        claim_idle_s=settings.queue.claim_idle_s,
    )
    limit = LocalRateLimit(moog.rate_limit, period_s=moog.rate_period_s)
    return Forwarder(*neighbours, webhook, limit, policy, metrics)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    build = Gauge("muttd_build_info", "Always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    return registry


@dataclass(frozen=True, slots=True)
class Intakes:
    """The UDP listeners, for their last moments.

    Attributes:
        udp_sockets: All of them.
        udp_listeners: What drains them.
        kernel_drops: Brings what the kernel dropped into the books.
    """

    udp_sockets: list[UdpSocket]
    udp_listeners: list[SyslogUdp | SnmpTraps]
    kernel_drops: KernelDrops

    async def drain(self) -> None:
        """Take what the kernel still holds."""
        for listener in self.udp_listeners:
            await listener.drain()

    def close(self) -> None:
        """Close the books and the sockets."""
        self.kernel_drops.book()
        for sock in self.udp_sockets:
            sock.close()


def start_intake(nursery: trio.Nursery, settings: Settings, parts: Parts, bound: Bound) -> Intakes:
    """Start every listener but HTTP."""
    events = SyslogEvents(
        parts.event_ids,
        zone=settings.syslog.time_zone,
        max_message_octets=settings.syslog.max_message_octets,
    )
    buffer_octets = settings.udp_receive_buffer_octets
    sockets: dict[str, list[UdpSocket]] = {
        name: [UdpSocket(sock, receive_buffer_octets=buffer_octets) for sock in bound.of(name)]
        for name in ("syslog_udp", "snmp")
    }
    listeners: list[SyslogUdp | SnmpTraps] = [
        SyslogUdp(sock, events, parts.intake, parts.accounts) for sock in sockets["syslog_udp"]
    ]
    if sockets["snmp"]:
        traps = TrapEvents(parts.event_ids, _read_mib())
        accepted = Communities([each.reveal() for each in settings.snmp.communities])
        listeners += [
            SnmpTraps(sock, traps, accepted, parts.intake, parts.accounts)
            for sock in sockets["snmp"]
        ]
    gauges = [DropGauge(name, sock.kernel_drops) for name, each in sockets.items() for sock in each]
    kernel_drops = KernelDrops(parts.accounts, gauges)
    for listener in listeners:
        nursery.start_soon(listener.serve)
    nursery.start_soon(kernel_drops.run)
    tcp = bound.of("syslog_tcp")
    if tcp:
        limits = TcpLimits(
            max_frame_octets=settings.syslog.max_message_octets,
            idle_timeout_s=settings.syslog.idle_timeout_s,
            max_connections=settings.syslog.max_connections,
            max_connections_per_peer=settings.syslog.max_connections_per_peer,
        )
        syslog_tcp = SyslogTcp(events, parts.intake, parts.accounts, limits)
        nursery.start_soon(trio.serve_listeners, syslog_tcp.serve_connection, _listeners(tcp))
    return Intakes([sock for each in sockets.values() for sock in each], listeners, kernel_drops)


def _read_mib() -> Mib:
    return Mib.from_octets(Path(protocol.__file__).with_name(TABLE_FILE_NAME).read_bytes())


def _listeners(sockets: Sequence[socket.socket]) -> list[trio.SocketListener]:
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]


def status_parts(
    settings: Settings, parts: Parts, bound: Bound, is_draining: Callable[[], bool]
) -> StatusParts:
    """What the status document is about."""
    return StatusParts(
        daemon_name=settings.daemon_name,
        started_at=utc_now(),
        addresses=bound.addresses,
        accounts=parts.accounts,
        rates=parts.rates,
        queue=parts.queue,
        queue_limit=settings.queue.max_events,
        store=parts.store,
        intake=parts.intake,
        alerter=parts.alerter,
        forwarder=parts.forwarder,
        rules=parts.rules,
        is_draining=is_draining,
    )


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


def start_web(
    nursery: trio.Nursery,
    settings: Settings,
    parts: Parts,
    scene: StatusParts,
    keys: Sequence[ApiKey],
    sockets: Sequence[socket.socket],
) -> None:
    """Start the page, the API and the live feed."""
    account = parts.accounts["http"]

    def count_received(items: int, rejected: int) -> None:
        account.received += items
        account.refused["invalid"] += rejected

    services = Services(
        store=parts.store,
        queue=parts.queue,
        fanout=parts.fanout,
        sink=parts.intake,
        event_ids=parts.event_ids,
        keys=KeyRing(keys),
        registry=parts.registry,
        readiness=partial(readiness, scene),
        status=partial(status, scene),
        rules_changed=parts.rules.poke,
        is_accepting=lambda: not scene.is_draining(),
        count_received=count_received,
        queue_limit=settings.queue.max_events,
        ingest_wait_s=settings.intake.wait_s,
        max_body_octets=settings.http_server.max_body_octets,
        secure_cookies=False,
    )
    sessions = Sessions()
    hub = LiveHub(services, sessions)
    nursery.start_soon(hub.serve_hub)
    server = settings.http_server
    options = HttpOptions(
        limits=HttpLimits(
            max_body_octets=server.max_body_octets,
            max_connections=server.max_connections,
            request_timeout_s=server.request_timeout_s,
            idle_timeout_s=server.idle_timeout_s,
            send_timeout_s=server.send_timeout_s,
        ),
        metrics=HttpMetrics.register(parts.registry),
        websockets={LIVE_PATH: hub.serve_viewer},
        error_headers=SERVER_HEADERS,
    )
    app = create_app(services, sessions)
    if sockets:
        nursery.start_soon(serve_http, _listeners(sockets), app, options)
