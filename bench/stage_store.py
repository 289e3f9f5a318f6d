"""The store stage alone: microseconds per recorded event, milliseconds per search.

    python bench/stage_store.py [EVENTS [DIRECTORY]]      default 1000000 events

One event in ten is matched. Searches run on the whole of what was recorded.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import trio

from muttd.decision import AlertState, Decided, Decision, Environment, Handling
from muttd.errors import InvalidInput
from muttd.event import Event, EventIds, Transport, utc_now
from muttd.store.contract import EventQuery, Retention, Window
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


async def main(count: int, directory: Path) -> None:
    path = directory / "store.db"
    middle_id = ""
    wall = cpu = slowest = 0.0
    async with open_store(path) as store:
        source = decided(count, EventIds())
        done = 0
        while batch := list(itertools.islice(source, BATCH_EVENTS)):
            began, began_cpu = time.perf_counter(), time.process_time()
            await store.record(batch, [], AlertState.QUEUED)
            took = time.perf_counter() - began
            wall, cpu, slowest = (
                wall + took,
                cpu + time.process_time() - began_cpu,
                max(slowest, took),
            )
            done += len(batch)
            if not middle_id and done >= count // 2:
                middle_id = batch[-1].event.event_id
        print(
            f"record, batches of {BATCH_EVENTS}: {wall / count * 1e6:.2f} us/event wall,"
            f" {cpu / count * 1e6:.2f} CPU; slowest batch {slowest * 1e3:.0f} ms"
        )
        print(f"file: {path.stat().st_size / count:.0f} octets/event")
        for name, (query, window) in searches(count, middle_id).items():
            began = time.perf_counter()
            try:
                found = f"{(await store.search_events(query, window)).total} found"
            except InvalidInput as exc:
                found = str(exc)
            print(f"{name:20} {(time.perf_counter() - began) * 1e3:8.1f} ms   {found}")
        began = time.perf_counter()
        retention = Retention(history_days=0, event_retention_months=12, config_audit_days=365)
        done = await store.maintain(retention, now=START + timedelta(days=2))
        print(f"retention: {time.perf_counter() - began:.2f} s: {', '.join(done)}")


if __name__ == "__main__":
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as scratch:
        trio.run(main, events, Path(scratch))
