"""Events to record, and stores to record them in, for the tests of the store in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from muttd.decision import AlertState, Decided, Decision, Environment, Handling
from muttd.event import Event, Transport, utc_now
from muttd.event_ids import EventIds
from muttd.store.contract import EventQuery, Store, Window

IDS = EventIds()
PROD = Decision(environment=Environment.PROD)
PAGED = Decision(
    environment=Environment.PROD,
    rule_id=7,
    rule_name="link down",
    rule_revision=1,
    handling=Handling.PAGE_ONLY,
    team="NETO",
)


def decided(
    message: str, *, decision: Decision = PROD, received_at: datetime | None = None
) -> Decided:
    """One event of this moment, or of another."""
    event = Event(
        event_id=IDS.next(),
        received_at=received_at or utc_now(),
        source_ip="192.0.2.7",
        hostname="core-1",
        transport=Transport.SYSLOG_TCP,
        severity=5,
        message=message,
        raw=message.encode(),
    )
    return Decided(event, decision)


async def record(store: Store, *events: Decided) -> None:
    """Record events without alerts."""
    await store.record(events, [], AlertState.QUEUED)


async def messages(store: Store) -> Sequence[str]:
    """The messages of all events, newest first; the total is right."""
    page = await store.search_events(EventQuery(), Window(limit=200))
    assert page.total == len(page.items)
    return [each.event.message for each in page.items]
