"""Rules and events for the tests of the rules; only what a test is about has to be said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from muttd.decision import Handling
from muttd.event import Event, Transport
from muttd.rules.compile import compile_rules
from muttd.rules.engine import RuleSet
from muttd.rules.model import Rule, RuleBook, TeamEntry

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)

MINIMAL: dict[str, Any] = {
    "name": "link down",
    "match_string": "LINK-3-UPDOWN",
    "prod_handling": "Page_and_ticket",
    "dev_handling": "Log_only",
    "team_assignment": "NETO",
}


def a_rule(number: int = 1, **fields: Any) -> Rule:
    """A rule by its fields."""
    given: dict[str, Any] = {
        "id": number,
        "revision": 1,
        "created_at": NOW,
        "updated_at": NOW,
        "name": f"rule {number}",
        "prod_handling": Handling.PAGE_ONLY,
        "dev_handling": Handling.LOG_ONLY,
        "team_assignment": "NETO",
    }
    return Rule(**(given | fields))


def an_event(message: str = "", **fields: Any) -> Event:
    """An event by its fields."""
    given: dict[str, Any] = {
        "event_id": "e1",
        "received_at": NOW,
        "source_ip": "192.0.2.1",
        "hostname": "sw1.example.net",
        "transport": Transport.SYSLOG_UDP,
        "severity": 5,
        "message": message,
        "raw": b"",
    }
    return Event(**(given | fields))


def a_rule_set(
    *rules: Rule, dev: Sequence[str] = (), teams: Sequence[tuple[str, str]] = ()
) -> RuleSet:
    """Rules, compiled."""
    return compile_rules(
        RuleBook(
            revision=7,
            rules=rules,
            development_hosts=tuple(dev),
            device_teams=tuple(TeamEntry(hostname=h, team_assignment=t) for h, t in teams),
        )
    )
