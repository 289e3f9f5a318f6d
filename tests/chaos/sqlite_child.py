"""A process to be killed: works on an embedded queue and store, and says what was acknowledged.

    appended N   append() of batch N returned
    moved N      ack() of batch N, with its append to the alert stream, returned
    recorded N   record() of event N returned

python sqlite_child.py DIRECTORY FIRST_NUMBER
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import trio

from muttd.decision import AlertState, Decided, Decision, Environment
from muttd.event import Event, Transport
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.sqlite import open_queue
from muttd.store.contract import Store
from muttd.store.sqlite import open_store


def say(verb: str, number: int) -> None:
    # One write to the pipe: a kill can cut between lines, never within one.
    os.write(1, f"{verb} {number}\n".encode())


def an_event(number: int) -> Event:
    return Event(
        event_id=f"0195e4f0-0000-7000-8000-{number:012d}",
        received_at=datetime.now(UTC),
        source_ip="192.0.2.7",
        hostname="h",
        transport=Transport.SYSLOG_TCP,
        severity=5,
        message=f"event {number}",
        raw=b"",
    )


async def append_all(queue: Queue, numbers: Iterator[int]) -> None:
    for number in numbers:
        # Some batches have overflow pages of their own, some have none.
        payload = b"%d " % number + b"x" * (number * 997 % 20000)
        await queue.append(Stream.INGEST, [Batch(payload, 1)])
        say("appended", number)


async def move_all(queue: Queue) -> None:
    while True:
        for entry in await queue.take(Stream.INGEST, "child", count=3, wait_s=60):
            batch = Batch(entry.payload, entry.item_count)
            await queue.ack(Stream.INGEST, [entry.entry_id], then_append=[(Stream.ALERT, batch)])
            say("moved", int(entry.payload.split()[0]))


async def record_all(store: Store, numbers: Iterator[int]) -> None:
    for number in numbers:
        decided = Decided(an_event(number), Decision(environment=Environment.PROD))
        await store.record([decided], [], AlertState.QUEUED)
        say("recorded", number)


async def main(directory: Path, first: int) -> None:
    limits = dict.fromkeys(Stream, 10**9)
    async with (
        open_queue(directory / "queue.db", limits=limits) as queue,
        open_store(directory / "store.db") as store,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(append_all, queue, itertools.count(first))
        nursery.start_soon(move_all, queue)
        nursery.start_soon(record_all, store, itertools.count(first))


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
