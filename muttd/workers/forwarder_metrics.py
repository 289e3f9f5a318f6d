"""What the forwarders count, by destination. The names come from the configuration: a closed set.

attempts = delivered + retried + dead
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from muttd.queue.breaker import BreakerState, BreakerView

# Up to the longest time-out that makes sense.
_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ForwarderMetrics:
    """Every series of every destination, at zero from its beginning."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(
                f"muttd_forwarder_{name}_total", text, ["destination"], registry=registry
            )

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"muttd_{name}", text, ["destination"], registry=registry)

        self.counters = {
            "delivered": counter("delivered", "Alerts that the destination took."),
            "retried": counter("retried", "Attempts that failed and are repeated."),
            "dead": counter("dead", "Alerts given up on, now dead letters."),
        }
        self.opened = Counter(
            "muttd_breaker_opened_total",
            "Times this daemon saw the circuit breaker open.",
            ["destination"],
            registry=registry,
        )
        self.is_open = gauge("breaker_open", "1 while the circuit breaker lets nothing through.")
        self.failures = gauge("breaker_failures", "Failures in a row, over all daemons.")
        self.is_held = gauge("forwarder_held", "1 while the destination refuses our key or URL.")
        self.duration = Histogram(
            "muttd_forwarder_attempt_seconds",
            "How long attempts took.",
            ["destination"],
            registry=registry,
            buckets=_BUCKETS_S,
        )

    def of(self, destination: str) -> DestinationCounts:
        """The series of one destination."""
        return DestinationCounts(self, destination)

    def forget(self, destination: str) -> None:
        """Show no longer what a destination is like that there is no more; its counts stay."""
        for gauge in (self.is_open, self.failures, self.is_held):
            gauge.remove(destination)


class DestinationCounts:
    """The series of one destination, and the same numbers for the status document."""

    def __init__(self, metrics: ForwarderMetrics, destination: str) -> None:
        self._counters = {
            name: counter.labels(destination) for name, counter in metrics.counters.items()
        }
        self._opened = metrics.opened.labels(destination)
        self._is_open = metrics.is_open.labels(destination)
        self._failures = metrics.failures.labels(destination)
        self._is_held = metrics.is_held.labels(destination)
        self._duration = metrics.duration.labels(destination)
        self._tally = dict.fromkeys(self._counters, 0)

    def tally(self) -> dict[str, int]:
        """What was counted since the start."""
        return dict(self._tally)

    def count(self, name: str) -> None:
        """One more."""
        self._counters[name].inc()
        self._tally[name] += 1

    def took(self, duration_s: float) -> None:
        """An attempt took so long."""
        self._duration.observe(duration_s)

    def opened(self) -> None:
        """The breaker opened."""
        self._opened.inc()

    def see(self, view: BreakerView) -> None:
        """What the breaker is like."""
        self._is_open.set(view.state is not BreakerState.CLOSED)
        self._failures.set(view.failures)

    def hold(self, *, is_held: bool) -> None:
        """Whether the destination refuses our key or URL."""
        self._is_held.set(is_held)
