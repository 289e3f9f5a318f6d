"""GET /api/v2/events, /events/{event_id} and /audit-logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from web_site import Site

from muttd.event import Transport, Varbind, event_as_json

UNMATCHED = {
    "matched": False,
    "rule_id": None,
    "rule_name": None,
    "rule_revision": None,
    "handling": None,
    "environment": "prod",
    "team": None,
    "is_clear": False,
    "held_by": None,
}
MATCHED = {
    "matched": True,
    "rule_id": 7,
    "rule_name": "link down",
    "rule_revision": 1,
    "handling": "Page_and_ticket",
    "environment": "prod",
    "team": "NETO",
    "is_clear": False,
    "held_by": None,
}


async def ids(site: Site, query: str, path: str = "/api/v2/events") -> list[str]:
    response = await site.get(f"{path}?{query}")
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = next(iter(response.json().values()))
    return [each["event_id"] for each in items]


async def test_an_event_is_shown_whole_with_its_decision(site: Site) -> None:
    event = site.an_event(
        "IF-MIB::linkDown",
        transport=Transport.SNMP,
        trap_oid="1.3.6.1.6.3.1.1.5.3",
        varbinds=[Varbind("ifIndex.3", "1.3.6.1.2.1.2.2.1.1.3", "INTEGER", "3")],
        raw=b"\xff\x00",
        attributes={"agent_addr": "192.0.2.9", "big": 2**63},
        structured_data={"x@1": [("a", "b")]},
    )
    await site.record(event, rule_id=7)
    body = (await site.get("/api/v2/events")).json()
    assert body["events"] == [
        event_as_json(event) | MATCHED | {"structured_data": {"x@1": [["a", "b"]]}}
    ]
    assert body["pagination"] == {"page": 1, "limit": 50, "total": 1, "pages": 1}
    assert body["next_cursor"] is None
    assert body["events"][0]["raw_encoding"] == "base64"


async def test_an_unmatched_event_says_so(site: Site) -> None:
    event = await site.record(site.an_event())
    [shown] = (await site.get("/api/v2/events")).json()["events"]
    assert shown == event_as_json(event) | UNMATCHED


async def test_no_event_is_an_empty_list(site: Site) -> None:
    assert (await site.get("/api/v2/events")).json() == {
        "events": [],
        "pagination": {"page": 1, "limit": 50, "total": 0, "pages": 0},
        "next_cursor": None,
    }


async def test_each_filter_narrows_the_list(site: Site) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    down = await site.record(
        site.an_event("LINK down", severity=3, hostname="core-1", received_at=start), rule_id=7
    )
    trap = await site.record(
        site.an_event(
            "linkUp trap",
            severity=5,
            hostname="edge-1",
            transport=Transport.SNMP,
            trap_oid="1.3.6.1.4.1.9.9",
            received_at=start + timedelta(seconds=10),
        )
    )
    only_down, only_trap = [down.event_id], [trap.event_id]
    assert await ids(site, "q=link") == only_trap + only_down
    assert await ids(site, "q=LINK+DOWN") == only_down
    assert await ids(site, "hostname=CORE-1") == only_down
    assert await ids(site, "hostname=edge*") == only_trap
    assert await ids(site, "severity=5") == only_trap
    assert await ids(site, "max_severity=4") == only_down
    assert await ids(site, "transport=SNMP") == only_trap
    assert await ids(site, "trap_oid=.1.3.6.1.4.1.9.*") == only_trap
    assert await ids(site, "trap_oid=1.3.6.1.4.1.99") == []
    assert await ids(site, "rule_id=7") == only_down
    assert await ids(site, "team=NETO") == only_down
    assert await ids(site, "matched=true") == only_down
    assert await ids(site, "matched=false") == only_trap
    middle = (start + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")
    assert await ids(site, f"from={middle}") == only_trap
    assert await ids(site, f"to={middle}") == only_down
    assert await ids(site, f"after={down.event_id}") == only_trap
    assert await ids(site, f"after={trap.event_id.upper()}") == []


async def test_pages_and_cursors_give_every_event_once(site: Site) -> None:
    recorded = [(await site.record(site.an_event(f"m{n}"))).event_id for n in range(5)]
    newest_first = recorded[::-1]
    by_page = [await ids(site, f"limit=2&page={page}") for page in (1, 2, 3)]
    assert by_page == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    by_cursor: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        body = (await site.get("/api/v2/events", params={"limit": 2, "cursor": cursor})).json()
        by_cursor += [event["event_id"] for event in body["events"]]
        assert body["pagination"]["total"] == 5
        assert body["pagination"]["pages"] == 3
        cursor = body["next_cursor"]
    assert by_cursor == newest_first


async def test_a_page_beyond_the_last_is_empty(site: Site) -> None:
    await site.record(site.an_event())
    assert await ids(site, "page=1000000000&limit=200") == []


async def test_one_event_comes_with_its_alert_and_its_deliveries(site: Site) -> None:
    event = await site.record(site.an_event(), rule_id=7)
    body = (await site.get(f"/api/v2/events/{event.event_id}")).json()
    alert = body.pop("alert")
    assert body.pop("explain")["then"]["rule_id"] == 7
    assert body == event_as_json(event) | MATCHED
    assert alert["alert_id"] == f"{event.event_id}.7"
    assert alert["state"] == "queued"
    assert alert["deliveries"] == []


async def test_one_unmatched_event_has_no_alert(site: Site) -> None:
    event = await site.record(site.an_event())
    assert (await site.get(f"/api/v2/events/{event.event_id}")).json()["alert"] is None


@pytest.mark.parametrize("event_id", ["unknown", "%27--", "..%2F..%2Fetc", "x" * 500])
async def test_an_unknown_event_is_404(site: Site, event_id: str) -> None:
    response = await site.get(f"/api/v2/events/{event_id}")
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


async def test_the_audit_holds_the_matched_events_alone(site: Site) -> None:
    matched = await site.record(site.an_event(), rule_id=7)
    await site.record(site.an_event())
    body = (await site.get("/api/v2/audit-logs")).json()
    assert body["logs"] == [event_as_json(matched) | MATCHED]
    assert body["pagination"]["total"] == 1
    assert body["next_cursor"] is None


async def test_the_audit_is_filtered_by_host_rule_and_day(site: Site) -> None:
    noon = datetime(2025, 3, 1, 12, tzinfo=UTC)
    one = await site.record(site.an_event(hostname="a", received_at=noon), rule_id=7)
    two = await site.record(
        site.an_event(hostname="b", received_at=noon + timedelta(days=1)), rule_id=8
    )
    audit = "/api/v2/audit-logs"
    assert await ids(site, "hostname=a", audit) == [one.event_id]
    assert await ids(site, "rule_id=8", audit) == [two.event_id]
    assert await ids(site, "end_date=2025-03-01", audit) == [one.event_id]
    assert await ids(site, "start_date=2025-03-02", audit) == [two.event_id]
    assert await ids(site, "start_date=2025-03-01&end_date=2025-03-02", audit) == [
        two.event_id,
        one.event_id,
    ]
