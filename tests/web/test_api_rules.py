"""/api/v2/rules: what a client writes is what he reads, and every change is in the audit."""

from __future__ import annotations

from typing import Any

import pytest
from web_site import Site

RULE: dict[str, Any] = {
    "name": "link down",
    "match_string": "LINK-3-UPDOWN",
    "match_type": "contains",
    "trap_oid": None,
    "syslog_severity": 3,
    "severity_op": "at_least",
    "host_pattern": "core-*",
    "priority": 10,
    "prod_handling": "Page_and_ticket",
    "dev_handling": "Ignore",
    "team_assignment": "NETO",
    "repeat_interval_s": 300.0,
    "clear_match": "changed state to up",
    "destination": "moog-emea",
    "is_active": True,
    "reason": "agreed with the shift",
}


async def create(site: Site, **values: object) -> dict[str, Any]:
    response = await site.call("POST", "/api/v2/rules", json=RULE | values)
    assert response.status_code == 201, response.text
    rule: dict[str, Any] = response.json()
    return rule


async def test_a_rule_is_created_read_listed_replaced_and_deleted(site: Site) -> None:
    response = await site.call("POST", "/api/v2/rules", json=RULE)
    created = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/v2/rules/{created['id']}"
    assert {name: created[name] for name in RULE} == RULE
    assert created["revision"] == 1
    assert created["created_at"].endswith("Z")

    assert (await site.get(response.headers["Location"])).json() == created
    listed = (await site.get("/api/v2/rules")).json()
    assert listed["rules"] == [created]
    assert listed["pagination"] == {"page": 1, "limit": 50, "total": 1, "pages": 1}

    path = response.headers["Location"]
    changed = (await site.call("PUT", path, json={"priority": 20})).json()
    assert changed == created | {
        "priority": 20,
        "revision": 2,
        "updated_at": changed["updated_at"],
    }
    assert (await site.get(path)).json() == changed

    response = await site.call("DELETE", path)
    assert (response.status_code, response.content) == (204, b"")
    for method in ("GET", "PUT", "DELETE"):
        response = await site.call(method, path, json={})
        assert (response.status_code, response.json()["error"]) == (404, "not_found")
    assert (await site.get("/api/v2/rules")).json()["rules"] == []


async def test_each_change_tells_the_daemon_to_take_the_rules_anew(site: Site) -> None:
    rule = await create(site)
    assert len(site.rules_changes) == 1
    await site.call("PUT", f"/api/v2/rules/{rule['id']}", json={"name": "other"})
    assert len(site.rules_changes) == 2
    await site.call("DELETE", f"/api/v2/rules/{rule['id']}")
    assert len(site.rules_changes) == 3
    await site.call("DELETE", f"/api/v2/rules/{rule['id']}")
    await site.call("POST", "/api/v2/rules", json={})
    assert len(site.rules_changes) == 3


async def test_every_wrong_field_is_named_at_once(site: Site) -> None:
    wrong = {
        "match_string": 1,
        "priority": "high",
        "prod_handling": "Page_and_tickt",
        "is_active": "yes",
        "team": "NETO",
        "change_reason": 7,
    }
    response = await site.call("POST", "/api/v2/rules", json=wrong)
    assert response.status_code == 400
    fields = {detail["field"] for detail in response.json()["details"]}
    assert fields >= {*wrong, "name", "dev_handling", "team_assignment"}
    assert (await site.get("/api/v2/rules")).json()["rules"] == []


async def test_a_wrong_reason_alone_is_refused_too(site: Site) -> None:
    for reason in (7, "x" * 2000, "\0"):
        response = await site.call("POST", "/api/v2/rules", json=RULE | {"change_reason": reason})
        [detail] = response.json()["details"]
        assert (response.status_code, detail["field"]) == (400, "change_reason")


async def test_a_bad_expression_is_a_400(site: Site) -> None:
    body = RULE | {"match_type": "regex", "match_string": "a("}
    response = await site.call("POST", "/api/v2/rules", json=body)
    [detail] = response.json()["details"]
    assert (response.status_code, detail["field"]) == (400, "match_string")


async def test_what_was_read_may_be_written_back(site: Site) -> None:
    rule = await create(site)
    response = await site.call("PUT", f"/api/v2/rules/{rule['id']}", json=rule)
    assert response.status_code == 200
    assert response.json()["revision"] == 2


async def test_an_older_revision_does_not_undo_a_newer_one(site: Site) -> None:
    rule = await create(site)
    path = f"/api/v2/rules/{rule['id']}"
    await site.call("PUT", path, json={"name": "changed by another"})
    response = await site.call("PUT", path, json=rule)
    assert (response.status_code, response.json()["error"]) == (409, "conflict")
    assert (await site.get(path)).json()["name"] == "changed by another"


async def test_the_list_is_filtered_and_in_the_order_of_matching(site: Site) -> None:
    late = await create(site, name="late", priority=50, team_assignment="SRE", is_active=False)
    first = await create(site, name="first", priority=1)
    for query, rules in {
        "": [first, late],
        "?q=LATE": [late],
        "?is_active=true": [first],
        "?is_active=false": [late],
        "?team=SRE": [late],
        "?team=NETO&q=link-3": [first],
        "?limit=1&page=2": [late],
    }.items():
        assert (await site.get(f"/api/v2/rules{query}")).json()["rules"] == rules, query


async def test_a_change_is_in_the_audit_with_who_why_and_what(site: Site) -> None:
    rule = await create(site, change_reason="new switch")
    path = f"/api/v2/rules/{rule['id']}"
    await site.call("PUT", path, json={"priority": 20, "change_reason": "too eager"})
    await site.call("DELETE", f"{path}?change_reason=gone")
    changes = (await site.get("/api/v2/config-audit")).json()["changes"]
    assert [(c["operation"], c["reason"], c["changed_by"]) for c in changes] == [
        ("DELETE", "gone", "admin-bot"),
        ("UPDATE", "too eager", "admin-bot"),
        ("CREATE", "new switch", "admin-bot"),
    ]
    assert changes[1]["old_value"]["priority"] == 10
    assert changes[1]["new_value"]["priority"] == 20
    assert {c["record_id"] for c in changes} == {str(rule["id"])}
    assert {c["table_name"] for c in changes} == {"alert_rules"}


@pytest.mark.parametrize("hostile", ["<b>\"'&", "'; DROP TABLE alert_rules; --", "\u202e\u2028"])
async def test_hostile_text_is_kept_as_text(site: Site, hostile: str) -> None:
    rule = await create(site, name=hostile, match_string=hostile, reason=hostile)
    assert (await site.get(f"/api/v2/rules/{rule['id']}")).json()["match_string"] == hostile
