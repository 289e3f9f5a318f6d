"""What every store backend promises about events: recording, searching, forgetting."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
import trio
from msgspec.structs import replace
from samples import MORNING, event_id, matched, unmatched

from muttd.decision import AlertState, Decided
from muttd.errors import InvalidInput
from muttd.event import Transport, Varbind
from muttd.store.contract import MAX_PAGE_ITEMS, EventQuery, Store, Window

ALL = EventQuery()


async def record(store: Store, *decided: Decided) -> None:
    await store.record(decided, [], AlertState.QUEUED)


async def numbers(store: Store, query: EventQuery) -> list[int]:
    """Which of events 0 to 99 a search finds, newest first."""
    page = await store.search_events(query, Window(limit=100))
    number_of = {event_id(n): n for n in range(100)}
    assert page.total == len(page.items)
    return [number_of[decided.event.event_id] for decided in page.items]


async def test_an_event_comes_back_as_it_was_recorded(store: Store) -> None:
    everything = matched(
        1,
        message="naïve — 日本語 \x00 'quoted' \"twice\" %_\\ \U0001f525",
        raw=bytes(range(256)),
        facility=23,
        event_time=MORNING - timedelta(days=400),
        app_name="app",
        procid="1",
        msgid="ID47",
        structured_data={"a@1": [("k", "v"), ("k", "\x00")]},
        trap_oid="1.3.6.1.6.3.1.1.5.3",
        varbinds=[Varbind("ifIndex.3", "1.3.6.1.2.1.2.2.1.1.3", "INTEGER", "3")],
        attributes={"nested": {"list": [1, None, "é"]}},
        correlation_id="c-1",
        malformed="no PRI",
        transport=Transport.SNMP,
    )
    plain = unmatched(2)
    await record(store, everything, plain)
    assert await store.get_event(event_id(1)) == everything
    assert await store.get_event(event_id(2)) == plain
    assert (await store.search_events(ALL, Window())).items == [plain, everything]


@pytest.mark.parametrize("year", [2, 241, 999, 1000, 9998])
async def test_a_claimed_time_of_any_year_comes_back(store: Store, year: int) -> None:
    claimed = unmatched(1, event_time=MORNING.replace(year=year, microsecond=1))
    await record(store, claimed)
    assert await store.get_event(event_id(1)) == claimed


async def test_a_message_of_64_kib_is_kept_whole(store: Store) -> None:
    long = unmatched(1, message="é" * 32768, raw=b"\x00" * 65536)
    await record(store, long)
    assert await store.get_event(event_id(1)) == long


async def test_an_unknown_event_is_none(store: Store) -> None:
    assert await store.get_event("no such id \x00") is None


async def test_recording_nothing_is_harmless(store: Store) -> None:
    await record(store)
    assert (await store.search_events(ALL, Window())).total == 0


async def test_recording_a_batch_twice_leaves_each_event_once(store: Store) -> None:
    batch = [matched(1), unmatched(2), matched(3)]
    await record(store, *batch)
    await record(store, *batch)
    assert await numbers(store, ALL) == [3, 2, 1]


async def test_overlapping_batches_leave_each_event_once(store: Store) -> None:
    await record(store, unmatched(1), unmatched(2), matched(3))
    await record(store, unmatched(2), matched(3), matched(4), unmatched(5))
    assert await numbers(store, ALL) == [5, 4, 3, 2, 1]


async def test_the_same_event_twice_in_a_batch_is_recorded_once(store: Store) -> None:
    await record(store, unmatched(1), unmatched(1), matched(2), matched(2))
    assert await numbers(store, ALL) == [2, 1]


@pytest.mark.parametrize("first_matched", [True, False])
async def test_the_first_decision_on_an_event_stays(store: Store, first_matched: bool) -> None:
    """A redelivered event may meet other rules than it did the first time."""
    first, second = (matched(1), unmatched(1)) if first_matched else (unmatched(1), matched(1))
    await record(store, first)
    await record(store, second)
    assert await store.get_event(event_id(1)) == first
    assert await numbers(store, ALL) == [1]
    assert await numbers(store, EventQuery(matched=not first_matched)) == []


async def test_matched_and_unmatched_events_are_one_list_newest_first(store: Store) -> None:
    await record(store, *(matched(n) if n % 3 == 0 else unmatched(n) for n in range(20)))
    assert await numbers(store, ALL) == list(reversed(range(20)))
    assert await numbers(store, EventQuery(matched=True)) == [18, 15, 12, 9, 6, 3, 0]
    assert len(await numbers(store, EventQuery(matched=False))) == 13


async def test_pages_are_counted_from_one_and_know_the_total(store: Store) -> None:
    await record(store, *(unmatched(n) if n % 2 else matched(n) for n in range(10)))
    page = await store.search_events(ALL, Window(page=2, limit=4))
    assert [d.event.message for d in page.items] == [f"event {n}" for n in (5, 4, 3, 2)]
    assert page.total == 10
    last = await store.search_events(ALL, Window(page=3, limit=4))
    assert (len(last.items), last.total, last.next_cursor) == (2, 10, None)
    beyond = await store.search_events(ALL, Window(page=10**30, limit=4))
    assert (beyond.items, beyond.total) == ([], 10)


async def test_following_the_cursor_shows_every_event_once_while_more_come_in(
    store: Store,
) -> None:
    await record(store, *(unmatched(n) if n % 2 else matched(n) for n in range(25)))
    seen: list[str] = []
    cursor: str | None = None
    for round_number in range(5):
        # The cursor wins over the page.
        window = Window(limit=5, cursor=cursor, page=99 if cursor else 1)
        page = await store.search_events(ALL, window)
        seen.extend(decided.event.event_id for decided in page.items)
        cursor = page.next_cursor
        await record(store, unmatched(1000 + round_number), matched(2000 + round_number))
    assert cursor is None
    assert seen == [event_id(n) for n in reversed(range(25))]


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "bm9wZQ", "WzEsMl0", "é", "W10", "a" * 5000])
async def test_a_cursor_that_no_list_gave_out_is_invalid(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await store.search_events(ALL, Window(cursor=cursor))


async def test_a_cursor_of_another_list_is_invalid(store: Store) -> None:
    await record(store, unmatched(1), unmatched(2))
    page = await store.search_events(ALL, Window(limit=1))
    with pytest.raises(InvalidInput, match="cursor"):
        await store.search_alerts(state=None, hostname=None, window=Window(cursor=page.next_cursor))


@pytest.mark.parametrize(
    ("window", "field"),
    [
        (Window(page=0), "page"),
        (Window(limit=0), "limit"),
        (Window(limit=MAX_PAGE_ITEMS + 1), "limit"),
    ],
)
async def test_a_window_out_of_bounds_is_invalid(store: Store, window: Window, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await store.search_events(ALL, window)
    assert [name for name, _ in refusal.value.problems] == [field]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("link", [2, 1]),
        ("LINK-3", [1]),
        ("100%", [3]),
        ("_", [4]),
        ("a\\b", [4]),
        ("behind", [5]),
        ("nul\x00be", [5]),
        ("É", [6]),
        ("straßE", [7]),
        ("'; drop table", []),
        ("", [7, 6, 5, 4, 3, 2, 1]),
    ],
)
async def test_q_is_found_as_plain_text_in_either_case(
    store: Store, q: str, found: list[int]
) -> None:
    texts = ["LINK-3-UPDOWN", "a Link", "at 100%", "a\\b_c", "nul\x00behind", "café", "Straße"]
    await record(
        store,
        *(
            matched(n, message=text) if n % 2 else unmatched(n, message=text)
            for n, text in enumerate(texts, 1)
        ),
    )
    assert await numbers(store, EventQuery(q=q)) == found


@pytest.mark.parametrize(
    ("hostname", "found"),
    [
        ("core-1.example.net", [1]),
        ("CORE-1.Example.NET", [1]),
        ("core-1", []),
        ("core-?.example.net", [2, 1]),
        ("*.example.net", [3, 2, 1]),
        ("*", [5, 4, 3, 2, 1]),
        ("core_1.example.net", []),
        ("%", []),
        ("[a-z]*", [5]),
        ("2001:db8::?", [4]),
        ("nobody", []),
    ],
)
async def test_a_host_is_found_by_name_or_glob_in_either_case(
    store: Store, hostname: str, found: list[int]
) -> None:
    hosts = [
        "core-1.example.net",
        "core-2.example.net",
        "edge.EXAMPLE.net",
        "2001:db8::1",
        "[a-z]x",
    ]
    await record(
        store,
        *(
            matched(n, hostname=host) if n % 2 else unmatched(n, hostname=host)
            for n, host in enumerate(hosts, 1)
        ),
    )
    assert await numbers(store, EventQuery(hostname=hostname)) == found


async def test_a_host_pattern_longer_than_any_host_name_is_invalid(store: Store) -> None:
    with pytest.raises(InvalidInput, match="hostname"):
        await store.search_events(EventQuery(hostname="*" * 60000), Window())


async def test_events_are_found_by_severity_exactly_or_at_most(store: Store) -> None:
    await record(store, *(unmatched(n, severity=n) for n in range(8)))
    assert await numbers(store, EventQuery(severity=3)) == [3]
    assert await numbers(store, EventQuery(max_severity=2)) == [2, 1, 0]
    assert await numbers(store, EventQuery(severity=3, max_severity=2)) == []
    assert len(await numbers(store, EventQuery(max_severity=10**30))) == 8
    assert await numbers(store, EventQuery(severity=10**30)) == []


async def test_events_are_found_by_transport(store: Store) -> None:
    await record(store, unmatched(1, transport=Transport.SNMP), matched(2))
    assert await numbers(store, EventQuery(transport="snmp")) == [1]


@pytest.mark.parametrize(
    ("trap_oid", "found"),
    [
        ("1.3.6.1.4.1.9", [2, 1]),
        (".1.3.6.1.4.1.9", [2, 1]),
        ("1.3.6.1.4.1.9.*", [2, 1]),
        ("1.3.6.1.4.1.9.1", [2]),
        ("1.3.6.1.4.1.99", [3]),
        ("1.3.6.1.4.1", [3, 2, 1]),
        ("1.3.6.1.4.1.%", []),
    ],
)
async def test_trap_oids_are_found_arc_by_arc(
    store: Store, trap_oid: str, found: list[int]
) -> None:
    oids = ["1.3.6.1.4.1.9", "1.3.6.1.4.1.9.1", "1.3.6.1.4.1.99", None]
    await record(store, *(unmatched(n, trap_oid=oid) for n, oid in enumerate(oids, 1)))
    assert await numbers(store, EventQuery(trap_oid=trap_oid)) == found


async def test_matched_events_are_found_by_rule_and_by_team(store: Store) -> None:
    await record(store, matched(1, rule_id=1), matched(2, rule_id=2, team="SYSO"), unmatched(3))
    assert await numbers(store, EventQuery(rule_id=2)) == [2]
    assert await numbers(store, EventQuery(team="NETO")) == [1]
    assert await numbers(store, EventQuery(rule_id=1, matched=False)) == []
    assert await numbers(store, EventQuery(rule_id=10**30)) == []


async def test_events_are_found_by_time_from_start_until_before_end(store: Store) -> None:
    await record(store, *(matched(n) if n % 2 else unmatched(n) for n in range(6)))
    start, end = MORNING + timedelta(seconds=2), MORNING + timedelta(seconds=4)
    assert await numbers(store, EventQuery(start=start)) == [5, 4, 3, 2]
    assert await numbers(store, EventQuery(end=end)) == [3, 2, 1, 0]
    assert await numbers(store, EventQuery(start=start, end=end)) == [3, 2]
    assert await numbers(store, EventQuery(start=end, end=start)) == []
    assert await numbers(store, EventQuery(start=start + timedelta(microseconds=1), end=end)) == [3]


async def test_a_gap_is_filled_with_what_came_after_an_event(store: Store) -> None:
    await record(store, *(matched(n) if n % 2 else unmatched(n) for n in range(6)))
    assert await numbers(store, EventQuery(after_id=event_id(3))) == [5, 4]
    assert await numbers(store, EventQuery(after_id=event_id(5))) == []


@pytest.mark.parametrize("after", ["", "x", event_id(1).upper(), event_id(1) + "\x00"])
async def test_a_gap_that_begins_at_no_event_is_invalid(store: Store, after: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        await store.search_events(EventQuery(after_id=after), Window())


async def test_batches_recorded_at_once_leave_each_event_once(store: Store) -> None:
    """Two daemons may both have a batch: one that was slow, and one that took it over."""
    batch = [matched(n) if n % 3 else unmatched(n) for n in range(60)]
    async with trio.open_nursery() as nursery:
        for start in (0, 0, 20, 20, 40, 0):
            nursery.start_soon(partial(record, store, *batch[start : start + 40]))
    assert await numbers(store, ALL) == list(reversed(range(60)))


async def test_all_filters_hold_together(store: Store) -> None:
    await record(
        store,
        matched(1, message="link down", severity=3, hostname="a"),
        matched(2, message="link down", severity=6, hostname="a"),
        matched(3, message="link up", severity=3, hostname="a"),
        matched(4, message="link down", severity=3, hostname="b"),
        unmatched(5, message="link down", severity=3, hostname="a"),
    )
    query = EventQuery(
        q="DOWN",
        hostname="a",
        max_severity=4,
        transport="syslog-udp",
        rule_id=1,
        start=MORNING,
        end=MORNING + timedelta(seconds=60),
    )
    assert await numbers(store, query) == [1]


async def test_what_became_of_an_alert_is_kept_with_its_event(store: Store) -> None:
    plain = matched(1)
    held = Decided(matched(2).event, replace(plain.decision, held_by=f"{event_id(1)}.1"))
    clear = Decided(matched(3).event, replace(plain.decision, is_clear=True))
    await record(store, plain, held, clear)
    page = await store.search_events(ALL, Window())
    assert page.items == [clear, held, plain]
    assert await store.get_event(event_id(2)) == held


async def test_a_working_store_answers_a_ping(store: Store) -> None:
    await store.ping()
    assert await store.rule_book_revision() == 0


async def test_what_a_host_said_around_an_event_comes_in_order(store: Store) -> None:
    decided = [
        (matched if n % 3 == 0 else unmatched)(n, hostname="A.lab" if n % 2 else "b.lab")
        for n in range(20)
    ]
    await store.record(decided, [], AlertState.QUEUED)
    before, after = await store.events_near(decided[9].event, before=3, after=2)
    assert (before, after) == (decided[3:9:2], decided[11:14:2])
    before, after = await store.events_near(decided[1].event, before=3, after=0)
    assert (before, after) == ([], [])
    before, after = await store.events_near(decided[19].event, before=1, after=9)
    assert (before, after) == ([decided[17]], [])
