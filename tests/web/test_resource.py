"""Who may do what: every route with every role, by key and by session."""

from __future__ import annotations

import re
from typing import Any

import pytest
from web_site import Site

from muttd.web.auth import Role

EVENT = {"message": "m", "hostname": "h"}
RULE = {
    "name": "n",
    "match_string": "x",
    "prod_handling": "Page_only",
    "dev_handling": "Ignore",
    "team_assignment": "T",
}
READ = {Role.VIEWER, Role.OPERATOR, Role.ADMIN}
CHANGE = {Role.OPERATOR, Role.ADMIN}
ADMINISTER = {Role.ADMIN}
INGEST = {Role.INGEST, Role.OPERATOR, Role.ADMIN}

# Every call of the API, and who may: what the routes declare is compared with this.
ALLOWED: dict[str, set[Role]] = {
    "GET /api/v2/alerts": READ,
    "GET /api/v2/alerts/{alert_id}": READ,
    "GET /api/v2/audit-logs": READ,
    "GET /api/v2/config": READ,
    "PUT /api/v2/config": CHANGE,
    "GET /api/v2/config-audit": READ,
    "GET /api/v2/config/{key}": READ,
    "PUT /api/v2/config/{key}": CHANGE,
    "DELETE /api/v2/config/{key}": CHANGE,
    "GET /api/v2/config/{key}/history": READ,
    "GET /api/v2/dead-letters": READ,
    "POST /api/v2/dead-letters/discard": CHANGE,
    "POST /api/v2/dead-letters/replay": CHANGE,
    "GET /api/v2/dead-letters/{letter_id}": READ,
    "PUT /api/v2/dead-letters/{letter_id}": CHANGE,
    "DELETE /api/v2/dead-letters/{letter_id}": CHANGE,
    "GET /api/v2/dev-hosts": READ,
    "POST /api/v2/dev-hosts": CHANGE,
    "DELETE /api/v2/dev-hosts/{hostname}": CHANGE,
    "GET /api/v2/events": READ,
    "GET /api/v2/events/{event_id}": READ,
    "GET /api/v2/events/{event_id}/context": READ,
    "POST /api/v2/ingest": INGEST,
    "POST /ingest": INGEST,
    "GET /api/v2/keys": ADMINISTER,
    "POST /api/v2/keys": ADMINISTER,
    "DELETE /api/v2/keys/{key_id}": ADMINISTER,
    "GET /api/v2/mibs": READ,
    "POST /api/v2/mibs": CHANGE,
    "DELETE /api/v2/mibs/{name}": CHANGE,
    "GET /api/v2/expected-sources": READ,
    "POST /api/v2/expected-sources": CHANGE,
    "PUT /api/v2/expected-sources/{hostname}": CHANGE,
    "DELETE /api/v2/expected-sources/{hostname}": CHANGE,
    "GET /api/v2/metrics": READ,
    "GET /api/v2/slo": READ,
    "GET /api/v2/rules": READ,
    "POST /api/v2/rules": CHANGE,
    "POST /api/v2/rules/test": CHANGE,
    "GET /api/v2/rules/export": READ,
    "POST /api/v2/rules/import": CHANGE,
    "GET /api/v2/rules/{rule_id}/revisions": READ,
    "POST /api/v2/rules/{rule_id}/restore": CHANGE,
    "GET /api/v2/rules/{rule_id}": READ,
    "PUT /api/v2/rules/{rule_id}": CHANGE,
    "DELETE /api/v2/rules/{rule_id}": CHANGE,
    "GET /api/v2/status": READ,
    "GET /api/v2/teams": READ,
    "POST /api/v2/teams": CHANGE,
    "PUT /api/v2/teams/{hostname}": CHANGE,
    "DELETE /api/v2/teams/{hostname}": CHANGE,
    "GET /api/v2/trap-severities": READ,
    "PUT /api/v2/trap-severities/{trap_oid}": CHANGE,
    "DELETE /api/v2/trap-severities/{trap_oid}": CHANGE,
}
# What anybody may call.
OPEN = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /api/openapi.json"}
BODIES: dict[str, Any] = {
    "POST /api/v2/rules": RULE,
    "POST /api/v2/dev-hosts": {"hostname": "h"},
    "POST /api/v2/teams": {"hostname": "h", "team_assignment": "T"},
    "PUT /api/v2/teams/{hostname}": {"team_assignment": "T"},
    "POST /api/v2/ingest": EVENT,
    "POST /ingest": EVENT,
}
IN_PATH = re.compile("{[a-z_]+}")


def call_of(operation: str) -> tuple[str, str, Any]:
    """The method, a path and a body for an operation."""
    method, _, path = operation.partition(" ")
    return method, IN_PATH.sub("1", path), BODIES.get(operation, {})


CALLS = [(*call_of(operation), allowed) for operation, allowed in ALLOWED.items()]
CALLS.append(("POST", "/api/v1/ingest", EVENT, INGEST))
CHANGES = [
    call_of(operation)
    for operation, allowed in ALLOWED.items()
    if not operation.startswith("GET") and allowed is not INGEST
]


async def test_every_call_is_in_the_table_of_who_may(site: Site) -> None:
    declared = {
        f"{method.upper()} {path}": {Role[name.upper()] for name in operation.get("x-roles", ())}
        for path, operations in site.document.document["paths"].items()
        for method, operation in operations.items()
    }
    assert declared == ALLOWED | {name: set() for name in OPEN}


@pytest.mark.parametrize(("method", "path", "body", "allowed"), CALLS)
@pytest.mark.parametrize("role", [None, *Role])
async def test_each_role_may_do_its_own_and_no_more(
    site: Site, method: str, path: str, body: object, allowed: set[Role], role: Role | None
) -> None:
    response = await site.call(method, path, role=role, json=body)
    if role is None:
        assert response.status_code == 401
        assert response.json()["error"] == "unauthenticated"
        assert response.headers["WWW-Authenticate"] == 'ApiKey realm="muttd"'
    elif role not in allowed:
        assert response.status_code == 403
        assert response.json()["error"] == "forbidden"
    else:
        # 415: an upload is text, and this is JSON.
        assert response.status_code in {200, 201, 204, 400, 404, 415}
    if role not in allowed:
        assert site.sink.events == []
        assert not site.rules_changes


@pytest.mark.parametrize(("method", "path", "body", "allowed"), CALLS)
async def test_a_session_may_what_its_role_may_if_it_carries_its_csrf_token(
    site: Site, method: str, path: str, body: object, allowed: set[Role]
) -> None:
    headers, csrf_token = await site.sign_in(Role.ADMIN)
    with_token = headers | {"X-CSRF-Token": csrf_token}
    response = await site.call(method, path, role=None, json=body, headers=with_token)
    assert response.status_code in {200, 201, 204, 400, 404, 415}
    assert Role.ADMIN in allowed


FORGERIES = {
    "no token": {"X-CSRF-Token": None},
    "an empty token": {"X-CSRF-Token": ""},
    "a wrong token": {"X-CSRF-Token": "0" * 64},
    "another origin": {"Origin": "http://evil.example"},
    "a hidden origin": {"Origin": "null"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a sibling site": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_session_without_proof_that_our_page_asked_changes_nothing(
    site: Site, method: str, path: str, body: object, forgery: dict[str, str | None]
) -> None:
    headers, csrf_token = await site.sign_in(Role.ADMIN)
    forged = headers | {"X-CSRF-Token": csrf_token} | forgery
    sent = {name: value for name, value in forged.items() if value is not None}
    response = await site.call(method, path, role=None, json=body, headers=sent)
    assert response.status_code == 403
    assert response.json()["error"] == "csrf"
    assert not site.rules_changes


async def test_the_token_of_another_session_is_no_proof(site: Site) -> None:
    headers, _ = await site.sign_in(Role.ADMIN)
    _, other_token = await site.sign_in(Role.ADMIN)
    forged = headers | {"X-CSRF-Token": other_token}
    response = await site.call("DELETE", "/api/v2/rules/1", role=None, headers=forged)
    assert response.json()["error"] == "csrf"


async def test_a_key_needs_no_csrf_token(site: Site) -> None:
    response = await site.call("POST", "/api/v2/rules", json=RULE, headers={"Origin": "http://x"})
    assert response.status_code == 201


async def test_reading_by_session_needs_no_csrf_token(site: Site) -> None:
    headers, _ = await site.sign_in(Role.VIEWER)
    assert (await site.call("GET", "/api/v2/rules", role=None, headers=headers)).is_success


async def test_a_wrong_key_is_not_made_good_by_a_session(site: Site) -> None:
    headers, _ = await site.sign_in(Role.ADMIN)
    response = await site.call("GET", "/api/v2/rules", headers=headers | {"X-API-KEY": "wrong"})
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/sign-in"])
async def test_probes_and_the_sign_in_page_need_no_key(site: Site, path: str) -> None:
    assert (await site.call("GET", path, role=None)).status_code == 200


async def test_a_key_in_the_address_is_no_key(site: Site) -> None:
    key = "admin-key-of-32-characters-or-so"
    response = await site.call("GET", f"/api/v2/rules?api_key={key}", role=None)
    assert response.status_code == 401
    assert key not in response.text


async def test_guessing_keys_ends_in_429_for_that_peer_alone(site: Site) -> None:
    for n in range(20):
        response = await site.get("/api/v2/rules", headers={"X-API-KEY": f"guess-{n}"})
        assert response.status_code == 401
    response = await site.get("/api/v2/rules")
    assert response.status_code == 429
    assert response.json()["error"] == "too_many_requests"
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert (await site.get("/api/v2/rules", peer="192.0.2.2")).status_code == 200
    site.clock.now += 60
    assert (await site.get("/api/v2/rules")).status_code == 200


async def test_a_405_names_every_method_that_is_allowed(site: Site) -> None:
    response = await site.call("PATCH", "/api/v2/rules")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"
    response = await site.call("POST", "/api/v2/rules/1")
    assert response.headers["Allow"] == "DELETE, GET, HEAD, PUT"
    assert response.json()["error"] == "method_not_allowed"


async def test_head_answers_as_get_without_a_body(site: Site) -> None:
    got = await site.get("/api/v2/rules")
    head = await site.call("HEAD", "/api/v2/rules")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.content))
