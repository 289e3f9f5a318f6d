"""The status document: what a person asks first, in one object (GET /api/v2/status).

what came in, what the rules did with it, did the alert go out, what did we lose?
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import trio

from muttd import __version__
from muttd.accounts import Accounts
from muttd.dynamic import Dynamic
from muttd.errors import StoreUnavailable
from muttd.event import iso_utc, utc_now
from muttd.queue.contract import MOOG, Queue, Stream, alert_stream
from muttd.queue.spooled import SpoolState
from muttd.workers.alerter import Alerter
from muttd.workers.dispatch import Dispatch
from muttd.workers.intake import Intake
from muttd.workers.meta_alerts import MetaAlerts
from muttd.workers.peers import Peers
from muttd.workers.probe import Probe
from muttd.workers.rules_watch import RulesWatch
from muttd.workers.status_destinations import (
    destination_warnings,
    destinations,
    forwarder_summary,
    total_depth,
)

_SAMPLE_INTERVAL_S = 5.0
_HOUR_S = 3600.0
# The dependencies say why.
_UNKNOWN_DEPTH: Mapping[str, Any] = {"items": None, "pending_items": None, "oldest_age_s": None}
_MIB = 1024 * 1024
# Enough for whoever signs certificates to be asked for one, and over a weekend.
_EXPIRES_SOON = timedelta(days=14)
_TOTALS = ("received", "queued", "refused", "dropped", "kernel_dropped", "malformed")


class Rates:
    """How many messages came in lately, from samples of the books."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._samples: deque[tuple[float, int]] = deque(
            maxlen=int(_HOUR_S / _SAMPLE_INTERVAL_S) + 1
        )

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self._samples.append((trio.current_time(), self._accounts.received))
            await trio.sleep(_SAMPLE_INTERVAL_S)

    def received_per_s(self, window_s: float) -> float:
        """Messages a second over the last window_s seconds, or as far back as we know."""
        now, total = trio.current_time(), self._accounts.received
        for at, count in self._samples:
            if now - at <= window_s:
                elapsed_s = now - at
                return round((total - count) / elapsed_s, 2) if elapsed_s > 0 else 0.0
        return 0.0


class TlsLink(NamedTuple):
    """The TLS of one link: when its certificate expires, and why handshakes with it failed."""

    expires_at: datetime
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the document is about.

    Attributes:
        addresses: (listener, address) of every bound socket.
        dispatch: Knows every destination.
        probes: Of the queue and the store.
        spool: What waits on disk for the queue; None without a spool.
        tls_links: By link that has a certificate: a listener, redis, webhook, ...
        is_draining: Whether SIGTERM came.
    """

    daemon_name: str
    instance_id: str
    started_at: datetime
    addresses: Sequence[tuple[str, str]]
    accounts: Accounts
    rates: Rates
    queue: Queue
    queue_limit: int
    dynamic: Dynamic
    probes: Mapping[str, Probe]
    intake: Intake
    alerter: Alerter
    meta_alerts: MetaAlerts
    dispatch: Dispatch
    rules: RulesWatch
    spool: Callable[[], SpoolState | None]
    peers: Peers
    tls_links: Callable[[], Mapping[str, TlsLink]]
    is_draining: Callable[[], bool]


def _unloaded(rules: RulesWatch) -> str | None:
    return None if rules.is_loaded else rules.warning


async def readiness(parts: Parts) -> dict[str, dict[str, Any]]:
    """Each dependency by name, and whether intake goes on."""
    stuck = parts.intake.last_error
    answers: dict[str, dict[str, Any]] = {}

    async def ask(name: str, probe: Probe) -> None:
        answers[name] = await probe.ask()

    async with trio.open_nursery() as nursery:
        for name, probe in parts.probes.items():
            nursery.start_soon(ask, name, probe)
    return {
        **{name: answers[name] for name in parts.probes},
        "rules": {"ok": parts.rules.is_loaded, "error": _unloaded(parts.rules)},
        "intake": {
            "ok": stuck is None and not parts.is_draining(),
            "error": "draining" if parts.is_draining() else (str(stuck) if stuck else None),
        },
    }


async def status(parts: Parts) -> dict[str, Any]:
    """The status document."""
    now = utc_now()
    dependencies = await readiness(parts)
    is_queue_there = dependencies["queue"]["ok"]

    async def depth_of(stream: str) -> Mapping[str, Any]:
        return await _depth(parts.queue, stream, now) if is_queue_there else _UNKNOWN_DEPTH

    # Alerts raised while there is no destination are in no stream; what waits for the first one
    # is looked at in any case.
    names = {MOOG, *parts.dispatch.names, *parts.dispatch.orphans}
    depths = {name: await depth_of(alert_stream(name)) for name in sorted(names)}
    queue = {
        Stream.INGEST.value: await depth_of(Stream.INGEST),
        Stream.ALERT.value: total_depth(depths.values()) if is_queue_there else _UNKNOWN_DEPTH,
    }
    # From here on nothing waits: the document is of one moment.
    warnings = _warnings(parts, dependencies)
    rules = parts.rules
    return {
        "daemon": {
            "name": parts.daemon_name,
            "instance_id": parts.instance_id,
            "version": __version__,
            "started_at": iso_utc(parts.started_at),
            "uptime_s": round((now - parts.started_at).total_seconds(), 1),
            "state": "draining" if parts.is_draining() else "running",
        },
        "listeners": _listeners(parts),
        "rates": {
            "received_per_s_1m": parts.rates.received_per_s(60.0),
            "received_per_s_15m": parts.rates.received_per_s(900.0),
            "received_per_s_1h": parts.rates.received_per_s(_HOUR_S),
        },
        "intake": {"waiting_events": parts.intake.waiting_events},
        "queue": {"limit": parts.queue_limit, **queue},
        "spool": _spool(parts.spool()),
        "rules": {
            "revision": rules.revision,
            "active": rules.active_count,
            "loaded_at": None if rules.loaded_at is None else iso_utc(rules.loaded_at),
        },
        "pipeline": parts.alerter.tally(),
        "ledger": parts.meta_alerts.summary(),
        "forwarder": forwarder_summary(parts.dispatch),
        "destinations": destinations(parts.dispatch, depths),
        "dependencies": dependencies,
        "warnings": [*warnings, *_depth_warnings(parts, queue)],
        "peers": _peers(parts, dependencies, warnings),
    }


async def describe(parts: Parts) -> dict[str, Any]:
    """What this daemon tells the others of itself."""
    dependencies = await readiness(parts)
    return _summary(parts, dependencies, _warnings(parts, dependencies))


def _summary(
    parts: Parts, dependencies: Mapping[str, dict[str, Any]], warnings: Sequence[str]
) -> dict[str, Any]:
    totals = dict.fromkeys(_TOTALS, 0)
    for row in _listeners(parts):
        for name in _TOTALS:
            totals[name] += row[name] or 0
    spool = parts.spool()
    return {
        "name": parts.daemon_name,
        "version": __version__,
        "started_at": iso_utc(parts.started_at),
        "state": "draining" if parts.is_draining() else "running",
        "received_per_s_1m": parts.rates.received_per_s(60.0),
        "lag_s": round(parts.alerter.lag_s, 3),
        "rules_revision": parts.rules.revision,
        "spooled_events": 0 if spool is None else spool.items,
        "listeners": totals,
        "pipeline": parts.alerter.tally(),
        "forwarder": {"state": forwarder_summary(parts.dispatch)["state"]},
        "dependencies": dict(dependencies),
        "warnings": list(warnings),
    }


def _peers(
    parts: Parts, dependencies: Mapping[str, dict[str, Any]], warnings: Sequence[str]
) -> list[dict[str, Any]]:
    """This daemon, and every other one that works on the same queue."""
    own = _summary(parts, dependencies, warnings)
    seen = {"instance_id": parts.instance_id, "seen_s": 0.0, "is_silent": False}
    others = [{**each, "is_self": False} for each in parts.peers.others()]
    return [{**own, **seen, "is_self": True}, *others]


def _spool(state: SpoolState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "events": state.items,
        "octets": state.octets,
        "limit_octets": state.max_octets,
        "since": None if state.since is None else iso_utc(state.since),
        "spooled": state.spooled,
        "drained": state.drained,
        "error": state.error,
    }


def _listeners(parts: Parts) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    links = parts.tls_links()
    for name, address in parts.addresses:
        if name in rows:
            rows[name]["address"] += f", {address}"
            continue
        account = parts.accounts[name]
        rows[name] = {
            "name": name,
            "address": address,
            "received": account.received,
            "queued": account.queued,
            "refused": sum(account.refused.values()),
            "refused_by_reason": {k: v for k, v in account.refused.items() if v},
            "dropped": account.dropped,
            "kernel_dropped": account.kernel_dropped,
            "malformed": account.malformed,
            "connections": account.connections,
            "tls": _tls(links.get(name)),
        }
    return list(rows.values())


def _tls(link: TlsLink | None) -> dict[str, Any] | None:
    if link is None:
        return None
    return {
        "certificate_expires_at": iso_utc(link.expires_at),
        "handshake_failures": {reason: count for reason, count in link.failures.items() if count},
    }


def _certificate_warnings(parts: Parts, now: datetime) -> Iterator[str]:
    for name, link in parts.tls_links().items():
        left, at = link.expires_at - now, iso_utc(link.expires_at)
        if left <= timedelta(0):
            yield f"{name}: the certificate expired at {at}"
        elif left < _EXPIRES_SOON:
            yield f"{name}: the certificate expires at {at}"


async def _depth(queue: Queue, stream: str, now: datetime) -> Mapping[str, Any]:
    try:
        depth = await queue.depth(stream)
    except StoreUnavailable:
        return _UNKNOWN_DEPTH
    age_s = 0.0 if depth.oldest_at is None else max(0.0, (now - depth.oldest_at).total_seconds())
    return {
        "items": depth.items,
        "pending_items": depth.pending_items,
        "oldest_age_s": round(age_s, 3),
    }


def _depth_warnings(parts: Parts, queue: Mapping[str, Mapping[str, Any]]) -> list[str]:
    ingest = queue[Stream.INGEST.value]["items"]
    if ingest is None:
        return []
    if ingest * 10 >= parts.queue_limit * 8 or ingest >= parts.dynamic.current.queue_warn_events:
        return [f"the queue holds {ingest} of at most {parts.queue_limit} events"]
    return []


def _warnings(parts: Parts, dependencies: Mapping[str, dict[str, Any]]) -> list[str]:
    warnings = [f"{name}: {each['error']}" for name, each in dependencies.items() if not each["ok"]]
    notes = {name: each.note() for name, each in parts.probes.items() if dependencies[name]["ok"]}
    warnings += [f"{name}: {note}" for name, note in notes.items() if note]
    spool = parts.spool()
    if spool is not None and spool.since is not None:
        warnings.append(
            f"spooling since {iso_utc(spool.since)}: {spool.items} events wait on disk for the"
            f" queue ({spool.octets / _MIB:.1f} of {spool.max_octets / _MIB:.0f} MiB)"
        )
    if parts.rules.is_loaded and parts.rules.warning is not None:
        warnings.append(parts.rules.warning)
    warnings += [
        f"{each['name']} ({each['instance_id']}) has said nothing for {each['seen_s']:.0f} s"
        for each in parts.peers.others()
        if each["is_silent"]
    ]
    for name in dict(parts.addresses):
        account = parts.accounts[name]
        if account.kernel_dropped:
            warnings.append(
                f"{name}: the kernel dropped {account.kernel_dropped} datagrams; raise "
                f"net.core.rmem_max and MUTTD_UDP_RECEIVE_BUFFER_OCTETS"
            )
        if account.dropped:
            warnings.append(f"{name}: {account.dropped} messages dropped")
    warnings += _certificate_warnings(parts, utc_now())
    warnings += [f"the stored {key} is passed over: {why}" for key, why in parts.dynamic.faults]
    warnings += [f"rule {rule_id} takes no part: {why}" for rule_id, why in parts.rules.faults]
    raised = parts.alerter.tally()["alerts"]
    warnings += destination_warnings(parts.dispatch, alerts_raised=raised)
    return warnings
