"""What every store backend promises about the counts of events by minute."""

from __future__ import annotations

import trio

from muttd.store.contract import Store
from muttd.store.volume import KEPT_MINUTES, VolumeCell

# 15 divides it.
NOW = 29_000_040


def a_cell(minute: int, events: int, *, severity: int = 3, matched: bool = False) -> VolumeCell:
    return VolumeCell(minute=minute, severity=severity, matched=matched, events=events)


async def test_counts_are_added_up(store: Store) -> None:
    assert await store.volume(0, 1) == []
    await store.add_volume([])
    await store.add_volume([a_cell(NOW, 2), a_cell(NOW, 5, matched=True)])
    await store.add_volume([a_cell(NOW, 40), a_cell(NOW, 1, severity=6)])
    assert await store.volume(NOW, 1) == [
        a_cell(NOW, 42),
        a_cell(NOW, 5, matched=True),
        a_cell(NOW, 1, severity=6),
    ]
    assert await store.volume(NOW + 1, 1) == []


async def test_buckets_begin_at_multiples_of_their_length(store: Store) -> None:
    await store.add_volume([a_cell(NOW - 1, 1), *(a_cell(NOW + n, 10) for n in range(16))])
    assert await store.volume(NOW - 15, 15) == [
        a_cell(NOW - 15, 1),
        a_cell(NOW, 150),
        a_cell(NOW + 15, 10),
    ]


async def test_what_is_older_than_a_month_is_forgotten(store: Store) -> None:
    await store.add_volume([a_cell(NOW, 1)])
    await store.add_volume([a_cell(NOW + KEPT_MINUTES, 1)])
    assert len(await store.volume(0, 1)) == 2
    await store.add_volume([a_cell(NOW + KEPT_MINUTES + 1, 1)])
    assert [cell.minute for cell in await store.volume(0, 1)] == [
        NOW + KEPT_MINUTES,
        NOW + KEPT_MINUTES + 1,
    ]


async def test_daemons_that_add_at_once_lose_nothing(store: Store) -> None:
    cells = [a_cell(NOW + n, 1) for n in range(20)]
    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(store.add_volume, cells[n:] + cells[:n])
    assert sum(cell.events for cell in await store.volume(0, 1)) == 200
