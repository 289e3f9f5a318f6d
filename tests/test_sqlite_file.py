"""A SQLite file opened our way: migrations, transactions, and whose fault an error is."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from muttd.errors import StoreRefused, StoreUnavailable
from muttd.sqlite_file import (
    ReadTooLong,
    SqliteFile,
    from_microseconds,
    open_sqlite,
    to_microseconds,
)

FIRST = "-- a comment; with a semicolon\nCREATE TABLE t (n INTEGER);\nINSERT INTO t VALUES (0);\n"
FOR_EVER = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    directory = tmp_path / "sql"
    directory.mkdir()
    (directory / "0001_first.sql").write_text(FIRST)
    return directory


@pytest.fixture
async def file(tmp_path: Path, migrations: Path) -> AsyncIterator[SqliteFile]:
    async with open_sqlite(tmp_path / "t.db", migrations) as file:
        yield file


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "t.db", isolation_level=None)) as connection:
        yield connection


async def numbers(file: SqliteFile) -> list[int]:
    rows = await file.read(lambda c: c.execute("SELECT n FROM t ORDER BY n").fetchall())
    return [row[0] for row in rows]


async def refusal(path: Path, migrations: Path) -> str:
    with pytest.raises(StoreRefused) as refused:
        async with open_sqlite(path, migrations):
            pytest.fail("it was opened")
    return str(refused.value)


async def test_migrations_are_applied_once_and_in_order(tmp_path: Path, migrations: Path) -> None:
    async with open_sqlite(tmp_path / "t.db", migrations) as file:
        assert await numbers(file) == [0]
    (migrations / "0002_second.sql").write_text("INSERT INTO t\n  SELECT n + 1 FROM t;")
    for _ in range(2):
        async with open_sqlite(tmp_path / "t.db", migrations) as file:
            assert await numbers(file) == [0, 1]


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    tmp_path: Path, migrations: Path
) -> None:
    async with open_sqlite(tmp_path / "t.db", migrations):
        pass
    second = migrations / "0002_second.sql"
    second.write_text("INSERT INTO t VALUES (1);\nINSERT INTO missing VALUES (1);\n")
    with pytest.raises(sqlite3.OperationalError, match="no such table: missing"):
        async with open_sqlite(tmp_path / "t.db", migrations):
            pytest.fail("it was opened")
    second.write_text("INSERT INTO t VALUES (2);")
    async with open_sqlite(tmp_path / "t.db", migrations) as file:
        assert await numbers(file) == [0, 2]


async def test_a_file_of_a_newer_program_is_refused(tmp_path: Path, migrations: Path) -> None:
    second = migrations / "0002_second.sql"
    second.write_text("INSERT INTO t VALUES (1);")
    async with open_sqlite(tmp_path / "t.db", migrations):
        pass
    second.unlink()
    text = await refusal(tmp_path / "t.db", migrations)
    assert "has schema 2, this program knows up to 1" in text


async def test_a_file_of_another_kind_is_refused(tmp_path: Path, migrations: Path) -> None:
    async with open_sqlite(tmp_path / "t.db", migrations):
        pass
    (migrations / "0001_first.sql").rename(migrations / "0001_other.sql")
    assert "another kind of database" in await refusal(tmp_path / "t.db", migrations)


async def test_a_database_that_muttd_did_not_make_is_refused(
    tmp_path: Path, migrations: Path, other_process: sqlite3.Connection
) -> None:
    other_process.execute("CREATE TABLE customers (name TEXT)")
    assert "not one that muttd made" in await refusal(tmp_path / "t.db", migrations)


@pytest.mark.parametrize("name", ["0003_gap.sql", "second.sql"])
async def test_misnamed_migrations_are_refused(tmp_path: Path, migrations: Path, name: str) -> None:
    (migrations / name).write_text("")
    assert str(migrations) in await refusal(tmp_path / "t.db", migrations)


async def test_a_file_in_a_missing_directory_is_refused(tmp_path: Path, migrations: Path) -> None:
    text = await refusal(tmp_path / "missing" / "t.db", migrations)
    assert "No such file or directory" in text


async def test_two_processes_may_start_at_once(tmp_path: Path, migrations: Path) -> None:
    async def start() -> None:
        async with open_sqlite(tmp_path / "t.db", migrations) as file:
            assert await numbers(file) == [0]

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(start)


async def test_work_that_raises_changes_nothing(file: SqliteFile) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await file.write(work)
    assert await numbers(file) == [0]
    await file.write(lambda c: c.execute("INSERT INTO t VALUES (2)"))
    assert await numbers(file) == [0, 2]


async def test_a_mistake_of_ours_is_not_taken_for_a_broken_disk(file: SqliteFile) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await file.write(lambda c: c.execute("INSERT INTO missing VALUES (1)"))
    with pytest.raises(sqlite3.ProgrammingError):
        await file.write(lambda c: c.execute("SELECT ?", ()))
    assert await numbers(file) == [0]


async def test_readers_do_not_write(file: SqliteFile) -> None:
    with pytest.raises(StoreUnavailable, match="readonly"):
        await file.read(lambda c: c.execute("INSERT INTO t VALUES (1)"))
    assert await numbers(file) == [0]


async def test_a_file_locked_by_another_process_is_unavailable_until_it_lets_go(
    file: SqliteFile, other_process: sqlite3.Connection
) -> None:
    other_process.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await file.write(lambda c: c.execute("INSERT INTO t VALUES (1)"))
    assert await numbers(file) == [0]
    other_process.execute("ROLLBACK")
    await file.write(lambda c: c.execute("INSERT INTO t VALUES (1)"))
    assert await numbers(file) == [0, 1]


async def test_reading_does_not_wait_for_a_writer(
    file: SqliteFile, other_process: sqlite3.Connection
) -> None:
    other_process.execute("BEGIN EXCLUSIVE")
    other_process.execute("INSERT INTO t VALUES (1)")
    assert await numbers(file) == [0]


async def test_a_read_sees_one_snapshot(
    file: SqliteFile, other_process: sqlite3.Connection
) -> None:
    def work(connection: sqlite3.Connection) -> list[int]:
        counts = [connection.execute("SELECT count(*) FROM t").fetchone()[0]]
        other_process_in_this_thread = sqlite3.connect(file.path)
        with closing(other_process_in_this_thread) as other, other:
            other.execute("INSERT INTO t VALUES (1)")
        return [*counts, connection.execute("SELECT count(*) FROM t").fetchone()[0]]

    assert await file.read(work) == [1, 1]
    assert other_process.execute("SELECT count(*) FROM t").fetchone() == (2,)


async def test_a_read_that_takes_too_long_is_stopped(file: SqliteFile) -> None:
    with trio.fail_after(30), pytest.raises(ReadTooLong):
        await file.read(lambda c: c.execute(FOR_EVER).fetchall(), deadline_s=0.05)
    assert await numbers(file) == [0]


async def test_a_read_that_nobody_waits_for_any_more_is_stopped(file: SqliteFile) -> None:
    with trio.fail_after(30), trio.move_on_after(0.05) as scope:
        await file.read(lambda c: c.execute(FOR_EVER).fetchall(), deadline_s=600)
    assert scope.cancelled_caught
    assert await numbers(file) == [0]


async def test_a_cancelled_write_is_finished_and_its_result_returned(file: SqliteFile) -> None:
    committed: list[int] = []
    with trio.CancelScope() as scope:

        def work(connection: sqlite3.Connection) -> int:
            trio.from_thread.run_sync(scope.cancel)
            return connection.execute("INSERT INTO t VALUES (1)").rowcount

        assert await file.write(work, committed=committed.append) == 1
    assert committed == [1]
    assert await numbers(file) == [0, 1]


async def test_both_kinds_of_write_are_there_after_reopening(
    tmp_path: Path, migrations: Path
) -> None:
    async with open_sqlite(tmp_path / "t.db", migrations) as file:
        for n in range(1, 5):
            await file.write(
                lambda c, n=n: c.execute("INSERT INTO t VALUES (?)", (n,)),  # type: ignore[misc]
                durable=n % 2 == 0,
            )
    async with open_sqlite(tmp_path / "t.db", migrations) as file:
        assert await numbers(file) == [0, 1, 2, 3, 4]


def test_microseconds_survive_the_file() -> None:
    moment = datetime(2025, 3, 30, 2, 59, 59, 999999, tzinfo=UTC)
    assert from_microseconds(to_microseconds(moment)) == moment
    assert to_microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1
