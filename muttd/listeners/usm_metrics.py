"""usmStats (RFC 3414, 5) for Prometheus, at zero from the start."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from muttd.protocol.usm import Usm


class UsmMetrics(Collector):
    """What the User-based Security Model refused, and how much it remembers.

    Args:
        usm: Whose counters they are.
        registry: Where they are shown.
    """

    def __init__(self, usm: Usm, registry: CollectorRegistry) -> None:
        self._usm = usm
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Every series, for a scrape."""
        stats = CounterMetricFamily(
            "muttd_snmp_usm_stats",
            "SNMPv3 messages refused, by the counter of RFC 3414, 5.",
            labels=["counter"],
        )
        for counter, count in self._usm.stats.items():
            stats.add_metric([counter], count)
        yield stats
        engines, keys = self._usm.known
        yield GaugeMetricFamily(
            "muttd_snmp_usm_engines", "SNMPv3 engines whose clock is remembered.", value=engines
        )
        yield GaugeMetricFamily(
            "muttd_snmp_usm_keys", "Localised SNMPv3 keys that are remembered.", value=keys
        )
