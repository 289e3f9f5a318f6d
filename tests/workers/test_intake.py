"""muttd/workers/intake.py on a real queue."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from interruption import Interruption, an_event
from trio.testing import MockClock, wait_all_tasks_blocked

from muttd.accounts import Accounts
from muttd.arrivals import Arrivals, Origin, decode_entry
from muttd.errors import QueueFull, StoreUnavailable
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds
from muttd.queue.contract import Entry, Queue, Stream
from muttd.queue.fanout import LocalFanout, Received
from muttd.workers.intake import ENTRY_EVENTS, Intake


def events(count: int) -> list[Event]:
    return [an_event(f"event {n}") for n in range(count)]


def arrivals(first: int, count: int) -> Arrivals:
    """Syslog messages "message 7" and so on; each with a PRI too large, which is malformed."""
    return Arrivals(
        EventIds().first_of(count),
        Origin(transport=Transport.SYSLOG_UDP, received_at=utc_now(), zone="UTC", max_octets=480),
        ["192.0.2.1"],
        [b"<999>message %d" % n for n in range(first, first + count)],
    )


async def queued_messages(queue: Queue) -> list[str]:
    entries = await queue.take(Stream.INGEST, "test", count=100, wait_s=0)
    return messages_in(entries)


def messages_in(entries: Sequence[Entry]) -> list[str]:
    contents = [decode_entry(entry.payload) for entry in entries]
    return [event.message for content in contents for event in content.all_events()]


async def test_a_receipt_comes_after_the_queue_has_the_events(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=100)
    nursery.start_soon(intake.run)
    done = trio.Event()
    await intake.put("snmp", events(3), done.set)
    await done.wait()
    assert await queued_messages(queue) == ["event 0", "event 1", "event 2"]
    assert accounts["snmp"].queued == 3


async def test_no_receipt_while_the_queue_is_away(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    away = Interruption(queue)
    away.is_away = True
    intake = Intake(away, LocalFanout(), accounts, buffer_events=100)
    nursery.start_soon(intake.run)
    done = trio.Event()
    await intake.put("snmp", events(1), done.set)
    while not away.refused:
        await trio.lowlevel.checkpoint()
    assert not done.is_set()
    away.is_away = False
    await done.wait()
    assert await queued_messages(queue) == ["event 0"]
    assert intake.last_error is None


async def test_a_full_buffer_makes_put_wait(queue: Queue, accounts: Accounts) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=5)
    await intake.put("syslog_tcp", events(5))
    with trio.move_on_after(0.05) as waited:
        await intake.put("syslog_tcp", events(1))
    assert waited.cancelled_caught
    assert accounts["syslog_tcp"].dropped == 1


async def test_put_and_wait_takes_its_batch_back_when_the_queue_is_away(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    away = Interruption(queue)
    away.is_away = True
    intake = Intake(away, LocalFanout(), accounts, buffer_events=100)
    nursery.start_soon(intake.run)
    with pytest.raises(StoreUnavailable, match="away for this test"):
        await intake.put_and_wait("http", events(2), wait_s=0.1)
    assert accounts["http"].refused["queue"] == 2
    assert intake.waiting_events == 0
    away.is_away = False
    await intake.put_and_wait("http", [an_event("after")], wait_s=10)
    assert await queued_messages(queue) == ["after"]


async def test_a_full_queue_is_said_to_be_full(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=5000)
    nursery.start_soon(intake.run)
    await intake.put_and_wait("http", events(1000), wait_s=10)
    with pytest.raises(QueueFull) as full:
        await intake.put_and_wait("http", events(1), wait_s=0.1)
    assert full.value.limit == 1000


async def test_entries_hold_a_bounded_number_of_events_in_order(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=5000)
    nursery.start_soon(intake.run)
    await intake.put_and_wait("http", events(ENTRY_EVENTS + 1), wait_s=10)
    depth = await queue.depth(Stream.INGEST)
    assert (depth.entries, depth.items) == (2, ENTRY_EVENTS + 1)
    assert await queued_messages(queue) == [f"event {n}" for n in range(ENTRY_EVENTS + 1)]


async def test_what_is_in_the_buffer_at_the_end_is_counted_as_dropped(
    queue: Queue, accounts: Accounts
) -> None:
    away = Interruption(queue)
    away.is_away = True
    intake = Intake(away, LocalFanout(), accounts, buffer_events=100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        await intake.put("syslog_udp", events(7))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    account = accounts["syslog_udp"]
    assert (account.queued, account.dropped) == (0, 7)


async def test_wait_empty_waits_for_everything_that_was_put(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=100)
    await intake.wait_empty()
    await intake.put("syslog_udp", events(7))
    nursery.start_soon(intake.run)
    await intake.wait_empty()
    assert len(await queued_messages(queue)) == 7


async def test_viewers_see_events_once_the_queue_has_them(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    fanout = LocalFanout()
    intake = Intake(queue, fanout, accounts, buffer_events=100)
    nursery.start_soon(intake.run)
    async with fanout.subscribe() as subscription:
        await intake.put("syslog_udp", events(2))
        batch = await subscription.batches.receive()
    assert isinstance(batch, Received)
    seen: Sequence[Event] = batch.events
    assert [event.message for event in seen] == ["event 0", "event 1"]


async def test_a_group_larger_than_the_room_goes_in_pieces(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    """The queue takes 1000 events, and 6000 came at once: it never has to stand still."""
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=10_000)
    for first in range(0, 6000, 250):
        await intake.put("syslog_udp", [an_event(f"{n}") for n in range(first, first + 250)])
    nursery.start_soon(intake.run)
    seen: list[str] = []
    with trio.fail_after(30):
        while len(seen) < 6000:
            entries = await queue.take(Stream.INGEST, "test", count=10, wait_s=1)
            await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries])
            seen += messages_in(entries)
    assert seen == [f"{n}" for n in range(6000)]
    assert accounts["syslog_udp"].queued == 6000


async def test_a_batch_that_cannot_fit_lets_the_ones_behind_it_pass(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=10_000)
    nursery.start_soon(intake.run)

    async def post_too_many() -> None:
        with pytest.raises(QueueFull):
            await intake.put_and_wait("http", events(1001), wait_s=2)

    async with trio.open_nursery() as senders:
        senders.start_soon(post_too_many)
        await wait_all_tasks_blocked()
        await intake.put_and_wait("http", [an_event("small")], wait_s=2)
    assert await queued_messages(queue) == ["small"]
    assert intake.waiting_events == 0


async def test_a_batch_on_its_way_when_the_time_is_up_is_answered_by_what_becomes_of_it(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    class SlowQueue(Interruption):
        async def append(self, *args: object) -> None:
            await trio.sleep(0.3)
            await queue.append(*args)  # type: ignore[arg-type]  # passed on as they come

    intake = Intake(SlowQueue(queue), LocalFanout(), accounts, buffer_events=100)
    nursery.start_soon(intake.run)
    await intake.put_and_wait("http", events(1), wait_s=0.05)
    account = accounts["http"]
    assert (account.queued, account.refused["queue"]) == (1, 0)


async def test_what_comes_right_after_an_append_gathers_for_a_moment(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=1000)
    nursery.start_soon(intake.run)
    await intake.put("syslog_udp", [an_event("the first goes at once")])
    await intake.wait_empty()
    for number in range(3):
        await intake.put("syslog_udp", [an_event(f"later {number}")])
        await wait_all_tasks_blocked()
    assert intake.waiting_events == 3
    mock_clock.jump(0.02)
    await intake.wait_empty()
    entries = await queue.take(Stream.INGEST, "test", count=100, wait_s=0)
    assert [entry.item_count for entry in entries] == [1, 3]


async def test_who_waits_for_a_receipt_and_full_entries_do_not_gather(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    assert mock_clock.rate == 0
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=1000)
    nursery.start_soon(intake.run)
    # The clock stands still: whatever waited for it would wait for ever.
    for _ in range(2):
        done = trio.Event()
        await intake.put("snmp", events(1), done.set)
        await done.wait()
    await intake.put("snmp", events(2 * ENTRY_EVENTS))
    await intake.wait_empty()
    assert accounts["snmp"].queued == 2 + 2 * ENTRY_EVENTS


@pytest.mark.parametrize("sizes", [[256, 256, 256], [100, 300, 1, 367], [768], [1] * 768])
async def test_arrivals_fill_entries_in_their_order(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery, sizes: list[int]
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=10_000)
    first = 0
    for size in sizes:
        await intake.put("syslog_udp", arrivals(first, size))
        first += size
    nursery.start_soon(intake.run)
    await intake.wait_empty()
    depth = await queue.depth(Stream.INGEST)
    assert (depth.entries, depth.items) == (3, 768)
    assert await queued_messages(queue) == [f"message {n}" for n in range(768)]
    assert accounts["syslog_udp"].queued == 768


async def test_arrivals_and_events_keep_their_order_in_entries_of_their_own(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=100)
    await intake.put("syslog_udp", arrivals(0, 2))
    await intake.put("syslog_udp", arrivals(2, 1))
    await intake.put("snmp", events(2))
    await intake.put("syslog_udp", arrivals(3, 1))
    nursery.start_soon(intake.run)
    await intake.wait_empty()
    entries = await queue.take(Stream.INGEST, "test", count=10, wait_s=0)
    assert [entry.item_count for entry in entries] == [3, 2, 1]
    said = messages_in(entries)
    assert said == ["message 0", "message 1", "message 2", "event 0", "event 1", "message 3"]


async def test_arrivals_larger_than_the_room_go_in_pieces(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    intake = Intake(queue, LocalFanout(), accounts, buffer_events=10_000)
    await intake.put("syslog_udp", arrivals(0, 2500))
    nursery.start_soon(intake.run)
    seen: list[str] = []
    with trio.fail_after(30):
        while len(seen) < 2500:
            entries = await queue.take(Stream.INGEST, "test", count=10, wait_s=1)
            await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries])
            seen += messages_in(entries)
    assert seen == [f"message {n}" for n in range(2500)]


async def test_viewers_see_arrivals_parsed_and_nobody_parses_them_again(
    queue: Queue, accounts: Accounts, nursery: trio.Nursery
) -> None:
    fanout = LocalFanout()
    intake = Intake(queue, fanout, accounts, buffer_events=100)
    nursery.start_soon(intake.run)
    came = arrivals(0, 2)
    async with fanout.subscribe() as subscription:
        await intake.put("syslog_udp", came)
        batch = await subscription.batches.receive()
    assert isinstance(batch, Received)
    assert batch.events == came.events()
    [entry] = await queue.take(Stream.INGEST, "test", count=10, wait_s=0)
    assert decode_entry(entry.payload).events == came.events()
    assert accounts["syslog_udp"].malformed == 2
