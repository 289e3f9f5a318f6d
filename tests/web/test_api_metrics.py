"""The summary and the chart of a day; service levels."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest
from web_site import SERVICE_LEVELS, SUMMARY, Site

from muttd.event import utc_now
from muttd.store.volume import VolumeCell


def a_cell(minute: int, events: int, *, severity: int = 3, matched: bool = False) -> VolumeCell:
    return VolumeCell(minute=minute, severity=severity, matched=matched, events=events)


async def test_the_chart_is_of_a_day_in_quarters_of_an_hour(site: Site) -> None:
    minute = int(utc_now().timestamp()) // 60
    await site.store.add_volume(
        [
            a_cell(minute, 5),
            a_cell(minute, 2, severity=6, matched=True),
            a_cell(minute - 60, 40, severity=0),
            a_cell(minute - 25 * 60, 1000),
            a_cell(minute + 60, 1000),
        ]
    )
    document = (await site.get("/api/v2/metrics")).json()
    assert (document["events_24h"], document["matched_24h"]) == (47, 2)
    assert document["rates"] == SUMMARY["rates"]
    assert document["top_talkers"] == SUMMARY["top_talkers"]
    buckets = document["chart"]["buckets"]
    assert (document["chart"]["bucket_s"], len(buckets)) == (900, 96)
    starts = [datetime.fromisoformat(bucket["start"]) for bucket in buckets]
    assert {(b - a).total_seconds() for a, b in itertools.pairwise(starts)} == {900}
    assert 0 <= minute * 60 - starts[-1].timestamp() < 960
    assert buckets[-5]["by_severity"][0] == 40
    if minute == int(utc_now().timestamp()) // 60:
        assert (buckets[-1]["matched"], buckets[-1]["unmatched"]) == (2, 5)
        assert buckets[-1]["by_severity"] == [0, 0, 0, 5, 0, 0, 2, 0]


@pytest.mark.parametrize(
    ("age_minutes", "hours", "bucket_s"), [(10, 1, 60), (100, 6, 240), (400, 24, 900)]
)
async def test_a_chart_that_fits_goes_as_far_back_as_there_were_events(
    site: Site, age_minutes: int, hours: int, bucket_s: int
) -> None:
    minute = int(utc_now().timestamp()) // 60
    await site.store.add_volume([a_cell(minute - age_minutes, 7), a_cell(minute - 1, 2)])
    for wanted in ("fit", str(hours)):
        document = (await site.get(f"/api/v2/metrics?chart_hours={wanted}")).json()
        chart = document["chart"]
        assert (chart["bucket_s"], len(chart["buckets"])) == (bucket_s, hours * 3600 // bucket_s)
        filled = [each["unmatched"] for each in chart["buckets"] if each["unmatched"]]
        assert filled == [7, 2]
        assert document["events_24h"] == 9
    assert (await site.get("/api/v2/metrics?chart_hours=2")).status_code == 400


async def test_a_day_without_events_is_a_flat_chart(site: Site) -> None:
    document = (await site.get("/api/v2/metrics")).json()
    assert document["events_24h"] == 0
    assert not any(sum(each["by_severity"]) for each in document["chart"]["buckets"])
    fitting = (await site.get("/api/v2/metrics?chart_hours=fit")).json()["chart"]
    assert (fitting["bucket_s"], len(fitting["buckets"])) == (60, 60)


async def test_service_levels_are_shown(site: Site) -> None:
    assert (await site.get("/api/v2/slo")).json() == SERVICE_LEVELS
