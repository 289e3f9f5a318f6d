"""Attacks on the web side of a whole daemon, over real sockets; docs/attacks.md names each."""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from running_daemon import RunningDaemon, resident_octets

pytestmark = pytest.mark.acceptance

_MIB = 2**20
# An ordinary body may have 10 MiB, and its events take some of them more.
_MAY_GROW_OCTETS = 64 * _MIB


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """One for all attacks: it has to outlive them."""
    daemon = RunningDaemon(tmp_path_factory.mktemp("attacked") / "state", {}).wait_ready()
    try:
        yield daemon
        assert daemon.terminate() == 0
        assert not any("Traceback" in line for line in daemon.log)
    finally:
        daemon.kill()


def raw(daemon: RunningDaemon, octets: bytes) -> bytes:
    """What the daemon answers to these octets, until it closes."""
    host, port = daemon.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as sock:
        sock.sendall(octets)
        answer = bytearray()
        while part := sock.recv(65_536):
            answer += part
        return bytes(answer)


@contextmanager
def signed_in(daemon: RunningDaemon) -> Iterator[httpx.Client]:
    """A browser with an administrator's session."""
    with httpx.Client(base_url=daemon.url) as browser:
        token = re.search(r'name="form_token" value="([^"]+)"', browser.get("/sign-in").text)
        assert token is not None
        form = {"api_key": daemon.key(), "form_token": token[1]}
        assert browser.post("/sign-in", data=form).status_code == 303
        yield browser


def test_a_hundred_mebibytes_are_refused_before_they_are_read(daemon: RunningDaemon) -> None:
    before = resident_octets(daemon.process.pid)
    with daemon.client("ingest") as client:
        by_length = client.post("/ingest", content=b"[" + b" " * (100 * _MIB))
        assert by_length.status_code == 413

        def without_length() -> Iterator[bytes]:
            for _ in range(1600):
                yield b" " * 65_536

        # It may close while we still send: what it said in between is lost on the way then.
        with suppress(httpx.TransportError):
            assert client.post("/ingest", content=without_length()).status_code == 413
    assert resident_octets(daemon.process.pid) - before < _MAY_GROW_OCTETS


def test_a_gzip_bomb_is_refused_before_it_is_large(daemon: RunningDaemon) -> None:
    bomb = gzip.compress(b" " * (200 * _MIB))
    before = resident_octets(daemon.process.pid)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    with daemon.client("ingest") as client:
        assert client.post("/ingest", content=bomb, headers=headers).status_code == 413
    assert resident_octets(daemon.process.pid) - before < _MAY_GROW_OCTETS


@pytest.mark.parametrize(
    "path",
    [
        "/static/../templates/base.html",
        "/static/..%2ftemplates%2fbase.html",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/static/..\\..\\etc\\passwd",
        "/api/v2/../../etc/passwd",
        "/../admin.key",
        "/static/app.css%00.html",
        "/static/\u2025/admin.key",
    ],
)
def test_no_path_leads_out_of_what_is_served(daemon: RunningDaemon, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
    answer = raw(daemon, request)
    assert re.match(rb"HTTP/1\.1 (400|404)", answer)
    assert b"root:" not in answer
    assert daemon.key().encode() not in answer


def test_no_value_of_a_client_becomes_a_header_of_ours(daemon: RunningDaemon) -> None:
    evil = "a%0d%0aSet-Cookie:%20x=1"
    for path in (f"/sign-in?next=/live{evil}", f"/live?x={evil}", f"/api/v2/rules/{evil}"):
        answer = raw(
            daemon, f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
        )
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nset-cookie: x=1" not in head
    with daemon.client() as client:
        body = {"hostname": "a\r\nSet-Cookie: x=1"}
        refused = client.post("/api/v2/dev-hosts", json=body)
        assert refused.status_code == 400
        assert "x" not in refused.cookies
    answer = raw(
        daemon,
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Correlation-ID: a\x0bb\r\n"
        b"Connection: close\r\n\r\n",
    )
    assert b"a\x0bb" not in answer


def test_another_sites_form_changes_nothing_with_our_cookie(daemon: RunningDaemon) -> None:
    rule = {"name": "n", "match_string": "x", "prod_handling": "Ignore", "dev_handling": "Ignore"}
    with signed_in(daemon) as browser:
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            forged = browser.post(
                "/api/v2/rules", json=rule | {"team_assignment": "T"}, headers=headers
            )
            assert (forged.status_code, forged.json()["error"]) == (403, "csrf")
        assert browser.get("/api/v2/rules").json()["rules"] == []


def test_another_sites_page_opens_no_websocket_with_our_cookie(daemon: RunningDaemon) -> None:
    with signed_in(daemon) as browser:
        cookie = browser.cookies["muttd_session"]

    def shake_hands(origin: str) -> bytes:
        host, port = daemon.url.removeprefix("http://").rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as sock:
            sock.sendall(
                f"GET /api/v2/live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                f"Origin: {origin}\r\nCookie: muttd_session={cookie}\r\n\r\n".encode()
            )
            return sock.recv(4096)

    assert shake_hands("http://evil.example").startswith(b"HTTP/1.1 403")
    assert shake_hands(daemon.url).startswith(b"HTTP/1.1 101")


def test_who_guesses_keys_is_told_to_wait(start_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = start_daemon()
    with httpx.Client(base_url=daemon.url) as client:
        statuses = [
            client.get("/api/v2/rules", headers={"X-API-KEY": f"guess-{n}"}).status_code
            for n in range(25)
        ]
        assert statuses == [401] * 20 + [429] * 5
        limited = client.get("/api/v2/rules", headers={"X-API-KEY": daemon.key()})
        assert limited.status_code == 429
        assert 0 < int(limited.headers["Retry-After"]) <= 60


def test_heads_that_drip_hold_up_nobody(daemon: RunningDaemon) -> None:
    host, port = daemon.url.removeprefix("http://").rsplit(":", 1)
    dripping = []
    for _ in range(100):
        sock = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nX-Drip: ")
        dripping.append(sock)
    started = time.monotonic()
    assert httpx.get(f"{daemon.url}/healthz").status_code == 200
    assert time.monotonic() - started < 5
    for sock in dripping:
        sock.close()
