"""/api/v2/alerts, /api/v2/config-audit, /api/v2/status and ingest through the whole application."""

from __future__ import annotations

import pytest
from web_site import Site

from muttd.decision import AlertState, Delivery
from muttd.errors import QueueFull
from muttd.event import event_as_json, iso_utc
from muttd.web.auth import Role


async def test_an_alert_is_shown_with_its_deliveries_and_its_event(site: Site) -> None:
    event = await site.record(site.an_event(), rule_id=7)
    alert_id = f"{event.event_id}.7"
    attempts = [
        Delivery(
            alert_id=alert_id,
            attempt=n,
            attempted_at=event.received_at,
            outcome=outcome,
            status=status,
            error=error,
            duration_s=0.25,
        )
        for n, outcome, status, error in [
            (1, AlertState.RETRYING, 503, "503 Service Unavailable"),
            (2, AlertState.DELIVERED, 200, None),
        ]
    ]
    await site.store.record_deliveries(attempts)
    [listed] = (await site.get("/api/v2/alerts")).json()["alerts"]
    assert listed == {
        "alert_id": alert_id,
        "signature": "core-sw-1::syslog::link::3",
        "state": "delivered",
        "attempts": 2,
        "updated_at": listed["updated_at"],
        "created_at": iso_utc(event.received_at),
        "last_error": listed["last_error"],
        "event_id": event.event_id,
        "hostname": "core-sw-1",
        "message": event.message,
        "severity": 3,
        "rule_id": 7,
        "rule_name": "link down",
        "handling": "Page_and_ticket",
        "team": "NETO",
        "environment": "prod",
        "destination": None,
        "is_clear": False,
        "held_back": 0,
    }
    one = (await site.get(f"/api/v2/alerts/{alert_id}")).json()
    assert one == listed | {
        "event": event_as_json(event),
        "deliveries": [
            {
                "attempt": 1,
                "attempted_at": iso_utc(event.received_at),
                "outcome": "retrying",
                "status": 503,
                "error": "503 Service Unavailable",
                "duration_s": 0.25,
            },
            {
                "attempt": 2,
                "attempted_at": iso_utc(event.received_at),
                "outcome": "delivered",
                "status": 200,
                "error": None,
                "duration_s": 0.25,
            },
        ],
    }


async def test_alerts_are_filtered_by_state_and_host(site: Site) -> None:
    await site.record(site.an_event(hostname="a"), rule_id=7)
    await site.record(site.an_event(hostname="b"), rule_id=7)
    for query, hosts in {
        "": ["b", "a"],
        "?hostname=a": ["a"],
        "?state=queued": ["b", "a"],
        "?state=dead": [],
        "?limit=1&page=2": ["a"],
    }.items():
        alerts = (await site.get(f"/api/v2/alerts{query}")).json()["alerts"]
        assert [alert["hostname"] for alert in alerts] == hosts, query


async def test_an_unknown_alert_is_404(site: Site) -> None:
    response = await site.get("/api/v2/alerts/unknown.7")
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


async def test_the_configuration_audit_is_filtered(site: Site) -> None:
    await site.call("POST", "/api/v2/dev-hosts", json={"hostname": "a"})
    await site.call("POST", "/api/v2/dev-hosts", json={"hostname": "b"}, role=Role.OPERATOR)
    await site.call("DELETE", "/api/v2/dev-hosts/a")
    for query, records in {
        "": ["a", "b", "a"],
        "?changed_by=operator-bot": ["b"],
        "?operation=delete": ["a"],
        "?table_name=development_hosts&record_id=b": ["b"],
        "?table_name=alert_rules": [],
        "?end_date=2020-01-01": [],
        "?start_date=2020-01-01": ["a", "b", "a"],
        "?limit=1&page=2": ["b"],
    }.items():
        body = (await site.get(f"/api/v2/config-audit{query}")).json()
        assert [change["record_id"] for change in body["changes"]] == records, query
    assert body["pagination"] == {"page": 2, "limit": 1, "total": 3, "pages": 3}


async def test_the_status_is_what_the_daemon_says(site: Site) -> None:
    response = await site.get("/api/v2/status")
    assert response.json() == await site.services.status()


@pytest.mark.parametrize("path", ["/api/v2/ingest", "/api/v1/ingest", "/ingest"])
async def test_an_event_goes_in_with_the_correlation_id_of_its_request(
    site: Site, path: str
) -> None:
    response = await site.call(
        "POST",
        path,
        role=Role.INGEST,
        json={"message": "m", "hostname": "h"},
        headers={"X-Correlation-ID": "batch-9"},
    )
    assert response.status_code == 200
    assert response.json()["correlation_id"] == "batch-9"
    assert response.headers["X-API-Version"] == "2.5"
    assert response.headers.get("X-API-Deprecated") == ("true" if "v1" in path else None)
    [event] = site.sink.events
    assert (event.correlation_id, event.source_ip) == ("batch-9", "192.0.2.1")


async def test_a_full_queue_is_503_with_its_depth_and_limit(site: Site) -> None:
    site.sink.failure = QueueFull(depth=1000, limit=1000)
    body = {"message": "m", "hostname": "h"}
    response = await site.call("POST", "/api/v2/ingest", role=Role.INGEST, json=body)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    shown = response.json()
    assert (shown["queue_depth"], shown["queue_limit"]) == (1000, 1000)
    assert shown["correlation_id"] == response.headers["X-Correlation-ID"]
