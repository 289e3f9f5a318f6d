"""One connection to one Redis server, opened, checked, used by one thread at a time, thrown away.

    connect --AUTH, each password in turn--> INFO: version, role --> commands --> retire

A session connects once. redis-py would reconnect by itself, to a server that may be a replica by
now; here a connection that is gone stays gone, and the link opens another, after asking who is
primary. retire() may be called from any thread: whoever waits for the server is freed at once,
and nothing is sent any more. That is what keeps an abandoned thread from doing work. The socket
itself is closed by the thread that uses it: OpenSSL reads from a number, and a number that is free
again is the next peer's.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from muttd.queue.redis_errors import DENIED, code_of
from muttd.queue.redis_options import RedisLogin, RedisOptions, Server, show_server

# XAUTOCLAIM that drops deleted entries, lag, scripts with effects: 7.0.
MIN_MAJOR_VERSION = 7


class OnceConnection(redis.Connection):
    """A connection that connects once, and not at all after retire()."""

    _has_connected = False
    _is_up = False
    _is_retired = False
    _is_in_use = False

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # redis-py's
        self._use_lock = threading.Lock()

    def begin_use(self) -> None:
        """A thread works with it from now on."""
        self._is_in_use = True

    def end_use(self) -> None:
        """It no longer does; closes what was retired meanwhile."""
        with self._use_lock:
            self._is_in_use = False
            is_over = self._is_retired
        if is_over:
            self.disconnect()

    def retire(self) -> None:
        """Close it for good, from any thread; whoever waits for the server is freed at once."""
        with self._use_lock:
            self._is_retired = True
            sock = self._sock if self._is_in_use else None
            is_free = not self._is_in_use
        if is_free:
            self.disconnect()
        elif sock is not None:
            with contextlib.suppress(OSError):
                # The plain one: TLS must not be taken from under a thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Connect, the first time; later do nothing or say that it is closed."""
        if self._is_up:
            return
        self._check(self._has_connected)
        self._has_connected = True
        super().connect_check_health(check_health, retry_socket_connect)
        self._is_up = True

    def disconnect(self, *args: object, **kwargs: object) -> None:
        """Close the socket."""
        self._is_up = False
        super().disconnect(*args, **kwargs)  # type: ignore[no-untyped-call]  # redis-py's

    def send_packed_command(self, command: object, check_health: bool = True) -> None:
        """Send, unless it was retired meanwhile."""
        self._check(self._is_retired)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]  # too

    def _check(self, is_over: bool) -> None:
        if is_over or self._is_retired:
            raise redis.ConnectionError(f"{self.host}:{self.port}: the connection is closed")


class OnceTlsConnection(OnceConnection, redis.SSLConnection):
    """The same over TLS."""


class _PoolOfOne(redis.ConnectionPool):
    """What redis-py's clients, pipelines and subscriptions want a connection from."""

    def __init__(self, connection: OnceConnection) -> None:
        super().__init__(connection_class=type(connection), protocol=2)
        self._connection = connection

    def get_connection(
        self, command_name: object = None, *keys: object, **options: object
    ) -> OnceConnection:
        return self._connection

    def release(self, connection: object) -> None:
        pass


@dataclass(slots=True)
class Session:
    """A connection that has passed every check.

    Attributes:
        client: redis-py's client on this one connection.
        server: Where it leads.
        run_id: Of the server process; changes when it restarts.
        generation: Of the link, when it was opened.
    """

    connection: OnceConnection
    client: redis.Redis
    server: Server
    run_id: str = ""
    generation: int = 0

    def is_fresh(self) -> bool:
        """Whether an idle connection still stands, and nothing is left to read."""
        try:
            return not self.connection.can_read()
        except redis.RedisError:
            return False

    def retire(self) -> None:
        """Close it for good, from any thread."""
        self.connection.retire()


class Attempt:
    """What a thread is busy with, so that another one can end it."""

    def __init__(self, budget_s: float) -> None:
        self._ends_at = time.monotonic() + budget_s
        # What was left may be another thread's already: it must not be retired for us.
        self._lock = threading.Lock()
        self._connection: OnceConnection | None = None
        self._is_ended = False

    @property
    def left_s(self) -> float:
        """Seconds that are left; at least a little, because a socket wants a timeout above 0."""
        return max(0.05, self._ends_at - time.monotonic())

    def use(self, connection: OnceConnection) -> None:
        """Say which connection is worked with from now on. In the thread."""
        self.leave()
        connection.begin_use()
        with self._lock:
            self._connection = connection
            if self._is_ended:
                connection.retire()

    def leave(self) -> None:
        """Say that none is worked with any more. In the thread."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.end_use()

    def end(self) -> None:
        """Free the thread: its connection is over, and it cannot open another."""
        with self._lock:
            self._is_ended = True
            if self._connection is not None:
                self._connection.retire()


class SessionFactory:
    """Opens sessions. Remembers which password was right, so that the next one tries it first."""

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        self._right: dict[RedisLogin, str] = {}

    def use_logins(self, login: RedisLogin, sentinel_login: RedisLogin) -> None:
        """Log in as these from the next session on. From any thread."""
        self._options = replace(self._options, login=login, sentinel_login=sentinel_login)
        self._right = {}

    def open_primary(self, server: Server, attempt: Attempt) -> Session:
        """Connect to Redis and see that it is a primary of a version that will do.

        Raises:
            redis.RedisError: It is not, or cannot be reached.
        """
        options = self._options
        session = self._open(server, options.login, attempt, timeout_s=None)
        try:
            info = session.client.info("server")
            _check_version(server, str(info.get("redis_version", "")))
            session.run_id = str(info.get("run_id", ""))
            if session.client.info("replication").get("role") != "master":
                raise redis.ConnectionError(f"{show_server(server)} is a replica")
        except BaseException:
            session.retire()
            raise
        return session

    def open_sentinel(self, server: Server, attempt: Attempt, *, timeout_s: float) -> Session:
        """Connect to a sentinel; every answer must come within timeout_s."""
        return self._open(server, self._options.sentinel_login, attempt, timeout_s=timeout_s)

    def _open(
        self, server: Server, login: RedisLogin, attempt: Attempt, *, timeout_s: float | None
    ) -> Session:
        passwords = sorted(login.passwords, key=lambda each: each != self._right.get(login))
        for last, password in enumerate(passwords or [None], 1 - len(passwords or [None])):
            kwargs = self._connection_kwargs(server, attempt, timeout_s)
            kwargs |= {"username": login.username, "password": password}
            if timeout_s is None:
                kwargs["db"] = self._options.db
            kind = OnceTlsConnection if self._options.is_tls else OnceConnection
            connection = kind(**kwargs)
            attempt.use(connection)
            try:
                connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
            except (redis.AuthenticationError, redis.ResponseError) as exc:
                if code_of(exc) not in DENIED or not last:
                    raise
                continue
            if password is not None:
                self._right[login] = password
            return Session(connection, redis.Redis(connection_pool=_PoolOfOne(connection)), server)
        raise AssertionError("the loop returns or raises")

    def _connection_kwargs(
        self, server: Server, attempt: Attempt, timeout_s: float | None
    ) -> dict[str, Any]:  # Any: redis-py's keyword arguments
        options = self._options
        host, port = server
        # The deadline of a call is kept by whoever waits for its thread. This is the net below:
        # how long the thread itself can stand in one system call, even while TLS shakes hands.
        longest_s = timeout_s or options.timeout_s + options.wait_s
        kwargs: dict[str, Any] = {
            "host": host,
            "port": port,
            "socket_timeout": longest_s,
            "socket_connect_timeout": min(attempt.left_s, timeout_s or options.timeout_s),
            # Its own retries kept one call waiting for 58 s; we repeat, where it is safe.
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
        }
        if options.is_tls:
            kwargs |= {
                "ssl_ca_certs": options.tls.ca and str(options.tls.ca),
                "ssl_certfile": options.tls.cert and str(options.tls.cert),
                "ssl_keyfile": options.tls.key and str(options.tls.key),
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
            }
        return kwargs


def _check_version(server: Server, version: str) -> None:
    major, _, _ = version.partition(".")
    if not major.isdecimal() or int(major) < MIN_MAJOR_VERSION:
        raise redis.ConnectionError(
            f"{show_server(server)} is Redis {version or 'of unknown version'};"
            f" {MIN_MAJOR_VERSION}.0 or newer is needed"
        )
