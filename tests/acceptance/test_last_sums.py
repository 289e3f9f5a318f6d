"""The sums at the end of the log of a daemon that was stopped under load are those of the store."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from background import running
from running_daemon import RunningDaemon, a_rule, eventually
from servers.postgres_server import database, needs_postgres, shared_postgres
from servers.redis_server import needs_redis, redis_server

pytestmark = pytest.mark.acceptance

_SUMS = re.compile(
    r"(\w+): received (\d+), queued (\d+), refused (\d+), dropped (\d+), dropped by the kernel \d+$"
)
# Every other one is matched by a_rule().
_MESSAGES = b"<13>1 - sw1 app - - - LINK-3-UPDOWN\n", b"<13>1 - sw1 app - - - nothing\n"


@contextmanager
def load(daemon: RunningDaemon) -> Iterator[None]:
    """Both syslog transports, some thousands a second, until it is over, whatever comes back."""

    def send(ended: threading.Event) -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.create_connection(("127.0.0.1", daemon.ports["syslog_tcp"])) as stream,
        ):
            datagrams.connect(("127.0.0.1", daemon.ports["syslog_udp"]))
            while not ended.wait(0.01):
                # It refuses both once it is gone.
                with suppress(ConnectionError):
                    stream.sendall(b"".join(_MESSAGES) * 10)
                with suppress(ConnectionError):
                    for octets in _MESSAGES * 10:
                        datagrams.send(octets)

    with running(send):
        yield


def last_sums(daemon: RunningDaemon) -> dict[str, tuple[int, int, int, int]]:
    """Received, queued, refused and dropped, by listener."""
    found = filter(None, map(_SUMS.search, daemon.log))
    return {each[1]: (int(each[2]), int(each[3]), int(each[4]), int(each[5])) for each in found}


@pytest.fixture(
    params=["embedded", pytest.param("clustered", marks=[needs_redis, needs_postgres])],
)
def backends(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "embedded":
        yield {}
        return
    with redis_server() as redis, database(shared_postgres()) as url:
        yield {"MUTTD_REDIS_URL": redis.url(), "MUTTD_DATABASE_URL": url}


def test_the_last_sums_of_a_stop_under_load_are_those_of_the_store(
    start_daemon: Callable[..., RunningDaemon], backends: dict[str, str]
) -> None:
    daemon = start_daemon(**backends)
    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    with load(daemon):
        eventually(lambda: daemon.listener("syslog_tcp")["queued"], lambda queued: queued > 1000)
        assert daemon.terminate() == 0
    sums = last_sums(daemon)
    assert set(sums) == {"syslog_udp", "syslog_tcp"}
    for received, queued, refused, dropped in sums.values():
        assert received == queued + refused + dropped
        assert queued
    # What was left pending is the next one's; a dead letter would be one event less in the store.
    after = start_daemon(**backends)
    after.wait_idle()
    stored = after.get("/api/v2/events", limit=1)["pagination"]["total"]
    audited = after.get("/api/v2/audit-logs", limit=1)["pagination"]["total"]
    assert stored == sum(queued for _, queued, _, _ in sums.values())
    assert 0 < audited < stored
