"""Events, decisions, alerts, letters and rules to put into a backend, numbered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from muttd.decision import Alert, Decided, Decision, Environment, Handling, encode_alerts
from muttd.event import Event, Transport, encode_events
from muttd.queue.contract import Batch
from muttd.queue.letters import DeadLetter, LetterKind
from muttd.rules.model import RuleDraft

MORNING = datetime(2025, 3, 30, 2, 59, 59, 999999, tzinfo=UTC)


def event_id(n: int) -> str:
    """A UUIDv7 that sorts by n."""
    return f"0195e4f0-{n >> 16:04x}-7{n >> 8 & 0xFF:03x}-8{n & 0xFF:03x}-0123456789ab"


def an_event(n: int, **fields: object) -> Event:
    """Event number n, received n seconds after MORNING."""
    event = Event(
        event_id=event_id(n),
        received_at=MORNING + timedelta(seconds=n),
        source_ip="192.0.2.7",
        hostname="core-1.example.net",
        transport=Transport.SYSLOG_UDP,
        severity=5,
        message=f"event {n}",
        raw=b"<13>event %d" % n,
    )
    return replace(event, **fields)


def unmatched(n: int, **fields: object) -> Decided:
    """Event n that no rule matched."""
    return Decided(an_event(n, **fields), Decision(environment=Environment.PROD))


def matched(n: int, *, rule_id: int = 1, team: str = "NETO", **fields: object) -> Decided:
    """Event n that a rule matched."""
    decision = Decision(
        environment=Environment.DEV,
        rule_id=rule_id,
        rule_name=f"rule {rule_id}",
        rule_revision=3,
        handling=Handling.PAGE_AND_TICKET,
        team=team,
    )
    return Decided(an_event(n, **fields), decision)


def an_alert(n: int, **fields: object) -> Alert:
    """The alert that rule 1 raised for event n."""
    event, decision = an_event(n, **fields), matched(n).decision
    return Alert(
        alert_id=f"{event_id(n)}.1",
        signature=f"core-1::syslog::template::{n}",
        event=event,
        decision=decision,
        created_at=event.received_at,
    )


def a_batch(n: int, *, item_count: int = 1) -> Batch:
    """A batch that is told from others by n. Queues do not look into payloads."""
    return Batch(b"batch %d" % n, item_count)


def a_letter(n: int, kind: LetterKind = LetterKind.EVENT) -> DeadLetter:
    """A dead letter about event n, or about its alert."""
    is_event = kind is LetterKind.EVENT
    return DeadLetter(
        letter_id=event_id(0xA0000 + n),
        kind=kind,
        item_id=event_id(n) if is_event else f"{event_id(n)}.1",
        reason="poison" if is_event else "rejected",
        error="ValueError: é\x00 is not a digit",
        attempts=3,
        first_failed_at=MORNING,
        last_failed_at=MORNING + timedelta(minutes=n),
        origin="muttd-1",
        payload=encode_events([an_event(n)]) if is_event else encode_alerts([an_alert(n)]),
        destination=None if is_event else "moog",
    )


def a_draft(**fields: object) -> RuleDraft:
    """A rule as a client writes it."""
    draft = RuleDraft(
        name="link down",
        match_string="LINK-3-UPDOWN",
        prod_handling=Handling.PAGE_AND_TICKET,
        dev_handling=Handling.LOG_ONLY,
        team_assignment="NETO",
    )
    return replace(draft, **fields)
