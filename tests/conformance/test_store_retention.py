"""What every store backend promises about forgetting: not too early, not too late, not twice."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from samples import MORNING, an_alert, an_event, event_id, matched, unmatched

from muttd.decision import Alert, AlertState, Decided, Delivery
from muttd.errors import StoreUnavailable
from muttd.store.contract import Change, ChangeQuery, EventQuery, Retention, Store, Window
from muttd.store.periods import first_id_at

KEPT = Retention(history_days=3, event_retention_months=12, config_audit_days=365)
DAY = timedelta(days=1)
# All samples are of March 2025: the first moment at which that month is twelve months past.
A_YEAR_LATER = MORNING.replace(year=2026, month=4, day=1, hour=0, minute=0, second=0, microsecond=0)


async def record(store: Store, *decided: Decided, alerts: tuple[Alert, ...] = ()) -> None:
    await store.record(decided, alerts, AlertState.QUEUED)


async def messages(store: Store) -> list[str]:
    page = await store.search_events(EventQuery(), Window(limit=200))
    assert page.total == len(page.items)
    return [decided.event.message for decided in page.items]


def at(n: int, received_at: datetime) -> dict[str, Any]:
    return {"event_id": first_id_at(received_at) + event_id(n)[13:], "received_at": received_at}


async def test_unmatched_events_go_when_their_days_are_over(store: Store) -> None:
    later = MORNING + 2 * DAY
    await record(store, unmatched(1), matched(2), unmatched(3, **at(3, later)))
    await store.maintain(KEPT, now=MORNING + 3 * DAY)
    assert await messages(store) == ["event 3", "event 2", "event 1"]
    await store.maintain(KEPT, now=MORNING + 4 * DAY)
    assert await messages(store) == ["event 3", "event 2"]


async def test_forgetting_a_long_history_leaves_nothing_behind(store: Store) -> None:
    for start in range(0, 2500, 500):
        await record(store, *(unmatched(n) for n in range(start, start + 500)))
    await store.maintain(KEPT, now=MORNING + 4 * DAY)
    assert await messages(store) == []
    assert await store.maintain(KEPT, now=MORNING + 4 * DAY) == []


async def test_matched_events_are_kept_until_their_whole_month_is_old_enough(store: Store) -> None:
    newer = matched(2, **at(2, MORNING + 5 * DAY))
    await record(store, matched(1), newer)
    await store.maintain(KEPT, now=A_YEAR_LATER - timedelta(microseconds=1))
    assert await messages(store) == ["event 2", "event 1"]
    await store.maintain(KEPT, now=A_YEAR_LATER)
    assert await messages(store) == ["event 2"]
    assert await store.get_event(newer.event.event_id) == newer


async def test_alerts_go_with_the_month_of_their_event_once_they_are_settled(store: Store) -> None:
    alerts = tuple(replace(an_alert(n), alert_id=f"{old_id(n)}.1") for n in (1, 2, 3))
    await record(store, alerts=alerts)
    await store.record_deliveries([a_delivery(alerts[0], AlertState.DELIVERED)])
    await store.record_deliveries([a_delivery(alerts[1], AlertState.DEAD)])
    await store.maintain(KEPT, now=A_YEAR_LATER - timedelta(microseconds=1))
    assert await store.get_alert(alerts[0].alert_id) is not None
    await store.maintain(KEPT, now=A_YEAR_LATER)
    assert await store.get_alert(alerts[0].alert_id) is None
    assert await store.get_alert(alerts[1].alert_id) is None
    assert await store.get_alert(alerts[2].alert_id) is not None
    assert await store.attempt_counts([alert.alert_id for alert in alerts]) == {}


def old_id(n: int) -> str:
    return str(at(n, MORNING)["event_id"])


def a_delivery(alert: Alert, outcome: AlertState) -> Delivery:
    return Delivery(alert_id=alert.alert_id, attempt=1, attempted_at=MORNING, outcome=outcome)


async def test_configuration_changes_are_kept_as_long_as_they_should_be(store: Store) -> None:
    await store.add_development_host("lab", Change("ann"))
    page = await store.config_changes(ChangeQuery(), Window())
    changed_at = page.items[0].changed_at
    await store.maintain(KEPT, now=changed_at + 365 * DAY)
    assert (await store.config_changes(ChangeQuery(), Window())).total == 1
    await store.maintain(KEPT, now=changed_at + 365 * DAY + timedelta(microseconds=1))
    assert (await store.config_changes(ChangeQuery(), Window())).total == 0
    assert await store.development_hosts() == ["lab"]


async def test_what_was_done_is_said(store: Store) -> None:
    await record(store, unmatched(1), matched(2))
    assert any("unmatched" in line for line in await store.maintain(KEPT, now=MORNING + 9 * DAY))
    assert any("matched" in line for line in await store.maintain(KEPT, now=A_YEAR_LATER))


async def test_an_archive_has_every_matched_event_before_it_is_dropped(
    store: Store, tmp_path: Path
) -> None:
    texts = ["plain", 'quoted " and, comma', "naïve\nnew line"]
    old = [matched(n, message=text) for n, text in enumerate(texts, 1)]
    await record(store, *old, unmatched(8), matched(9, **at(9, A_YEAR_LATER)))
    archive_dir = tmp_path / "archive"
    retention = Retention(
        history_days=3, event_retention_months=12, config_audit_days=365, archive_dir=archive_dir
    )
    await store.maintain(retention, now=A_YEAR_LATER)
    assert await messages(store) == ["event 9"]
    [archive] = archive_dir.iterdir()
    assert archive.name == "event_audit_log_2025_03.csv.gz"
    assert archive.stat().st_mode & 0o777 == 0o600
    text = gzip.decompress(archive.read_bytes()).decode()
    assert text.partition("\n")[0].rstrip() == text.split()[0]
    assert {"received_at", "event_id", "message", "event"} <= set(text.split()[0].split(","))
    assert [d.event.event_id for d in old if d.event.event_id in text] == [
        d.event.event_id for d in old
    ]
    assert 'quoted "" and, comma' in text
    # A month that comes again, from a backup say, is a file of its own.
    await record(store, an_old_one_again())
    await store.maintain(retention, now=A_YEAR_LATER)
    assert sorted(path.name for path in archive_dir.iterdir()) == [
        "event_audit_log_2025_03-2.csv.gz",
        "event_audit_log_2025_03.csv.gz",
    ]


def an_old_one_again() -> Decided:
    return matched(20, received_at=an_event(20).received_at)


async def test_what_cannot_be_archived_stays(store: Store, tmp_path: Path) -> None:
    await record(store, matched(1))
    (tmp_path / "file").write_text("")
    retention = Retention(
        history_days=3,
        event_retention_months=12,
        config_audit_days=365,
        archive_dir=tmp_path / "file" / "below",
    )
    with pytest.raises(StoreUnavailable, match="cannot archive"):
        await store.maintain(retention, now=A_YEAR_LATER)
    assert await messages(store) == ["event 1"]
