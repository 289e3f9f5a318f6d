"""The store stage alone: microseconds per recorded event, milliseconds per search.

    python bench/stage_store.py [EVENTS [--directory DIRECTORY]] [--postgres]

1000000 events unless told otherwise; one in ten is matched. Searches run on the whole of what was
recorded. --postgres makes a PostgreSQL of its own, and tells its CPU time from ours.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from servers.postgres_server import database, postgres_server

from muttd.decision import AlertState, Decided, Decision, Environment, Handling
from muttd.errors import InvalidInput
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds
from muttd.store.contract import EventQuery, Retention, Store, Window
from muttd.store.postgres import open_postgres_store
from muttd.store.postgres_options import PostgresOptions
from muttd.store.sqlite import open_store

BATCH_EVENTS = 256
START = utc_now()
UNMATCHED = Decision(environment=Environment.PROD)
TEXT = "%LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet0/{}, changed state to down"


def decided(count: int, ids: EventIds) -> Iterator[Decided]:
    for n in range(count):
        message = TEXT.format(n)
        event = Event(
            event_id=ids.next(),
            received_at=START + timedelta(microseconds=50 * n),
            source_ip="192.0.2.7",
            hostname=f"access-{n % 2000}.example.net",
            transport=Transport.SYSLOG_UDP,
            severity=n % 8,
            facility=23,
            message=message,
            raw=b"<189>Mar  3 19:57:17 access-1 1234: " + message.encode(),
        )
        matched = Decision(
            environment=Environment.PROD,
            rule_id=n % 1000,
            rule_name="line protocol down",
            rule_revision=1,
            handling=Handling.TICKET_ONLY,
            team="NETO",
        )
        yield Decided(event, UNMATCHED if n % 10 else matched)


def searches(count: int, middle_id: str) -> dict[str, tuple[EventQuery, Window]]:
    middle = START + timedelta(microseconds=50 * count // 2)
    second = timedelta(seconds=1)
    return {
        "newest page": (EventQuery(), Window()),
        "page 1000": (EventQuery(), Window(page=1000)),
        "one host": (EventQuery(hostname="access-77.example.net"), Window()),
        "host glob": (EventQuery(hostname="access-77*"), Window()),
        "severity": (EventQuery(severity=3), Window()),
        "rule": (EventQuery(rule_id=70), Window()),
        "one second": (EventQuery(start=middle, end=middle + second), Window()),
        "from the middle on": (EventQuery(start=middle), Window()),
        "gap fill": (EventQuery(after_id=middle_id), Window(limit=200)),
        "text, common": (EventQuery(q="updown"), Window()),
        "text, rare": (EventQuery(q="ethernet0/77777,"), Window()),
        "text, not ASCII": (EventQuery(q="é"), Window()),
        "text in one second": (EventQuery(q="down", start=middle, end=middle + second), Window()),
    }


class Server:
    """The processes of a PostgreSQL, for their CPU time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")

    def cpu_s(self) -> float:
        """What they have used so far; a process that has ended counts in its parent."""
        ticks = 0
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                fields = (directory / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if self._pid in (int(directory.name), int(fields[1])):
                ticks += sum(map(int, fields[11:13]))
                if int(directory.name) == self._pid:
                    ticks += sum(map(int, fields[13:15]))
        return ticks / self._ticks_per_s


async def measure(store: Store, count: int, server: Server | None) -> None:
    middle_id = ""
    wall = cpu = slowest = 0.0
    source = decided(count, EventIds())
    began_server = server.cpu_s() if server else 0.0
    done = 0
    while batch := list(itertools.islice(source, BATCH_EVENTS)):
        began, began_cpu = time.perf_counter(), time.process_time()
        await store.record(batch, [], AlertState.QUEUED)
        took = time.perf_counter() - began
        wall, cpu = wall + took, cpu + time.process_time() - began_cpu
        slowest = max(slowest, took)
        done += len(batch)
        if not middle_id and done >= count // 2:
            middle_id = batch[-1].event.event_id
    print(
        f"record, batches of {BATCH_EVENTS}: {wall / count * 1e6:.2f} us/event wall,"
        f" {cpu / count * 1e6:.2f} CPU; slowest batch {slowest * 1e3:.0f} ms"
    )
    if server:
        print(f"server: {(server.cpu_s() - began_server) / count * 1e6:.2f} us/event CPU")
    for name, (query, window) in searches(count, middle_id).items():
        began = time.perf_counter()
        try:
            found = f"{(await store.search_events(query, window)).total} found"
        except InvalidInput as exc:
            found = str(exc)
        print(f"{name:20} {(time.perf_counter() - began) * 1e3:8.1f} ms   {found}")
    began = time.perf_counter()
    again = list(itertools.islice(decided(count, EventIds()), BATCH_EVENTS))
    await store.record(again, [], AlertState.QUEUED)
    began = time.perf_counter()
    await store.record(again, [], AlertState.QUEUED)
    print(f"redelivered: {(time.perf_counter() - began) / len(again) * 1e6:.2f} us/event wall")
    retention = Retention(history_days=0, event_retention_months=12, config_audit_days=365)
    began = time.perf_counter()
    done_lines = await store.maintain(retention, now=START + timedelta(days=2))
    print(f"retention: {time.perf_counter() - began:.2f} s: {', '.join(done_lines)}")


async def on_sqlite(count: int, directory: Path) -> None:
    path = directory / "store.db"
    async with open_store(path) as store:
        await measure(store, count, None)
    print(f"file: {path.stat().st_size / count:.0f} octets/event")


async def on_postgres(count: int) -> None:
    # As it is installed, but for the memory: what it costs to be durable is part of the price.
    settings = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "'512MB'"}
    settings |= {"max_wal_size": "'2GB'"}
    with postgres_server(settings=settings) as server, database(server) as url:
        async with open_postgres_store(PostgresOptions(url=url)) as store:
            await measure(store, count, Server(server.pid))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("events", type=int, nargs="?", default=1_000_000)
    arguments.add_argument("--directory")
    arguments.add_argument("--postgres", action="store_true")
    chosen = arguments.parse_args()
    if chosen.postgres:
        trio.run(on_postgres, chosen.events)
    else:
        with tempfile.TemporaryDirectory(dir=chosen.directory) as scratch:
            trio.run(on_sqlite, chosen.events, Path(scratch))
