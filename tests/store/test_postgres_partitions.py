"""Partitions of the event tables: made ahead, exact to the microsecond, caught up with, dropped."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import trio
from postgres_scene import PAGED, decided, messages, record
from servers.postgres_server import database, needs_postgres, shared_postgres

from muttd.decision import AlertState
from muttd.store.contract import EventQuery, Retention, Window
from muttd.store.postgres import PostgresStore, open_postgres_store
from muttd.store.postgres_options import PostgresOptions

pytestmark = needs_postgres

KEPT = Retention(history_days=3, event_retention_months=12, config_audit_days=365)
NEW_YEAR = datetime(2031, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Scene:
    """A store, and what is in which of its tables."""

    def __init__(self, store: PostgresStore, url: str) -> None:
        self.store = store
        self.database = url.rpartition("/")[2]

    def query(self, statement: str) -> list[tuple[object, ...]]:
        return shared_postgres().execute(statement, database=self.database)

    def rows_of(self, table: str) -> dict[str, int]:
        """How many rows each partition has; those that have none are left out."""
        rows = self.query(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1")
        return {str(name): int(str(count)) for name, count in rows}

    def partitions_of(self, table: str) -> set[str]:
        rows = self.query(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            f" WHERE inhparent = '{table}'::regclass"
        )
        return {str(row[0]).removeprefix(f"{table}_") for row in rows}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    with database(shared_postgres()) as url:
        async with open_postgres_store(PostgresOptions(url=url)) as store:
            yield Scene(store, url)


async def test_months_and_days_are_made_ahead(scene: Scene) -> None:
    await scene.store.maintain(KEPT, now=NEW_YEAR - MICROSECOND)
    assert {"2030_12", "2031_01", "2031_02", "2031_03"} <= scene.partitions_of("event_audit_log")
    assert {"2030_12_31", "2031_01_01", "2031_01_02", "2031_01_03"} <= scene.partitions_of(
        "event_history"
    )
    again = await scene.store.maintain(KEPT, now=NEW_YEAR)
    assert again == ["event_audit_log_2031_04 made", "event_history_2031_01_04 made"]


async def test_a_month_begins_at_midnight_utc_to_the_microsecond(scene: Scene) -> None:
    await scene.store.maintain(KEPT, now=NEW_YEAR)
    await scene.store.maintain(KEPT, now=NEW_YEAR - timedelta(days=1))
    moments = [NEW_YEAR - MICROSECOND, NEW_YEAR, NEW_YEAR + MICROSECOND]
    for decision in (PAGED, decided("").decision):
        await record(
            scene.store, *(decided("x", decision=decision, received_at=each) for each in moments)
        )
    assert scene.rows_of("event_audit_log") == {
        "event_audit_log_2030_12": 1,
        "event_audit_log_2031_01": 2,
    }
    assert scene.rows_of("event_history") == {
        "event_history_2030_12_31": 1,
        "event_history_2031_01_01": 2,
    }
    found = await scene.store.search_events(EventQuery(start=NEW_YEAR), Window())
    assert found.total == 4


async def test_a_batch_across_midnight_is_counted_on_both_sides(scene: Scene) -> None:
    batch = [decided(f"{n}", received_at=NEW_YEAR + n * MICROSECOND) for n in (-2, -1, 0, 1, 2)]
    await record(scene.store, *batch)
    assert await messages(scene.store) == ["2", "1", "0", "-1", "-2"]
    await scene.store.maintain(KEPT, now=NEW_YEAR + timedelta(days=3))
    assert await messages(scene.store) == ["2", "1", "0"]


async def test_an_event_without_a_partition_waits_in_the_default_one(scene: Scene) -> None:
    early = decided("early", decision=PAGED, received_at=NEW_YEAR)
    noise = decided("noise", received_at=NEW_YEAR + timedelta(days=40))
    await record(scene.store, early, noise)
    assert scene.rows_of("event_audit_log") == {"event_audit_log_default": 1}
    assert await messages(scene.store) == ["noise", "early"]
    done = await scene.store.maintain(KEPT, now=NEW_YEAR - timedelta(days=1))
    assert "event_audit_log_2031_01 made for 1 rows that waited for it" in done
    assert "event_history_2031_02_10 made for 1 rows that waited for it" in done
    assert scene.rows_of("event_audit_log") == {"event_audit_log_2031_01": 1}
    assert scene.rows_of("event_history") == {"event_history_2031_02_10": 1}
    assert await messages(scene.store) == ["noise", "early"]
    # What was moved is still known: it is not recorded twice.
    await record(scene.store, early, noise)
    assert await messages(scene.store) == ["noise", "early"]


async def test_a_partition_that_somebody_dropped_is_made_again(scene: Scene) -> None:
    await scene.store.maintain(KEPT, now=NEW_YEAR)
    scene.query("DROP TABLE event_audit_log_2031_01")
    await record(scene.store, decided("kept", decision=PAGED, received_at=NEW_YEAR))
    await scene.store.maintain(KEPT, now=NEW_YEAR)
    assert scene.rows_of("event_audit_log") == {"event_audit_log_2031_01": 1}


async def test_events_recorded_while_partitions_are_made_lose_nothing(scene: Scene) -> None:
    events = [
        decided(f"{n}", decision=PAGED, received_at=NEW_YEAR + timedelta(hours=n))
        for n in range(200)
    ]
    async with trio.open_nursery() as nursery:
        for start in range(0, 200, 20):
            nursery.start_soon(record, scene.store, *events[start : start + 20])
        nursery.start_soon(lambda: scene.store.maintain(KEPT, now=NEW_YEAR))
    await scene.store.maintain(KEPT, now=NEW_YEAR)
    assert scene.rows_of("event_audit_log") == {"event_audit_log_2031_01": 200}
    assert await messages(scene.store) == [f"{n}" for n in reversed(range(200))]


async def test_of_several_that_maintain_at_once_each_step_is_done_once(scene: Scene) -> None:
    old = NEW_YEAR - timedelta(days=800)
    await record(scene.store, decided("old", decision=PAGED, received_at=old), decided("new"))
    done: list[str] = []

    async def maintain() -> None:
        options = PostgresOptions(url=shared_postgres().url(scene.database, user="mutt"))
        async with open_postgres_store(options) as store:
            done.extend(await store.maintain(KEPT, now=NEW_YEAR))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(maintain)
    done += await scene.store.maintain(KEPT, now=NEW_YEAR)
    assert len(done) == len(set(done))
    assert await messages(scene.store) == []
    assert await scene.store.maintain(KEPT, now=NEW_YEAR) == []


async def test_a_partition_in_use_is_dropped_later_and_holds_up_nobody(scene: Scene) -> None:
    await record(scene.store, decided("old", received_at=NEW_YEAR))
    await scene.store.maintain(KEPT, now=NEW_YEAR)
    later = NEW_YEAR + timedelta(days=30)
    with psycopg.connect(shared_postgres().url(scene.database)) as reader:
        reader.execute("SELECT * FROM event_history")
        with trio.fail_after(60):
            done = await scene.store.maintain(KEPT, now=later)
        assert any("in use" in line for line in done)
        await record(scene.store, decided("meanwhile", received_at=later))
        reader.rollback()
    done = await scene.store.maintain(KEPT, now=later)
    assert "event_history_2031_01_01 dropped with 1 unmatched events" in done
    assert await messages(scene.store) == ["meanwhile"]


def unpacked(archive: Path) -> bytes:
    return gzip.decompress(archive.read_bytes())


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_an_archive_can_be_read_back(scene: Scene, tmp_path: Path) -> None:
    events = [
        decided(text, decision=PAGED, received_at=NEW_YEAR + n * MICROSECOND)
        for n, text in enumerate(["plain", 'a "quoted", text', "nul \x00 and\nline", "naïve"])
    ]
    await record(scene.store, *events)
    retention = Retention(
        history_days=3, event_retention_months=12, config_audit_days=365, archive_dir=tmp_path
    )
    done = await scene.store.maintain(retention, now=NEW_YEAR + timedelta(days=500))
    assert "event_audit_log_2031_01 archived and dropped with 4 matched events" in done
    assert scene.rows_of("event_audit_log") == {}
    # The months without events, which go as well, leave nothing.
    assert names_in(tmp_path) == ["event_audit_log_2031_01.csv.gz"]
    text = unpacked(tmp_path / "event_audit_log_2031_01.csv.gz")
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert [row["event_id"] for row in rows] == [each.event.event_id for each in events]
    with psycopg.connect(shared_postgres().url(scene.database)) as connection:
        command = "COPY event_audit_log FROM STDIN (FORMAT CSV, HEADER)"
        with connection.cursor().copy(command) as copy:
            copy.write(text)
    for each in events:
        assert await scene.store.get_event(each.event.event_id) == each


async def test_a_housekeeper_that_is_stopped_leaves_no_half_work(
    scene: Scene, tmp_path: Path
) -> None:
    await record(scene.store, decided("old", decision=PAGED, received_at=NEW_YEAR))
    await scene.store.maintain(KEPT, now=NEW_YEAR)
    retention = Retention(
        history_days=3, event_retention_months=12, config_audit_days=365, archive_dir=tmp_path
    )
    with psycopg.connect(shared_postgres().url(scene.database)) as other:
        other.execute("LOCK TABLE event_audit_log_2031_01 IN ACCESS EXCLUSIVE MODE")
        with trio.move_on_after(0.5) as scope:
            await scene.store.maintain(retention, now=NEW_YEAR + timedelta(days=500))
        assert scope.cancelled_caught
        other.rollback()
    assert names_in(tmp_path) == []
    assert await messages(scene.store) == ["old"]
    await scene.store.record([], [], AlertState.QUEUED)
