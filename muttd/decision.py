"""The Decision: what the rules made of an event, and the Alert that may follow from it.

    Event --decide--> Decision --if its handling forwards--> Alert --deliver--> webhook

A decision is pure data: it names the rule and its revision, so that a rule which was changed or
deleted afterwards does not change what the audit says.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime

import msgspec

from muttd.errors import StoreRefused
from muttd.event import Event


class Handling(enum.StrEnum):
    """What is done with a matched event. The first three forward an alert."""

    PAGE_AND_TICKET = "Page_and_ticket"
    PAGE_ONLY = "Page_only"
    TICKET_ONLY = "Ticket_only"
    EMAIL_ONLY = "Email_only"
    LOG_ONLY = "Log_only"
    SUPPRESS = "Suppress"
    IGNORE = "Ignore"

    @property
    def forwards(self) -> bool:
        """Whether an alert goes out."""
        return self in _FORWARDING


_FORWARDING = frozenset({Handling.PAGE_AND_TICKET, Handling.PAGE_ONLY, Handling.TICKET_ONLY})


class Environment(enum.StrEnum):
    """Whether a host is listed in development_hosts."""

    PROD = "prod"
    DEV = "dev"


_CLEAR = "clear"
_HELD = "held "


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the rules made of one event. rule_id None: no rule matched.

    Attributes:
        environment: dev when the host is in development_hosts, else prod.
        rule_id, rule_name, rule_revision: The rule that won, as it was then.
        handling: The winning rule's handling for that environment.
        team: The winning rule's team.
        destination: The winning rule's destination; None: the team's, or the only one.
        repeat_interval_s: The winning rule's: how long its alert stands for others like it.
        has_clear: Whether the winning rule says what ends the problem.
        is_clear: Whether the event is the end of a problem, by the rule's clear_match.
        held_by: The alert that stands for the one this decision would have raised.
    """

    environment: Environment
    rule_id: int | None = None
    rule_name: str | None = None
    rule_revision: int | None = None
    handling: Handling | None = None
    team: str | None = None
    destination: str | None = None
    repeat_interval_s: float | None = None
    has_clear: bool = False
    is_clear: bool = False
    held_by: str | None = None

    @property
    def matched(self) -> bool:
        """Whether any rule matched."""
        return self.rule_id is not None

    @property
    def raises_alert(self) -> bool:
        """Whether the rule wants an alert for it."""
        return self.handling is not None and self.handling.forwards

    @property
    def verdict(self) -> str | None:
        """is_clear and held_by as the stores keep them."""
        if self.is_clear:
            return _CLEAR
        return None if self.held_by is None else f"{_HELD}{self.held_by}"

    @property
    def is_judged(self) -> bool:
        """Whether what went before decides if its alert goes out."""
        return self.repeat_interval_s is not None or self.has_clear


def parts_of_verdict(verdict: str | None) -> tuple[bool, str | None]:
    """is_clear and held_by, from Decision.verdict."""
    if verdict is None or not verdict.startswith(_HELD):
        return verdict == _CLEAR, None
    return False, verdict.removeprefix(_HELD)


class Decided(msgspec.Struct, frozen=True, gc=False):
    """An event and its decision: what one audit row is made of."""

    event: Event
    decision: Decision


class AlertState(enum.StrEnum):
    """Where an alert is on its way out."""

    QUEUED = "queued"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DEAD = "dead"
    # No webhook was configured when the alert was raised; it is shown and never sent.
    UNROUTED = "unrouted"


class Alert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One alert on its way to a destination.

    Attributes:
        alert_id: Derived from event_id and rule id, so that repeated work repeats no effect.
        signature: host::class::template-or-OID::instance; one fault, one signature.
        event, decision: What it is about and who decided.
        created_at: When it was raised; aware, UTC.
        held_back: How many alerts of this signature were held back since the one before it.
    """

    alert_id: str
    signature: str
    event: Event
    decision: Decision
    created_at: datetime
    held_back: int = 0


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt to deliver one alert.

    Attributes:
        alert_id: Which alert.
        attempt: 1 for the first.
        attempted_at: Aware, UTC.
        outcome: The state the alert is in after it.
        status: HTTP status, if there was an answer.
        error: What went wrong, for a human; no secret, no URL.
        duration_s: How long it took.
    """

    alert_id: str
    attempt: int
    attempted_at: datetime
    outcome: AlertState
    status: int | None = None
    error: str | None = None
    duration_s: float = 0.0


_encoder = msgspec.msgpack.Encoder()
_alerts = msgspec.msgpack.Decoder(list[Alert])


def encode_alerts(alerts: Sequence[Alert]) -> bytes:
    """Encode a batch of alerts as the payload of one queue entry."""
    return _encoder.encode(alerts)


def decode_alerts(payload: bytes) -> list[Alert]:
    """Decode the payload of one queue entry.

    Raises:
        StoreRefused: The payload is not a batch that encode_alerts made.
    """
    try:
        return _alerts.decode(payload)
    except msgspec.MsgspecError as exc:
        raise StoreRefused(f"a queue entry is not a batch of alerts: {exc}") from exc


def alert_id_for(event_id: str, rule_id: int) -> str:
    """The id of the alert that this rule raises for this event: always the same one."""
    return f"{event_id}.{rule_id}"
