"""Real Redis servers and replicas of our own; gone afterwards.

    with redis_server() as server:                  one, in the clear, without users
        server.url()                                redis://127.0.0.1:PORT
        server.client()                             redis-py, as administrator
        server.kill()  server.start()               SIGKILL; the same data and port again
        server.suspend()  server.resume()           SIGSTOP: it hangs, its sockets stay open

With users the user "default" is off, and an administrator with ADMIN_PASSWORD is there besides.
Everything here blocks: call it in a thread where a nursery runs beside it.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from running_daemon import eventually

from servers.certificates import Certificates

HOST = "127.0.0.1"
ADMIN, ADMIN_PASSWORD = "admin", "adminpass"
_PORT_ATTEMPTS = 5
_START_DEADLINE_S = 60.0

# No snapshots: a test kills it at any time, and fork() beside other tests costs memory.
SETTINGS = {
    "save": '""',
    "appendonly": "no",
    "repl-diskless-sync-delay": "0",
    "repl-timeout": "10",
    "repl-ping-replica-period": "1",
    "maxclients": "500",
}


def _must_run() -> bool:
    return os.environ.get("CI") == "true" or "redis" in os.environ.get("MUTTD_TEST_REQUIRE", "")


# On a laptop without Redis its tests are skipped; where everything must run they fail.
needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None and not _must_run(),
    reason="Redis is not installed (Debian: apt-get install redis-server redis-sentinel)",
)


@dataclass(frozen=True, slots=True)
class RedisSetup:
    """How servers are set up.

    Attributes:
        tls: TLS only, with these; a client certificate is asked for when wants_client_cert.
        users: ACL lines after "user ", as "mutt on >secret ~{mutt}:* +@all".
        default_user: What the user "default" may do, once there are users.
        sentinel_users: The same for sentinels; without any they have those of Redis.
        settings: Lines of redis.conf besides SETTINGS, of Redis itself.
    """

    tls: Certificates | None = None
    wants_client_cert: bool = True
    users: Sequence[str] = ()
    default_user: str = "off ~* &* +@all"
    sentinel_users: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


class RedisProcess:
    """A redis-server process in its own directory.

    Attributes:
        port: On HOST; the same as long as it lives.
        directory: Private.
        setup: How it was set up.
    """

    def __init__(self, directory: Path, setup: RedisSetup) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = 0
        self.setup = setup
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        """redis-py's client, as administrator where there are users."""
        tls = self.setup.tls
        return redis.Redis(
            host=HOST,
            port=self.port,
            username=ADMIN if self.setup.users else None,
            password=ADMIN_PASSWORD if self.setup.users else None,
            ssl=tls is not None,
            ssl_ca_certs=str(tls.ca) if tls else None,
            ssl_certfile=str(tls.client.cert) if tls else None,
            ssl_keyfile=str(tls.client.key) if tls else None,
            socket_timeout=5,
            decode_responses=True,
            protocol=2,
        )

    def start(self) -> None:
        """Start it, on the port it had before, and wait until it answers."""
        for _ in range(_PORT_ATTEMPTS):
            if self._write_config_and_start(self.port or free_port()):
                return
        raise AssertionError(f"does not start: {self.log()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM, as an administrator does it."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            self._process.wait()

    def suspend(self) -> None:
        """SIGSTOP: it hangs; the kernel still takes connections for it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has logged."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def answers(self) -> bool:
        """Whether it answers a PING now."""
        with suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _write_config_and_start(self, port: int) -> bool:
        self.port = port
        path = self.directory / "redis.conf"
        if not path.exists() or f"port {port}\n" not in path.read_text():
            path.write_text("".join(f"{name} {value}\n" for name, value in self._config()))
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", str(path), *self._arguments()],
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        process = self._process
        eventually(lambda: process.poll() is not None or self.answers(), within_s=_START_DEADLINE_S)
        return process.poll() is None

    def _arguments(self) -> list[str]:
        return []

    def _config(self) -> list[tuple[str, str]]:
        config = [
            ("bind", HOST),
            ("dir", str(self.directory)),
            ("daemonize", "no"),
            ("tls-port" if self.setup.tls else "port", str(self.port)),
        ]
        if tls := self.setup.tls:
            config += [
                ("port", "0"),
                ("tls-ca-cert-file", str(tls.ca)),
                ("tls-cert-file", str(tls.server.cert)),
                ("tls-key-file", str(tls.server.key)),
                ("tls-replication", "yes"),
                ("tls-auth-clients", "yes" if self.setup.wants_client_cert else "optional"),
            ]
        if self.setup.users:
            config += [
                ("user", f"default {self.setup.default_user}"),
                ("user", f"{ADMIN} on >{ADMIN_PASSWORD} ~* &* +@all"),
                *(("user", user) for user in self._users()),
            ]
        return config

    def _users(self) -> Sequence[str]:
        return self.setup.users


class RedisServer(RedisProcess):
    """One Redis."""

    def __init__(
        self, directory: Path, setup: RedisSetup, *, replica_of: RedisServer | None = None
    ) -> None:
        super().__init__(directory, setup)
        self._replica_of = replica_of

    def url(self) -> str:
        """For MUTTD_REDIS_URL; user and password go beside it."""
        return f"redis{'s' if self.setup.tls else ''}://{HOST}:{self.port}"

    def role(self) -> str:
        """What it says it is: master or slave."""
        with self.client() as client:
            return str(client.info("replication")["role"])

    def replica_count(self) -> int:
        """How many replicas follow it and are in step."""
        with self.client() as client:
            said = client.info("replication")
        # Offset 0: it has its first copy, and WAIT does not count it yet.
        return sum(
            isinstance(value, dict) and value.get("state") == "online" and value["offset"] > 0
            for value in said.values()
        )

    def _config(self) -> list[tuple[str, str]]:
        config = super()._config()
        if self.setup.users:
            config += [("masteruser", ADMIN), ("masterauth", ADMIN_PASSWORD)]
        if self._replica_of is not None:
            config.append(("replicaof", f"{HOST} {self._replica_of.port}"))
        return [*config, *(SETTINGS | dict(self.setup.settings)).items()]


def free_port() -> int:
    """A TCP port that nobody has now."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running_process(server: RedisProcess) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        # A stopped process does not see SIGTERM; none of them has anything to save.
        server.kill()


@contextmanager
def redis_server(setup: RedisSetup | None = None, *, replicas: int = 0) -> Iterator[RedisServer]:
    """One Redis, with so many replicas in step."""
    setup = setup or RedisSetup()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        primary = RedisServer(directory / "primary", setup)
        stack.enter_context(running_process(primary))
        for _ in range(replicas):
            stack.enter_context(replica_of(primary))
        yield primary


@contextmanager
def replica_of(primary: RedisServer) -> Iterator[RedisServer]:
    """One more replica, in step."""
    with tempfile.TemporaryDirectory() as directory:
        before = primary.replica_count()
        replica = RedisServer(Path(directory) / "replica", primary.setup, replica_of=primary)
        with running_process(replica):
            eventually(primary.replica_count, lambda count: count == before + 1)
            yield replica


@functools.cache
def shared_redis() -> RedisServer:
    """One Redis with users and a replica for all tests of this run; each takes its own prefix."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(redis_server(RedisSetup(users=("nobody off",)), replicas=1))
