"""How PostgreSQL is reached: passwords, TLS, deadlines of the server, and whose fault what is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import trio
import trio.testing
from postgres_scene import decided, messages, record
from servers.certificates import Certificates, make_certificates
from servers.postgres_server import (
    PostgresServer,
    database,
    needs_postgres,
    postgres_server,
    private_directory,
    shared_postgres,
)

from muttd.errors import InvalidInput, StoreRefused, StoreUnavailable
from muttd.store.contract import Change, EventQuery, Store, Window
from muttd.store.postgres import open_postgres_store
from muttd.store.postgres_options import PostgresOptions

pytestmark = needs_postgres

OLD, NEW, WRONG = "old-s3cret", "new-s3cret", "wr0ng-s3cret"


@pytest.fixture
def url() -> Iterator[str]:
    with database(shared_postgres()) as url:
        yield url


@dataclass(frozen=True)
class Guarded:
    """A database behind TLS with client certificates and a password."""

    server: PostgresServer
    certificates: Certificates
    name: str
    client_key: Path

    def options(self, *passwords: str, mode: str = "verify-full") -> PostgresOptions:
        return PostgresOptions(
            url=f"postgresql://keeper@127.0.0.1:{self.server.port}/{self.name}?sslmode={mode}",
            passwords=passwords,
            ca=self.certificates.ca,
            cert=self.certificates.client.cert,
            key=self.client_key,
            timeout_s=3.0,
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with private_directory() as directory:
        certificates = make_certificates(directory)
        settings = {
            "ssl": "on",
            "ssl_ca_file": f"'{certificates.ca}'",
            "ssl_cert_file": f"'{certificates.server.cert}'",
            "ssl_key_file": f"'{directory / 'postgres.key'}'",
        }
        own_key(certificates.server.key, directory / "postgres.key", like=directory)
        # libpq wants the same of ours.
        client_key = tmp_path_factory.mktemp("client") / "client.key"
        own_key(certificates.client.key, client_key, like=client_key.parent)
        hba = ["hostssl guarded keeper 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"]
        hba += ["host guarded keeper 127.0.0.1/32 reject"]
        with postgres_server(settings=settings, hba=hba) as server:
            server.execute(
                f"CREATE ROLE keeper LOGIN PASSWORD '{NEW}'",
                "CREATE DATABASE guarded OWNER keeper",
            )
            yield Guarded(server, certificates, "guarded", client_key)


def own_key(source: Path, copy: Path, *, like: Path) -> None:
    """A private key that its user alone may read: nobody takes another."""
    copy.write_bytes(source.read_bytes())
    copy.chmod(0o600)
    owner = like.stat()
    os.chown(copy, owner.st_uid, owner.st_gid)


async def test_both_passwords_of_a_rotation_are_tried(guarded: Guarded) -> None:
    async with open_postgres_store(guarded.options(OLD, NEW)) as store:
        await store.ping()
    async with open_postgres_store(guarded.options(NEW, OLD)) as store:
        await store.ping()


async def test_a_wrong_password_is_said_and_not_shown(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_postgres_store(guarded.options(OLD, WRONG)) as store:
        with pytest.raises(StoreUnavailable, match="password authentication failed") as refusal:
            await store.ping()
    for secret in (OLD, WRONG, NEW):
        assert secret not in str(refusal.value) + repr(refusal.value.__cause__) + caplog.text


async def test_a_password_changed_on_the_server_costs_no_restart(guarded: Guarded) -> None:
    async with open_postgres_store(guarded.options(NEW, OLD)) as store:
        await store.ping()
        guarded.server.execute(f"ALTER ROLE keeper PASSWORD '{OLD}'")
        guarded.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'"
        )
        try:
            await ping_again(store)
        finally:
            guarded.server.execute(f"ALTER ROLE keeper PASSWORD '{NEW}'")


async def test_new_passwords_are_for_the_next_connection(guarded: Guarded) -> None:
    async with open_postgres_store(guarded.options(NEW)) as store:
        await store.ping()
        store.use_passwords(guarded.options(WRONG))
        # It stands already.
        await store.ping()
        with pytest.raises(StoreUnavailable, match="password authentication failed"):
            await messages(store)
        store.use_passwords(guarded.options(WRONG, NEW))
        assert await messages(store) == []


async def ping_again(store: Store) -> None:
    """Whoever meets the end of a connection tries again."""
    with suppress(StoreUnavailable):
        return await store.ping()
    await store.ping()


async def test_the_connection_is_tls_with_our_certificate(guarded: Guarded) -> None:
    async with open_postgres_store(guarded.options(NEW)) as store:
        await store.ping()
        rows = guarded.server.execute(
            "SELECT DISTINCT ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE usename = 'keeper'"
        )
        assert rows == [(True, "/CN=client")]


async def test_a_server_that_another_authority_vouches_for_gets_nothing(
    guarded: Guarded, tmp_path: Path
) -> None:
    stranger = make_certificates(tmp_path)
    options = PostgresOptions(
        url=guarded.options().url, passwords=(NEW,), ca=stranger.ca, timeout_s=3.0
    )
    async with open_postgres_store(options) as store:
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await store.ping()


async def test_a_client_without_a_certificate_is_told_so(guarded: Guarded) -> None:
    options = PostgresOptions(
        url=guarded.options().url,
        passwords=(NEW,),
        ca=guarded.certificates.ca,
        timeout_s=3.0,
    )
    async with open_postgres_store(options) as store:
        with pytest.raises(StoreUnavailable, match="certificate"):
            await store.ping()


async def test_a_user_without_rights_is_refused_with_the_reason(url: str) -> None:
    server, name = shared_postgres(), url.rpartition("/")[2]
    async with open_postgres_store(PostgresOptions(url=url)) as store:
        await store.ping()
    server.execute("DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger LOGIN")
    with pytest.raises(StoreRefused, match="permission denied"):
        async with open_postgres_store(
            PostgresOptions(url=server.url(name, user="stranger"))
        ) as store:
            await store.wait_prepared()


async def test_a_table_that_is_gone_is_refused_with_the_reason(url: str) -> None:
    async with open_postgres_store(PostgresOptions(url=url)) as store:
        await store.wait_prepared()
        shared_postgres().execute("DROP TABLE alerts", database=url.rpartition("/")[2])
        with pytest.raises(StoreRefused, match='"alerts" does not exist; is it muttd'):
            await store.get_alert("a")


@contextmanager
def locked(server: PostgresServer, name: str, table: str) -> Iterator[None]:
    """Somebody else has a table for himself."""
    with psycopg.connect(server.url(name)) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        connection.rollback()


async def test_a_search_that_takes_too_long_is_the_clients_to_narrow(url: str) -> None:
    server, name = shared_postgres(), url.rpartition("/")[2]
    async with open_postgres_store(PostgresOptions(url=url), search_deadline_s=0.2) as store:
        await store.wait_prepared()
        with (
            locked(server, name, "row_counts"),
            pytest.raises(InvalidInput, match="narrow it by time"),
        ):
            await store.search_events(EventQuery(), Window())
        assert await messages(store) == []


async def test_long_searches_hold_up_neither_writes_nor_pings(url: str) -> None:
    server, name = shared_postgres(), url.rpartition("/")[2]
    options = PostgresOptions(url=url, pool_size=4)
    async with open_postgres_store(options, search_deadline_s=30.0) as store:
        await record(store, decided("first"))
        # A search meets a table that somebody has locked; COPY into the other one does not.
        with locked(server, name, "row_counts"), trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(store.search_events, EventQuery(), Window())
                await trio.testing.wait_all_tasks_blocked()
                await store.ping()
                await store.add_development_host("lab", Change("ann"))
                nursery.cancel_scope.cancel()
        assert await messages(store) == ["first"]
