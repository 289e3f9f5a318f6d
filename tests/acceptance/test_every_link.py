"""A daemon without a link in the clear: each is encrypted, verified, and refuses anything else.

in     syslog over TLS with client certificates, SNMPv3 authPriv, HTTPS
out    Redis, PostgreSQL, Vault and the webhook, each with our certificate, theirs verified
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import redis as redis_py
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually, scripted_webhook
from servers.certificates import Certificates, make_certificates
from servers.postgres_server import (
    PostgresServer,
    needs_postgres,
    postgres_server,
    private_directory,
)
from servers.redis_server import RedisServer, RedisSetup, needs_redis, redis_server
from servers.vault_server import VaultServer, vault_environ, vault_server

from muttd.queue.redis_keys import acl_rule

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

REDIS, DATABASE, AUTH, PRIV = "redis-s3cret", "database-s3cret", "auth-s3cret", "priv-s3cret"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    (tmp_path / "tls").mkdir()
    return make_certificates(tmp_path / "tls")


@pytest.fixture
def redis(certificates: Certificates) -> Iterator[RedisServer]:
    users = [f"mutt on >{REDIS} {acl_rule('mutt')}"]
    with redis_server(RedisSetup(tls=certificates, users=users)) as server:
        yield server


@pytest.fixture
def postgres(certificates: Certificates) -> Iterator[PostgresServer]:
    with private_directory() as directory:
        owner = directory.stat()
        files = {"ca": certificates.ca}
        files |= {"cert": certificates.server.cert, "key": certificates.server.key}
        for name, source in files.items():
            shutil.copyfile(source, directory / name)
            os.chown(directory / name, owner.st_uid, owner.st_gid)
            (directory / name).chmod(0o600)
        settings = {"ssl": "on", "ssl_ca_file": f"'{directory / 'ca'}'"}
        settings |= {f"ssl_{name}_file": f"'{directory / name}'" for name in ("cert", "key")}
        hba = ["hostssl all keeper 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"]
        hba += ["host all keeper 127.0.0.1/32 reject"]
        with postgres_server(settings=settings, hba=hba) as server:
            server.execute(f"CREATE ROLE keeper LOGIN PASSWORD '{DATABASE}'")
            server.execute("CREATE DATABASE mutt OWNER keeper")
            yield server


@pytest.fixture
def vault(certificates: Certificates) -> Iterator[VaultServer]:
    with vault_server(certificates, wants_client_cert=True) as vault:
        vault.put({"redis_password": REDIS, "database_password": DATABASE})
        yield vault


@pytest.fixture
def receiver(certificates: Certificates) -> Iterator[ScriptedWebhook]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    context.load_cert_chain(certificates.server.cert, certificates.server.key)
    context.verify_mode = ssl.CERT_REQUIRED
    with scripted_webhook(context) as webhook:
        yield webhook


@pytest.fixture
def daemon(
    start_daemon: Callable[..., RunningDaemon],
    certificates: Certificates,
    redis: RedisServer,
    postgres: PostgresServer,
    vault: VaultServer,
    receiver: ScriptedWebhook,
    tmp_path: Path,
) -> RunningDaemon:
    users = tmp_path / "users.conf"
    users.touch(0o600)
    users.write_text(f"createUser core SHA {AUTH} AES {PRIV}\n")
    # libpq wants a key that nobody else may read.
    own_key = tmp_path / "client.key"
    own_key.touch(0o600)
    own_key.write_bytes(certificates.client.key.read_bytes())
    links = ("MUTTD_REDIS_TLS", "MUTTD_DATABASE_TLS", "VAULT_CLIENT", "MUTTD_MOOG_TLS")
    own = {f"{link}_CERT": str(certificates.client.cert) for link in links}
    own |= {f"{link}_KEY": str(own_key) for link in links}
    return start_daemon(
        MUTTD_TLS_REQUIRED="true",
        MUTTD_TLS_CA=str(certificates.ca),
        MUTTD_TLS_CERT=str(certificates.server.cert),
        MUTTD_TLS_KEY=str(certificates.server.key),
        MUTTD_SYSLOG_UDP="off",
        MUTTD_SYSLOG_TCP="off",
        MUTTD_SYSLOG_TLS="[::]:0",
        MUTTD_SYSLOG_TLS_CLIENT_CERT="required",
        MUTTD_SNMP_USERS_FILE=str(users),
        MUTTD_MOOG_WEBHOOK_URL=receiver.url,
        MUTTD_MOOG_TLS_CA=str(certificates.ca),
        MUTTD_REDIS_URL=redis.url(),
        MUTTD_REDIS_USERNAME="mutt",
        MUTTD_DATABASE_URL=f"{postgres.url('mutt', user='keeper')}?sslmode=verify-full",
        **own,
        **vault_environ(vault, tmp_path),
    )


def is_ready(daemon: RunningDaemon, certificates: Certificates) -> bool:
    with httpx.Client(trust_env=False, verify=as_sender(certificates)) as client:
        return client.get(f"{daemon.url}/readyz").status_code == 200


def send_syslog(daemon: RunningDaemon, certificates: Certificates) -> None:
    context = as_sender(certificates)
    with (
        socket.create_connection(("127.0.0.1", daemon.ports["syslog_tls"])) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.sendall(b"<13>1 - sw1 app - - - over TLS\n")


def as_sender(certificates: Certificates) -> ssl.SSLContext:
    """As a sender who trusts them and shows their client certificate."""
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.client.cert, certificates.client.key)
    return context


def send_trap(daemon: RunningDaemon, *words: str) -> None:
    target = [f"127.0.0.1:{daemon.ports['snmp']}", "", "1.3.6.1.6.3.1.1.5.3"]
    subprocess.run(
        ["snmptrap", "-m", "", *words, *target],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(daemon.state_dir)},
        check=True,
        capture_output=True,
    )


def test_a_daemon_works_with_every_link_encrypted_and_none_of_them_takes_clear_text(
    daemon: RunningDaemon,
    certificates: Certificates,
    redis: RedisServer,
    postgres: PostgresServer,
    vault: VaultServer,
    receiver: ScriptedWebhook,
) -> None:
    eventually(lambda: is_ready(daemon, certificates))
    send_syslog(daemon, certificates)
    engine = ["-v3", "-e", "0x8000000001020304", "-u", "core"]
    keys = ["-a", "SHA", "-A", AUTH, "-x", "AES", "-X", PRIV]
    send_trap(daemon, *engine, "-l", "authPriv", *keys)
    daemon.post("/ingest", {"message": "over HTTPS", "hostname": "h"})
    found = eventually(daemon.events, lambda events: len(events) == 3)
    assert {event["transport"] for event in found} == {"syslog-tls", "snmp", "http"}
    with redis.client() as client:
        assert any(each["user"] == "mutt" for each in client.client_list())
    encrypted = postgres.execute(
        "SELECT DISTINCT ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE usename = 'keeper'"
    )
    assert encrypted == [(True, "/CN=client")]

    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "h"})
    eventually(lambda: receiver.accepted)

    # In the clear nobody is let in.
    send_trap(daemon, "-v2c", "-c", "public")
    send_trap(daemon, *engine, "-l", "authNoPriv", *keys[:4])
    eventually(lambda: daemon.listener("snmp")["refused"], (2).__eq__)
    with socket.create_connection(("127.0.0.1", daemon.ports["syslog_tls"])) as sender:
        sender.sendall(b"<13>1 - sw1 app - - - in the clear\n")
        sender.settimeout(10)
        # An alert (RFC 8446, 6), and the end.
        assert all(octets[0] == 21 for octets in iter(lambda: sender.recv(4096), b""))
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{daemon.ports['http']}/readyz")
        assert answer.status_code == 400
        assert "HTTPS" in answer.text
        with pytest.raises(httpx.HTTPError):
            client.get(f"http://127.0.0.1:{vault.port}/v1/sys/health")
    with pytest.raises(redis_py.ConnectionError):
        redis_py.Redis(port=redis.port, username="mutt", password=REDIS).ping()
    with pytest.raises(psycopg.OperationalError, match="reject"):
        psycopg.connect(postgres.url("mutt", user="keeper"), password=DATABASE, sslmode="disable")
    # Nor without a certificate.
    for port in (vault.port, redis.port, int(receiver.url.split(":")[2].split("/")[0])):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_without_certificate(port, certificates)
    assert len(daemon.events()) == 4


def ask_without_certificate(port: int, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    with (
        socket.create_connection(("127.0.0.1", port)) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.sendall(b"GET /v1/sys/health HTTP/1.1\r\nHost: v\r\n\r\n")
        # In TLS 1.3 the refusal comes after the handshake.
        if not secured.recv(1):
            raise ssl.SSLError
