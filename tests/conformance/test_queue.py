"""What every queue backend promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing
from samples import a_batch, a_letter

from bench import LIMIT_ITEMS, Bench
from muttd.errors import QueueFull
from muttd.queue.contract import Batch, Entry, Queue, Stream, alert_stream, destination_of
from muttd.queue.letters import LetterKind, LetterQuery

INGEST, ALERT = Stream.INGEST, Stream.ALERT


async def take_now(queue: Queue, consumer: str = "a", stream: str = INGEST) -> list[Entry]:
    return await queue.take(stream, consumer, count=1000, wait_s=0)


def payloads(entries: list[Entry]) -> list[bytes]:
    return [entry.payload for entry in entries]


async def test_entries_come_out_in_the_order_they_went_in(queue: Queue) -> None:
    batches = [a_batch(n) for n in range(6)]
    await queue.append(INGEST, batches[:2])
    await queue.append(INGEST, batches[2:3])
    await queue.append(INGEST, batches[3:])
    first = await queue.take(INGEST, "a", count=2, wait_s=0)
    second = await queue.take(INGEST, "b", count=10, wait_s=0)
    assert payloads(first + second) == [batch.payload for batch in batches]


async def test_an_entry_is_what_was_appended(queue: Queue) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    payload = bytes(range(256)) * 300
    await queue.append(INGEST, [Batch(payload, 17)])
    [entry] = await take_now(queue)
    assert (entry.payload, entry.item_count, entry.deliveries) == (payload, 17, 1)
    assert before <= entry.appended_at <= datetime.now(UTC) + timedelta(seconds=1)


async def test_streams_do_not_mix(queue: Queue) -> None:
    await queue.append(ALERT, [a_batch(1)])
    assert await take_now(queue, stream=INGEST) == []
    assert len(await take_now(queue, stream=ALERT)) == 1


async def test_two_consumers_never_share_an_entry(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    assert len(await take_now(queue, "a")) == 1
    assert await take_now(queue, "b") == []


async def test_consumers_at_the_same_time_never_share_an_entry(queue: Queue) -> None:
    taken: list[str] = []

    async def consume(consumer: str) -> None:
        while entries := await queue.take(INGEST, consumer, count=3, wait_s=0):
            taken.extend(entry.entry_id for entry in entries)

    await queue.append(INGEST, [a_batch(n) for n in range(50)])
    async with trio.open_nursery() as nursery:
        for n in range(5):
            nursery.start_soon(consume, f"consumer {n}")
    assert len(taken) == len(set(taken)) == 50


async def test_a_waiting_consumer_is_woken_by_an_append(queue: Queue) -> None:
    taken: list[Entry] = []

    async def wait_for_one() -> None:
        taken.extend(await queue.take(INGEST, "a", count=1, wait_s=60))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_one)
            await trio.testing.wait_all_tasks_blocked()
            await queue.append(INGEST, [a_batch(1)])
    assert payloads(taken) == [b"batch 1"]


async def test_a_waiting_consumer_is_woken_by_the_ack_of_another_stream(queue: Queue) -> None:
    taken: list[Entry] = []

    async def wait_for_one() -> None:
        taken.extend(await queue.take(ALERT, "forwarder", count=1, wait_s=60))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_one)
            await trio.testing.wait_all_tasks_blocked()
            await queue.ack(INGEST, [], then_append=[(ALERT, a_batch(1))])
    assert payloads(taken) == [b"batch 1"]


async def test_taking_from_an_empty_stream_ends_after_its_wait(queue: Queue) -> None:
    with trio.fail_after(10):
        assert await queue.take(INGEST, "a", count=1, wait_s=0.01) == []


async def test_a_cancelled_take_loses_no_entry(bench: Bench) -> None:
    queue = bench.queue
    seen: list[Entry] = []

    async def take_one() -> None:
        seen.extend(await queue.take(INGEST, "cancelled", count=1, wait_s=60))

    await queue.append(INGEST, [a_batch(n) for n in range(10)])
    for rounds in range(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_one)
            # Each round cancels one step later: before, while and after the queue works on it.
            for _ in range(rounds):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    await bench.age(60)
    rest = await queue.claim_idle(INGEST, "b", idle_s=60, count=100) + await take_now(queue)
    assert {entry.payload for entry in rest} == {b"batch %d" % n for n in range(10)}
    assert len(rest) == 10
    assert {entry.entry_id for entry in seen} <= {entry.entry_id for entry in rest}


async def test_an_acked_entry_never_comes_back(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1), a_batch(2)])
    first, second = await take_now(bench.queue)
    await bench.queue.ack(INGEST, [first.entry_id])
    await bench.age(1000)
    claimed = await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=10)
    assert [entry.entry_id for entry in claimed] == [second.entry_id]


async def test_acking_again_or_with_a_foreign_id_is_ignored(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    [entry] = await take_now(queue)
    await queue.ack(INGEST, [entry.entry_id])
    await queue.append(INGEST, [a_batch(2)])
    await queue.ack(INGEST, [entry.entry_id, "no id", "", "9" * 40, "-1"])
    assert payloads(await take_now(queue)) == [b"batch 2"]


async def test_an_ack_in_one_stream_leaves_the_other_alone(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    await queue.append(ALERT, [a_batch(2)])
    [entry] = await take_now(queue)
    await queue.ack(ALERT, [entry.entry_id])
    assert (await queue.depth(INGEST)).items == 1
    assert (await queue.depth(ALERT)).items == 1


async def test_an_ack_and_its_append_happen_together(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    [entry] = await take_now(queue)
    await queue.ack(
        INGEST, [entry.entry_id], then_append=[(ALERT, a_batch(2)), (ALERT, a_batch(3))]
    )
    assert (await queue.depth(INGEST)).entries == 0
    assert payloads(await take_now(queue, stream=ALERT)) == [b"batch 2", b"batch 3"]


async def test_what_was_accepted_is_never_shed_by_the_limit(queue: Queue) -> None:
    await queue.append(ALERT, [a_batch(1, item_count=LIMIT_ITEMS)])
    await queue.ack(INGEST, [], then_append=[(ALERT, a_batch(2))])
    assert (await queue.depth(ALERT)).items == LIMIT_ITEMS + 1


async def test_an_append_above_the_limit_is_refused_whole(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1, item_count=LIMIT_ITEMS - 1)])
    with pytest.raises(QueueFull) as refusal:
        await queue.append(INGEST, [a_batch(2), a_batch(3)])
    assert (refusal.value.depth, refusal.value.limit) == (LIMIT_ITEMS - 1, LIMIT_ITEMS)
    await queue.append(INGEST, [a_batch(4)])
    assert payloads(await take_now(queue)) == [b"batch 1", b"batch 4"]


async def test_pending_entries_count_against_the_limit_until_acked(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1, item_count=LIMIT_ITEMS)])
    [entry] = await take_now(queue)
    with pytest.raises(QueueFull):
        await queue.append(INGEST, [a_batch(2)])
    await queue.ack(INGEST, [entry.entry_id])
    await queue.append(INGEST, [a_batch(2)])
    assert (await queue.depth(INGEST)).items == 1


async def test_a_full_stream_does_not_stop_the_other(queue: Queue) -> None:
    await queue.append(ALERT, [a_batch(1, item_count=LIMIT_ITEMS)])
    await queue.append(INGEST, [a_batch(2)])
    assert (await queue.depth(INGEST)).items == 1


async def test_appending_nothing_changes_nothing(queue: Queue) -> None:
    await queue.append(INGEST, [])
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items, depth.oldest_at) == (0, 0, 0, None)


async def test_an_entry_pending_too_long_goes_to_another_consumer(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1)])
    [entry] = await take_now(bench.queue, "a")
    assert await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=10) == []
    await bench.age(60)
    [claimed] = await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=10)
    assert (claimed.entry_id, claimed.payload) == (entry.entry_id, entry.payload)
    assert claimed.deliveries == 2


async def test_a_claimed_entry_is_not_idle_any_more(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1)])
    await take_now(bench.queue, "a")
    await bench.age(60)
    assert len(await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=10)) == 1
    assert await bench.queue.claim_idle(INGEST, "c", idle_s=60, count=10) == []


async def test_idle_entries_are_claimed_oldest_first_and_no_more_than_asked(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(n) for n in range(5)])
    await take_now(bench.queue, "a")
    await bench.age(60)
    claimed = await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=2)
    assert payloads(claimed) == [b"batch 0", b"batch 1"]


async def test_entries_that_nobody_holds_are_not_claimed(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1)])
    await bench.age(1000)
    assert await bench.queue.claim_idle(INGEST, "b", idle_s=0, count=10) == []


async def test_a_live_but_slow_consumer_is_not_robbed(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1), a_batch(2)])
    slow, silent = await take_now(bench.queue, "a")
    await bench.age(60)
    await bench.queue.touch(INGEST, "a", [slow.entry_id])
    claimed = await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=10)
    assert [entry.entry_id for entry in claimed] == [silent.entry_id]


async def test_touching_what_another_consumer_holds_does_nothing(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1)])
    [entry] = await take_now(bench.queue, "a")
    await bench.age(60)
    await bench.queue.touch(INGEST, "stranger", [entry.entry_id])
    assert len(await bench.queue.claim_idle(INGEST, "b", idle_s=60, count=10)) == 1


async def test_what_is_released_goes_to_whoever_takes_next_before_anything_newer(
    queue: Queue,
) -> None:
    await queue.append(INGEST, [a_batch(n) for n in range(4)])
    held = await queue.take(INGEST, "a", count=3, wait_s=0)
    await queue.release(INGEST, "a", [entry.entry_id for entry in held])
    assert payloads(await queue.take(INGEST, "b", count=2, wait_s=0)) == [b"batch 0", b"batch 1"]
    assert payloads(await queue.take(INGEST, "a", count=1, wait_s=0)) == [b"batch 2"]
    assert payloads(await take_now(queue, "b")) == [b"batch 3"]
    assert await take_now(queue, "c") == []


async def test_a_release_does_not_count_as_a_delivery(bench: Bench) -> None:
    queue = bench.queue
    await queue.append(INGEST, [a_batch(1)])
    await take_now(queue, "a")
    await bench.age(60)
    [entry] = await queue.claim_idle(INGEST, "b", idle_s=60, count=1)
    assert entry.deliveries == 2
    for consumer in ("b", "c", "b"):
        await queue.release(INGEST, consumer, [entry.entry_id])
        [entry] = await take_now(queue, "c" if consumer == "b" else "b")
        assert entry.deliveries == 2


async def test_a_waiting_consumer_gets_what_another_releases(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    [entry] = await take_now(queue, "a")
    taken: list[Entry] = []

    async def wait_for_one() -> None:
        taken.extend(await queue.take(INGEST, "b", count=1, wait_s=60))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_one)
            await trio.testing.wait_all_tasks_blocked()
            await queue.release(INGEST, "a", [entry.entry_id])
    assert payloads(taken) == [b"batch 1"]


async def test_releasing_what_one_does_not_hold_does_nothing(bench: Bench) -> None:
    queue = bench.queue
    await queue.append(INGEST, [a_batch(1), a_batch(2)])
    first, second = await take_now(queue, "a")
    await queue.ack(INGEST, [first.entry_id])
    await queue.release(INGEST, "b", [second.entry_id])
    await queue.release(INGEST, "a", [first.entry_id, "no id", "", "9" * 40])
    assert await take_now(queue, "b") == []
    await bench.age(60)
    [entry] = await queue.claim_idle(INGEST, "b", idle_s=60, count=10)
    assert (entry.entry_id, entry.deliveries) == (second.entry_id, 2)


async def test_what_is_released_is_not_pending_and_may_still_be_acked(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1, item_count=10), a_batch(2, item_count=5)])
    first, second = await take_now(queue, "a")
    await queue.release(INGEST, "a", [first.entry_id, second.entry_id])
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items) == (15, 2, 0)
    assert depth.oldest_at == first.appended_at
    await queue.ack(INGEST, [first.entry_id])
    assert payloads(await take_now(queue, "b")) == [b"batch 2"]
    assert (await queue.depth(INGEST)).pending_items == 5


async def test_the_depth_counts_items_entries_and_what_is_pending(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1, item_count=10)])
    await queue.append(INGEST, [a_batch(2, item_count=5)])
    [entry] = await queue.take(INGEST, "a", count=1, wait_s=0)
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items) == (15, 2, 10)
    assert depth.oldest_at == entry.appended_at
    await queue.ack(INGEST, [entry.entry_id])
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items) == (5, 1, 0)
    [entry] = await take_now(queue)
    assert depth.oldest_at == entry.appended_at


async def test_the_oldest_is_the_one_appended_first_even_when_a_later_one_is_acked(
    queue: Queue,
) -> None:
    await queue.append(INGEST, [a_batch(1), a_batch(2), a_batch(3)])
    first, second = await queue.take(INGEST, "a", count=2, wait_s=0)
    await queue.ack(INGEST, [second.entry_id])
    depth = await queue.depth(INGEST)
    assert (depth.entries, depth.pending_items, depth.oldest_at) == (2, 1, first.appended_at)


async def test_burying_forgets_the_entry_and_keeps_the_letter(bench: Bench) -> None:
    await bench.queue.append(INGEST, [a_batch(1, item_count=3)])
    [entry] = await take_now(bench.queue)
    await bench.queue.bury(INGEST, [entry.entry_id], [a_letter(1), a_letter(2)])
    await bench.age(1000)
    assert await bench.queue.claim_idle(INGEST, "b", idle_s=0, count=10) == []
    assert await bench.queue.letters.find() == [a_letter(2), a_letter(1)]
    depth = await bench.queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items) == (0, 0, 0)


async def test_a_letter_may_be_buried_while_its_entry_stays(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    await queue.bury(INGEST, [], [a_letter(1)])
    assert (await queue.depth(INGEST)).entries == 1
    assert await queue.letters.count(LetterQuery(kind=LetterKind.EVENT)) == 1


async def test_burying_a_letter_twice_keeps_it_once(queue: Queue) -> None:
    await queue.bury(INGEST, [], [a_letter(1)])
    await queue.bury(INGEST, [], [a_letter(1)])
    assert await queue.letters.find() == [a_letter(1)]


async def test_a_working_queue_answers_a_ping(queue: Queue) -> None:
    await queue.ping()
    assert (await queue.depth(INGEST)).entries == 0


async def test_each_destination_has_a_stream_of_its_own(queue: Queue) -> None:
    tickets = alert_stream("tickets-2")
    assert (alert_stream("moog"), destination_of(tickets)) == ("alert", "tickets-2")
    await queue.append(INGEST, [a_batch(1)])
    [entry] = await take_now(queue)
    await queue.ack(
        INGEST, [entry.entry_id], then_append=[(ALERT, a_batch(2)), (tickets, a_batch(3))]
    )
    await queue.append(tickets, [a_batch(4)])
    [moog] = await take_now(queue, stream=ALERT)
    assert moog.payload == b"batch 2"
    entries = await take_now(queue, stream=tickets)
    assert payloads(entries) == [b"batch 3", b"batch 4"]
    assert await queue.destinations() == ["moog", "tickets-2"]
    # Acking another stream's entries does nothing to this one's.
    await queue.ack(ALERT, [each.entry_id for each in entries])
    assert (await queue.depth(tickets)).entries == 2
    await queue.ack(tickets, [entries[0].entry_id])
    assert (await queue.depth(tickets)).entries == 1


async def test_without_alerts_only_the_first_destination_is_known(queue: Queue) -> None:
    await queue.append(INGEST, [a_batch(1)])
    assert await queue.destinations() == ["moog"]
