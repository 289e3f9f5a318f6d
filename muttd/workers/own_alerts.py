"""What muttd itself has to say: events, decisions and alerts made of what is due.

    unhandled   N events of HOST that no rule matches: TEMPLATE (one of them: SAMPLE)
    silent      nothing was heard of HOST for ...; expected every ...
    back        HOST is no longer missed: the clear of the one above
    alert       a problem that came back while it was held back, and still lasts

Pure, and always the same for the same item: whoever makes them again makes the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from muttd.decision import Alert, Decided, Decision, Environment, Handling, alert_id_for
from muttd.event import Event, Transport, iso_utc
from muttd.event_ids import event_id_at
from muttd.queue.ledger import Due, from_microseconds
from muttd.rules.engine import RuleSet
from muttd.rules.signature import signature_from
from muttd.workers.sightings import About
from muttd.workers.silence import Missed
from muttd.workers.verdicts import alert_from_text

# No rule has it.
OWN_RULE_ID = 0
UNHANDLED_RULE = "unhandled events"
SILENT_RULE = "silent source"
_CLASS = "muttd"
# RFC 5424, 6.2.1: notice. A return is news, and nothing to act on.
_BACK_SEVERITY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """What one due item becomes; an item that holds an alert has no event of its own."""

    due_id: str
    alert: Alert
    decided: Decided | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    msgid: str
    severity: int
    message: str
    attributes: dict[str, Any]


def raised_of(due: Due, rule_set: RuleSet, *, default_team: str) -> Raised:
    """What a due item becomes: always the same."""
    if due.kind == "alert":
        alert = msgspec.structs.replace(alert_from_text(due.about), held_back=due.count)
        return Raised(due_id=due.due_id, alert=alert, decided=None)
    if due.kind == "unhandled":
        return _unhandled(due, rule_set, default_team)
    return _silent(due, rule_set, default_team)


def _unhandled(due: Due, rule_set: RuleSet, default_team: str) -> Raised:
    about = msgspec.json.decode(due.about, type=About)
    window = timedelta(microseconds=due.window_us)
    said = _Said(
        msgid="UNHANDLED",
        severity=about.severity,
        message=f"{due.count} events of {about.hostname} that no rule matches, within {window}:"
        f" {about.template} (one of them: {about.sample})",
        attributes={
            "count": due.count,
            "window_s": due.window_us // 1_000_000,
            "template": about.template,
            "sample": about.sample,
            "sample_event_id": about.sample_id,
        },
    )
    event = _event(due, (about.hostname, about.source_ip, about.transport), said)
    decision = Decision(
        environment=rule_set.environment_of(event),
        rule_id=OWN_RULE_ID,
        rule_name=UNHANDLED_RULE,
        rule_revision=0,
        # A ticket to write a rule for it; nobody asked to be paged for this.
        handling=Handling.TICKET_ONLY,
        team=rule_set.team_for(event) or default_team,
    )
    signature = signature_from(about.hostname.casefold(), _CLASS, about.template, ["unhandled"])
    return _raised(due, Decided(event, decision), signature)


def _silent(due: Due, rule_set: RuleSet, default_team: str) -> Raised:
    missed = msgspec.json.decode(due.about, type=Missed)
    is_back = due.kind == "back"
    every = timedelta(seconds=missed.expect_every_s)
    last = iso_utc(from_microseconds(missed.last_us))
    said = _Said(
        severity=_BACK_SEVERITY if is_back else missed.severity,
        msgid="HEARD" if is_back else "SILENT",
        message=f"{missed.hostname} is no longer missed"
        if is_back
        else f"nothing is heard of {missed.hostname} since {last}; expected every {every}",
        attributes={
            "expected_source": missed.entry,
            "expect_every_s": missed.expect_every_s,
            "last_heard": last,
        },
    )
    # Nothing came at all; some transport has to be shown.
    event = _event(due, (missed.hostname, missed.source_ip, Transport.SYSLOG_UDP), said)
    environment = rule_set.environment_of(event)
    is_prod = environment is Environment.PROD
    decision = Decision(
        environment=environment,
        rule_id=OWN_RULE_ID,
        rule_name=SILENT_RULE,
        rule_revision=0,
        handling=Handling.PAGE_AND_TICKET if is_prod else Handling.TICKET_ONLY,
        team=missed.team_assignment or rule_set.team_for(event) or default_team,
        is_clear=is_back,
    )
    signature = signature_from(missed.hostname, _CLASS, "silent")
    return _raised(due, Decided(event, decision), signature)


def _event(due: Due, source: tuple[str, str, Transport], said: _Said) -> Event:
    hostname, source_ip, transport = source
    received_at = from_microseconds(due.at_us)
    return Event(
        event_id=event_id_at(received_at, due.due_id),
        received_at=received_at,
        source_ip=source_ip,
        hostname=hostname,
        transport=transport,
        severity=said.severity,
        message=said.message,
        raw=said.message.encode(),
        app_name=_CLASS,
        msgid=said.msgid,
        attributes=said.attributes,
    )


def _raised(due: Due, decided: Decided, signature: str) -> Raised:
    event = decided.event
    alert = Alert(
        alert_id=alert_id_for(event.event_id, OWN_RULE_ID),
        signature=signature,
        event=event,
        decision=decided.decision,
        created_at=event.received_at,
    )
    return Raised(due_id=due.due_id, alert=alert, decided=decided)
