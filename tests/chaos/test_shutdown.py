"""SIGTERM with peers that stall: a clean exit all the same, within the drain time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually, resident_octets

pytestmark = pytest.mark.chaos

MEBIBYTE = 1 << 20


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(sockets: ExitStack, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    sockets.callback(sock.close)
    return sock


def test_stalled_peers_do_not_hold_up_a_clean_exit(
    start_daemon: Callable[..., RunningDaemon], sockets: ExitStack
) -> None:
    daemon = start_daemon()
    many = [{"message": "x" * 2000, "hostname": "h"} for _ in range(400)]
    daemon.post("/ingest", many)
    daemon.wait_idle()
    key = daemon.key().encode()
    download = connect(sockets, daemon.ports["http"])
    for _ in range(20):
        download.sendall(
            b"GET /api/v2/events?limit=200 HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + key + b"\r\n\r\n"
        )
    viewer = connect(sockets, daemon.ports["http"])
    viewer.sendall(
        b"GET /api/v2/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"X-API-KEY: " + key + b"\r\n\r\n"
    )
    assert viewer.recv(12) == b"HTTP/1.1 101"
    for _ in range(5):
        daemon.post("/ingest", many)
    idle = connect(sockets, daemon.ports["syslog_tcp"])
    idle.sendall(b"<13>half a mess")
    eventually(lambda: daemon.listener("syslog_tcp")["connections"], lambda n: n == 1)
    assert daemon.terminate(within_s=30) == 0
    assert not any("Traceback" in line for line in daemon.log), daemon.log


def test_what_was_received_before_sigterm_is_stored_after_it(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = start_daemon()
    for n in range(2000):
        daemon.send_udp(b"<13>Oct 11 22:14:15 h app: %d" % n)
    assert daemon.terminate() == 0
    again = start_daemon()
    again.wait_idle()
    assert again.get("/api/v2/events", limit=1)["pagination"]["total"] == 2000


def test_a_body_of_300_megabytes_is_413_and_memory_stays_flat(
    start_daemon: Callable[..., RunningDaemon], sockets: ExitStack
) -> None:
    daemon = start_daemon()
    before = resident_octets(daemon.process.pid)
    for head in (b"Content-Length: 314572800\r\n", b"Transfer-Encoding: chunked\r\n"):
        sock = connect(sockets, daemon.ports["http"])
        sock.sendall(
            b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-KEY: "
            + daemon.key("ingest").encode()
            + b"\r\n"
            + head
            + b"\r\n"
        )
        chunk = b"x" * MEBIBYTE
        framed = b"%x\r\n%s\r\n" % (len(chunk), chunk) if b"chunked" in head else chunk
        try:
            for _ in range(300):
                sock.sendall(framed)
        except (BrokenPipeError, ConnectionResetError):
            # It did not wait for the rest: that is the point.
            pass
        assert read_status(sock) in (b"413", b"")
    assert resident_octets(daemon.process.pid) - before < 50 * MEBIBYTE
    assert daemon.get("/healthz")


def read_status(sock: socket.socket) -> bytes:
    """The status of an answer, or nothing when the reset overtook it."""
    try:
        return sock.recv(12)[9:12]
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "setting", ["MUTTD_SYSLOG_UDP", "MUTTD_SYSLOG_TCP", "MUTTD_SNMP_UDP", "MUTTD_HTTP"]
)
def test_a_port_in_use_is_exit_78_and_says_which_and_what_to_do(
    start_daemon: Callable[..., RunningDaemon],
    launch_daemon: Callable[..., RunningDaemon],
    tmp_path: Path,
    setting: str,
) -> None:
    first = start_daemon()
    name = {
        "MUTTD_SYSLOG_UDP": "syslog_udp",
        "MUTTD_SYSLOG_TCP": "syslog_tcp",
        "MUTTD_SNMP_UDP": "snmp",
    }.get(setting, "http")
    second = launch_daemon(tmp_path / "other", **{setting: f"[::]:{first.ports[name]}"})
    assert second.wait_exit() == 78
    said = "\n".join(second.log)
    assert setting in said
    assert str(first.ports[name]) in said
    assert "Traceback" not in said


def test_a_second_daemon_on_one_state_directory_is_refused(
    start_daemon: Callable[..., RunningDaemon], launch_daemon: Callable[..., RunningDaemon]
) -> None:
    first = start_daemon()
    second = launch_daemon(first.state_dir)
    assert second.wait_exit() == 78
    assert "Traceback" not in "\n".join(second.log)
