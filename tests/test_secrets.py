"""A secret in every setting, a whole life of a daemon, and then nothing of them anywhere.

The daemon is clustered and everything goes wrong once: wrong passwords, keys, communities and
passphrases, servers away, a receiver that echoes our key, Vault sealed, a dead letter, a crash.
Then every log line with its traceback, metric, page, API answer, entry of the queue, row, dead
letter and file of the state directory is searched.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from servers.certificates import make_certificates
from servers.postgres_server import PostgresServer, needs_postgres, postgres_server
from servers.redis_server import RedisServer, RedisSetup, needs_redis, redis_server
from servers.vault_server import ROLE_ID, VaultServer, vault_environ, vault_server

from muttd.queue.contract import Stream
from muttd.queue.redis_keys import RedisKeys, acl_rule
from muttd.settings import declared

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

IN_ENVIRONMENT = {
    "MUTTD_INGEST_API_KEY": "s3cret-ingest",
    "MUTTD_INGEST_API_KEY_NEXT": "s3cret-ingest-next",
    "MUTTD_ADMIN_API_KEY": "s3cret-admin",
    "MUTTD_SNMP_COMMUNITIES": "s3cret-community",
    "MUTTD_REDIS_PASSWORD_NEXT": "s3cret-redis",
    "MUTTD_REDIS_SENTINEL_PASSWORD": "s3cret-sentinel",
    "MUTTD_REDIS_SENTINEL_PASSWORD_NEXT": "s3cret-sentinel-next",
    "MUTTD_DATABASE_PASSWORD": "s3cret-database-wrong",
}
IN_VAULT = {
    "MUTTD_ADMIN_API_KEY_NEXT": "s3cret-admin-next",
    "MUTTD_MOOG_API_KEY": "s3cret-moog",
    "MUTTD_MOOG_API_KEY_NEXT": "s3cret-moog-next",
    "MUTTD_REDIS_PASSWORD": "s3cret-redis-wrong",
    "MUTTD_DATABASE_PASSWORD_NEXT": "s3cret-database",
}
# In URLs, in a file of users, and of others: what a stranger tried is somebody's secret too.
ELSEWHERE = {
    "Redis, in the URL": "s3cret-redis-url",
    "PostgreSQL, in the URL": "s3cret-database-url",
    "SNMPv3, authentication": "s3cret-auth",
    "SNMPv3, encryption": "s3cret-priv",
    "Vault, another program's": "s3cret-of-others",
    "a destination's key": "s3cret-tickets",
    "a destination's signature": "s3cret-hmac",
    "a destination's header": "s3cret-header",
    "a wrong API key": "s3cret-wrong-key",
    "a wrong community": "s3cret-wrong-community",
}
EVENT = {"message": "LINK-3-UPDOWN", "hostname": "h"}


def every_secret(vault_file: Path, vault: VaultServer) -> list[str]:
    texts = {**IN_ENVIRONMENT, **IN_VAULT, **ELSEWHERE}.values()
    return [*texts, ROLE_ID, vault_file.read_text(), *vault.tokens]


def test_the_run_below_has_a_secret_in_every_setting() -> None:
    names = {
        name
        for row in declared()
        if row.is_secret
        for name in row.names
        if not name.endswith("_FILE")
    }
    assert names == IN_ENVIRONMENT.keys() | IN_VAULT.keys() | {"VAULT_ROLE_ID"}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server(RedisSetup(users=[f"mutt on >s3cret-redis {acl_rule('mutt')}"])) as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.make_user("keeper", "s3cret-database")
        server.execute("CREATE DATABASE mutt OWNER keeper")
        yield server


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultServer]:
    (tmp_path / "tls").mkdir()
    with vault_server(make_certificates(tmp_path / "tls")) as vault:
        vault.put({**IN_VAULT, "other": ELSEWHERE["Vault, another program's"]})
        yield vault


class Life:
    """A daemon and what is around it."""

    def __init__(
        self,
        daemon: RunningDaemon,
        redis: RedisServer,
        postgres: PostgresServer,
        vault: VaultServer,
    ) -> None:
        self.daemon, self.redis, self.postgres, self.vault = daemon, redis, postgres, vault

    def ask(self, path: str, key: str = "s3cret-admin", **more: Any) -> httpx.Response:
        with httpx.Client(base_url=self.daemon.url, trust_env=False, timeout=30) as client:
            return client.request(
                more.pop("method", "GET"), path, headers={"X-API-KEY": key}, **more
            )

    def ingest(self, key: str = "s3cret-ingest", body: Any = EVENT) -> int:
        return self.ask("/ingest", key, method="POST", json=body).status_code

    def status(self) -> Any:
        return self.ask("/api/v2/status").json()

    def is_ready(self) -> bool:
        return self.ask("/readyz").status_code == 200

    def wait_log(self, text: str) -> None:
        eventually(lambda: any(text in line for line in self.daemon.log))


@pytest.fixture
def life(
    start_daemon: Callable[..., RunningDaemon],
    tmp_path: Path,
    redis: RedisServer,
    postgres: PostgresServer,
    vault: VaultServer,
    webhook: ScriptedWebhook,
) -> Life:
    users = tmp_path / "users.conf"
    users.touch(0o600)
    users.write_text("createUser core SHA s3cret-auth AES s3cret-priv\n")
    names = ("tickets", "hmac", "header")
    for name in names:
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(f"s3cret-{name}")
    (tmp_path / "destinations.yaml").write_text(
        f"default: moog\ndestinations:\n- name: tickets\n  type: webhook\n  url: {webhook.url}\n"
        f"  key_file: {tmp_path / 'tickets'}\n  hmac_key_file: {tmp_path / 'hmac'}\n"
        f"  secret_headers: {{X-Token: {tmp_path / 'header'}}}\n"
    )
    url = postgres.url("mutt", user="keeper:s3cret-database-url")
    daemon = start_daemon(
        tmp_path / "state",
        **IN_ENVIRONMENT,
        **vault_environ(vault, tmp_path),
        VAULT_REREAD_S="1",
        MUTTD_LOG_LEVEL="debug",
        MUTTD_LOG_FILE=str(tmp_path / "log"),
        MUTTD_SNMP_USERS_FILE=str(users),
        MUTTD_DESTINATIONS_FILE=str(tmp_path / "destinations.yaml"),
        MUTTD_REDIS_URL=f"redis://mutt:s3cret-redis-url@127.0.0.1:{redis.port}",
        MUTTD_DATABASE_URL=url,
        MUTTD_DATABASE_TIMEOUT_S="1",
        MUTTD_MOOG_WEBHOOK_URL=webhook.url,
        MUTTD_MOOG_BACKOFF_CAP_S="1",
    )
    return Life(daemon, redis, postgres, vault)


def work(life: Life) -> None:
    """What a good day brings."""
    eventually(life.is_ready)
    assert life.ask("/api/v2/rules", method="POST", json=a_rule()).status_code == 201
    ticket = a_rule(name="ticket", match_string="TICKET-ME", destination="tickets")
    assert life.ask("/api/v2/rules", method="POST", json=ticket).status_code == 201
    eventually(lambda: life.status()["rules"]["active"], (2).__eq__)
    for key in ("s3cret-ingest", "s3cret-ingest-next", "s3cret-admin-next"):
        assert life.ingest(key) == 200
    life.daemon.send_udp(b"<13>1 - sw1 app - - - over UDP")
    send_traps(life)


def send_traps(life: Life) -> None:
    """By net-snmp: the right community and a wrong one, a user and a wrong digest of his."""
    assert shutil.which("snmptrap"), "snmptrap is not installed"
    daemon = life.daemon
    target = [f"127.0.0.1:{daemon.ports['snmp']}", "", "1.3.6.1.6.3.1.1.5.3"]
    user = ["-v3", "-e", "0x8000000001020304", "-u", "core", "-l", "authPriv", "-a", "SHA"]
    for words in (
        ["-v2c", "-c", "s3cret-community"],
        ["-v1", "-c", "s3cret-wrong-community"],
        [*user, "-A", "s3cret-auth", "-x", "AES", "-X", "s3cret-priv"],
        [*user, "-A", "s3cret-wrong-key", "-x", "AES", "-X", "s3cret-priv"],
    ):
        address = target if words[0] != "-v1" else [target[0], "1.3.6.1.4.1.9", "", "2", "0", ""]
        subprocess.run(
            ["snmptrap", "-m", "", *words, *address],
            env={**os.environ, "SNMP_PERSISTENT_DIR": str(daemon.state_dir)},
            check=True,
            capture_output=True,
        )

    def received() -> int:
        rows = {row["name"]: row for row in life.status()["listeners"]}
        count: int = rows["snmp"]["received"]
        return count

    eventually(received, (4).__eq__)


def go_wrong(life: Life, webhook: ScriptedWebhook) -> None:
    """Everything once."""
    # A receiver that says what it was sent, and a client that says its key where it should not.
    webhook.answer = lambda call: (400, {}, json.dumps(call.headers))
    for text in ("LINK-3-UPDOWN", "TICKET-ME"):
        assert life.ingest(body={"message": text, "hostname": "h"}) == 200
    letters = "/api/v2/dead-letters"
    eventually(lambda: len(life.ask(letters).json()["dead_letters"]), (2).__eq__)
    assert any(call.headers.get("X-Token") == "s3cret-header" for call in webhook.calls)
    webhook.answer = lambda call: (401, {}, json.dumps(call.headers))
    assert life.ingest() == 200
    eventually(lambda: life.status()["forwarder"]["state"], "held".__eq__)
    assert life.ingest("s3cret-wrong-key") == 401
    life.ask("/api/v2/rules?api_key=s3cret-wrong-key", "s3cret-wrong-key")
    life.ask("/sign-in", method="POST", data={"api_key": "s3cret-wrong-key"})
    life.ask("/ingest", method="POST", content=b"{s3cret")
    # Servers that refuse us, go, and hang.
    life.vault.is_sealed = True
    life.wait_log("Vault is sealed")
    life.postgres.execute(
        "ALTER ROLE keeper PASSWORD 'another'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'",
    )
    with life.redis.client() as client:
        client.execute_command("ACL", "SETUSER", "mutt", "resetpass", ">another")
        client.execute_command("CLIENT", "KILL", "USER", "mutt")
    assert life.ingest() == 200
    eventually(lambda: not life.is_ready())
    life.daemon.process.send_signal(signal.SIGHUP)
    life.wait_log("reload: ")
    life.postgres.execute("ALTER ROLE keeper PASSWORD 's3cret-database'")
    with life.redis.client() as client:
        client.execute_command("ACL", "SETUSER", "mutt", "resetpass", ">s3cret-redis")
    life.vault.is_sealed = False
    eventually(life.is_ready)
    life.daemon.process.send_signal(signal.SIGUSR1)
    life.wait_log("statistics: ")


def crash(life: Life) -> None:
    """An entry that nobody foresaw: exit 70, with the traceback in the log."""
    with life.redis.client() as client:
        entry = {"payload": "x", "n": "no number"}
        client.xadd(RedisKeys("mutt").stream(Stream.INGEST), entry)
    assert life.daemon.wait_exit() == 70


def web_answers(life: Life) -> Iterator[tuple[str, bytes]]:
    """Every page, and every GET of the API, with headers."""
    document = life.ask("/api/openapi.json").json()
    paths = {path for path, each in document["paths"].items() if "get" in each}
    event = life.ask("/api/v2/events").json()["events"][0]["event_id"]
    alert = life.ask("/api/v2/alerts").json()["alerts"][0]
    ids = [event, alert["alert_id"], "1", "h", "moog_rate_limit"]
    ids += [each["letter_id"] for each in life.ask("/api/v2/dead-letters").json()["dead_letters"]]
    pages = ("live", "alerts", "rules", "hosts", "audit", "config", "dead-letters", "system")
    wanted = {"/metrics", "/healthz", "/readyz", "/", "/sign-in", "/api/openapi.json"}
    wanted |= {f"/{page}" for page in pages}
    for path in paths:
        head, brace, tail = path.partition("{")
        rest = tail.partition("}")[2]
        wanted |= {f"{head}{quote(str(each))}{rest}" for each in ids} if brace else {path}
    for path in sorted(wanted):
        answer = life.ask(path)
        yield path, str(answer.headers).encode() + answer.content


def rows(postgres: PostgresServer) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, as COPY writes it."""
    with psycopg.connect(postgres.url("mutt")) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'public'"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                yield f"table {table}", b"".join(bytes(piece) for piece in copy)


def keys(redis: RedisServer) -> Iterator[tuple[str, bytes]]:
    """Every key of Redis, as its own dump has it, uncompressed."""
    with redis.client() as client:
        client.config_set("rdbcompression", "no")
        client.save()
    yield "dump.rdb", (redis.directory / "dump.rdb").read_bytes()


def command_output(life: Life, environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for words in (["status"], ["print-config"], ["print-config", "--json"], ["check-config"]):
        done = subprocess.run(
            [sys.executable, "-m", "muttd", *words]
            + (["--url", life.daemon.url] if words == ["status"] else []),
            env=dict(environ),
            capture_output=True,
            check=True,
        )
        yield f"muttd {words[0]}", done.stdout + done.stderr


def forms_of(secret: str) -> list[bytes]:
    """How it may be written down."""
    octets = secret.encode()
    encoded = [base64.b64encode(b"x" * shift + octets)[4:-4] for shift in range(3)]
    return [octets, quote(secret, safe="").encode(), octets.hex().encode(), *encoded]


def environ_of(daemon: RunningDaemon) -> dict[str, str]:
    octets = Path(f"/proc/{daemon.process.pid}/environ").read_bytes()
    return dict(pair.split("=", 1) for pair in octets.decode().split("\0") if pair)


def test_no_secret_is_anywhere_after_a_whole_life(
    life: Life, webhook: ScriptedWebhook, tmp_path: Path
) -> None:
    work(life)
    go_wrong(life, webhook)
    found = list(web_answers(life))
    found += command_output(life, environ_of(life.daemon))
    secrets = every_secret(tmp_path / "vault_secret_id", life.vault)
    crash(life)
    assert any("Traceback" in line for line in life.daemon.log)
    found += [("log", "\n".join(life.daemon.log).encode())]
    found += [("log file", (tmp_path / "log").read_bytes())]
    found += [*rows(life.postgres), *keys(life.redis)]
    # But what net-snmp keeps there: it is the device, and his keys are his.
    files = [path for path in life.daemon.state_dir.rglob("*") if path.is_file()]
    found += [(str(path), path.read_bytes()) for path in files if path.name != "snmpapp.conf"]
    # What is searched is what it is taken for.
    everything = b"".join(octets for _, octets in found)
    for mark in (b"LINK-3-UPDOWN", b"over UDP", b"muttd_vault_up", b"MUTTD_REDIS_PASSWORD"):
        assert mark in everything
    shown = {
        (secret, where)
        for secret in secrets
        for form in forms_of(secret)
        for where, octets in found
        if form in octets
    }
    assert not shown
