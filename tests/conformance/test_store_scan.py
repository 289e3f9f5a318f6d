"""What every store backend promises to who reads very many events."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from samples import MORNING, matched, unmatched

from muttd.decision import AlertState
from muttd.event import decode_events
from muttd.store.contract import EventQuery, ScanPlace, Store

HISTORY = EventQuery(matched=False)


async def scanned(store: Store, query: EventQuery, *, limit: int = 3) -> list[str]:
    """Messages of a whole scan."""
    found: list[str] = []
    place: ScanPlace | None = None
    while True:
        encoded, place = await store.scan_events(query, after=place, limit=limit)
        assert len(encoded) <= limit
        found += [decode_events(each)[0].message for each in encoded]
        if place is None:
            return found


def said(*numbers: int) -> list[str]:
    return [f"event {n}" for n in numbers]


async def test_a_scan_gives_each_event_of_its_table_once_newest_first(store: Store) -> None:
    decided = [matched(n) if n % 3 == 0 else unmatched(n) for n in range(10)]
    await store.record(decided, [], AlertState.QUEUED)
    for limit in (1, 2, 3, 6, 7, 100):
        assert await scanned(store, HISTORY, limit=limit) == said(8, 7, 5, 4, 2, 1)
        audit = replace(HISTORY, matched=True)
        assert await scanned(store, audit, limit=limit) == said(9, 6, 3, 0)


async def test_events_of_one_moment_are_not_lost_between_two_parts(store: Store) -> None:
    decided = [unmatched(n, received_at=MORNING) for n in range(7)]
    await store.record(decided, [], AlertState.QUEUED)
    assert sorted(await scanned(store, HISTORY, limit=2)) == said(*range(7))


async def test_what_comes_in_meanwhile_disturbs_no_scan(store: Store) -> None:
    await store.record([unmatched(n) for n in range(4)], [], AlertState.QUEUED)
    first, place = await store.scan_events(HISTORY, after=None, limit=2)
    await store.record([unmatched(n) for n in range(4, 9)], [], AlertState.QUEUED)
    rest, place = await store.scan_events(HISTORY, after=place, limit=50)
    assert place is None
    assert [decode_events(each)[0].message for each in [*first, *rest]] == said(3, 2, 1, 0)


@pytest.mark.parametrize(("first", "end"), [(0, 10), (3, 7), (0, 4), (6, 10), (20, 30), (7, 7)])
async def test_a_scan_and_a_count_keep_to_their_time(store: Store, first: int, end: int) -> None:
    decided = [matched(n) if n % 3 == 0 else unmatched(n) for n in range(10)]
    await store.record(decided, [], AlertState.QUEUED)
    times = (MORNING + timedelta(seconds=first), MORNING + timedelta(seconds=end))
    query = replace(HISTORY, start=times[0], end=times[1])
    numbers = [n for n in range(10) if first <= n < end]
    assert await scanned(store, query, limit=2) == said(*(n for n in numbers[::-1] if n % 3))
    assert await store.count_events(start=times[0], end=times[1]) == len(numbers)


async def test_a_scan_keeps_to_severity_and_oid(store: Store) -> None:
    decided = [
        unmatched(1, severity=3),
        unmatched(2, severity=4),
        unmatched(3, severity=3, trap_oid="1.3.6.1.4.1.9.2"),
        unmatched(4, severity=3, trap_oid="1.3.6.1.4.1.99"),
    ]
    await store.record(decided, [], AlertState.QUEUED)
    assert await scanned(store, replace(HISTORY, severity=3)) == said(4, 3, 1)
    assert await scanned(store, replace(HISTORY, max_severity=3)) == said(4, 3, 1)
    assert await scanned(store, replace(HISTORY, trap_oid="1.3.6.1.4.1.9")) == said(3)


async def test_a_scan_of_nothing_ends(store: Store) -> None:
    assert await store.scan_events(HISTORY, after=None, limit=5) == ([], None)
