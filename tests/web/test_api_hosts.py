"""/api/v2/dev-hosts, /api/v2/teams and /api/v2/expected-sources."""

from __future__ import annotations

from typing import Any

import pytest
from web_site import Site


async def test_development_hosts_are_added_listed_and_removed(site: Site) -> None:
    response = await site.call("POST", "/api/v2/dev-hosts", json={"hostname": "lab-1"})
    assert (response.status_code, response.json()) == (201, {"hostname": "lab-1"})
    assert response.headers["Location"] == "/api/v2/dev-hosts/lab-1"
    listed = await site.get("/api/v2/dev-hosts")
    assert listed.json() == {"hosts": [{"hostname": "lab-1"}], "total": 1}
    assert (await site.call("DELETE", "/api/v2/dev-hosts/lab-1")).status_code == 204
    assert (await site.get("/api/v2/dev-hosts")).json() == {"hosts": [], "total": 0}
    assert len(site.rules_changes) == 2


async def test_teams_are_added_listed_changed_and_removed(site: Site) -> None:
    body = {"hostname": "core-*", "team_assignment": "NETO"}
    response = await site.call("POST", "/api/v2/teams", json=body)
    assert (response.status_code, response.json()) == (201, body)
    assert (await site.get("/api/v2/teams")).json() == {"teams": [body], "total": 1}
    path = response.headers["Location"]
    changed = await site.call("PUT", path, json={"team_assignment": " SRE "})
    assert changed.json() == {"hostname": "core-*", "team_assignment": "SRE"}
    assert (await site.get("/api/v2/teams")).json()["teams"] == [changed.json()]
    assert (await site.call("DELETE", path)).status_code == 204
    assert (await site.get("/api/v2/teams")).json() == {"teams": [], "total": 0}
    assert len(site.rules_changes) == 3


@pytest.mark.parametrize("resource", ["dev-hosts", "teams"])
async def test_a_network_may_be_named_in_a_path(site: Site, resource: str) -> None:
    body = {"hostname": "10.1.0.0/16"} | ({"team_assignment": "T"} if resource == "teams" else {})
    created = await site.call("POST", f"/api/v2/{resource}", json=body)
    assert created.headers["Location"] == f"/api/v2/{resource}/10.1.0.0%2F16"
    assert (await site.call("DELETE", created.headers["Location"])).status_code == 204


@pytest.mark.parametrize("resource", ["dev-hosts", "teams"])
async def test_a_duplicate_is_409_whatever_its_case(site: Site, resource: str) -> None:
    more = {"team_assignment": "T"} if resource == "teams" else {}
    first = await site.call("POST", f"/api/v2/{resource}", json={"hostname": "Lab-1"} | more)
    assert first.status_code == 201
    second = await site.call("POST", f"/api/v2/{resource}", json={"hostname": "LAB-1"} | more)
    assert (second.status_code, second.json()["error"]) == (409, "duplicate")
    assert len(site.rules_changes) == 1


@pytest.mark.parametrize("path", ["/api/v2/dev-hosts/nobody", "/api/v2/teams/nobody"])
async def test_an_entry_that_is_not_there_is_404(site: Site, path: str) -> None:
    calls: list[tuple[str, Any]] = [("DELETE", None)]
    if "teams" in path:
        calls.append(("PUT", {"team_assignment": "T"}))
    for method, body in calls:
        response = await site.call(method, path, json=body)
        assert (response.status_code, response.json()["error"]) == (404, "not_found")
    assert not site.rules_changes


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["hostname", "team_assignment"]),
        ({"hostname": 1, "team_assignment": []}, ["hostname", "team_assignment"]),
        ({"hostname": " ", "team_assignment": " "}, ["hostname", "team_assignment"]),
        ({"hostname": "h", "team_assignment": "x" * 101}, ["team_assignment"]),
        ({"hostname": "h", "team_assignment": "a\nb"}, ["team_assignment"]),
        ({"hostname": "a b", "team_assignment": "T"}, ["hostname"]),
        ({"hostname": "x" * 5000, "team_assignment": "T"}, ["hostname"]),
        ({"hostname": "10.0.0.0/99", "team_assignment": "T"}, ["hostname"]),
        ({"hostname": "a\0", "team_assignment": "T"}, ["hostname"]),
        ({"hostname": "h", "team_assignment": "T", "team": "T"}, ["team"]),
        (
            {"hostname": None, "team_assignment": "T", "change_reason": 1},
            ["change_reason", "hostname"],
        ),
    ],
)
async def test_every_wrong_field_of_an_entry_is_named(
    site: Site, body: dict[str, Any], fields: list[str]
) -> None:
    response = await site.call("POST", "/api/v2/teams", json=body)
    assert response.status_code == 400
    assert sorted(detail["field"] for detail in response.json()["details"]) == fields
    assert not site.rules_changes


async def test_host_changes_are_in_the_audit_with_their_reason(site: Site) -> None:
    body = {"hostname": "lab-1", "change_reason": "moved to the lab"}
    await site.call("POST", "/api/v2/dev-hosts", json=body)
    await site.call("DELETE", "/api/v2/dev-hosts/lab-1?change_reason=back+again")
    await site.call("POST", "/api/v2/teams", json={"hostname": "x", "team_assignment": "T"})
    await site.call("PUT", "/api/v2/teams/x", json={"team_assignment": "U", "change_reason": "r"})
    await site.call("DELETE", "/api/v2/teams/x")
    changes = (await site.get("/api/v2/config-audit")).json()["changes"]
    assert [(c["table_name"], c["operation"], c["record_id"], c["reason"]) for c in changes] == [
        ("device_teams", "DELETE", "x", None),
        ("device_teams", "UPDATE", "x", "r"),
        ("device_teams", "CREATE", "x", None),
        ("development_hosts", "DELETE", "lab-1", "back again"),
        ("development_hosts", "CREATE", "lab-1", "moved to the lab"),
    ]


async def test_expected_sources_are_added_listed_changed_and_removed(site: Site) -> None:
    path = "/api/v2/expected-sources"
    body: dict[str, Any] = {"hostname": "10.1.0.0/16", "expect_every_s": 300}
    response = await site.call("POST", path, json=body)
    whole = body | {"team_assignment": None, "severity": 3}
    assert (response.status_code, response.json()) == (201, whole)
    one = response.headers["Location"]
    assert one == f"{path}/10.1.0.0%2F16"
    assert (await site.get(path)).json() == {"sources": [whole], "total": 1}
    assert (await site.call("POST", path, json=body)).status_code == 409
    update = {"expect_every_s": 60, "team_assignment": "LAN", "severity": 1}
    changed = await site.call("PUT", one, json=update | {"change_reason": "too slow"})
    assert changed.json() == {"hostname": "10.1.0.0/16"} | update
    assert (await site.get(path)).json()["sources"] == [changed.json()]
    assert (await site.call("DELETE", f"{one}?change_reason=gone")).status_code == 204
    assert (await site.call("DELETE", one)).status_code == 404
    assert (await site.call("PUT", one, json=update)).status_code == 404
    assert len(site.rules_changes) == 3
    history = (await site.get("/api/v2/config-audit?table_name=expected_sources")).json()
    assert [change["operation"] for change in history["changes"]] == ["DELETE", "UPDATE", "CREATE"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hostname", "10.1.0.0/99"),
        ("expect_every_s", 9),
        ("expect_every_s", 31_622_401),
        ("expect_every_s", "often"),
        ("expect_every_s", None),
        ("severity", 8),
        ("team_assignment", ""),
        ("expect_evry_s", 60),
    ],
)
async def test_a_wrong_expected_source_names_the_field(
    site: Site, field: str, value: object
) -> None:
    body = {"hostname": "sw1", "expect_every_s": 60} | {field: value}
    response = await site.call("POST", "/api/v2/expected-sources", json=body)
    assert (response.status_code, [each["field"] for each in response.json()["details"]]) == (
        400,
        [field],
    )
