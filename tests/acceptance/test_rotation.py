"""Passwords change under load, at the servers and here; no event is lost, and nothing restarts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from running_daemon import RunningDaemon, eventually
from servers.certificates import make_certificates
from servers.postgres_server import PostgresServer, needs_postgres, postgres_server
from servers.redis_server import RedisServer, RedisSetup, needs_redis, redis_server
from servers.vault_server import VaultServer, vault_environ, vault_server

from muttd.queue.redis_keys import acl_rule

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

FIRST, SECOND, THIRD = "first-s3cret", "second-s3cret", "third-s3cret"
REDIS, DATABASE = "MUTTD_REDIS_PASSWORD", "MUTTD_DATABASE_PASSWORD"
REDIS_NEXT, DATABASE_NEXT = f"{REDIS}_NEXT", f"{DATABASE}_NEXT"
PASSWORDS = (REDIS, REDIS_NEXT, DATABASE, DATABASE_NEXT)


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


class InFiles:
    """Passwords in files of mode 600."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.environ = {}
        for name in PASSWORDS:
            (directory / name).touch(0o600)
            self.environ[f"{name}_FILE"] = str(directory / name)
        self.put(dict.fromkeys(PASSWORDS, FIRST))

    def put(self, passwords: Mapping[str, str]) -> None:
        for name, password in passwords.items():
            (self._directory / name).write_text(password)

    def tell(self, daemon: RunningDaemon, passwords: Mapping[str, str]) -> None:
        """Change them, and wait until the daemon has them."""
        self.put(passwords)
        seen = len(daemon.log)
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: any("reload: " in line for line in daemon.log[seen:]))


class InVault:
    """Passwords in Vault."""

    def __init__(self, vault: VaultServer, directory: Path) -> None:
        self._vault = vault
        self._held = dict.fromkeys(PASSWORDS, FIRST)
        vault.put(self._held)
        self.environ = vault_environ(vault, directory)

    def tell(self, daemon: RunningDaemon, passwords: Mapping[str, str]) -> None:
        """Change them, and wait until the daemon has them."""
        self._held = {**self._held, **passwords}
        self._vault.put(self._held)
        seen = len(daemon.log)
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: any("read from Vault" in line for line in daemon.log[seen:]))


Place = InFiles | InVault


@pytest.fixture(params=["files", "vault"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "files":
        yield InFiles(tmp_path)
        return
    (tmp_path / "tls").mkdir()
    with vault_server(make_certificates(tmp_path / "tls")) as vault:
        yield InVault(vault, tmp_path)


def test_passwords_change_under_load_and_no_event_is_lost(
    start_daemon: Callable[..., RunningDaemon],
    tmp_path: Path,
    redis: RedisServer,
    postgres: PostgresServer,
    place: Place,
) -> None:
    alpha = start_daemon(
        tmp_path / "alpha",
        MUTTD_REDIS_URL=redis.url(),
        MUTTD_REDIS_USERNAME="mutt",
        MUTTD_DATABASE_URL=postgres.url("mutt", user="keeper"),
        **place.environ,
    )
    eventually(lambda: is_ready(alpha))

    with sending(alpha) as sender:
        eventually(lambda: len(sender.acknowledged) > 50)
        # Announced before the servers change: nobody notices anything.
        place.tell(alpha, {REDIS_NEXT: SECOND, DATABASE_NEXT: SECOND})
        change_redis(redis, SECOND)
        change_postgres(postgres, SECOND)
        eventually(lambda: stored(postgres)[-1:] and is_ready(alpha))
        assert not alpha.get("/api/v2/status")["spool"]["error"]
        # Not announced: events wait until the daemon is told.
        change_redis(redis, THIRD)
        change_postgres(postgres, THIRD)
        eventually(lambda: alpha.get("/api/v2/status")["spool"]["events"])
        assert not is_ready(alpha)
        place.tell(alpha, {REDIS: THIRD, DATABASE: THIRD})
        eventually(lambda: is_ready(alpha))
        seen = len(sender.acknowledged)
        eventually(lambda: len(sender.acknowledged) > seen + 50)
    eventually(lambda: alpha.get("/api/v2/status")["spool"]["events"] == 0)
    alpha.wait_idle()
    assert stored(postgres) == sorted(sender.acknowledged)
    assert alpha.get("/api/v2/status")["pipeline"]["buried"] == 0
    shown = "\n".join(alpha.log)
    assert not [secret for secret in (FIRST, SECOND, THIRD) if secret in shown]
