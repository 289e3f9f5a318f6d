"""The books of every listener: nothing that arrives goes missing without a number.

    received = queued + refused + dropped + (what the intake buffer holds right now)
    sent     = received + kernel_dropped                                   (UDP)

Plain integers on the hot path, counted once per batch; a Prometheus collector reads them.
tests/test_conservation.py holds every listener to the equations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from muttd.errors import PeerError

LISTENERS = ("syslog_udp", "syslog_tcp", "syslog_tls", "snmp", "http")

# Refusals that are no PeerError: an empty datagram, an item of a batch that is no event, an event
# that the queue did not take in time (the sender was told), an inform that was sent again, a source
# that may not send, one that sends faster than it may.
_OTHER_REFUSALS = ("empty", "invalid", "queue", "duplicate", "source", "rate")


def _refusal_reasons() -> tuple[str, ...]:
    def below(kind: type[PeerError]) -> Iterator[str]:
        yield kind.reason
        for each in kind.__subclasses__():
            yield from below(each)

    return tuple(dict.fromkeys((*below(PeerError), *_OTHER_REFUSALS)))


@dataclass(slots=True)
class Account:
    """The books of one listener, in messages.

    Attributes:
        received: Taken off the wire.
        queued: Now in the ingest stream.
        refused: Not accepted, by reason; the sender was told, or could not be understood.
        dropped: Accepted and lost: the intake buffer could not be emptied before the end.
        kernel_dropped: Lost in the kernel's receive buffer (/proc/net/udp).
        malformed: Queued, and marked malformed by whoever parsed it first: with several daemons
            that may be another one than received it.
        connections: Open now (TCP, TLS).
        refused_connections: Closed on arrival: too many.
        denied_connections: Closed because their source may not send.
        idle_connections: Closed after a silence of the idle timeout.
    """

    received: int = 0
    queued: int = 0
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_refusal_reasons(), 0))
    dropped: int = 0
    kernel_dropped: int = 0
    malformed: int = 0
    connections: int = 0
    refused_connections: int = 0
    denied_connections: int = 0
    idle_connections: int = 0


class Accounts(Collector):
    """The books of all listeners, shown to Prometheus at zero from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accounts = {listener: Account() for listener in LISTENERS}
        registry.register(self)

    def __getitem__(self, listener: str) -> Account:
        return self._accounts[listener]

    def of_transport(self, transport: str) -> Account:
        """The books of the listener whose events have this transport ("syslog-udp")."""
        return self._accounts[transport.replace("-", "_")]

    @property
    def received(self) -> int:
        """Messages that all listeners took off the wire."""
        return sum(account.received for account in self._accounts.values())

    def summary(self) -> list[str]:
        """One line for each listener that received anything, or lost it."""
        return [
            f"{listener}: received {account.received}, queued {account.queued}, "
            f"refused {sum(account.refused.values())}, dropped {account.dropped}, "
            f"dropped by the kernel {account.kernel_dropped}"
            for listener, account in self._accounts.items()
            if account.received or account.kernel_dropped
        ]

    def collect(self) -> Iterable[Metric]:
        """Every series, for a scrape."""
        totals = {
            "received": "Messages taken off the wire.",
            "queued": "Messages now in the ingest stream.",
            "dropped": "Messages accepted and lost before the queue had them.",
            "kernel_dropped": "Datagrams lost in the kernel's receive buffer.",
            "malformed": "Messages queued that could not be parsed whole.",
            "refused_connections": "Connections closed on arrival because there were too many.",
            "denied_connections": "Connections closed because their source may not send.",
            "idle_connections": "Connections closed because their peer was silent too long.",
        }
        for name, text in totals.items():
            family = CounterMetricFamily(f"muttd_intake_{name}", text, labels=["listener"])
            for listener, account in self._accounts.items():
                family.add_metric([listener], getattr(account, name))
            yield family
        refused = CounterMetricFamily(
            "muttd_intake_refused", "Messages not accepted.", labels=["listener", "reason"]
        )
        connections = GaugeMetricFamily(
            "muttd_intake_connections", "Connections open now.", labels=["listener"]
        )
        for listener, account in self._accounts.items():
            for reason, count in account.refused.items():
                refused.add_metric([listener, reason], count)
            connections.add_metric([listener], account.connections)
        yield refused
        yield connections
