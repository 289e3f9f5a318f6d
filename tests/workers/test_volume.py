"""Counts of events: what goes to the store, what is kept while it is away, who talks most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing

from muttd.decision import Decided, Decision, Environment
from muttd.errors import StoreUnavailable
from muttd.event import Event, Transport
from muttd.event_ids import EventIds
from muttd.store.volume import VolumeCell
from muttd.workers import volume as volume_module
from muttd.workers.volume import FLUSH_INTERVAL_S, Volume

NOW = datetime(2025, 3, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60
IDS = EventIds()


class Counts:
    """A store that adds up, or is away."""

    def __init__(self) -> None:
        self.cells: list[VolumeCell] = []
        self.is_away = False

    async def add_volume(self, cells: Sequence[VolumeCell]) -> None:
        if self.is_away:
            raise StoreUnavailable("away for this test")
        self.cells += cells

    async def volume(self, since_minute: int, bucket_minutes: int) -> list[VolumeCell]:
        raise NotImplementedError


def an_event(
    hostname: str = "h", *, severity: int = 3, rule_id: int | None = None, at: datetime = NOW
) -> Decided:
    event = Event(
        event_id=IDS.next(),
        received_at=at,
        source_ip="192.0.2.1",
        hostname=hostname,
        transport=Transport.SYSLOG_UDP,
        severity=severity,
        message="m",
        raw=b"m",
    )
    return Decided(event, Decision(environment=Environment.PROD, rule_id=rule_id))


def counted(decided: Sequence[Decided]) -> volume_module.Counts:
    """What the alerter gives of a batch."""
    counts = volume_module.Counts()
    for matched in (True, False):
        events = [each.event for each in decided if each.decision.matched is matched]
        counts.add(events, matched=matched)
    return counts


async def test_events_are_counted_by_minute_severity_and_match() -> None:
    volume, store = Volume(), Counts()
    later = NOW + timedelta(minutes=1)
    volume.count(
        counted([an_event(), an_event(), an_event(rule_id=7), an_event(severity=6, at=later)])
    )
    await volume.flush(store)
    assert sorted(store.cells) == [
        VolumeCell(minute=MINUTE, severity=3, matched=False, events=2),
        VolumeCell(minute=MINUTE, severity=3, matched=True, events=1),
        VolumeCell(minute=MINUTE + 1, severity=6, matched=False, events=1),
    ]
    await volume.flush(store)
    assert len(store.cells) == 3


async def test_what_the_store_did_not_take_goes_with_the_next() -> None:
    volume, store = Volume(), Counts()
    volume.count(counted([an_event()]))
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await volume.flush(store)
    store.is_away = False
    volume.count(counted([an_event()]))
    await volume.flush(store)
    assert store.cells == [VolumeCell(minute=MINUTE, severity=3, matched=False, events=2)]


async def test_counts_go_to_the_store_now_and_then_and_at_the_end(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    volume, store = Volume(), Counts()
    volume.count(counted([an_event()]))
    nursery.start_soon(volume.run, store)
    await trio.sleep(FLUSH_INTERVAL_S + 0.1)
    assert len(store.cells) == 1
    store.is_away = True
    volume.count(counted([an_event()]))
    await trio.sleep(FLUSH_INTERVAL_S)
    store.is_away = False
    nursery.cancel_scope.cancel()
    await trio.lowlevel.cancel_shielded_checkpoint()
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
    assert sum(cell.events for cell in store.cells) == 2


async def test_the_loudest_hosts_of_the_last_hour_come_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    volume = Volume()
    volume.count(counted([an_event("old")] * 9))
    await trio.sleep(3000)
    volume.count(counted([an_event("a"), an_event("b"), an_event("b")]))
    await trio.sleep(300)
    volume.count(counted([an_event("b"), an_event("c")]))
    assert volume.talkers(2) == [("old", 9), ("b", 3)]
    await trio.sleep(600)
    assert volume.talkers(1) == [("b", 3)]


async def test_hosts_without_end_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_module, "MAX_HOSTS", 10)
    volume = Volume()
    for n in range(100):
        volume.count(counted([an_event("loud"), an_event("loud"), an_event(f"h{n}")]))
    assert volume.talkers(1) == [("loud", 200)]
    assert len(volume.talkers(1000)) <= 20
