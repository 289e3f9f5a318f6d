"""Attacks on the web side of a whole daemon, over real sockets; docs/attacks.md names each.

test_web_attacks_undefended.py makes them where the defence is missing: there each must be noticed.
"""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from running_daemon import RunningDaemon, growth_of

pytestmark = pytest.mark.acceptance

_MIB = 2**20
# An ordinary body may have 10 MiB, and its events take some of them more.
_MAY_GROW_OCTETS = 64 * _MIB
# Somebody who drips is to be cut off after a second.
PATIENCE_S = 5.0


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
    growth = growth_of(daemon.process.pid)
    with daemon.client("ingest") as client:
        by_length = client.post("/ingest", content=b"[" + b" " * (100 * _MIB))
        assert by_length.status_code == 413

        def without_length() -> Iterator[bytes]:
            for _ in range(1600):
                yield b" " * 65_536

        # It may close while we still send: what it said in between is lost on the way then.
        with suppress(httpx.TransportError):
            assert client.post("/ingest", content=without_length()).status_code == 413
    assert growth() < _MAY_GROW_OCTETS


def test_a_gzip_bomb_is_refused_before_it_is_large(daemon: RunningDaemon) -> None:
    bomb = gzip.compress(b" " * (200 * _MIB))
    growth = growth_of(daemon.process.pid)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    with daemon.client("ingest") as client:
        assert client.post("/ingest", content=bomb, headers=headers).status_code == 413
    assert growth() < _MAY_GROW_OCTETS


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


@pytest.mark.parametrize("given", [b"a\x0bb", b"a\xffb", b"a\tb", b"a" * 129])
def test_no_correlation_id_comes_back_that_is_more_than_a_word(
    daemon: RunningDaemon, given: bytes
) -> None:
    request = (
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Correlation-ID: %b\r\nConnection: close\r\n\r\n"
    )
    assert given not in raw(daemon, request % given)


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "/live\r\nSet-Cookie: x=1"],
)
def test_signing_in_leads_to_a_page_of_ours_alone(daemon: RunningDaemon, wanted: str) -> None:
    with signed_in(daemon) as browser:
        answer = browser.get("/sign-in", params={"next": wanted})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/live")
    assert "x" not in answer.cookies


def test_an_address_does_not_become_markup_of_the_sign_in_page(daemon: RunningDaemon) -> None:
    script = '"><script>window.struck=1</script>'
    page = httpx.get(f"{daemon.url}/sign-in", params={"next": f"/live?q={script}"}).text
    assert "window.struck=1" in page
    assert script not in page


def test_another_sites_form_changes_nothing_with_our_cookie(daemon: RunningDaemon) -> None:
    rule = {"name": "n", "match_string": "x", "prod_handling": "Ignore", "dev_handling": "Ignore"}
    with signed_in(daemon) as browser:
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            forged = browser.post(
                "/api/v2/rules", json=rule | {"team_assignment": "T"}, headers=headers
            )
            assert forged.status_code == 403, forged.text
            assert forged.json()["error"] == "csrf"
        assert browser.get("/api/v2/rules").json()["rules"] == []


def test_another_sites_form_changes_nothing_even_with_our_token(daemon: RunningDaemon) -> None:
    with signed_in(daemon) as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/live").text)
        assert token is not None
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            headers |= {"X-CSRF-Token": token[1]}
            forged = browser.post("/api/v2/dev-hosts", json={"hostname": "evil"}, headers=headers)
            assert forged.status_code == 403, forged.text
            assert forged.json()["error"] == "csrf"
        assert browser.get("/api/v2/dev-hosts").json()["hosts"] == []


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


def drip(daemon: RunningDaemon, head: bytes) -> bytes:
    """What the daemon answers to a request that goes on an octet at a time, and never ends."""
    host, port = daemon.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=0.05) as sock:
        sock.sendall(head)
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            with suppress(TimeoutError):
                return sock.recv(65_536)
            sock.sendall(b"x")
    return b""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    """A daemon that waits a second for a request."""
    state_dir = tmp_path_factory.mktemp("impatient") / "state"
    daemon = RunningDaemon(state_dir, {"MUTTD_HTTP_REQUEST_TIMEOUT_S": "1"}).wait_ready()
    try:
        yield daemon
    finally:
        daemon.kill()


@pytest.mark.parametrize(
    "begun",
    [
        b"X-Drip: ",
        b"Content-Length: 9000\r\n\r\n[",
        b"Transfer-Encoding: chunked\r\n\r\n2000\r\n[",
    ],
    ids=["head", "body", "chunk"],
)
def test_what_drips_is_cut_off_however_steadily(impatient: RunningDaemon, begun: bytes) -> None:
    key = impatient.key("ingest")
    head = f"POST /ingest HTTP/1.1\r\nHost: h\r\nX-API-KEY: {key}\r\n".encode()
    assert drip(impatient, head + begun).startswith(b"HTTP/1.1 408 ")


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
