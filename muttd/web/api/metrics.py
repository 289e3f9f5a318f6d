"""What came in lately, and how well it was dealt with: GET /api/v2/metrics and /api/v2/slo.

The chart is of all daemons, from the counts in the store; rates, talkers and service levels are of
the daemon that is asked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.event import SEVERITY_NAMES, iso_utc, utc_now
from muttd.store.volume import VolumeCell
from muttd.web.declared import ok
from muttd.web.resource import call, resource
from muttd.web.responses import JsonResponse
from muttd.web.services import Services
from muttd.web.shapes import MetricsSummary, ServiceLevelsShape

BUCKET_MINUTES = 15
_BUCKETS = 24 * 60 // BUCKET_MINUTES
MAX_TALKERS = 10


@call("Rates, the last 24 hours, and who talks most.", answer=ok(MetricsSummary))
async def get_metrics(request: Request) -> Response:
    """GET /api/v2/metrics."""
    services: Services = request.app.state.services
    newest = int(utc_now().timestamp()) // 60 // BUCKET_MINUTES * BUCKET_MINUTES
    oldest = newest - (_BUCKETS - 1) * BUCKET_MINUTES
    cells = await services.store.volume(oldest, BUCKET_MINUTES)
    buckets = _buckets(cells, oldest)
    matched = sum(bucket["matched"] for bucket in buckets)
    summary = services.summary()
    return JsonResponse(
        {
            "rates": summary["rates"],
            "events_24h": matched + sum(bucket["unmatched"] for bucket in buckets),
            "matched_24h": matched,
            "chart": {"bucket_s": BUCKET_MINUTES * 60, "buckets": buckets},
            "top_talkers": summary["top_talkers"],
        }
    )


@call("How well each component did its work, against the target.", answer=ok(ServiceLevelsShape))
async def get_slo(request: Request) -> Response:
    """GET /api/v2/slo."""
    services: Services = request.app.state.services
    return JsonResponse(services.service_levels())


def metric_routes() -> list[BaseRoute]:
    """The routes of both."""
    return [resource("/api/v2/metrics", get=get_metrics), resource("/api/v2/slo", get=get_slo)]


def _buckets(cells: list[VolumeCell], oldest: int) -> list[dict[str, Any]]:
    buckets = [
        {
            "start": iso_utc(datetime.fromtimestamp(minute * 60, UTC)),
            "matched": 0,
            "unmatched": 0,
            "by_severity": [0] * len(SEVERITY_NAMES),
        }
        for minute in range(oldest, oldest + _BUCKETS * BUCKET_MINUTES, BUCKET_MINUTES)
    ]
    for cell in cells:
        index = (cell.minute - oldest) // BUCKET_MINUTES
        # A clock that ran ahead on another daemon: what it counted comes into view later.
        if index < len(buckets):
            bucket: dict[str, Any] = buckets[index]
            bucket["matched" if cell.matched else "unmatched"] += cell.events
            bucket["by_severity"][cell.severity] += cell.events
    return buckets
