"""The parts of the daemon and how they hang together. Imported by daemon.py alone.

bind_all(settings)  every socket, or every bind mistake at once
open_parts(...)     queue and store open, workers made; nothing runs yet
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import trio
from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector

from muttd import __version__
from muttd.accounts import Accounts
from muttd.dynamic import Dynamic
from muttd.errors import ConfigError
from muttd.event import utc_now
from muttd.event_ids import EventIds
from muttd.listeners.bind import BoundSocket, adopt, bind, bind_mistake
from muttd.listeners.inherited import take_matching, unused_mistakes
from muttd.queue.bulletin import Topic
from muttd.rush import Rush
from muttd.settings import Settings, configured_keys
from muttd.settings_values import Address
from muttd.state_dir import instance_id
from muttd.wiring_backends import Backends, open_backends
from muttd.wiring_destinations import Destinations, Shared, lines_of
from muttd.wiring_snmp import open_mibs
from muttd.workers.alerter import Alerter, AlerterMetrics, AlerterPolicy, Neighbours
from muttd.workers.dispatch import Dispatch
from muttd.workers.dynamic_watch import DynamicWatch
from muttd.workers.forwarder_metrics import ForwarderMetrics
from muttd.workers.gauges import Gauged, Gauges
from muttd.workers.intake import Intake
from muttd.workers.letter_upkeep import LetterMetrics, LetterUpkeep
from muttd.workers.meta_alerts import MetaAlerts, MetaMetrics
from muttd.workers.mib_watch import MibWatch
from muttd.workers.peers import Peers
from muttd.workers.probe import Probe
from muttd.workers.routing import Router
from muttd.workers.rules_watch import RulesWatch
from muttd.workers.slo import ServiceLevels, counts_of
from muttd.workers.status import Parts as StatusParts
from muttd.workers.status import Rates, TlsLink
from muttd.workers.volume import Volume


@dataclass(frozen=True, slots=True)
class Bound:
    """Every bound socket, by listener: (listener, socket and the address it got)."""

    sockets: list[tuple[str, BoundSocket]] = field(default_factory=list)

    def of(self, listener: str) -> list[socket.socket]:
        """The sockets of one listener."""
        return [bound.sock for bound in self.entries(listener)]

    def entries(self, listener: str) -> list[BoundSocket]:
        """The same, and what is known of each."""
        return [bound for name, bound in self.sockets if name == listener]

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """(listener, address) of every socket."""
        return [(name, bound.address) for name, bound in self.sockets]

    def close(self) -> None:
        """Close them all."""
        for _, bound in self.sockets:
            bound.sock.close()


def bind_all(settings: Settings, inherited: Sequence[socket.socket] = ()) -> Bound:
    """Bind every socket that the settings name, unless systemd has bound it already.

    Args:
        settings: All of them.
        inherited: What systemd passed to this process.

    Raises:
        ConfigError: Some cannot be bound: which, why, and the cure. None is left bound.
    """
    wanted: list[tuple[str, str, Sequence[Address], socket.SocketKind]] = [
        ("syslog_udp", "MUTTD_SYSLOG_UDP", settings.syslog.udp, socket.SOCK_DGRAM),
        ("syslog_tcp", "MUTTD_SYSLOG_TCP", settings.syslog.tcp, socket.SOCK_STREAM),
        ("syslog_tls", "MUTTD_SYSLOG_TLS", settings.syslog_tls, socket.SOCK_STREAM),
        ("snmp", "MUTTD_SNMP_UDP", settings.snmp.udp, socket.SOCK_DGRAM),
        ("http", "MUTTD_HTTP", settings.http, socket.SOCK_STREAM),
    ]
    bound = Bound()
    left = list(inherited)
    mistakes = []
    for listener, setting, addresses, kind in wanted:
        for address in addresses:
            host, port = address.host, address.port
            passed = take_matching(left, host, port, kind)
            if passed is not None:
                bound.sockets.append((listener, adopt(passed)))
                continue
            shared = settings.reuse_port
            try:
                found = bind(host, port, kind, reuse_port=shared)
            except OSError as exc:
                mistake = bind_mistake(setting, str(address), port, exc, reuse_port=shared)
                mistakes.append(mistake)
            else:
                bound.sockets.append((listener, found))
    mistakes += unused_mistakes(left)
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
    instance_id: str
    backends: Backends
    dynamic: Dynamic
    dynamic_watch: DynamicWatch
    probes: dict[str, Probe]
    peers: Peers
    event_ids: EventIds
    intake: Intake
    rules: RulesWatch
    mibs: MibWatch
    alerter: Alerter
    meta_alerts: MetaAlerts
    outbound: Outbound
    volume: Volume
    rush: Rush


@asynccontextmanager
async def open_parts(
    settings: Settings, destinations: Destinations, moog_keys: Callable[[], Sequence[str]]
) -> AsyncIterator[Parts]:
    """Open queue and store and make the workers; closed with the block.

    Args:
        settings: All of them.
        destinations: Where alerts go.
        moog_keys: Gives the keys of the first of them now in force.

    Raises:
        StoreRefused: A file is no database of ours, or another daemon has it.
    """
    async with AsyncExitStack() as stack:
        registry = _registry()
        own_id = instance_id(settings.state_dir)
        # Stable over restarts, so that what was pending is ours again; and never another's, even
        # where a state directory was copied to another host.
        consumer = f"{settings.daemon_name}.{own_id}"
        dynamic = Dynamic(settings.dynamic, configured=configured_keys(settings))
        backends = await stack.enter_async_context(open_backends(settings, (registry, own_id)))
        queue, store, fanout = backends.queue, backends.store, backends.fanout
        accounts = Accounts(registry)
        event_ids = EventIds()
        rules, dynamic_watch = _watches(settings, backends, dynamic)
        mibs = await trio.to_thread.run_sync(open_mibs, settings, store)
        # Severities and uploaded MIBs are changed as rules are, and as seldom.
        backends.bulletin.listen(Topic.RULES, mibs.poke)
        shared = Shared(backends, dynamic, consumer, moog_keys)
        outbound = _outbound(settings, destinations, shared, registry)
        neighbours = Neighbours(
            queue=queue, store=store, fanout=fanout, rules=rules, accounts=accounts
        )
        policy = AlerterPolicy(
            consumer=consumer,
            batch_entries=settings.alerter.batch_entries,
            claim_idle_s=settings.queue.claim_idle_s,
            router=outbound.dispatch.router,
            dynamic=dynamic,
        )
        yield Parts(
            registry=registry,
            accounts=accounts,
            rates=Rates(accounts),
            instance_id=own_id,
            backends=backends,
            dynamic=dynamic,
            dynamic_watch=dynamic_watch,
            probes={"queue": Probe(queue.ping, queue.note), "store": Probe(store.ping)},
            peers=Peers(backends.board),
            event_ids=event_ids,
            intake=Intake(queue, fanout, accounts, buffer_events=settings.intake.buffer_events),
            rules=rules,
            mibs=mibs,
            alerter=Alerter(neighbours, policy, AlerterMetrics(registry)),
            meta_alerts=MetaAlerts(neighbours, policy, MetaMetrics(registry)),
            outbound=outbound,
            volume=neighbours.volume,
            rush=neighbours.rush,
        )


def _watches(
    settings: Settings, backends: Backends, dynamic: Dynamic
) -> tuple[RulesWatch, DynamicWatch]:
    rules = RulesWatch(
        backends.store,
        check_interval_s=settings.rules_check_interval_s,
        snapshot=settings.state_dir / "rules.snapshot",
    )
    dynamic_watch = DynamicWatch(
        backends.store,
        dynamic,
        check_interval_s=settings.rules_check_interval_s,
        snapshot=settings.state_dir / "dynamic.snapshot",
    )
    backends.bulletin.listen(Topic.RULES, rules.poke)
    backends.bulletin.listen(Topic.DYNAMIC, dynamic_watch.poke)
    return rules, dynamic_watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """What sends alerts.

    Attributes:
        dispatch: The forwarders.
        upkeep: Looks after what was given up on.
        shared: What a reload leaves as it is.
    """

    dispatch: Dispatch
    upkeep: LetterUpkeep
    shared: Shared

    def use(self, settings: Settings, destinations: Destinations) -> None:
        """Send to these destinations from now on."""
        lines = lines_of(settings, destinations, self.shared)
        self.dispatch.replace(lines, destinations.routes)
        self.dispatch.poke()


def _outbound(
    settings: Settings, destinations: Destinations, shared: Shared, registry: CollectorRegistry
) -> Outbound:
    queue, store = shared.backends.queue, shared.backends.store
    dispatch = Dispatch(
        queue, store, Router(), ForwarderMetrics(registry), consumer=shared.consumer
    )
    metrics = LetterMetrics(registry)
    upkeep = LetterUpkeep(queue, store, dispatch, shared.dynamic, metrics)
    outbound = Outbound(dispatch=dispatch, upkeep=upkeep, shared=shared)
    outbound.use(settings, destinations)
    return outbound


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    build = Gauge("muttd_build_info", "Always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    return registry


def stream_listeners(sockets: Sequence[socket.socket]) -> list[trio.SocketListener]:
    """Bound stream sockets as Trio serves them."""
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]


def gauges(settings: Settings, parts: Parts) -> Gauges:
    """What shows the depth of the queue and who answers, in /metrics."""
    dispatch = parts.outbound.dispatch
    gauged = Gauged(
        queue=parts.backends.queue,
        queue_limit=settings.queue.max_events,
        probes=parts.probes,
        lag_s=lambda: parts.alerter.lag_s,
        rules=parts.rules,
        destinations=lambda: [*dispatch.names, *dispatch.orphans],
    )
    return Gauges(gauged, parts.registry)


def service_levels(parts: Parts) -> ServiceLevels:
    """What samples how well each component does its work."""
    forwarders = parts.outbound.dispatch.forwarders
    return ServiceLevels(
        lambda: counts_of(parts.accounts, parts.alerter, forwarders.values),
        parts.probes,
        lambda: parts.dynamic.current.slo_target_percent / 100,
    )


def status_parts(
    settings: Settings,
    parts: Parts,
    bound: Bound,
    *,
    tls_links: Callable[[], Mapping[str, TlsLink]],
    is_draining: Callable[[], bool],
) -> StatusParts:
    """What the status document is about."""
    return StatusParts(
        daemon_name=settings.daemon_name,
        instance_id=parts.instance_id,
        started_at=utc_now(),
        addresses=bound.addresses,
        accounts=parts.accounts,
        rates=parts.rates,
        queue=parts.backends.queue,
        queue_limit=settings.queue.max_events,
        dynamic=parts.dynamic,
        probes=parts.probes,
        intake=parts.intake,
        alerter=parts.alerter,
        meta_alerts=parts.meta_alerts,
        dispatch=parts.outbound.dispatch,
        rules=parts.rules,
        spool=parts.backends.spool_state,
        peers=parts.peers,
        tls_links=tls_links,
        is_draining=is_draining,
    )
