"""What came in lately, and how well it was dealt with: GET /api/v2/metrics and /api/v2/slo.

The chart is of all daemons, from the counts in the store; rates, talkers and service levels are of
the daemon that is asked.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.event import SEVERITY_NAMES, iso_utc, utc_now
from muttd.store.volume import VolumeStore
from muttd.web.declared import ok
from muttd.web.params import choice_param
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse
from muttd.web.services import Services
from muttd.web.shapes import MetricsSummary, ServiceLevelsShape

DAY_HOURS = 24
# Hours that a chart covers -> minutes of a column: about as many columns in each.
BUCKET_MINUTES = {1: 1, 6: 4, DAY_HOURS: 15}
MAX_TALKERS = 10


class ChartHours(enum.StrEnum):
    """What a chart may cover."""

    ONE = "1"
    SIX = "6"
    DAY = "24"
    FIT = "fit"


CHART_HOURS = choice_param(
    "chart_hours",
    "How far back the chart goes; fit: as far as there were events, at most a day.",
    ChartHours,
)


@call(
    "Rates, the last 24 hours, and who talks most.",
    params=(CHART_HOURS,),
    answer=ok(MetricsSummary),
)
async def get_metrics(request: Request) -> Response:
    """GET /api/v2/metrics."""
    services: Services = request.app.state.services
    now_minute = int(utc_now().timestamp()) // 60
    day = await _buckets(services.store, now_minute, DAY_HOURS)
    matched = sum(bucket["matched"] for bucket in day)
    wanted = given_of(request)[CHART_HOURS] or ChartHours.DAY
    hours = _fitting(day) if wanted is ChartHours.FIT else int(wanted)
    buckets = day
    if hours != DAY_HOURS:
        buckets = await _buckets(services.store, now_minute, hours)
    summary = services.summary()
    return JsonResponse(
        {
            "rates": summary["rates"],
            "events_24h": matched + sum(bucket["unmatched"] for bucket in day),
            "matched_24h": matched,
            "chart": {"bucket_s": BUCKET_MINUTES[hours] * 60, "buckets": buckets},
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


def _fitting(day: list[dict[str, Any]]) -> int:
    """The shortest chart that shows all that the chart of a day shows."""
    first = next((at for at, bucket in enumerate(day) if any(bucket["by_severity"])), len(day))
    minutes = (len(day) - first) * BUCKET_MINUTES[DAY_HOURS]
    return next(hours for hours in BUCKET_MINUTES if minutes <= hours * 60)


async def _buckets(store: VolumeStore, now_minute: int, hours: int) -> list[dict[str, Any]]:
    """So many hours up to now, oldest first."""
    length = BUCKET_MINUTES[hours]
    count = hours * 60 // length
    oldest = now_minute // length * length - (count - 1) * length
    buckets = [
        {
            "start": iso_utc(datetime.fromtimestamp(minute * 60, UTC)),
            "matched": 0,
            "unmatched": 0,
            "by_severity": [0] * len(SEVERITY_NAMES),
        }
        for minute in range(oldest, oldest + count * length, length)
    ]
    for cell in await store.volume(oldest, length):
        index = (cell.minute - oldest) // length
        # A clock that ran ahead on another daemon: what it counted comes into view later.
        if index < len(buckets):
            bucket: dict[str, Any] = buckets[index]
            bucket["matched" if cell.matched else "unmatched"] += cell.events
            bucket["by_severity"][cell.severity] += cell.events
    return buckets
