"""API keys over the API: shown once, kept nowhere, in force at once, gone at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from web_site import KEYS, Site

from muttd.event import iso_utc, utc_now
from muttd.web.auth import Role

PATH = "/api/v2/keys"


def octets_in(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]


async def create(site: Site, **fields: Any) -> dict[str, Any]:
    body = {"name": "eve", "role": "viewer"} | fields
    response = await site.call("POST", PATH, json=body)
    assert response.status_code == 201
    made: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"{PATH}/{made['id']}"
    return made


async def rules_as(site: Site, key: str) -> int:
    response = await site.call("GET", "/api/v2/rules", role=None, headers={"X-API-KEY": key})
    return response.status_code


async def test_a_new_key_works_at_once_and_is_never_shown_again(site: Site, tmp_path: Path) -> None:
    made = await create(site, change_reason="new colleague")
    assert len(made["key"]) == 43
    assert await rules_as(site, made["key"]) == 200
    listed = (await site.call("GET", PATH)).json()["keys"]
    assert listed[-1] == {name: value for name, value in made.items() if name != "key"}
    assert (made["source"], made["created_by"], made["is_valid"]) == ("store", "admin-bot", True)
    audit = (await site.call("GET", "/api/v2/config-audit?table_name=api_keys")).text
    kept = [audit.encode(), *octets_in(tmp_path)]
    assert all(made["key"].encode() not in octets for octets in kept)
    assert "new colleague" in audit


async def test_configured_keys_are_listed_and_cannot_be_revoked_here(site: Site) -> None:
    listed = (await site.call("GET", PATH)).json()["keys"]
    assert [(key["id"], key["source"]) for key in listed] == [(None, "configuration")] * len(Role)
    assert {key["name"] for key in listed} == {f"{role.name.lower()}-bot" for role in Role}


async def test_a_revoked_key_and_its_sessions_end_at_once(site: Site) -> None:
    made = await create(site, role="operator")
    principal = site.services.keys.check(made["key"])
    assert principal is not None
    token, _ = await site.sessions.open(principal)
    cookie = {"Cookie": f"muttd_session={token}"}
    assert (await site.call("GET", "/api/v2/rules", role=None, headers=cookie)).is_success
    gone = await site.call("DELETE", f"{PATH}/{made['id']}?change_reason=left")
    assert gone.status_code == 204
    assert await rules_as(site, made["key"]) == 401
    refused = await site.call("GET", "/api/v2/rules", role=None, headers=cookie)
    assert refused.status_code == 401
    [listed] = [k for k in (await site.call("GET", PATH)).json()["keys"] if k["id"] == made["id"]]
    assert (listed["is_valid"], listed["revoked_at"] is None) == (False, False)
    changes = (await site.call("GET", "/api/v2/config-audit?table_name=api_keys")).json()["changes"]
    assert [(each["operation"], each["reason"]) for each in changes] == [
        ("UPDATE", "left"),
        ("CREATE", None),
    ]


async def test_keys_of_one_name_overlap_for_a_rotation(site: Site) -> None:
    old, new = await create(site), await create(site)
    assert [await rules_as(site, each["key"]) for each in (old, new)] == [200, 200]
    await site.call("DELETE", f"{PATH}/{old['id']}")
    assert [await rules_as(site, each["key"]) for each in (old, new)] == [401, 200]


async def test_the_name_of_a_key_is_the_actor_in_the_audit(site: Site) -> None:
    made = await create(site, name="Ann B.", role="operator")
    headers = {"X-API-KEY": made["key"]}
    body = {"hostname": "lab-1"}
    added = await site.call("POST", "/api/v2/dev-hosts", role=None, headers=headers, json=body)
    assert added.status_code == 201
    [change] = (await site.get("/api/v2/config-audit?changed_by=Ann%20B.")).json()["changes"]
    assert change["table_name"] == "development_hosts"


async def test_a_key_may_expire(site: Site) -> None:
    # The site's own clock is in the past: what matters here is what is told and kept.
    moment = utc_now() + timedelta(days=1)
    made = await create(site, expires_at=moment.isoformat())
    assert made["expires_at"] == iso_utc(moment)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "role"]),
        ({"name": " ", "role": "root"}, ["name", "role"]),
        ({"name": "a\nb", "role": 3}, ["name", "role"]),
        ({"name": "x" * 101, "role": "viewer"}, ["name"]),
        ({"name": "a", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}, ["expires_at"]),
        ({"name": "a", "role": "viewer", "expires_at": "tomorrow"}, ["expires_at"]),
        ({"name": "a", "role": "viewer", "expires_at": 5}, ["expires_at"]),
        # In UTC it is in the year 10000: a row that no daemon could read again.
        (
            {"name": "a", "role": "viewer", "expires_at": "9999-12-31T23:59:59-01:00"},
            ["expires_at"],
        ),
        ({"name": "a", "role": "viewer", "key": "mine"}, ["key"]),
    ],
)
async def test_every_mistake_is_named(site: Site, body: dict[str, Any], fields: list[str]) -> None:
    refused = await site.call("POST", PATH, json=body)
    assert refused.status_code == 400
    assert [each["field"] for each in refused.json()["details"]] == fields


@pytest.mark.parametrize("key_id", ["7", "9223372036854775807"])
async def test_an_unknown_key_is_404(site: Site, key_id: str) -> None:
    assert (await site.call("DELETE", f"{PATH}/{key_id}")).status_code == 404


async def test_only_an_administrator_sees_makes_or_revokes_keys(site: Site) -> None:
    for role in (Role.INGEST, Role.VIEWER, Role.OPERATOR):
        for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/1")):
            refused = await site.call(method, path, role=role, json={"name": "a", "role": "admin"})
            assert refused.status_code == 403
    assert await site.store.api_keys() == []
    assert len(KEYS) == len(Role)
