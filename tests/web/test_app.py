"""Every error in one shape, whatever went wrong."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_site import Site, open_site

from muttd.errors import StoreUnavailable
from muttd.rules.model import RuleDraft

JSON = {"Content-Type": "application/json"}


def assert_is_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body.keys() == {"error", "message", "correlation_id", "details"}
    assert body["error"] == code
    assert body["message"]
    assert body["correlation_id"] == response.headers["X-Correlation-ID"]
    assert all(each.keys() == {"field", "message"} for each in body["details"])
    return body


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/api/v2/nowhere", "/api/v3/rules", "/api/v2/rules/", "/api", "//api/v2/rules"],
)
async def test_a_path_that_nobody_knows_is_404_in_the_one_shape(site: Site, path: str) -> None:
    assert_is_error(await site.get(path), 404, "not_found")


async def test_a_method_that_a_path_does_not_know_is_405_in_the_one_shape(site: Site) -> None:
    assert_is_error(await site.call("DELETE", "/api/v2/events"), 405, "method_not_allowed")
    assert_is_error(await site.call("POST", "/healthz"), 405, "method_not_allowed")
    assert_is_error(await site.call("GET", "/ingest"), 405, "method_not_allowed")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_declared_as_json_is_415(site: Site, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await site.call("POST", "/api/v2/rules", content=b"{}", headers=headers)
    assert_is_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"1",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"severity": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_a_body_that_is_no_json_object_is_400(site: Site, body: bytes) -> None:
    response = await site.call("POST", "/api/v2/rules", content=body, headers=JSON)
    [detail] = assert_is_error(response, 400, "invalid_input")["details"]
    assert detail["field"] == "body"


async def test_a_json_body_may_declare_its_charset(site: Site) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = b'{"hostname": "lab-1"}'
    response = await site.call("POST", "/api/v2/dev-hosts", content=body, headers=headers)
    assert response.status_code == 201


@pytest.mark.parametrize("path", ["/api/v2/rules", "/api/v2/dev-hosts"])
async def test_a_body_without_end_is_413_and_is_not_read_to_its_end(site: Site, path: str) -> None:
    part = {"type": "http.request", "body": b"x" * 65_536, "more_body": True}
    received = [part] * 1000
    start, body = await site.octets("POST", path, headers=JSON, received=received)
    assert start["status"] == 413
    assert msgspec.json.decode(body["body"])["error"] == "too_large"
    assert len(received) > 980


async def test_an_unavailable_store_is_503_with_retry_after(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object) -> None:
        raise StoreUnavailable("/var/lib/mutt/store.db: disk I/O error")

    monkeypatch.setattr(site.store, "search_events", fail)
    response = await site.get("/api/v2/events")
    body = assert_is_error(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert "/var" not in body["message"]


async def test_a_wrong_number_in_a_path_is_400_naming_it(site: Site) -> None:
    for wrong in ("x", "0", "-1", "1.5", "9223372036854775808", "%00"):
        response = await site.get(f"/api/v2/rules/{wrong}")
        [detail] = assert_is_error(response, 400, "invalid_input")["details"]
        assert detail["field"] == "rule_id"


LISTS = [
    "/api/v2/events",
    "/api/v2/audit-logs",
    "/api/v2/rules",
    "/api/v2/config-audit",
    "/api/v2/alerts",
]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    ["limit=201", "limit=0", "page=0", "page=1e9", "cursor=nonsense", "nonsense=1"],
)
async def test_every_list_refuses_a_wrong_window(site: Site, path: str, query: str) -> None:
    response = await site.get(f"{path}?{query}")
    details = assert_is_error(response, 400, "invalid_input")["details"]
    assert [each["field"] for each in details] == [query.partition("=")[0]]


INJECTIONS = [
    "' OR 1=1 --",
    '"; DROP TABLE alert_rules; --',
    "') UNION SELECT sql FROM sqlite_master --",
    "%' ESCAPE '",
    "\\",
    "%",
    "_",
    "*",
    "[a-",
    "NEAR(a b)",
    '"unbalanced',
    "a AND",
]


@pytest.mark.parametrize("injection", INJECTIONS)
async def test_what_looks_like_sql_is_only_text(site: Site, injection: str) -> None:
    event = await site.record(site.an_event("quite another message", hostname="other"))
    found: list[str] = []
    for path, names in [
        ("/api/v2/events", ("q", "hostname", "team")),
        ("/api/v2/audit-logs", ("hostname",)),
        ("/api/v2/rules", ("q", "team")),
        ("/api/v2/alerts", ("hostname",)),
        ("/api/v2/config-audit", ("changed_by", "table_name", "record_id")),
    ]:
        for name in names:
            response = await site.get(path, params={name: injection})
            assert response.status_code == 200
            found += [each.get("event_id", "") for each in next(iter(response.json().values()))]
    # The star is the one glob among them: it is every host, once.
    assert found == ([event.event_id] if injection == "*" else [])
    assert (await site.get("/api/v2/rules")).status_code == 200


async def test_a_message_made_of_markup_comes_back_as_it_was(site: Site) -> None:
    hostile = "<script>alert(1)</script>\"'&\u2028\x1b[31m\x00{{7*7}}"
    event = await site.record(site.an_event(hostile, app_name="<img src=x onerror=alert(1)>"))
    response = await site.get(f"/api/v2/events/{event.event_id}")
    assert response.json()["message"] == hostile
    assert response.json()["app_name"] == "<img src=x onerror=alert(1)>"
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


NAMES = [
    *("q", "hostname", "severity", "max_severity", "transport", "trap_oid", "rule_id", "team"),
    *("matched", "from", "to", "after", "page", "limit", "cursor", "is_active", "state"),
    *("changed_by", "table_name", "record_id", "operation", "start_date", "end_date"),
    *("change_reason", "api_version", "nonsense"),
]
VALUES = st.one_of(
    st.text(max_size=20),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.sampled_from(["", "true", "WyJldmVudHMiLDFd", "9" * 40, "1.3.6.1", "*", "\0", "x" * 2000]),
)


SEGMENTS = st.text(st.characters(codec="utf-8"), max_size=20) | VALUES
REQUESTS = st.tuples(
    st.sampled_from([*LISTS, "/api/v2/events/{}", "/api/v2/rules/{}", "/api/v2/alerts/{}"]),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
    SEGMENTS,
)


@settings(max_examples=15, deadline=None)
@given(requests=st.lists(REQUESTS, min_size=10, max_size=40))
async def test_no_query_of_a_client_is_ever_a_fault_of_ours(
    requests: list[tuple[str, dict[str, str], str]],
) -> None:
    with TemporaryDirectory() as directory:
        async with open_site(Path(directory)) as site:
            await site.record(site.an_event(), rule_id=1)
            for path, query, segment in requests:
                response = await site.get(path.format(quote(segment, safe="")), params=query)
                assert response.status_code in {200, 400, 404}
                if response.status_code == 400:
                    unsupported = "unsupported_version" in response.text
                    code = "unsupported_version" if unsupported else "invalid_input"
                    assert_is_error(response, 400, code)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
BODIES = st.dictionaries(
    st.sampled_from(
        [
            *("name", "match_string", "match_type", "trap_oid", "syslog_severity", "severity_op"),
            *("host_pattern", "priority", "prod_handling", "dev_handling", "team_assignment"),
            *("is_active", "reason", "change_reason", "revision", "id", "hostname", "nonsense"),
        ]
    ),
    JSON_VALUES,
)
# Near enough to the truth that one wrong value gets past the checks of the others.
GOOD = {"name": "n", "match_string": "m", "prod_handling": "Ignore", "dev_handling": "Ignore"}


@settings(max_examples=15, deadline=None)
@given(bodies=st.lists(BODIES, min_size=5, max_size=20))
async def test_no_body_of_a_client_is_ever_a_fault_of_ours(bodies: list[dict[str, object]]) -> None:
    with TemporaryDirectory() as directory:
        async with open_site(Path(directory)) as site:
            for body in bodies:
                near = GOOD | {"team_assignment": "T", "hostname": "h"} | body
                for method, path in [
                    ("POST", "/api/v2/rules"),
                    ("PUT", "/api/v2/rules/1"),
                    ("POST", "/api/v2/dev-hosts"),
                    ("POST", "/api/v2/teams"),
                    ("PUT", "/api/v2/teams/h"),
                ]:
                    fields = {k: v for k, v in near.items() if k in FIELDS_OF[path.split("/")[3]]}
                    response = await site.call(method, path, json=fields)
                    assert response.status_code in {200, 201, 400, 404, 409}
            for path in LISTS:
                assert (await site.get(path)).status_code == 200


_REST = {"change_reason", "nonsense"}
FIELDS_OF = {
    "rules": {*RuleDraft.__struct_fields__, "revision", "id"} | _REST,
    "dev-hosts": {"hostname"} | _REST,
    "teams": {"hostname", "team_assignment"} | _REST,
}
