"""A real PostgreSQL of our own: private directory, free port, ordinary user; gone afterwards.

    with postgres_server() as primary, standby_of(primary) as standby:
        primary.url("postgres")          postgresql://postgres@127.0.0.1:PORT/postgres
        with database(primary) as url    a database of a user who owns just that
        primary.kill()                   SIGKILL, as a crash
        primary.suspend() / resume()     SIGSTOP of every process: it hangs, its sockets stay open
        standby.promote()

Everything here blocks: call it in a thread where a nursery runs beside it.
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

SUPERUSER = "postgres"
# As whom the daemon comes: he owns his database, and may do nothing else.
DAEMON = "mutt"
# Debian and PGDG keep the server's programs outside the PATH.
_BIN_DIRS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_START_DEADLINE_S = 60.0
_PORT_ATTEMPTS = 5

# A test may stop the server at any time; none survives the machine.
SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "replica",
    "max_wal_senders": "5",
    "wal_sender_timeout": "'5s'",
    "max_connections": "60",
    "shared_buffers": "'64MB'",
    "max_wal_size": "'256MB'",
    "log_min_messages": "warning",
    "log_line_prefix": "'%m %p %u@%d '",
}


def find_postgres() -> Path | None:
    """The directory of initdb and postgres; None when PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    for pattern in _BIN_DIRS:
        found = sorted(Path("/").glob(pattern.removeprefix("/")))
        if found and (found[-1] / "initdb").exists():
            return found[-1]
    return None


def _must_run() -> bool:
    required = os.environ.get("MUTTD_TEST_REQUIRE", "")
    return os.environ.get("CI") == "true" or "postgres" in required


# On a laptop without PostgreSQL its tests are skipped; where everything must run they fail.
needs_postgres = pytest.mark.skipif(
    find_postgres() is None and not _must_run(),
    reason="PostgreSQL is not installed (Debian: apt-get install postgresql-15)",
)


def free_port() -> int:
    """A TCP port that nobody has now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _user() -> str | None:
    # initdb and postgres refuse root.
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise AssertionError("neither postgres nor nobody is a user here")


def _as_user(command: Sequence[str | Path]) -> list[str]:
    words = [str(word) for word in command]
    user = _user()
    if user is None:
        return words
    entry = pwd.getpwnam(user)
    ids = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--", *words]


def _run(command: Sequence[str | Path], directory: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(directory)}
    done = subprocess.run(
        _as_user(command), cwd=directory, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


class PostgresServer:
    """One server. Made by postgres_server() and standby_of().

    Attributes:
        directory: Private; the data is in its directory "data", the log in "log".
        port: On 127.0.0.1.
    """

    def __init__(self, directory: Path) -> None:
        bin_dir = find_postgres()
        assert bin_dir is not None, "PostgreSQL is not installed"
        self._bin = bin_dir
        self.directory = directory
        self.data = directory / "data"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the first process; the others are its children."""
        assert self._process is not None
        return self._process.pid

    def initdb(self) -> None:
        """Make an empty cluster whose only user may do everything, without a password."""
        options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        _run([self._bin / "initdb", "-D", self.data, *options], self.directory)
        self.configure(SETTINGS)
        self.write_hba("host replication all 127.0.0.1/32 trust")

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add settings; they count from the next start."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def write_hba(self, *lines: str) -> None:
        """Put lines before those of pg_hba.conf; they count from the next start or reload."""
        path = self.data / "pg_hba.conf"
        path.write_text("\n".join([*lines, path.read_text()]))

    def start(self) -> None:
        """Start it and wait until it answers. A restart keeps the port."""
        for _ in range(1 if self.port else _PORT_ATTEMPTS):
            port = self.port or free_port()
            if self._start_on(port):
                self.port = port
                return
        raise AssertionError(self.log())

    def _start_on(self, port: int) -> bool:
        where = ["-D", str(self.data), "-p", str(port), "-k", str(self.directory)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                _as_user([self._bin / "postgres", *where]),
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if self._answers(port):
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _answers(self, port: int) -> bool:
        ready = subprocess.run(
            [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
        )
        return ready.returncode == 0

    def url(self, database: str = "postgres", *, user: str = SUPERUSER) -> str:
        """The connection URI of a database here."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements, each in a transaction of its own; the rows of the last."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def make_database(self, name: str, *, template: str = "template1") -> None:
        """Add a database of the daemon's user."""
        [(version,)] = self.execute("SELECT current_setting('server_version_num')::int >= 150000")
        # Twice as fast where it can be chosen; before, there was nothing else.
        strategy = "STRATEGY FILE_COPY" if version else ""
        self.execute(f"CREATE DATABASE {name} OWNER {DAEMON} TEMPLATE {template} {strategy}")

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def make_user(self, name: str, password: str) -> None:
        """Add a user that must give a password (SCRAM)."""
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        self.write_hba(f"host all {name} 127.0.0.1/32 scram-sha-256")
        self.execute("SELECT pg_reload_conf()")

    def log(self) -> str:
        """What the server said so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self.execute("SELECT pg_promote(true)")

    def is_running(self) -> bool:
        """Whether the server's first process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop it in order: its connections are cut, nothing is lost."""
        if self.is_running():
            self._signal(signal.SIGCONT)
            self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to every process: a crash."""
        if self.is_running():
            self._signal(signal.SIGKILL)
            self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """SIGSTOP to every process: it hangs, and its connections with it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to every process."""
        self._signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(_START_DEADLINE_S)
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        # The first process first: a suspended one starts no new children meanwhile.
        for pid in (self._process.pid, *_children(self._process.pid)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in listed.split()]


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for a server; pytest's own may be entered by root alone."""
    with tempfile.TemporaryDirectory(prefix="muttd-postgres-") as name:
        user = _user()
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(name, entry.pw_uid, entry.pw_gid)
        yield Path(name)


@contextmanager
def postgres_server(
    *, settings: Mapping[str, str] | None = None, hba: Sequence[str] = ()
) -> Iterator[PostgresServer]:
    """Start a server with an empty cluster; it and its directory are gone afterwards.

    Args:
        settings: For postgresql.conf, beside SETTINGS.
        hba: Lines for pg_hba.conf, before its own.
    """
    with private_directory() as directory:
        server = PostgresServer(directory)
        server.initdb()
        server.configure(settings or {})
        server.write_hba(*hba)
        server.start()
        try:
            server.execute(f"CREATE ROLE {DAEMON} LOGIN")
            yield server
        finally:
            server.kill()


@functools.cache
def shared_postgres() -> PostgresServer:
    """One server for all tests of this run; each makes its own database."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(postgres_server())


@contextmanager
def database(server: PostgresServer, *, template: str = "template1") -> Iterator[str]:
    """The URL of a new database; it is gone afterwards, unless the server is."""
    name = f"mutt_{uuid4().hex}"
    server.make_database(name, template=template)
    try:
        yield server.url(name, user=DAEMON)
    finally:
        if server.is_running():
            server.drop_database(name)


@contextmanager
def standby_of(
    primary: PostgresServer, *, slot: str = "standby", synchronous: bool = False
) -> Iterator[PostgresServer]:
    """Start a streaming standby of a server.

    Args:
        primary: It gets a replication slot, so that no WAL is missing when the standby is away.
        slot: The slot's name, and the name that the standby gives itself.
        synchronous: The primary acknowledges a commit when the standby has it.
    """
    with private_directory() as directory:
        standby = PostgresServer(directory)
        source = f"host=127.0.0.1 port={primary.port} user={SUPERUSER} application_name={slot}"
        # Without -c fast it waits for the next checkpoint, which may be minutes away.
        options = ["-c", "fast", "-R", "-X", "stream", "-C", "-S", slot]
        program = find_postgres()
        assert program is not None
        _run([program / "pg_basebackup", "-d", source, "-D", standby.data, *options], directory)
        standby.start()
        try:
            if synchronous:
                primary.execute(
                    f"ALTER SYSTEM SET synchronous_standby_names = '{slot}'",
                    "SELECT pg_reload_conf()",
                )
            wait_streaming(primary)
            yield standby
        finally:
            standby.kill()


def wait_streaming(primary: PostgresServer) -> None:
    """Wait until a standby follows."""
    deadline = time.monotonic() + _START_DEADLINE_S
    while not primary.execute("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"):
        assert time.monotonic() < deadline, primary.log()
        time.sleep(0.02)
