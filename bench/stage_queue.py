"""The queue stage alone: microseconds per event for append, take and ack, by events per batch.

    python bench/stage_queue.py [DIRECTORY]            DIRECTORY: on the disk to be measured
    python bench/stage_queue.py --redis [URL]          URL: of a Redis that may be written to;
                                                       else one of our own with AOF everysec
    python bench/stage_queue.py --redis --replicas 1   and with so many replicas to wait for

Wall time is what one caller waits, the disk's sync included; CPU time is what it costs the daemon,
and for Redis of our own what it costs the server.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import trio

from muttd.queue.contract import Batch, Entry, Queue, Stream
from muttd.queue.redis import open_redis_queue
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import open_link
from muttd.queue.redis_options import RedisOptions
from muttd.queue.sqlite import open_queue

sys.path.append(str(Path(__file__).parent.parent / "tests"))

EVENT_OCTETS = 400
BATCHES = 400
NO_LIMIT = dict.fromkeys(Stream, 10**9)
PREFIX = "muttd-bench"

Clock = Callable[[], float]


async def measured(work: Callable[[], Awaitable[None]], events: int, server_cpu: Clock) -> str:
    wall, cpu, server = time.perf_counter(), time.process_time(), server_cpu()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    server = server_cpu() - server
    return " ".join(f"{each / events * 1e6:7.2f}" for each in (wall, cpu, server))


async def measure(queue: Queue, server_cpu: Clock) -> None:
    print("events/batch                  append                    take                     ack")
    print("                 wall   daemon  server   [us/event]")
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

        columns = [
            await measured(work, BATCHES * event_count, server_cpu) for work in (append, take, ack)
        ]
        print(f"{event_count:12}", *columns)


async def on_sqlite(directory: Path) -> None:
    async with open_queue(directory / "queue.db", limits=NO_LIMIT) as queue:
        await measure(queue, lambda: 0.0)
    print(f"file: {(directory / 'queue.db').stat().st_size / 1e6:.1f} MB")


async def on_redis(url: str, server_cpu: Clock) -> None:
    options = dataclasses.replace(RedisOptions.from_url(url), prefix=PREFIX)
    async with open_redis_queue(options, limits=NO_LIMIT) as queue:
        try:
            await measure(queue, server_cpu)
        finally:
            async with open_link(options) as link:
                await link.call(lambda client: client.delete(*RedisKeys(PREFIX).all()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", nargs="?")
    parser.add_argument("--redis", nargs="?", const="")
    parser.add_argument("--replicas", type=int, default=0)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        if arguments.redis is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.directory))
            trio.run(on_sqlite, Path(scratch))
        elif arguments.redis:
            trio.run(on_redis, arguments.redis, lambda: 0.0)
        else:
            # Here, because measuring the embedded queue needs no Redis and no pytest.
            from servers.redis_server import RedisSetup, redis_server

            setup = RedisSetup(settings={"appendonly": "yes", "appendfsync": "everysec"})
            server = stack.enter_context(redis_server(setup, replicas=arguments.replicas))
            client = stack.enter_context(server.client())

            def server_cpu() -> float:
                used = client.info("cpu")
                return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

            trio.run(on_redis, server.url(), server_cpu)


if __name__ == "__main__":
    main()
