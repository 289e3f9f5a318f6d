"""GET /api/v2/rules/{rule_id}/revisions and POST /api/v2/rules/{rule_id}/restore."""

from __future__ import annotations

from typing import Any

import pytest
from web_site import Site

from muttd.web.auth import Role

RULE = {
    "name": "link",
    "match_string": "UPDOWN",
    "prod_handling": "Page_only",
    "dev_handling": "Log_only",
    "team_assignment": "NETO",
}


@pytest.fixture
async def path(site: Site) -> str:
    """Of a rule with two revisions."""
    created = await site.call("POST", "/api/v2/rules", json=RULE)
    path = created.headers["Location"]
    await site.call("PUT", path, json={"priority": 7}, role=Role.OPERATOR)
    return str(path)


async def restored(site: Site, path: str, **body: Any) -> dict[str, Any]:
    answer = await site.call("POST", f"{path}/restore", json=body)
    assert answer.status_code == 200, answer.text
    rule: dict[str, Any] = answer.json()
    return rule


async def test_each_revision_is_shown_whole_with_who_made_it(site: Site, path: str) -> None:
    listed = (await site.get(f"{path}/revisions")).json()
    assert [(e["revision"], e["changed_by"]) for e in listed["revisions"]] == [
        (2, "operator-bot"),
        (1, "admin-bot"),
    ]
    assert [each["rule"]["priority"] for each in listed["revisions"]] == [7, 100]
    assert listed["revisions"][0]["rule"] == (await site.get(path)).json()
    assert listed["pagination"]["total"] == 2
    second = (
        await site.get(f"{path}/revisions?limit=1&cursor={(await first_cursor(site, path))}")
    ).json()
    assert [each["revision"] for each in second["revisions"]] == [1]


async def first_cursor(site: Site, path: str) -> str:
    cursor: str = (await site.get(f"{path}/revisions?limit=1")).json()["next_cursor"]
    return cursor


async def test_a_rule_goes_back_to_what_it_was(site: Site, path: str) -> None:
    changes = len(site.rules_changes)
    rule = await restored(site, path, revision=1, change_reason="too noisy")
    assert (rule["priority"], rule["revision"]) == (100, 3)
    assert (await site.get(path)).json() == rule
    assert len(site.rules_changes) == changes + 1
    [change, *_] = (await site.get("/api/v2/config-audit")).json()["changes"]
    assert (change["operation"], change["reason"]) == ("UPDATE", "too noisy")


async def test_a_deleted_rule_comes_back(site: Site, path: str) -> None:
    await site.call("DELETE", path)
    assert (await site.get(f"{path}/revisions")).json()["pagination"]["total"] == 2
    [gone] = (await site.get("/api/v2/rules?is_deleted=true")).json()["rules"]
    assert (gone["id"], gone["priority"]) == (1, 7)
    rule = await restored(site, path, revision=2)
    assert (rule["priority"], rule["revision"]) == (7, 3)
    assert (await site.get(path)).json() == rule


@pytest.mark.parametrize(
    ("body", "status"),
    [({"revision": 9}, 404), ({}, 400), ({"revision": "1"}, 400), ({"revision": 0}, 400)],
)
async def test_a_revision_must_be_one_that_was(
    site: Site, path: str, body: dict[str, Any], status: int
) -> None:
    assert (await site.call("POST", f"{path}/restore", json=body)).status_code == status


async def test_what_was_never_a_rule_has_no_revisions(site: Site) -> None:
    assert (await site.get("/api/v2/rules/99/revisions")).status_code == 404
    answer = await site.call("POST", "/api/v2/rules/99/restore", json={"revision": 1})
    assert answer.status_code == 404
