"""The queue stage alone: microseconds per event for append, take and ack, by events per batch.

    python bench/stage_queue.py [DIRECTORY]      DIRECTORY: on the disk to be measured

Wall time is what one caller waits, the disk's sync included; CPU time is what it costs the daemon.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from muttd.queue.contract import Batch, Entry, Stream
from muttd.queue.sqlite import open_queue

EVENT_OCTETS = 400
BATCHES = 400


async def measured(work: Callable[[], Awaitable[None]], events: int) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return f"{wall / events * 1e6:9.2f} {cpu / events * 1e6:8.2f}"


async def main(directory: Path) -> None:
    print("events/batch          append             take              ack   [us/event: wall, CPU]")
    async with open_queue(directory / "queue.db", limits=dict.fromkeys(Stream, 10**9)) as queue:
        for event_count in (1, 64, 256):
            batch = Batch(b"x" * EVENT_OCTETS * event_count, event_count)
            entries: list[Entry] = []

            async def append(batch: Batch = batch) -> None:
                for _ in range(BATCHES):
                    await queue.append(Stream.INGEST, [batch])

            async def take(entries: list[Entry] = entries) -> None:
                for _ in range(BATCHES):
                    entries += await queue.take(Stream.INGEST, "bench", count=1, wait_s=0)

            async def ack(entries: list[Entry] = entries) -> None:
                for entry in entries:
                    await queue.ack(Stream.INGEST, [entry.entry_id])

            columns = [await measured(work, BATCHES * event_count) for work in (append, take, ack)]
            print(f"{event_count:12}", *columns)
    print(f"file: {(directory / 'queue.db').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as scratch:
        trio.run(main, Path(scratch))
