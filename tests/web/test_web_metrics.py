"""What the web side counts of itself, and how it is shown."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from web_site import Site


def requests_counted(site: Site, route: str, method: str, status: str) -> float | None:
    labels = {"route": route, "method": method, "status": status}
    return site.registry.get_sample_value("muttd_web_requests_total", labels)


async def test_every_series_exists_at_zero(site: Site) -> None:
    for route, method in [
        ("/api/v2/rules", "POST"),
        ("/api/v2/rules/{rule_id}", "DELETE"),
        ("/api/v2/ingest", "POST"),
        ("/healthz", "GET"),
        ("unmatched", "other"),
    ]:
        for status in ("2xx", "3xx", "4xx", "5xx"):
            assert requests_counted(site, route, method, status) == 0


async def test_a_request_is_counted_by_the_template_of_its_route(site: Site) -> None:
    await site.get("/api/v2/events/one")
    await site.get("/api/v1/events/two")
    assert requests_counted(site, "/api/v2/events/{event_id}", "GET", "4xx") == 2


async def test_what_comes_off_the_wire_is_never_a_label(site: Site) -> None:
    await site.get("/no/such/path")
    await site.call("BREW", "/no/such/path")
    await site.call("BREW", "/api/v2/rules")
    assert requests_counted(site, "unmatched", "GET", "4xx") == 1
    assert requests_counted(site, "unmatched", "other", "4xx") == 1
    assert requests_counted(site, "/api/v2/rules", "other", "4xx") == 1
    scrape = (await site.get("/metrics")).text
    assert "BREW" not in scrape
    assert "/no/such" not in scrape


async def test_every_request_is_timed(site: Site) -> None:
    await site.get("/api/v2/rules")
    labels = {"route": "/api/v2/rules"}
    name = "muttd_web_request_duration_seconds_count"
    assert site.registry.get_sample_value(name, labels) == 1


async def test_a_scrape_is_prometheus_text(site: Site) -> None:
    response = await site.call("GET", "/metrics", role=None)
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "muttd_web_requests" in {family.name for family in parse_text(response.text)}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
        "application/openmetrics-text; version=nonsense; escaping=nonsense",
    ],
)
async def test_a_scrape_is_openmetrics_for_who_asks_for_it(site: Site, accept: str) -> None:
    response = await site.call("GET", "/metrics", role=None, headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    families = parse_openmetrics(response.text)  # type: ignore[no-untyped-call]  # published without types
    assert "muttd_web_requests" in {family.name for family in families}
