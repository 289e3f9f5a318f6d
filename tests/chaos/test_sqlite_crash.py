"""The embedded backends under kill -9, a full disk and a damaged file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from muttd.decision import AlertState, Decided, Decision, Environment
from muttd.errors import QueueFull, StoreRefused, StoreUnavailable
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.exclusive import hold_exclusively
from muttd.queue.sqlite import open_queue
from muttd.store.contract import EventQuery, Store, Window
from muttd.store.sqlite import open_store

pytestmark = pytest.mark.chaos

CHILD = Path(__file__).with_name("sqlite_child.py")
ROOT = Path(__file__).parent.parent.parent
KILLS = 12
NUMBERS_PER_LIFE = 1_000_000
NO_LIMIT = dict.fromkeys(Stream, 10**9)


def live_and_be_killed(directory: Path, first: int, lines: int) -> list[tuple[str, int]]:
    """Run the child until it has acknowledged so many things, kill it, and return all it said."""
    child = subprocess.Popen(
        [sys.executable, CHILD, directory, str(first)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    # What is still in the pipe was acknowledged too.
    said += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return [(verb.decode(), int(number)) for verb, number in (line.split() for line in said)]


async def numbers_in(queue: Queue, stream: Stream) -> Counter[int]:
    found: Counter[int] = Counter()
    while entries := await queue.take(stream, "judge", count=500, wait_s=0):
        found.update(int(entry.payload.split()[0]) for entry in entries)
    return found


async def recorded_in(store: Store) -> Counter[int]:
    found: Counter[int] = Counter()
    window = Window(limit=200)
    while True:
        page = await store.search_events(EventQuery(), window)
        found.update(int(decided.event.message.split()[1]) for decided in page.items)
        if page.next_cursor is None:
            assert page.total == found.total()
            return found
        window = Window(limit=200, cursor=page.next_cursor)


@pytest.mark.timeout(300)
async def test_kill_9_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(20250330)
    said: set[tuple[str, int]] = set()
    for life in range(KILLS):
        said |= set(live_and_be_killed(tmp_path, life * NUMBERS_PER_LIFE, chance.randrange(1, 400)))
    async with open_queue(tmp_path / "queue.db", limits=NO_LIMIT) as queue:
        depths = [(await queue.depth(stream)).entries for stream in Stream]
        waiting = await numbers_in(queue, Stream.INGEST)
        moved = await numbers_in(queue, Stream.ALERT)
    async with open_store(tmp_path / "store.db") as store:
        recorded = await recorded_in(store)
    everywhere = waiting + moved
    assert {n for verb, n in said if verb == "appended"} <= set(everywhere)
    assert {n for verb, n in said if verb == "moved"} <= set(moved)
    assert {n for verb, n in said if verb == "recorded"} <= set(recorded)
    assert {count for found in (everywhere, recorded) for count in found.values()} == {1}
    assert depths == [waiting.total(), moved.total()]
    assert {verb for verb, _ in said} == {"appended", "moved", "recorded"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB, with a file `ballast` that can be removed to make room."""
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "muttd-test", mount], check=True)
    (mount / "ballast").write_bytes(bytes(8 * 1024 * 1024))
    yield mount
    subprocess.run(["umount", mount], check=True)


async def append_until_refused(queue: Queue) -> tuple[list[bytes], StoreUnavailable]:
    accepted: list[bytes] = []
    while True:
        payload = b"%d " % len(accepted) + b"x" * 20000
        try:
            await queue.append(Stream.INGEST, [Batch(payload, 1)])
        except StoreUnavailable as refusal:
            return accepted, refusal
        accepted.append(payload)


async def record_until_refused(store: Store) -> tuple[int, Decided]:
    """Record events until the store refuses one: how many it took, and the one it refused."""
    ids = EventIds()
    recorded = 0
    while True:
        event = Event(
            event_id=ids.next(),
            received_at=utc_now(),
            source_ip="192.0.2.7",
            hostname="h",
            transport=Transport.SYSLOG_TCP,
            severity=5,
            message="x" * 10000,
            raw=b"",
        )
        decided = Decided(event, Decision(environment=Environment.PROD))
        try:
            await store.record([decided], [], AlertState.QUEUED)
        except StoreUnavailable:
            return recorded, decided
        recorded += 1


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="run as root: it mounts a file system")


@needs_root
async def test_a_full_disk_refuses_appends_and_loses_no_entry(small_disk: Path) -> None:
    async with open_queue(small_disk / "queue.db", limits=NO_LIMIT, reserve_octets=0) as queue:
        accepted, refusal = await append_until_refused(queue)
        assert "full" in str(refusal)
        assert not isinstance(refusal, QueueFull)
        assert (await queue.depth(Stream.INGEST)).entries == len(accepted)
        (small_disk / "ballast").unlink()
        await queue.append(Stream.INGEST, [Batch(b"after", 1)])
        entries = await queue.take(Stream.INGEST, "a", count=10_000, wait_s=0)
        assert [entry.payload for entry in entries] == [*accepted, b"after"]
        await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries])
        assert (await queue.depth(Stream.INGEST)).entries == 0


@needs_root
async def test_the_backlog_is_drained_although_intake_has_filled_the_disk(
    small_disk: Path,
) -> None:
    reserve = 8 * 1024 * 1024
    async with open_queue(
        small_disk / "queue.db", limits=NO_LIMIT, reserve_octets=reserve
    ) as queue:
        accepted, refusal = await append_until_refused(queue)
        assert "kept to drain the queue" in str(refusal)
        drained = []
        while entries := await queue.take(Stream.INGEST, "a", count=5, wait_s=0):
            drained += [entry.payload for entry in entries]
            batches = [(Stream.ALERT, Batch(entry.payload, 1)) for entry in entries]
            ids = [entry.entry_id for entry in entries]
            await queue.ack(Stream.INGEST, ids, then_append=batches)
        assert drained == accepted


@needs_root
def test_the_lock_is_held_on_a_full_disk_although_its_text_cannot_be_written(
    small_disk: Path,
) -> None:
    with (
        pytest.raises(OSError, match="No space left"),
        (small_disk / "filler").open("wb", buffering=0) as filler,
    ):
        filler.writelines(bytes(4096) for _ in range(100_000))
    lock = small_disk / "queue.lock"
    with hold_exclusively(lock):
        assert lock.read_bytes() == b""
        with pytest.raises(StoreRefused, match="another muttd"), hold_exclusively(lock):
            pytest.fail("it was held twice")


@needs_root
async def test_a_full_disk_loses_no_recorded_event(small_disk: Path) -> None:
    async with open_store(small_disk / "store.db") as store:
        recorded, refused = await record_until_refused(store)
        assert (await store.search_events(EventQuery(), Window())).total == recorded
        assert await store.get_event(refused.event.event_id) is None
        (small_disk / "ballast").unlink()
        await store.record([refused], [], AlertState.QUEUED)
        assert (await store.search_events(EventQuery(), Window())).total == recorded + 1


@needs_root
async def test_a_queue_closed_on_a_full_disk_opens_whole_when_there_is_room(
    small_disk: Path,
) -> None:
    async with open_queue(small_disk / "queue.db", limits=NO_LIMIT, reserve_octets=0) as queue:
        accepted, _ = await append_until_refused(queue)
    (small_disk / "ballast").unlink()
    async with open_queue(small_disk / "queue.db", limits=NO_LIMIT, reserve_octets=0) as queue:
        entries = await queue.take(Stream.INGEST, "a", count=10_000, wait_s=0)
    assert [entry.payload for entry in entries] == accepted


async def fill(path: Path) -> None:
    async with open_queue(path, limits=NO_LIMIT) as queue:
        for n in range(50):
            await queue.append(Stream.INGEST, [Batch(b"%d" % n * 5000, 1)])


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"MUTTD_STATE_DIR=/var/lib/mutt\n" * 400, "file is not a database"),
        (b"SQLite format 3\x00" + b"\xff" * 8000, "file is not a database"),
    ],
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, octets: bytes, text: str
) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(octets)
    with pytest.raises(StoreRefused, match=text) as refusal:
        async with open_queue(path, limits=NO_LIMIT):
            pytest.fail("it was opened")
    assert str(path) in str(refusal.value)
    assert path.read_bytes() == octets


async def test_a_damaged_queue_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    await fill(path)
    whole = path.read_bytes()
    # The schema on the first page stays whole; the rows are not.
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(StoreRefused, match=r"malformed") as refusal:
        async with open_queue(path, limits=NO_LIMIT) as queue:
            await queue.take(Stream.INGEST, "a", count=10_000, wait_s=0)
    assert str(path) in str(refusal.value)
