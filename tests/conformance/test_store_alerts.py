"""What every store backend promises about alerts and their deliveries."""

from __future__ import annotations

from datetime import timedelta

from samples import MORNING, an_alert, event_id, matched

from muttd.decision import Alert, AlertState, Delivery
from muttd.store.contract import Store, Window

QUEUED, RETRYING, DELIVERED, DEAD = (
    AlertState.QUEUED,
    AlertState.RETRYING,
    AlertState.DELIVERED,
    AlertState.DEAD,
)


def a_delivery(n: int, attempt: int, outcome: AlertState) -> Delivery:
    delivered = outcome is DELIVERED
    return Delivery(
        alert_id=an_alert(n).alert_id,
        attempt=attempt,
        attempted_at=MORNING + timedelta(minutes=attempt),
        outcome=outcome,
        status=200 if delivered else 503,
        error=None if delivered else f"503 at attempt {attempt}",
        duration_s=0.25,
    )


async def record(store: Store, *alerts: Alert, state: AlertState = QUEUED) -> None:
    await store.record([], alerts, state)


async def state_of(store: Store, n: int) -> tuple[AlertState, int, str | None]:
    found = await store.get_alert(an_alert(n).alert_id)
    assert found is not None
    return found[0].state, found[0].attempts, found[0].last_error


async def test_an_alert_comes_back_as_it_was_recorded(store: Store) -> None:
    alert = an_alert(1, message="naïve \x00 日本語", raw=b"\xff\x00")
    await store.record([matched(1)], [alert], QUEUED)
    found = await store.get_alert(alert.alert_id)
    assert found is not None
    stored, deliveries = found
    assert (stored.alert, stored.state, stored.attempts) == (alert, QUEUED, 0)
    assert (stored.last_error, stored.updated_at, deliveries) == (None, alert.created_at, [])


async def test_an_unknown_alert_is_none(store: Store) -> None:
    assert await store.get_alert("no such alert") is None


async def test_an_alert_recorded_again_keeps_its_state(store: Store) -> None:
    await record(store, an_alert(1))
    await store.record_deliveries([a_delivery(1, 1, DELIVERED)])
    await record(store, an_alert(1), an_alert(2))
    assert await state_of(store, 1) == (DELIVERED, 1, None)
    assert await state_of(store, 2) == (QUEUED, 0, None)


async def test_an_alert_without_a_destination_is_recorded_as_unrouted(store: Store) -> None:
    await record(store, an_alert(1), state=AlertState.UNROUTED)
    assert (await state_of(store, 1))[0] is AlertState.UNROUTED


async def test_each_attempt_leaves_its_state_and_stays_on_record(store: Store) -> None:
    await record(store, an_alert(1))
    attempts = [a_delivery(1, 1, RETRYING), a_delivery(1, 2, RETRYING), a_delivery(1, 3, DELIVERED)]
    await store.record_deliveries(attempts[:1])
    assert await state_of(store, 1) == (RETRYING, 1, "503 at attempt 1")
    await store.record_deliveries(attempts[1:])
    assert await state_of(store, 1) == (DELIVERED, 3, None)
    found = await store.get_alert(an_alert(1).alert_id)
    assert found is not None
    assert found[1] == attempts
    assert found[0].updated_at == attempts[-1].attempted_at


async def test_the_same_attempt_twice_is_written_once(store: Store) -> None:
    await record(store, an_alert(1))
    await store.record_deliveries([a_delivery(1, 1, RETRYING)])
    await store.record_deliveries([a_delivery(1, 1, DEAD), a_delivery(1, 1, RETRYING)])
    assert await state_of(store, 1) == (RETRYING, 1, "503 at attempt 1")
    found = await store.get_alert(an_alert(1).alert_id)
    assert found is not None
    assert found[1] == [a_delivery(1, 1, RETRYING)]


async def test_delivered_is_final(store: Store) -> None:
    await record(store, an_alert(1))
    await store.record_deliveries([a_delivery(1, 1, DELIVERED)])
    await store.record_deliveries([a_delivery(1, 2, RETRYING), a_delivery(1, 3, DEAD)])
    state, attempts, _ = await state_of(store, 1)
    assert (state, attempts) == (DELIVERED, 3)


async def test_a_delivery_reported_late_still_makes_the_alert_delivered(store: Store) -> None:
    await record(store, an_alert(1))
    await store.record_deliveries([a_delivery(1, 2, RETRYING)])
    await store.record_deliveries([a_delivery(1, 1, DELIVERED)])
    state, attempts, _ = await state_of(store, 1)
    assert (state, attempts) == (DELIVERED, 2)


async def test_a_failure_reported_late_does_not_undo_a_later_state(store: Store) -> None:
    await record(store, an_alert(1))
    await store.record_deliveries([a_delivery(1, 2, DEAD)])
    await store.record_deliveries([a_delivery(1, 1, RETRYING)])
    assert await state_of(store, 1) == (DEAD, 2, "503 at attempt 2")


async def test_delivered_alerts_are_told_from_others(store: Store) -> None:
    await record(store, an_alert(1), an_alert(2), an_alert(3))
    await store.record_deliveries(
        [a_delivery(1, 1, RETRYING), a_delivery(1, 2, DELIVERED), a_delivery(2, 1, RETRYING)]
    )
    ids = [an_alert(n).alert_id for n in (1, 2, 3)]
    assert await store.delivered_ids([*ids, "unknown"]) == {ids[0]}
    assert await store.delivered_ids([]) == set()


async def test_attempts_are_counted_for_alerts_that_were_tried(store: Store) -> None:
    await record(store, an_alert(1), an_alert(2))
    await store.record_deliveries([a_delivery(1, 1, RETRYING), a_delivery(1, 2, RETRYING)])
    ids = [an_alert(n).alert_id for n in (1, 2)]
    assert await store.attempt_counts([*ids, "unknown"]) == {ids[0]: 2}
    assert await store.attempt_counts([]) == {}


async def test_alerts_are_listed_newest_first_by_state_and_host(store: Store) -> None:
    await record(store, *(an_alert(n, hostname=f"edge-{n % 2}.example.net") for n in range(6)))
    await store.record_deliveries([a_delivery(n, 1, DELIVERED) for n in (1, 2)])

    async def listed(state: AlertState | None, hostname: str | None) -> list[str]:
        page = await store.search_alerts(state=state, hostname=hostname, window=Window())
        assert page.total == len(page.items)
        return [stored.alert.event.event_id for stored in page.items]

    assert await listed(None, None) == [event_id(n) for n in (5, 4, 3, 2, 1, 0)]
    assert await listed(DELIVERED, None) == [event_id(n) for n in (2, 1)]
    assert await listed(QUEUED, "EDGE-1.example.net") == [event_id(n) for n in (5, 3)]
    assert await listed(None, "edge-?.*") == [event_id(n) for n in (5, 4, 3, 2, 1, 0)]


async def test_following_the_cursor_shows_every_alert_once(store: Store) -> None:
    await record(store, *(an_alert(n) for n in range(7)))
    first = await store.search_alerts(state=None, hostname=None, window=Window(limit=3))
    await record(store, an_alert(50))
    second = await store.search_alerts(
        state=None, hostname=None, window=Window(limit=200, cursor=first.next_cursor)
    )
    shown = [stored.alert.event.event_id for stored in first.items + second.items]
    assert shown == [event_id(n) for n in reversed(range(7))]
    assert (first.total, second.total, second.next_cursor) == (7, 8, None)
