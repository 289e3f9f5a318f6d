"""The schema in PostgreSQL: applied once, by one of many; refused when it is not ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trio
from postgres_scene import decided, messages, record
from servers.postgres_server import database, needs_postgres, shared_postgres

from muttd.errors import StoreRefused
from muttd.migrations import find_sql_dir
from muttd.store.contract import Change
from muttd.store.postgres import PostgresStore, migrate_postgres, open_postgres_store
from muttd.store.postgres_options import PostgresOptions
from muttd.store.postgres_schema import known_migrations

pytestmark = needs_postgres

ALL = [str(each) for each in known_migrations()]
FUTURE = f"{len(ALL) + 1:04}_future"


@pytest.fixture
def url() -> Iterator[str]:
    with database(shared_postgres()) as url:
        yield url


@pytest.fixture
def newer_sql(tmp_path: Path) -> Path:
    """The migrations of the next version."""
    shutil.copytree(find_sql_dir() / "postgres", tmp_path / "postgres")
    (tmp_path / "postgres" / f"{FUTURE}.sql").write_text("CREATE TABLE future (n integer);")
    return tmp_path


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    rows = shared_postgres().execute(statement, database=url.rpartition("/")[2])
    return list(rows)


async def look_at(options: PostgresOptions, sql_dir: Path | None = None) -> None:
    """As a daemon does that starts."""
    async with open_postgres_store(options, sql_dir=sql_dir) as store:
        await store.wait_prepared()


async def test_an_empty_database_is_migrated_and_then_left_alone(url: str) -> None:
    options = PostgresOptions(url=url)
    assert [str(each) for each in await migrate_postgres(options)] == ALL
    assert await migrate_postgres(options) == []
    async with open_postgres_store(options) as store:
        await record(store, decided("first"))
        assert await messages(store) == ["first"]


async def test_of_many_that_start_at_once_one_migrates_and_all_come_up(url: str) -> None:
    stores: list[PostgresStore] = []
    everybody = trio.Event()

    async def daemon(number: int) -> None:
        async with open_postgres_store(PostgresOptions(url=url)) as store:
            await record(store, decided(f"of {number}"))
            stores.append(store)
            if len(stores) == 6:
                everybody.set()
            await everybody.wait()
            assert len(await messages(store)) == 6

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(daemon, number)
    assert execute(url, "SELECT count(*) FROM schema_migrations") == [(len(ALL),)]


async def test_a_newer_schema_is_refused(url: str, newer_sql: Path) -> None:
    options = PostgresOptions(url=url)
    await migrate_postgres(options, sql_dir=newer_sql)
    with pytest.raises(StoreRefused, match="a newer muttd"):
        await look_at(options)
    with pytest.raises(StoreRefused, match="a newer muttd"):
        await migrate_postgres(options)


async def test_an_old_daemon_goes_on_beside_a_newer_one(url: str, newer_sql: Path) -> None:
    options = PostgresOptions(url=url)
    async with open_postgres_store(options) as old:
        await record(old, decided("before"))
        async with open_postgres_store(options, sql_dir=newer_sql) as new:
            await new.wait_prepared()
            await record(old, decided("old"))
            await record(new, decided("new"))
            assert await messages(old) == ["new", "old", "before"]


async def test_an_old_schema_is_refused_when_it_may_not_be_changed(
    url: str, newer_sql: Path
) -> None:
    options = PostgresOptions(url=url, auto_migrate=False)
    with pytest.raises(StoreRefused, match=", ".join(ALL) + ": run muttd migrate"):
        await look_at(options)
    await migrate_postgres(options)
    async with open_postgres_store(options) as store:
        await store.ping()
    with pytest.raises(StoreRefused, match=f"{FUTURE}: run muttd migrate"):
        await look_at(options, newer_sql)


async def test_a_migration_that_fails_leaves_nothing_of_itself(url: str, newer_sql: Path) -> None:
    broken = newer_sql / "postgres" / f"{FUTURE}.sql"
    broken.write_text("CREATE TABLE future (n integer); SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate_postgres(PostgresOptions(url=url), sql_dir=newer_sql)
    assert execute(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    assert [str(each) for each in await migrate_postgres(PostgresOptions(url=url))] == ALL


async def test_somebody_elses_migrations_are_refused(url: str) -> None:
    execute(
        url,
        "CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text);"
        "INSERT INTO schema_migrations VALUES (1, 'users');"
        "GRANT ALL ON schema_migrations TO mutt",
    )
    with pytest.raises(StoreRefused, match="another kind of database"):
        await look_at(PostgresOptions(url=url))


async def test_our_tables_without_their_migrations_are_refused(url: str) -> None:
    await migrate_postgres(PostgresOptions(url=url))
    execute(url, "DROP TABLE schema_migrations")
    with pytest.raises(StoreRefused, match="restore it"):
        await migrate_postgres(PostgresOptions(url=url))


async def test_a_search_path_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(StoreRefused, match="search_path"):
        await migrate_postgres(PostgresOptions(url=f"{url}?options=-csearch_path%3Dnowhere"))


async def test_two_schemas_of_one_database_are_two_stores(url: str) -> None:
    execute(url, "CREATE SCHEMA other AUTHORIZATION mutt")
    there = PostgresOptions(url=f"{url}?options=-csearch_path%3Dother")
    async with (
        open_postgres_store(PostgresOptions(url=url)) as here,
        open_postgres_store(there) as other,
    ):
        await record(here, decided("here"))
        await other.add_development_host("lab", Change("ann"))
        assert await messages(other) == []
        assert await here.development_hosts() == []


async def test_who_waits_for_somebody_elses_migration_may_be_cancelled(url: str) -> None:
    with psycopg.connect(shared_postgres().url(url.rpartition("/")[2])) as other:
        other.execute("SELECT pg_advisory_xact_lock(1836414068, hashtext('public'))")
        with trio.move_on_after(0.5) as scope:
            await migrate_postgres(PostgresOptions(url=url))
        assert scope.cancelled_caught
        other.rollback()
    assert [str(each) for each in await migrate_postgres(PostgresOptions(url=url))] == ALL
