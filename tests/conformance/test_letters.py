"""What every queue backend promises of its dead letters."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace
from samples import MORNING, a_letter

from muttd.queue.contract import Queue, Stream, alert_stream
from muttd.queue.letters import LetterKind, LetterQuery, Past

INGEST, ALERT = Stream.INGEST, Stream.ALERT
EVENTS, ALERTS = LetterQuery(kind=LetterKind.EVENT), LetterQuery(kind=LetterKind.ALERT)


async def test_dead_letters_are_listed_newest_first_by_kind_and_by_page(queue: Queue) -> None:
    events = [a_letter(n) for n in range(3)]
    alerts = [a_letter(n, LetterKind.ALERT) for n in range(3, 5)]
    await queue.bury(INGEST, [], events)
    await queue.bury(ALERT, [], alerts)
    newest_first = [*reversed(alerts), *reversed(events)]
    assert await queue.letters.find() == newest_first
    assert await queue.letters.find(offset=1, limit=3) == newest_first[1:4]
    assert await queue.letters.find(limit=2, oldest_first=True) == events[:2]
    assert await queue.letters.find(ALERTS) == newest_first[:2]
    assert await queue.letters.find(EVENTS, offset=2) == newest_first[4:]
    assert await queue.letters.count(EVENTS) == 3
    assert await queue.letters.count(ALERTS) == 2
    assert await queue.letters.count() == 5


async def test_dead_letters_are_found_by_reason_destination_and_replays(queue: Queue) -> None:
    poison = a_letter(1)
    rejected = a_letter(2, LetterKind.ALERT)
    failing = replace(
        a_letter(3, LetterKind.ALERT), reason="failing", destination="tickets", replays=3
    )
    await queue.bury(INGEST, [], [poison])
    await queue.bury(ALERT, [], [rejected, failing])
    letters = queue.letters
    assert await letters.find(LetterQuery(reason="poison")) == [poison]
    assert await letters.find(LetterQuery(destination="moog")) == [rejected]
    assert await letters.find(LetterQuery(destination="tickets", reason="poison")) == []
    assert await letters.find(LetterQuery(least_replays=3)) == [failing]
    assert await letters.find(LetterQuery(most_replays=2)) == [rejected, poison]
    assert await letters.count(LetterQuery(kind=LetterKind.ALERT, most_replays=2)) == 1


async def test_more_letters_than_a_page_are_found_in_order(queue: Queue) -> None:
    buried = [a_letter(n) for n in range(450)]
    await queue.bury(INGEST, [], buried)
    found = await queue.letters.find(LetterQuery(reason="poison"), offset=198, limit=204)
    assert found == buried[::-1][198:402]


async def test_one_letter_is_had_by_its_id(queue: Queue) -> None:
    await queue.bury(INGEST, [], [a_letter(1)])
    assert await queue.letters.get(a_letter(1).letter_id) == a_letter(1)
    assert await queue.letters.get("unknown \x00 é") is None


async def test_an_edited_letter_has_its_new_payload_and_its_replays_counted_anew(
    queue: Queue,
) -> None:
    letter = replace(a_letter(1), replays=3)
    await queue.bury(INGEST, [], [letter, a_letter(2)])
    assert await queue.letters.edit(letter.letter_id, b"other") is True
    assert await queue.letters.get(letter.letter_id) == replace(letter, payload=b"other", replays=0)
    assert await queue.letters.get(a_letter(2).letter_id) == a_letter(2)
    assert await queue.letters.edit("unknown", b"other") is False


async def test_a_replayed_letter_goes_back_to_the_stream_of_its_kind(queue: Queue) -> None:
    event, alert = a_letter(1), a_letter(2, LetterKind.ALERT)
    await queue.bury(INGEST, [], [event])
    await queue.bury(ALERT, [], [alert])
    ids = [event.letter_id, alert.letter_id]
    assert sorted(await queue.letters.replay([*ids, "unknown \x00 é"])) == sorted(ids)
    assert await queue.letters.find() == []
    [ingest] = await queue.take(INGEST, "a", count=10, wait_s=0)
    [outgoing] = await queue.take(ALERT, "a", count=10, wait_s=0)
    assert (ingest.payload, ingest.item_count) == (event.payload, 1)
    assert (outgoing.payload, outgoing.item_count) == (alert.payload, 1)


async def test_a_replayed_entry_remembers_its_past(queue: Queue) -> None:
    await queue.bury(INGEST, [], [replace(a_letter(1), attempts=7, replays=1)])
    await queue.letters.replay([a_letter(1).letter_id])
    [entry] = await queue.take(INGEST, "a", count=10, wait_s=0)
    assert entry.past == Past(attempts=7, replays=2, first_failed_at=MORNING)
    assert entry.deliveries == 1


async def test_replaying_twice_puts_back_once(queue: Queue) -> None:
    await queue.bury(INGEST, [], [a_letter(1)])
    letter_id = a_letter(1).letter_id
    assert await queue.letters.replay([letter_id, letter_id]) == [letter_id]
    assert await queue.letters.replay([letter_id]) == []
    assert (await queue.depth(INGEST)).items == 1


async def test_letters_are_replayed_in_the_order_they_were_buried(queue: Queue) -> None:
    letters = [a_letter(n) for n in range(4)]
    await queue.bury(INGEST, [], letters)
    await queue.letters.replay([letter.letter_id for letter in reversed(letters)])
    entries = await queue.take(INGEST, "a", count=10, wait_s=0)
    assert [entry.payload for entry in entries] == [letter.payload for letter in letters]


async def test_a_discarded_letter_is_gone(queue: Queue) -> None:
    await queue.bury(INGEST, [], [a_letter(1), a_letter(2)])
    letter_id = a_letter(1).letter_id
    assert await queue.letters.discard([letter_id, "unknown"]) == [letter_id]
    assert await queue.letters.find() == [a_letter(2)]
    assert (await queue.depth(INGEST)).items == 0


async def test_old_letters_are_forgotten(queue: Queue) -> None:
    """a_letter(n) failed last n minutes after MORNING."""
    await queue.bury(INGEST, [], [a_letter(n) for n in range(4)])
    await queue.bury(ALERT, [], [replace(a_letter(9, LetterKind.ALERT), last_failed_at=MORNING)])
    assert await queue.letters.forget(failed_before=MORNING + timedelta(minutes=2)) == 3
    assert await queue.letters.find() == [a_letter(3), a_letter(2)]
    assert await queue.letters.forget(failed_before=MORNING) == 0


async def test_a_replayed_alert_goes_to_its_destination(queue: Queue) -> None:
    letter = replace(a_letter(1, LetterKind.ALERT), destination="tickets")
    await queue.bury(ALERT, [], [letter])
    await queue.letters.replay([letter.letter_id])
    assert await queue.take(ALERT, "a", count=10, wait_s=0) == []
    [entry] = await queue.take(alert_stream("tickets"), "a", count=10, wait_s=0)
    assert entry.payload == letter.payload
