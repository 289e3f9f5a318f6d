"""docs/ha.md: its configuration is loaded by the servers it is for, its commands are run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis
from guide_text import GuideShell, blocks, owned_directory
from running_daemon import eventually
from servers.certificates import Certificates, make_certificates
from servers.postgres_server import (
    SUPERUSER,
    PostgresServer,
    find_postgres,
    free_port,
    needs_postgres,
)
from servers.redis_server import needs_redis

from muttd.clear_links import refuse_clear_links
from muttd.queue.redis_keys import acl_rule
from muttd.queue.redis_setup import restart_note
from muttd.settings import load

pytestmark = pytest.mark.chaos

PAGE = "ha.md"
REDIS, STREAMING = "Redis and its sentinels", "PostgreSQL: streaming replication"
needs_keepalived = pytest.mark.skipif(
    shutil.which("keepalived") is None
    and "keepalived" not in os.environ.get("MUTTD_TEST_REQUIRE", ""),
    reason="keepalived is not installed (Debian: apt-get install keepalived)",
)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    (tmp_path / "tls").mkdir()
    return make_certificates(tmp_path / "tls")


@dataclass(frozen=True, slots=True)
class RedisAsWritten:
    """Redis processes whose configuration is the page's."""

    directory: Path
    certificates: Certificates

    def start(self, name: str, text: str, *arguments: str) -> subprocess.Popen[bytes]:
        path = self.directory / f"{name}.conf"
        path.write_text(text)
        with (self.directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(["redis-server", path, *arguments], stdout=log, stderr=log)

    def client(self, port: int, user: str, password: str) -> redis.Redis:
        return redis.Redis(
            host="127.0.0.1",
            port=port,
            username=user,
            password=password,
            ssl=True,
            ssl_ca_certs=str(self.certificates.ca),
            ssl_certfile=str(self.certificates.client.cert),
            ssl_keyfile=str(self.certificates.client.key),
            decode_responses=True,
            protocol=2,
        )


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@needs_redis
def test_redis_and_sentinel_run_as_the_page_has_them(
    tmp_path: Path, certificates: Certificates, running: ExitStack
) -> None:
    site = RedisAsWritten(tmp_path, certificates)
    ports = {"primary": free_port(), "replica": free_port(), "sentinel": free_port()}
    server, replica, sentinel = blocks(PAGE, REDIS, "conf")
    places = {
        "/etc/redis/tls": str(certificates.ca.parent),
        "10.0.0.11 6379": f"127.0.0.1 {ports['primary']}",
        "10.0.0.11 -p 26379": f"127.0.0.1 -p {ports['sentinel']}",
        "10.0.0.11": "127.0.0.1",
        "mymaster 127.0.0.1 6379 2": f"mymaster 127.0.0.1 {ports['primary']} 1",
        f"{ports['primary']} 2\n": f"{ports['primary']} 1\n",
    }

    def written(text: str, name: str) -> str:
        (tmp_path / name).mkdir()
        text = GuideShell(places=places).translated(text)
        for theirs in ("/var/lib/redis-sentinel", "/var/lib/redis"):
            text = text.replace(theirs, str(tmp_path / name))
        return text.replace("tls-port 6379", f"tls-port {ports[name]}").replace(
            "tls-port 26379", f"tls-port {ports[name]}"
        )

    texts = {
        "primary": written(server, "primary"),
        "replica": written(server + replica, "replica"),
        "sentinel": written(sentinel, "sentinel"),
    }
    for name, text in texts.items():
        arguments = ("--sentinel",) if name == "sentinel" else ()
        running.callback(ended, site.start(name, text, *arguments))
        user = (
            ("sentinel", "SENTINEL-PASSWORD") if name == "sentinel" else ("mutt", "MUTT-PASSWORD")
        )
        eventually(partial(answers, site.client(ports[name], *user)))
    primary = running.enter_context(site.client(ports["primary"], "mutt", "MUTT-PASSWORD"))
    eventually(lambda: primary.info("replication")["connected_slaves"], lambda n: n == 1)
    primary.xadd("{mutt}:ingest", {"payload": "x"})
    assert primary.wait(1, 5000) == 1
    assert restart_note(primary, "{mutt}:ingest") is None
    watcher = running.enter_context(site.client(ports["sentinel"], "mutt", "MUTT-PASSWORD"))
    eventually(lambda: watcher.sentinel_master("mymaster")["num-slaves"], lambda n: n == 1)

    [look] = blocks(PAGE, REDIS)
    said = GuideShell(places=places).run(look)
    assert said.startswith("OK 1 usable Sentinels")
    eventually(
        lambda: watcher.sentinel_master("mymaster")["port"], lambda port: port == ports["replica"]
    )


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_the_acl_line_is_what_the_queue_needs() -> None:
    server = blocks(PAGE, REDIS, "conf")[0]
    assert f"user mutt on >MUTT-PASSWORD {acl_rule('mutt')}\n" in server


@needs_postgres
def test_a_standby_made_as_the_page_says_is_synchronous_and_takes_over(
    certificates: Certificates, running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = [running.enter_context(owned_directory()) for _ in range(2)]
    primary, standby = (PostgresServer(directory) for directory, _ in directories)
    # libpq looks for certificates there, and would find those of whoever runs the tests.
    monkeypatch.setenv("HOME", str(standby.directory))
    places = {
        "/usr/lib/postgresql/15/bin": str(find_postgres()),
        "/var/lib/postgresql/15/main": str(standby.data),
        "/etc/postgresql/tls": str(primary.directory),
        "10.0.0.0/24": "127.0.0.1/32",
        "10.0.0.21": "127.0.0.1",
    }
    shell = GuideShell(places=places, prefix=directories[1][1])
    primary.initdb()
    for name in ("server.crt", "server.key"):
        target = primary.directory / name
        shutil.copyfile(certificates.ca.parent / name, target)
        shutil.chown(target, primary.data.owner(), primary.data.group())
        target.chmod(0o600)
    [settings] = blocks(PAGE, STREAMING, "ini")
    with (primary.data / "postgresql.conf").open("a") as file:
        file.write(shell.translated(settings))
    [access] = blocks(PAGE, STREAMING, "hba")
    # Before the lines that let every test in.
    primary.write_hba(*shell.translated(access).splitlines())
    running.callback(primary.kill)
    primary.start()

    def at(server: PostgresServer) -> GuideShell:
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": SUPERUSER}
        return GuideShell(
            places=places,
            prefix=directories[1][1],
            environ={**where, "PGDATABASE": "postgres"},
            services={"start postgresql": standby.start},
        )

    users, copy, start, synchronous, promote = blocks(PAGE, STREAMING)
    at(primary).run(users)
    at(primary).run(copy)
    running.callback(standby.kill)
    at(standby).run(start)
    at(primary).run(synchronous)
    eventually(
        lambda: primary.execute("SELECT sync_state FROM pg_stat_replication"),
        lambda rows: rows == [("quorum",)],
    )
    with as_muttd(primary) as connection:
        connection.execute("CREATE TABLE t (n int)")
    primary.kill()
    at(standby).run(promote)
    with as_muttd(standby) as connection:
        connection.execute("INSERT INTO t VALUES (1)")


def as_muttd(server: PostgresServer) -> psycopg.Connection:
    url = server.url("mutt", user="muttd")
    return psycopg.connect(url, password="MUTTD-PASSWORD", sslmode="require")


def test_the_settings_of_the_page_are_taken(tmp_path: Path) -> None:
    [text] = blocks(PAGE, "Two daemons", "env")
    environ = dict(line.split("=", 1) for line in text.splitlines())
    for name in [each for each in environ if each.endswith("_FILE")]:
        secret = tmp_path / name
        secret.write_text(f"secret-of-{name}")
        secret.chmod(0o600)
        environ[name] = str(secret)
    settings = load(environ)
    assert settings.redis.url is not None
    assert settings.database.url is not None
    assert settings.tls.required
    refuse_clear_links(settings, users=(), destinations=())


@needs_keepalived
def test_keepalived_takes_its_configuration(tmp_path: Path) -> None:
    [text] = blocks(PAGE, "Two daemons", "keepalived")
    # It wants an interface that is there and is no loopback.
    name = next(name for _, name in socket.if_nameindex() if name != "lo")
    text = text.replace("interface eth0", f"interface {name}")
    assert complaints(tmp_path, text) == ""
    assert "prioritty" in complaints(tmp_path, text.replace("priority", "prioritty"))


def complaints(tmp_path: Path, text: str) -> str:
    """What keepalived says about a configuration; nothing when it is right.

    Its exit code is no use: after the test it ends itself, and its process group, by SIGTERM.
    """
    path = tmp_path / "keepalived.conf"
    path.write_text(text)
    done = subprocess.run(
        ["keepalived", "--config-test", "--use-file", path],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    return done.stdout + done.stderr
