"""What the embedded store promises beyond the contract: restarts, several processes, deadlines."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from muttd.decision import AlertState, Decided, Decision, Environment
from muttd.errors import InvalidInput, StoreRefused
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds
from muttd.migrations import find_sql_dir
from muttd.queue.contract import Stream
from muttd.queue.sqlite import open_queue
from muttd.rules.model import Rule
from muttd.store.contract import Change, EventQuery, Window
from muttd.store.sqlite import open_store

ANN = Change("ann")


def events(count: int) -> list[Decided]:
    ids = EventIds()
    return [
        Decided(
            Event(
                event_id=ids.next(),
                received_at=utc_now(),
                source_ip="192.0.2.7",
                hostname="core-1",
                transport=Transport.HTTP,
                severity=5,
                message=f"event {n}",
                raw=b"",
            ),
            Decision(environment=Environment.PROD),
        )
        for n in range(count)
    ]


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    recorded = events(3)
    async with open_store(tmp_path / "store.db") as store:
        await store.record(recorded, [], AlertState.QUEUED)
        await store.add_development_host("lab", ANN)
    async with open_store(tmp_path / "store.db") as store:
        page = await store.search_events(EventQuery(), Window())
        assert (page.items, page.total) == (recorded[::-1], 3)
        assert (await store.rule_book()).development_hosts == ("lab",)
        assert await store.rule_book_revision() == 1


async def test_rules_of_an_older_program_are_read(tmp_path: Path) -> None:
    older = tmp_path / "sql" / "sqlite" / "store"
    older.mkdir(parents=True)
    for path in (find_sql_dir() / "sqlite" / "store").iterdir():
        if path.name < "0003":
            shutil.copy(path, older)
    async with open_store(tmp_path / "store.db", sql_dir=tmp_path / "sql") as store:
        await store.add_development_host("lab", ANN)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute(
            "INSERT INTO alert_rules VALUES (7, 'old', 'x', 'contains', NULL, NULL, 'eq', NULL,"
            " 100, 'Page_only', 'Ignore', 'NETO', 1, NULL, 1, 0, 0, NULL)"
        )
    async with open_store(tmp_path / "store.db") as store:
        [rule] = (await store.rule_book()).rules
    assert (rule.id, rule.match_string) == (7, "x")
    assert (rule.repeat_interval_s, rule.clear_match, rule.destination) == (None, None, None)
    kept = msgspec.to_builtins(rule)
    for field in ("repeat_interval_s", "clear_match", "destination"):
        del kept[field]
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Rule) == rule


async def test_two_processes_share_a_store(tmp_path: Path) -> None:
    async with (
        open_store(tmp_path / "store.db") as daemon,
        open_store(tmp_path / "store.db") as command,
    ):
        await command.add_development_host("lab", ANN)
        await daemon.record(events(2), [], AlertState.QUEUED)
        await command.record(events(2), [], AlertState.QUEUED)
        assert await daemon.rule_book_revision() == 1
        assert (await daemon.search_events(EventQuery(), Window())).total == 4


async def test_a_search_that_takes_too_long_is_the_clients_to_narrow(tmp_path: Path) -> None:
    async with open_store(tmp_path / "store.db", search_deadline_s=0) as store:
        await store.record(events(5000), [], AlertState.QUEUED)
        with pytest.raises(InvalidInput, match="narrow it by time"):
            await store.search_events(EventQuery(q="nowhere"), Window())
        assert (await store.search_events(EventQuery(), Window())).total == 5000


async def test_a_queue_file_is_no_store(tmp_path: Path) -> None:
    async with open_queue(tmp_path / "queue.db", limits=dict.fromkeys(Stream, 1)):
        pass
    with pytest.raises(StoreRefused, match="another kind of database"):
        async with open_store(tmp_path / "queue.db"):
            pytest.fail("it was opened")
