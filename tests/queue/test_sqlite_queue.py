"""What the embedded queue promises beyond the contract: one owner, restarts, a bounded file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muttd.errors import QueueFull, StoreRefused
from muttd.queue.contract import Batch, Entry, Queue, Stream
from muttd.queue.exclusive import hold_exclusively
from muttd.queue.sqlite import open_queue

LIMITS = dict.fromkeys(Stream, 1000)
INGEST = Stream.INGEST
ROOT = Path(__file__).parent.parent.parent

HOLDER = """
import sys
from pathlib import Path
from muttd.queue.exclusive import hold_exclusively
with hold_exclusively(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


async def take(queue: Queue, count: int = 1000) -> list[Entry]:
    return await queue.take(INGEST, "a", count=count, wait_s=0)


def numbered(*numbers: int) -> list[Batch]:
    return [Batch(b"%d" % n, 10) for n in numbers]


def modes_in(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}


async def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with open_queue(path, limits=LIMITS) as queue:
        with pytest.raises(StoreRefused, match=f"process {os.getpid()}") as refusal:
            async with open_queue(path, limits=LIMITS):
                pytest.fail("it was opened twice")
        assert str(tmp_path) in str(refusal.value)
        await queue.append(INGEST, numbered(1))
    async with open_queue(path, limits=LIMITS) as queue:
        assert (await queue.depth(INGEST)).entries == 1


def test_the_lock_dies_with_a_killed_process(tmp_path: Path) -> None:
    lock = tmp_path / "queue.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreRefused, match=f"process {holder.pid},"), hold_exclusively(lock):
            pytest.fail("it was held twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold_exclusively(lock):
            assert f"process {os.getpid()}," in lock.read_text()


def test_a_lock_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreRefused, match="No such file or directory"),
        hold_exclusively(tmp_path / "missing" / "queue.lock"),
    ):
        pytest.fail("it was held")


async def test_what_a_dead_process_held_comes_first_again_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with open_queue(path, limits=LIMITS) as queue:
        await queue.append(INGEST, numbered(1, 2, 3, 4))
        first = await take(queue, count=3)
        await queue.ack(INGEST, [first[1].entry_id])
    async with open_queue(path, limits=LIMITS) as queue:
        depth = await queue.depth(INGEST)
        assert (depth.items, depth.entries, depth.pending_items) == (30, 3, 0)
        assert depth.oldest_at == first[0].appended_at
        await queue.append(INGEST, numbered(5))
        entries = await take(queue)
    assert [(e.payload, e.deliveries) for e in entries] == [
        (b"1", 2),
        (b"3", 2),
        (b"4", 1),
        (b"5", 1),
    ]


async def test_an_entry_id_is_not_given_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    ids = set()
    for n in range(3):
        async with open_queue(path, limits=LIMITS) as queue:
            await queue.append(INGEST, numbered(n))
            [entry] = await take(queue)
            await queue.ack(INGEST, [entry.entry_id])
            ids.add(entry.entry_id)
    assert len(ids) == 3


async def test_the_limit_holds_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with open_queue(path, limits=LIMITS) as queue:
        await queue.append(INGEST, [Batch(b"x", 1000)])
    async with open_queue(path, limits=LIMITS) as queue:
        with pytest.raises(QueueFull):
            await queue.append(INGEST, numbered(1))


async def test_the_file_does_not_grow_while_entries_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    sizes = []
    async with open_queue(path, limits=LIMITS) as queue:
        for _ in range(6):
            for _ in range(50):
                await queue.append(INGEST, [Batch(os.urandom(30000), 1)])
                entries = await take(queue)
                await queue.ack(INGEST, [entry.entry_id for entry in entries])
            sizes.append(path.stat().st_size + path.with_name("queue.db-wal").stat().st_size)
    assert max(sizes) < 10_000_000
    assert max(sizes[2:]) <= max(sizes[:2]) * 1.1


async def test_the_file_shrinks_when_a_burst_has_been_worked_off(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with open_queue(path, limits=LIMITS) as queue:
        for _ in range(60):
            await queue.append(INGEST, [Batch(bytes(1_000_000), 1)])
        entries = await take(queue)
        largest = path.stat().st_size
        await queue.ack(INGEST, [entry.entry_id for entry in entries])
        for _ in range(5):
            await queue.append(INGEST, numbered(1))
            [entry] = await take(queue)
            await queue.ack(INGEST, [entry.entry_id])
    assert path.stat().st_size < 20_000_000 < largest


async def test_state_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    async with open_queue(tmp_path / "queue.db", limits=LIMITS) as queue:
        await queue.append(INGEST, numbered(1))
        modes = modes_in(tmp_path)
    assert modes == dict.fromkeys(("queue.db", "queue.db-wal", "queue.db-shm", "queue.lock"), 0o600)
