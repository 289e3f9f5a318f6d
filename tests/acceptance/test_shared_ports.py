"""Several daemons on one host that share its ports (SO_REUSEPORT), as muttd@.service runs them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from running_daemon import RunningDaemon, eventually
from servers.postgres_server import database, needs_postgres, shared_postgres
from servers.redis_server import RedisServer, needs_redis, redis_server

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

SHARED = {"syslog_udp": "MUTTD_SYSLOG_UDP", "syslog_tcp": "MUTTD_SYSLOG_TCP"}
# The kernel chooses by both ports and addresses: among so many it never chooses the same always.
SENDERS = 100


class Host:
    """A host on which daemons share the syslog ports; HTTP is each one's own."""

    def __init__(self, start: Callable[..., RunningDaemon], environ: dict[str, str]) -> None:
        self._start = start
        self._environ = environ
        self._by_name: dict[str, RunningDaemon] = {}

    def start(self, name: str) -> RunningDaemon:
        """Start one more, on the ports of the first."""
        first = next(iter(self._by_name.values()), None)
        ports = {each: first.ports[each] if first else 0 for each in SHARED}
        daemon = self._start(
            name,
            MUTTD_DAEMON_NAME=name,
            MUTTD_REUSE_PORT="true",
            **{setting: f"[::]:{ports[each]}" for each, setting in SHARED.items()},
            **self._environ,
        )
        self._by_name[name] = daemon
        return daemon


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def cluster(redis: RedisServer) -> Iterator[dict[str, str]]:
    with database(shared_postgres()) as url:
        yield {"MUTTD_REDIS_URL": redis.url(), "MUTTD_DATABASE_URL": url}


@pytest.fixture
def host(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path, cluster: dict[str, str]
) -> Host:
    return Host(lambda name, **environ: start_daemon(tmp_path / name, **environ), cluster)


def syslog(number: int) -> bytes:
    return b"<13>1 - host app - - - number %d" % number


def send_datagrams(port: int, numbers: range) -> None:
    """From a source port of its own each."""
    for number in numbers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(syslog(number), ("127.0.0.1", port))


def send_stream(port: int, numbers: range) -> None:
    """Over one connection."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"".join(syslog(number) + b"\n" for number in numbers))


def stored(daemon: RunningDaemon) -> Counter[str]:
    return Counter(each["message"] for each in daemon.all_events())


def expected(count: int) -> Counter[str]:
    return Counter(f"number {number}" for number in range(count))


def count_stored(daemon: RunningDaemon) -> int:
    total: int = daemon.get("/api/v2/events", limit=1)["pagination"]["total"]
    return total


def is_balanced(row: dict[str, Any]) -> bool:
    return bool(row["received"] == row["queued"] + row["refused"] + row["dropped"])


def test_two_daemons_share_a_port_and_every_event_is_stored_once(host: Host) -> None:
    alpha, beta = host.start("alpha"), host.start("beta")
    udp, tcp = alpha.ports["syslog_udp"], alpha.ports["syslog_tcp"]
    assert (beta.ports["syslog_udp"], beta.ports["syslog_tcp"]) == (udp, tcp)
    for sender in range(SENDERS):
        send_datagrams(udp, range(sender * 20, sender * 20 + 10))
        send_stream(tcp, range(sender * 20 + 10, sender * 20 + 20))
    sent = SENDERS * 20
    logger = shutil.which("logger")
    for number in range(sent, sent + 10):
        # One process, one source port.
        command = [logger or "logger", "--udp", "--rfc5424", "--server", "127.0.0.1"]
        subprocess.run([*command, "--port", str(udp), f"number {number}"], check=True)
    assert eventually(lambda: count_stored(beta), lambda n: n >= sent + 10) == sent + 10
    assert stored(alpha) == expected(sent + 10)
    rows = {
        name: [daemon.listener(name) for daemon in (alpha, beta)]
        for name in ("syslog_udp", "syslog_tcp")
    }
    for name, own in {"syslog_udp": SENDERS * 10 + 10, "syslog_tcp": SENDERS * 10}.items():
        assert all(is_balanced(row) and row["received"] for row in rows[name]), rows
        assert sum(row["queued"] for row in rows[name]) == own
    # Each looks for its own socket among those of the port.
    assert [row["kernel_dropped"] for row in rows["syslog_udp"]] == [0, 0]


class Load:
    """Datagrams and short connections from a thread, a source port each, until told to stop."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self.sent = 0
        self._ports = daemon.ports["syslog_udp"], daemon.ports["syslog_tcp"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        udp, tcp = self._ports
        # Less than two thousand a second.
        while not self._stop.wait(0.01):
            send_datagrams(udp, range(self.sent, self.sent + 10))
            with ExitStack() as stack:
                connect = partial(socket.create_connection, ("127.0.0.1", tcp))
                at_once = [stack.enter_context(connect()) for _ in range(10)]
                for number, sock in enumerate(at_once, start=self.sent + 10):
                    sock.sendall(syslog(number) + b"\n")
            self.sent += 20

    def wait_sent(self, count: int) -> None:
        """Wait until so many more are sent."""
        enough = self.sent + count
        eventually(lambda: self.sent >= enough)

    def stop(self) -> int:
        """Stop; how many were sent."""
        self._stop.set()
        self._thread.join()
        return self.sent


def test_one_that_stops_takes_what_it_was_given_and_the_others_get_the_rest(host: Host) -> None:
    alpha, beta = host.start("alpha"), host.start("beta")
    load = Load(alpha)
    try:
        for name in ("gamma", "delta"):
            load.wait_sent(2000)
            assert alpha.terminate() == 0
            alpha = host.start(name)
        load.wait_sent(2000)
    finally:
        sent = load.stop()
    eventually(lambda: count_stored(beta), lambda n: n >= sent)
    assert stored(beta) == expected(sent)


def test_a_port_that_is_not_shared_is_refused_and_both_cures_are_named(
    start_daemon: Callable[..., RunningDaemon],
    launch_daemon: Callable[..., RunningDaemon],
    tmp_path: Path,
    cluster: dict[str, str],
) -> None:
    alone = start_daemon(tmp_path / "alone", **cluster)
    cures = {"true": "MUTTD_REUSE_PORT=true", "false": "another program has it"}
    for reuse_port, cure in cures.items():
        port = f"[::]:{alone.ports['syslog_udp']}"
        environ = {**cluster, "MUTTD_REUSE_PORT": reuse_port, "MUTTD_SYSLOG_UDP": port}
        second = launch_daemon(tmp_path / f"second-{reuse_port}", **environ)
        assert second.wait_exit() == 78
        [said] = [line for line in second.log if f"cannot bind {port}" in line]
        assert cure in said


def test_a_daemon_with_books_of_its_own_shares_no_port(
    launch_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = launch_daemon(MUTTD_REUSE_PORT="true")
    assert daemon.wait_exit() == 78
    assert any("MUTTD_REUSE_PORT: needs MUTTD_REDIS_URL" in line for line in daemon.log)
