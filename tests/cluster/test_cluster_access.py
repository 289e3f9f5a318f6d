"""Who may come in, on two daemons: what ends on one has ended on the other within a second."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import httpx
from cluster_stack import NEEDS, Cluster, Stack
from running_daemon import RunningDaemon, eventually

pytestmark = NEEDS

WITHIN_S = 1.0
# Nearly a second of waiting, on a machine that has other things to do as well.
UNTOLD_WITHIN_S = 2.5


@contextmanager
def signed_in(daemon: RunningDaemon, key: str) -> Iterator[httpx.Client]:
    """A browser in which somebody signed in by that key."""
    with httpx.Client(base_url=daemon.url, trust_env=False) as browser:
        token = re.search(r'name="form_token" value="([^"]+)"', browser.get("/sign-in").text)
        assert token is not None
        answer = browser.post("/sign-in", data={"api_key": key, "form_token": token[1]})
        assert answer.status_code == 303
        yield browser


def sign_out(browser: httpx.Client) -> None:
    page = browser.get("/live").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    answer = browser.post("/sign-out", data={"csrf_token": token[1]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


@contextmanager
def looking_on(daemon: RunningDaemon, browser: httpx.Client) -> Iterator[socket.socket]:
    """The live websocket of that daemon, by the browser's session."""
    with socket.create_connection(("127.0.0.1", daemon.ports["http"]), timeout=10) as sock:
        sock.sendall(
            b"GET /api/v2/live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Cookie: muttd_session=%b\r\n\r\n" % browser.cookies["muttd_session"].encode()
        )
        assert sock.recv(4096).startswith(b"HTTP/1.1 101")
        yield sock


def seconds_until_cut_off(viewer: socket.socket) -> float:
    """From now on."""
    started = time.monotonic()
    with suppress(ConnectionResetError):
        while viewer.recv(65_536):
            pass
    return time.monotonic() - started


def seconds_until_refused(ask: Callable[[], int]) -> float:
    """From now on; each answer before that has to be a good one."""
    started = time.monotonic()
    assert eventually(ask, lambda status: status != 200) == 401
    return time.monotonic() - started


def test_what_ends_on_one_daemon_has_ended_on_the_other_within_a_second(
    cluster: Cluster, stack: Stack
) -> None:
    alpha, beta = cluster.daemons

    def asked_beta(headers: dict[str, str]) -> int:
        answer = httpx.get(f"{beta.url}/api/v2/rules", headers=headers, trust_env=False)
        return answer.status_code

    def session_on_beta(browser: httpx.Client) -> Callable[[], int]:
        return partial(asked_beta, {"Cookie": f"muttd_session={browser.cookies['muttd_session']}"})

    def both_end(within_s: float) -> None:
        made = alpha.post("/api/v2/keys", {"name": "ann", "role": "viewer"})
        key_id, key = made["id"], made["key"]
        by_key = partial(asked_beta, {"X-API-KEY": key})
        eventually(by_key, lambda status: status == 200, within_s=within_s)
        with signed_in(alpha, key) as leaving, signed_in(alpha, key) as staying:
            leaver, stayer = session_on_beta(leaving), session_on_beta(staying)
            assert (leaver(), stayer()) == (200, 200)
            with looking_on(beta, leaving) as viewer:
                sign_out(leaving)
                assert seconds_until_cut_off(viewer) < within_s
            assert leaver() == 401
            assert stayer() == 200
            with alpha.client() as admin:
                assert admin.delete(f"/api/v2/keys/{key_id}").status_code == 204
            assert seconds_until_refused(by_key) < within_s
            assert stayer() == 401
            assert staying.get("/api/v2/rules").status_code == 401

    both_end(WITHIN_S)
    # News travel by Redis. Without it the store is looked at twice a second.
    for server in (*stack.redis.servers, *stack.redis.sentinels):
        server.suspend()
    try:
        both_end(UNTOLD_WITHIN_S)
    finally:
        for server in (*stack.redis.servers, *stack.redis.sentinels):
            server.resume()
