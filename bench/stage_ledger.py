"""Counting unmatched events: what it adds to an event, and what a million templates leave behind.

    PYTHONPATH=.:tests python bench/stage_ledger.py [--groups N]

On the embedded queue and on a Redis of our own (AOF everysec), in batches of 512: twenty hosts that
say the same, then no two events alike. Then N groups (a million) with one event each, among them
one that is counted to the threshold: it must be found, and looking through all must be quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio
from servers.redis_server import RedisSetup, redis_server

from muttd.decision import Decided, Decision, Environment
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.ledger import Counted, Sighting, to_microseconds
from muttd.queue.redis import open_redis_queue
from muttd.queue.redis_options import RedisOptions
from muttd.queue.sqlite import open_queue
from muttd.rules.compile import EMPTY
from muttd.workers.sightings import Sighted, Sightings

BATCH_EVENTS = 512
BATCHES = 20
NO_LIMIT = dict.fromkeys(Stream, 10**9)
DAY_US = 86_400_000_000
ABOUT = "x" * 600

_ids = EventIds()
_LETTERS = str.maketrans("0123456789", "abcdefghij")

Clock = Callable[[], float]


def batch_of(number: int, *, is_alike: bool) -> list[Decided]:
    """Unmatched events."""
    decided = []
    for n in range(BATCH_EVENTS):
        word = f"{number * BATCH_EVENTS + n:09}".translate(_LETTERS)
        event = Event(
            event_id=_ids.next(),
            received_at=utc_now(),
            source_ip="192.0.2.7",
            hostname=f"gate{n % 20}",
            transport=Transport.SYSLOG_UDP,
            severity=4,
            message=f"Failed password for invalid user x from 192.0.2.{n % 255} port {n}"
            if is_alike
            else f"nobody said {word} before",
            raw=b"",
            app_name="sshd",
        )
        decided.append(Decided(event, Decision(environment=Environment.PROD)))
    return decided


def counted_of(sightings: Sightings, batch: list[Decided]) -> Counted | None:
    """What a batch counts."""
    sighted = Sighted()
    sightings.add(sighted, batch, [each.event for each in batch], EMPTY)
    return sightings.counted(sighted, [])


async def ack(queue: Queue, counted: Counted | None) -> None:
    """One entry, taken and acked."""
    await queue.append(Stream.INGEST, [Batch(b"x", BATCH_EVENTS)])
    entries = await queue.take(Stream.INGEST, "bench", count=1, wait_s=0)
    await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries], counted=counted)


async def measure(name: str, queue: Queue, server_cpu: Clock, groups: int) -> None:
    """Print what counting costs, and how much is held."""
    events = BATCH_EVENTS * BATCHES
    for is_alike in (True, False):
        batches = [batch_of(number, is_alike=is_alike) for number in range(BATCHES)]
        sightings = Sightings(Dynamic(DynamicSettings()))
        started = time.process_time()
        counted = [counted_of(sightings, batch) for batch in batches]
        made_us = (time.process_time() - started) / events * 1e6
        costs = []
        for what in ([None] * BATCHES, counted):
            cpu, server = time.process_time(), server_cpu()
            for each in what:
                await ack(queue, each)
            costs.append((time.process_time() - cpu, server_cpu() - server))
        (cpu, server), (more_cpu, more_server) = costs
        print(
            f"{name}: {'alike' if is_alike else 'no two alike':12} {made_us:5.2f} us to count,"
            f" {(more_cpu - cpu) / events * 1e6:5.2f} us more in the ack,"
            f" {(more_server - server) / events * 1e6:5.2f} us more in the server"
        )
    await flood(name, queue, groups)


async def flood(name: str, queue: Queue, groups: int) -> None:
    """A group that is nearly there, many that are not, and what is left of them."""
    now_us = to_microseconds(utc_now())
    await ack(queue, Counted(100, DAY_US, [Sighting("noisy", ABOUT, [now_us, 90])]))
    for first in range(0, groups, 500):
        at_us = now_us + first
        some = [Sighting(f"{first + n:024}", ABOUT, [at_us, 1]) for n in range(500)]
        await ack(queue, Counted(100, DAY_US, some))
    await ack(queue, Counted(100, DAY_US, [Sighting("noisy", ABOUT, [now_us + groups, 10])]))
    due, stats = await queue.ledger.due(now_us=now_us, window_us=DAY_US)
    started = time.perf_counter()
    await queue.ledger.recount(now_us=now_us + groups, threshold=99, window_us=DAY_US)
    took_s = time.perf_counter() - started
    print(
        f"{name}: of {groups} groups {stats.held['groups']} are held, {stats.evicted['groups']}"
        f" evicted, {len(due)} due; all looked through in {took_s:.2f} s"
    )


async def run(groups: int) -> None:
    """Both backends."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "queue.db"
        async with open_queue(path, limits=NO_LIMIT) as queue:
            await measure("sqlite", queue, lambda: 0.0, groups)
        print(f"sqlite: file {path.stat().st_size / 2**20:.0f} MiB")
    setup = RedisSetup(settings={"appendonly": "yes", "appendfsync": "everysec"})
    with redis_server(setup) as server, server.client() as client:

        def server_cpu() -> float:
            used = client.info("cpu")
            return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

        options = dataclasses.replace(RedisOptions.from_url(server.url()), prefix="muttd-bench")
        async with open_redis_queue(options, limits=NO_LIMIT) as queue:
            await measure("redis", queue, server_cpu, groups)
        print(f"redis: memory {client.info('memory')['used_memory'] / 2**20:.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=1_000_000)
    trio.run(run, parser.parse_args().groups)
