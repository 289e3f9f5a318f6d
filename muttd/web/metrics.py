"""GET /metrics, and what the web side counts of itself.

    muttd_web_requests_total{route, method, status}          status: 2xx, 3xx, 4xx, 5xx
    muttd_web_request_duration_seconds{route}

Labels come from the route table and never off the wire: a path that no route knows is "unmatched".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from muttd.web.declared import ok
from muttd.web.resource import EVERYONE, Resource, call, resource
from muttd.web.services import Services

UNMATCHED = "unmatched"
OTHER_METHOD = "other"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
STATUS_CLASSES = ("2xx", "3xx", "4xx", "5xx")

# From a page of a hundred rows out of a warm cache to the longest that a client is let wait.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


@dataclass(frozen=True, slots=True)
class WebMetrics:
    """Requests answered, by route."""

    requests: Counter
    duration: Histogram
    series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(default_factory=dict)

    @classmethod
    def register(cls, registry: CollectorRegistry, routes: Iterable[BaseRoute]) -> WebMetrics:
        """Declare the metrics, every series of every route at zero."""
        metrics = cls(
            requests=Counter(
                "muttd_web_requests_total",
                "HTTP requests answered.",
                ("route", "method", "status"),
                registry=registry,
            ),
            duration=Histogram(
                "muttd_web_request_duration_seconds",
                "Time from a request's head to the end of its answer.",
                ("route",),
                buckets=BUCKETS_S,
                registry=registry,
            ),
        )
        metrics._preset(UNMATCHED, (*METHODS, OTHER_METHOD))
        for route in routes:
            if isinstance(route, Route):
                metrics._preset(route.path, _methods_of(route))
        return metrics

    def count(self, scope: Scope, status: int, duration_s: float) -> None:
        """Count one answered request."""
        route = getattr(scope.get("route"), "path", UNMATCHED)
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        labels = (route, method, status // 100)
        series = self.series.get(labels)
        if series is None:
            # Looked up once: to find a series by its labels costs more than to count.
            requests = self.requests.labels(route, method, f"{status // 100}xx")
            series = self.series[labels] = (requests, self.duration.labels(route))
        series[0].inc()
        series[1].observe(duration_s)

    def _preset(self, route: str, methods: Iterable[str]) -> None:
        self.duration.labels(route)
        for method in methods:
            for status in STATUS_CLASSES:
                self.requests.labels(route, method, status)


@call(
    "Everything counted, for Prometheus.",
    allowed=EVERYONE,
    answer=(ok(str, media_type="text/plain"), ok(str, media_type="application/openmetrics-text")),
)
async def show_metrics(request: Request) -> Response:
    """GET /metrics: OpenMetrics for who asks for it, else the Prometheus text format."""
    services: Services = request.app.state.services
    if "application/openmetrics-text" in request.headers.get("accept", ""):
        body = openmetrics.generate_latest(services.registry)  # type: ignore[no-untyped-call]  # published without types
        return Response(body, media_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(
        generate_latest(services.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
    )


def metrics_routes() -> list[BaseRoute]:
    """The route of /metrics. It needs no key: it holds counts and no text off the wire."""
    return [resource("/metrics", get=show_metrics)]


def _methods_of(route: Route) -> Iterable[str]:
    if isinstance(route.endpoint, Resource):
        return route.endpoint.calls
    return route.methods or METHODS
