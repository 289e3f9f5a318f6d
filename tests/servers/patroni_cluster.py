"""PostgreSQL kept by Patroni: three nodes, three etcd; real ones, of our own, gone afterwards.

    with patroni_cluster() as cluster:
        cluster.url("muttd", "mutt")      postgresql://muttd@127.0.0.1:A,127.0.0.1:B,.../mutt
        cluster.leader()                  the node that takes writes
        cluster.leader().kill()           SIGKILL to Patroni and to its PostgreSQL at once

Everything here blocks, for seconds: a leader is elected, replicas are copied.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psycopg
import yaml
from running_daemon import eventually

from servers.postgres_server import find_postgres, free_port

HOST = "127.0.0.1"
SCOPE = "mutt"
SUPERUSER, SUPERUSER_PASSWORD = "postgres", "super-secret"
# How long a leader may be silent. Patroni's default is 30; the guide says what it costs.
TTL_S = 20
_START_DEADLINE_S = 90.0


def missing_programs() -> list[str]:
    """Debian packages that are not installed."""
    needs = {"etcd": "etcd-server", "patroni": "patroni"}
    missing = [package for program, package in needs.items() if shutil.which(program) is None]
    return missing if find_postgres() else [*missing, "postgresql-15"]


class _Process:
    """A program with a log of its own."""

    def __init__(self, directory: Path, name: str, command: Sequence[str]) -> None:
        self.log_path = directory / f"{name}.log"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*_ordinary_user(), *command],
                cwd=directory,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(directory)},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.wait()


@dataclass
class PatroniNode:
    """One PostgreSQL and the Patroni that keeps it.

    Attributes:
        port: Of PostgreSQL.
        api_port: Of Patroni's REST API.
    """

    name: str
    directory: Path
    port: int
    api_port: int
    process: _Process | None = None

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL."""
        command = ["patroni", str(self.directory / "patroni.yml")]
        self.process = _Process(self.directory, "patroni", command)

    def state(self) -> str:
        """What Patroni says it is: "master", "replica", or "" while it says nothing."""
        with suppress(httpx.HTTPError, KeyError):
            found = httpx.get(f"http://{HOST}:{self.api_port}/patroni", timeout=2, trust_env=False)
            document = found.json()
            return str(document["role"]) if document["state"] == "running" else ""
        return ""

    def kill(self) -> None:
        """SIGKILL to Patroni, then to every process of PostgreSQL: a host that is gone."""
        if self.process is None:
            return
        self.process.kill()
        pid_file = self.directory / "data" / "postmaster.pid"
        if pid_file.exists():
            postmaster = int(pid_file.read_text().split()[0])
            for pid in (postmaster, *_children(postmaster)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process = None

    def log(self) -> str:
        """What Patroni and PostgreSQL said."""
        path = self.directory / "patroni.log"
        return path.read_text(errors="replace") if path.exists() else ""


@dataclass(frozen=True)
class PatroniCluster:
    """Nodes that agree on a leader through etcd."""

    nodes: list[PatroniNode]

    def url(self, user: str, database: str) -> str:
        """The connection URI of all nodes."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"postgresql://{user}@{hosts}/{database}"

    def leader(self) -> PatroniNode | None:
        """The node that says it leads."""
        return next((node for node in self.nodes if node.state() in ("master", "primary")), None)

    def wait_whole(self) -> None:
        """Wait for a leader that every other node follows, one of them synchronously."""
        eventually(self.leader, within_s=_START_DEADLINE_S)
        eventually(self._followers, lambda states: len(states) == 2, within_s=_START_DEADLINE_S)
        eventually(self._followers, lambda states: "sync" in states, within_s=_START_DEADLINE_S)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement on the leader, in a transaction of its own."""
        leader = self.leader()
        assert leader is not None
        with psycopg.connect(
            host=HOST,
            port=leader.port,
            user=SUPERUSER,
            password=SUPERUSER_PASSWORD,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _followers(self) -> list[str]:
        with suppress(psycopg.Error):
            rows = self.execute(
                "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
            )
            return [str(state) for (state,) in rows]
        return []


def _ordinary_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _start_etcd(directory: Path, stack: ExitStack) -> list[str]:
    """Three etcd that form one cluster; where clients find them."""
    names = [f"etcd{number}" for number in range(3)]
    peers = {name: f"http://{HOST}:{free_port()}" for name in names}
    clients = {name: f"http://{HOST}:{free_port()}" for name in names}
    for name in names:
        command = [
            *("etcd", "--name", name, "--data-dir", str(directory / name), "--log-level", "error"),
            *("--listen-peer-urls", peers[name], "--initial-advertise-peer-urls", peers[name]),
            *("--listen-client-urls", clients[name], "--advertise-client-urls", clients[name]),
            *("--initial-cluster", ",".join(f"{each}={url}" for each, url in peers.items())),
            # Nothing here outlives a power cut.
            "--unsafe-no-fsync",
        ]
        stack.callback(_Process(directory, name, command).kill)
    for url in clients.values():
        eventually(partial(_is_healthy, url), within_s=_START_DEADLINE_S)
    return [url.removeprefix("http://") for url in clients.values()]


def _is_healthy(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200
    return False


def _config(node: PatroniNode, etcd: Sequence[str]) -> dict[str, object]:
    """patroni.yml; docs/ha.md shows the parts that matter."""
    user = {"username": SUPERUSER, "password": SUPERUSER_PASSWORD}
    api = f"{HOST}:{node.api_port}"
    server = f"{HOST}:{node.port}"
    return {
        "scope": SCOPE,
        "name": node.name,
        "restapi": {"listen": api, "connect_address": api},
        "etcd3": {"hosts": list(etcd)},
        "bootstrap": {
            "dcs": {
                "ttl": TTL_S,
                "loop_wait": 5,
                "retry_timeout": 5,
                "maximum_lag_on_failover": 1_048_576,
                "synchronous_mode": True,
                "postgresql": {
                    "use_pg_rewind": True,
                    "parameters": {"shared_buffers": "64MB", "max_connections": 60, "fsync": "off"},
                },
            },
            "initdb": [{"encoding": "UTF8"}, "data-checksums"],
        },
        "postgresql": {
            "listen": server,
            "connect_address": server,
            "data_dir": str(node.directory / "data"),
            "bin_dir": str(find_postgres()),
            "authentication": {"superuser": user, "replication": user, "rewind": user},
            "parameters": {"unix_socket_directories": str(node.directory)},
            "pg_hba": [
                f"host all all {HOST}/32 scram-sha-256",
                f"host replication all {HOST}/32 scram-sha-256",
            ],
        },
    }


@contextmanager
def patroni_cluster() -> Iterator[PatroniCluster]:
    """Start three etcd and three nodes; returns with a leader and two that follow."""
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="muttd-patroni-"))
        _give_away(Path(name))
        etcd = _start_etcd(Path(name), stack)
        nodes = []
        for number in range(3):
            directory = Path(name) / f"node{number}"
            directory.mkdir()
            node = PatroniNode(f"node{number}", directory, free_port(), free_port())
            (directory / "patroni.yml").write_text(yaml.safe_dump(_config(node, etcd)))
            _give_away(directory)
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        cluster = PatroniCluster(nodes)
        cluster.wait_whole()
        yield cluster


def _give_away(directory: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
