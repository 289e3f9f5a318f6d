"""What two daemons lean on, real and as the HA guide sets it up, and the daemons themselves.

Redis        primary, 2 replicas, 3 sentinels; TLS only, ACL users, AOF everysec
PostgreSQL   primary and synchronous standby; TLS, SCRAM
muttd        two daemons, one webhook
"""

from __future__ import annotations

import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from servers.certificates import Certificates, make_certificates
from servers.postgres_server import PostgresServer, needs_postgres, postgres_server, standby_of
from servers.redis_sentinels import SentinelSet, sentinel_set
from servers.redis_server import RedisSetup, needs_redis

from muttd.queue.redis_keys import acl_rule

# A machine that is busy otherwise takes its time to fail over.
NEEDS = [needs_redis, needs_postgres, pytest.mark.chaos, pytest.mark.timeout(300)]

REDIS_USER, REDIS_PASSWORD = "mutt", "redis-secret"
WATCHER, WATCHER_PASSWORD = "watcher", "sentinel-secret"
DATABASE, DATABASE_USER, DATABASE_PASSWORD = "mutt", "muttd", "postgres-secret"
# docs/ha.md names them.
REDIS_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "10",
}
SENTINEL_COMMANDS = (
    "-@all +auth +hello +ping +client +info +role +subscribe +psubscribe &* "
    "+sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters "
    "+sentinel|replicas +sentinel|slaves +sentinel|sentinels"
)


class SqlServer(Protocol):
    """A PostgreSQL that takes writes."""

    def execute(self, statement: str, /, *, database: str) -> list[tuple[object, ...]]:
        """Run a statement; its rows."""
        ...


class Servers(Protocol):
    """What a cluster of daemons needs to know of its servers.

    Attributes:
        environ: What a daemon is told about them.
    """

    environ: Mapping[str, str]

    @property
    def writable(self) -> SqlServer:
        """The PostgreSQL that takes writes now."""
        ...


@dataclass(kw_only=True)
class Stack:
    """The servers.

    Attributes:
        redis, primary, standby: They.
        environ: What a daemon is told about them.
    """

    redis: SentinelSet
    primary: PostgresServer
    standby: PostgresServer
    environ: Mapping[str, str]
    is_promoted: bool = False

    @property
    def writable(self) -> PostgresServer:
        """The PostgreSQL that takes writes now."""
        return self.standby if self.is_promoted else self.primary

    def promote_standby(self) -> None:
        """What Patroni or a person does when the primary is no more."""
        self.standby.promote()
        self.is_promoted = True


@contextmanager
def running_stack(directory: Path) -> Iterator[Stack]:
    """Start all servers; none outlives the block."""
    with ExitStack() as stack:
        certificates = make_certificates(directory)
        redis_set = stack.enter_context(sentinel_set(_redis_setup(certificates)))
        _admit_watcher(redis_set)
        primary = stack.enter_context(postgres_server())
        _secure(primary, certificates)
        standby = stack.enter_context(standby_of(primary, synchronous=True))
        eventually(partial(_sync_states, primary), lambda states: states == [("sync",)])
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        # libpq refuses a private key that others may read.
        key = directory / "daemon.key"
        key.write_bytes(certificates.client.key.read_bytes())
        key.chmod(0o600)
        yield Stack(
            redis=redis_set,
            primary=primary,
            standby=standby,
            environ={
                "MUTTD_REDIS_URL": redis_set.url(),
                "MUTTD_REDIS_USERNAME": REDIS_USER,
                "MUTTD_REDIS_PASSWORD": REDIS_PASSWORD,
                "MUTTD_REDIS_SENTINEL_USERNAME": WATCHER,
                "MUTTD_REDIS_SENTINEL_PASSWORD": WATCHER_PASSWORD,
                "MUTTD_DATABASE_URL": (
                    f"postgresql://{DATABASE_USER}@{hosts}/{DATABASE}?sslmode=verify-full"
                ),
                "MUTTD_DATABASE_PASSWORD": DATABASE_PASSWORD,
                "MUTTD_TLS_CA": str(certificates.ca),
                "MUTTD_TLS_CERT": str(certificates.client.cert),
                "MUTTD_TLS_KEY": str(key),
                # Towards Redis and PostgreSQL only: two daemons are on this machine.
                "MUTTD_SYSLOG_TLS": "off",
                "MUTTD_HTTP_TLS": "off",
            },
        )


def _redis_setup(certificates: Certificates) -> RedisSetup:
    return RedisSetup(
        tls=certificates,
        users=(f"{REDIS_USER} on >{REDIS_PASSWORD} {acl_rule('mutt')}",),
        settings=REDIS_SETTINGS,
    )


def _admit_watcher(redis_set: SentinelSet) -> None:
    """A user at the sentinels that may ask for the primary, and nothing else."""
    for sentinel in redis_set.sentinels:
        with sentinel.client() as client:
            rule = ["on", f">{WATCHER_PASSWORD}", *SENTINEL_COMMANDS.split()]
            client.execute_command("ACL", "SETUSER", WATCHER, *rule)


def _sync_states(primary: PostgresServer) -> list[tuple[object, ...]]:
    return primary.execute("SELECT sync_state FROM pg_stat_replication")


def _secure(server: PostgresServer, certificates: Certificates) -> None:
    """A database and a user of the daemons' own, over TLS alone."""
    owner = pwd.getpwuid(server.data.stat().st_uid)
    files = {"ssl_cert_file": certificates.server.cert, "ssl_key_file": certificates.server.key}
    settings = {"ssl": "on"}
    for name, source in files.items():
        target = server.directory / source.name
        shutil.copyfile(source, target)
        shutil.chown(target, owner.pw_uid, owner.pw_gid)
        target.chmod(0o600)
        settings[name] = f"'{target}'"
    server.configure(settings)
    server.write_hba(f"hostnossl all {DATABASE_USER} 127.0.0.1/32 reject")
    server.make_user(DATABASE_USER, DATABASE_PASSWORD)
    server.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE_USER}")
    server.stop()
    server.start()


@dataclass(kw_only=True)
class Cluster:
    """Daemons on the same servers.

    Attributes:
        directory: Their state directories are in it.
        settings: What every daemon has besides those of the servers.
        daemons: Those that were started, dead ones included.
        webhook: Where both deliver.
    """

    directory: Path
    servers: Servers
    webhook: ScriptedWebhook
    settings: Mapping[str, str]
    daemons: list[RunningDaemon] = field(default_factory=list)

    def start(self, name: str, **settings: str) -> RunningDaemon:
        """Start a daemon with a state directory of its own; not waited for."""
        environ = {
            **self.servers.environ,
            "MUTTD_DAEMON_NAME": name,
            "MUTTD_SNMP_COMMUNITIES": "public",
            "MUTTD_MOOG_WEBHOOK_URL": self.webhook.url,
            "MUTTD_MOOG_RATE_LIMIT": "5000",
            "MUTTD_MOOG_BACKOFF_CAP_S": "1",
            **self.settings,
            **settings,
        }
        daemon = RunningDaemon(self.directory / name, environ)
        self.daemons.append(daemon)
        return daemon

    def close(self) -> None:
        """Kill what is left."""
        for daemon in self.daemons:
            daemon.kill()


def make_rules(daemons: Sequence[RunningDaemon]) -> None:
    """One rule that raises alerts, one that only audits; in force on every daemon."""
    daemons[0].post("/api/v2/rules", a_rule())
    daemons[0].post(
        "/api/v2/rules",
        a_rule(name="config", match_string="CONFIG-5-CHANGED", prod_handling="Log_only"),
    )
    for daemon in daemons:
        eventually(partial(_active_rules, daemon), lambda count: count == 2)


def _active_rules(daemon: RunningDaemon) -> int:
    count: int = daemon.get("/api/v2/status")["rules"]["active"]
    return count
