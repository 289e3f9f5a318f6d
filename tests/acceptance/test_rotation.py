"""Passwords change under load, at the servers and here; no event is lost, and nothing restarts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from running_daemon import RunningDaemon, eventually
from servers.postgres_server import PostgresServer, needs_postgres, postgres_server
from servers.redis_server import RedisServer, RedisSetup, needs_redis, redis_server

from muttd.queue.redis_keys import acl_rule

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

FIRST, SECOND, THIRD = "first-s3cret", "second-s3cret", "third-s3cret"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    users = [f"mutt on >{FIRST} {acl_rule('mutt')}"]
    with redis_server(RedisSetup(users=users)) as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.make_user("keeper", FIRST)
        server.execute("CREATE DATABASE mutt OWNER keeper")
        yield server


class Sender:
    """Posts events one after the other, and remembers those that were acknowledged."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self._daemon = daemon
        self._is_over = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        number = 0
        with self._daemon.client("ingest") as client:
            while not self._is_over.wait(0.002):
                number += 1
                text = f"event {number}"
                answer = client.post("/ingest", json={"message": text, "hostname": "h"})
                if answer.status_code == 200:
                    self.acknowledged.append(text)

    def stop(self) -> None:
        self._is_over.set()


@contextmanager
def sending(daemon: RunningDaemon) -> Iterator[Sender]:
    sender = Sender(daemon)
    thread = threading.Thread(target=sender.run)
    thread.start()
    try:
        yield sender
    finally:
        sender.stop()
        thread.join()


def is_ready(daemon: RunningDaemon) -> bool:
    return httpx.get(f"{daemon.url}/readyz", trust_env=False).status_code == 200


def change_redis(redis: RedisServer, password: str) -> None:
    """The old one is no good any more, and whoever is logged in by it is thrown out."""
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "mutt", "resetpass", f">{password}")
        client.execute_command("CLIENT", "KILL", "USER", "mutt")


def change_postgres(postgres: PostgresServer, password: str) -> None:
    postgres.execute(
        f"ALTER ROLE keeper PASSWORD '{password}'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'",
    )


def stored(postgres: PostgresServer) -> list[str]:
    rows = postgres.execute("SELECT message FROM event_history", database="mutt")
    return sorted(str(message) for (message,) in rows)


def test_passwords_in_files_change_under_load_and_no_event_is_lost(
    start_daemon: Callable[..., RunningDaemon],
    tmp_path: Path,
    redis: RedisServer,
    postgres: PostgresServer,
) -> None:
    names = ("redis", "redis_next", "database", "database_next")
    files = {name: tmp_path / name for name in names}
    for path in files.values():
        path.touch(0o600)
        path.write_text(FIRST)
    alpha = start_daemon(
        tmp_path / "alpha",
        MUTTD_REDIS_URL=redis.url(),
        MUTTD_REDIS_USERNAME="mutt",
        MUTTD_REDIS_PASSWORD_FILE=str(files["redis"]),
        MUTTD_REDIS_PASSWORD_NEXT_FILE=str(files["redis_next"]),
        MUTTD_DATABASE_URL=postgres.url("mutt", user="keeper"),
        MUTTD_DATABASE_PASSWORD_FILE=str(files["database"]),
        MUTTD_DATABASE_PASSWORD_NEXT_FILE=str(files["database_next"]),
    )
    eventually(lambda: is_ready(alpha))

    def reload() -> None:
        seen = len(alpha.log)
        alpha.process.send_signal(signal.SIGHUP)
        eventually(lambda: any("reload: " in line for line in alpha.log[seen:]))

    with sending(alpha) as sender:
        eventually(lambda: len(sender.acknowledged) > 50)
        # Announced before the servers change: nobody notices anything.
        files["redis_next"].write_text(SECOND)
        files["database_next"].write_text(SECOND)
        reload()
        change_redis(redis, SECOND)
        change_postgres(postgres, SECOND)
        eventually(lambda: stored(postgres)[-1:] and is_ready(alpha))
        assert not alpha.get("/api/v2/status")["spool"]["error"]
        # Not announced: events wait until the daemon is told.
        change_redis(redis, THIRD)
        change_postgres(postgres, THIRD)
        eventually(lambda: alpha.get("/api/v2/status")["spool"]["events"])
        assert not is_ready(alpha)
        files["redis"].write_text(THIRD)
        files["database"].write_text(THIRD)
        reload()
        eventually(lambda: is_ready(alpha))
        seen = len(sender.acknowledged)
        eventually(lambda: len(sender.acknowledged) > seen + 50)
    eventually(lambda: alpha.get("/api/v2/status")["spool"]["events"] == 0)
    alpha.wait_idle()
    assert stored(postgres) == sorted(sender.acknowledged)
    assert alpha.get("/api/v2/status")["pipeline"]["buried"] == 0
    shown = "\n".join(alpha.log)
    assert not [secret for secret in (FIRST, SECOND, THIRD) if secret in shown]
