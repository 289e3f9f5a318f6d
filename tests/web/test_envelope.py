"""What every response wears: correlation id, versions, security headers."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from web_site import Site

from muttd.web.auth import Role
from muttd.web.envelope import SERVER_HEADERS, SUPPORTED_VERSIONS

ANY_KIND_OF_RESPONSE = [
    ("GET", "/api/v2/rules"),
    ("GET", "/api/v2/events/unknown"),
    ("GET", "/api/v2/events?limit=x"),
    ("PATCH", "/api/v2/rules"),
    ("POST", "/api/v2/rules"),
    ("GET", "/nowhere"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/sign-in"),
    ("GET", "/live"),
    ("GET", "/static/nothing.js"),
]


@pytest.mark.parametrize(("method", "path"), ANY_KIND_OF_RESPONSE)
async def test_every_response_has_a_correlation_id_and_the_security_headers(
    site: Site, method: str, path: str
) -> None:
    response = await site.call(method, path, headers={"X-Correlation-ID": "abc-123"})
    assert response.headers["X-Correlation-ID"] == "abc-123"
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    if not path.startswith("/static"):
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("given", ["a", "x" * 128, "a b~!", "%0d%0a"])
async def test_a_fit_correlation_id_is_kept(site: Site, given: str) -> None:
    response = await site.get("/api/v2/events/unknown", headers={"X-Correlation-ID": given})
    assert response.headers["X-Correlation-ID"] == given
    assert response.json()["correlation_id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"caf\xc3\xa9", b"a\tb", b"\x7f", b"   "])
async def test_an_unfit_correlation_id_is_replaced(site: Site, given: bytes) -> None:
    headers: Any = {"X-Correlation-ID": given, "X-API-KEY": "viewer-key-of-32-characters-or-so"}
    response = await site.call("GET", "/api/v2/events/unknown", role=None, headers=headers)
    uuid.UUID(response.headers["X-Correlation-ID"])
    assert response.json()["correlation_id"] == response.headers["X-Correlation-ID"]


async def test_every_request_without_one_gets_its_own(site: Site) -> None:
    ids = [(await site.get("/api/v2/rules")).headers["X-Correlation-ID"] for _ in range(3)]
    assert len(set(ids)) == 3


async def test_the_correlation_id_is_in_the_configuration_audit(site: Site) -> None:
    body = {"hostname": "lab-1"}
    headers = {"X-Correlation-ID": "change-7"}
    await site.call("POST", "/api/v2/dev-hosts", json=body, headers=headers)
    [change] = (await site.get("/api/v2/config-audit")).json()["changes"]
    assert (change["correlation_id"], change["changed_by"]) == ("change-7", "admin-bot")


@pytest.mark.parametrize(
    "path", ["/api/v2/rules", "/api/v2/nowhere", "/ingest", "/api/v2/rules?page=0"]
)
async def test_every_api_response_says_its_version(site: Site, path: str) -> None:
    response = await site.get(path)
    assert response.headers["X-API-Version"] == "2.5"
    assert response.headers["X-API-Supported-Versions"] == "2.5, 2.0, 1.0"
    assert "X-API-Deprecated" not in response.headers


async def test_version_1_answers_the_same_and_says_that_it_is_deprecated(site: Site) -> None:
    await site.record(site.an_event())
    old, new = await site.get("/api/v1/events"), await site.get("/api/v2/events")
    assert old.json() == new.json()
    assert old.headers["X-API-Deprecated"] == "true"
    assert old.headers["X-API-Version"] == "2.5"


async def test_an_error_of_version_1_is_deprecated_too(site: Site) -> None:
    response = await site.call("GET", "/api/v1/rules", role=None)
    assert (response.status_code, response.headers["X-API-Deprecated"]) == (401, "true")


async def test_what_the_server_answers_itself_may_wear_the_same(site: Site) -> None:
    response = await site.get("/api/v2/nowhere")
    for name, value in SERVER_HEADERS:
        assert response.headers[name.decode()] == value.decode()


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
@pytest.mark.parametrize("header", ["Accept-Version", "X-API-Version"])
async def test_a_version_that_we_speak_is_taken(site: Site, header: str, version: str) -> None:
    response = await site.get("/api/v2/rules", headers={header: version})
    assert (response.status_code, response.headers["X-API-Version"]) == (200, "2.5")


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Accept-Version": "9.9"}, "", 400),
        ({"X-API-Version": "9.9"}, "", 400),
        ({}, "?api_version=9.9", 400),
        ({}, "?api_version=", 400),
        ({}, "?api_version=2.0", 200),
        ({"Accept-Version": "1.0", "X-API-Version": "9.9"}, "?api_version=9.9", 200),
        ({"X-API-Version": "1.0"}, "?api_version=9.9", 200),
        ({"Accept-Version": "9.9", "X-API-Version": "1.0"}, "?api_version=1.0", 400),
        ({"Accept-Version": ""}, "", 400),
    ],
)
async def test_accept_version_wins_over_x_api_version_over_the_query(
    site: Site, headers: dict[str, str], query: str, status: int
) -> None:
    response = await site.get(f"/api/v2/rules{query}", headers=headers)
    assert response.status_code == status
    if status == 400:
        assert response.json()["error"] == "unsupported_version"
        assert "2.5, 2.0, 1.0" in response.json()["message"]


async def test_a_fault_of_ours_is_a_500_that_tells_nothing_and_a_loud_log(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(event_id: str) -> None:
        raise RuntimeError("SELECT secret FROM /var/lib/mutt")

    monkeypatch.setattr(site.store, "get_event", fail)
    with caplog.at_level(logging.ERROR):
        response = await site.get("/api/v2/events/x", headers={"X-Correlation-ID": "find-me"})
    assert response.status_code == 500
    assert response.json()["error"] == "internal_error"
    assert "SELECT" not in response.text
    assert "RuntimeError" not in response.text
    [record] = caplog.records
    assert "find-me" in record.getMessage()
    assert "/api/v2/events/{event_id}" in record.getMessage()
    assert record.exc_info is not None


async def test_no_key_is_in_a_log_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await site.call("GET", "/api/v2/rules", role=Role.ADMIN)
        await site.get("/api/v2/rules", headers={"X-API-KEY": "almost-right"})
    assert "admin-key" not in caplog.text
    assert "almost-right" not in caplog.text


async def test_a_path_that_is_no_text_is_nobodys(site: Site) -> None:
    """A server may hand over a path with stray surrogates; a store would choke on them."""
    [start, _] = await site.octets("GET", "/api/v2/events/\udcff", headers={}, received=[])
    assert start["status"] == 404


async def test_a_client_that_leaves_while_it_sends_gets_no_answer_and_no_log_line(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/json"}
    gone = {"type": "http.disconnect"}
    assert await site.octets("POST", "/api/v2/rules", headers=headers, received=[gone]) == []
    assert caplog.records == []


async def test_an_answer_that_breaks_off_is_told_to_the_server(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the head is out there is no second one; only closing the connection tells."""

    class Broken(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise RuntimeError("half way")

    monkeypatch.setattr("muttd.web.api.status.JsonResponse", lambda _: Broken())
    with pytest.raises(RuntimeError, match="half way"):
        await site.octets("GET", "/api/v2/status", headers={}, received=[])


async def test_what_is_no_http_request_is_passed_through(site: Site) -> None:
    sent: list[Any] = []
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await site.app({"type": "lifespan", "state": {}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
