"""What a generic webhook is sent: an alert as JSON, by an operator's jinja2 template.

    {"title": {{ description | tojson }}, "severity": {{ severity }}, "id": {{ alert_id | tojson }}}

The names are those of body_values(). The template runs in jinja2's sandbox: it sees the alert and
nothing of the daemon. What it makes must be JSON; that is tried out on two samples at the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import jinja2
import msgspec

from muttd.decision import Alert, Decision, Environment, Handling
from muttd.event import Event, Transport, Varbind
from muttd.workers.bounded_jinja import BoundedEnvironment
from muttd.workers.payload import moogsoft_payload

Body = Callable[[Alert], bytes]

# More than any receiver takes; a template with a loop in it must not fill the memory.
MAX_BODY_OCTETS = 4 * 1024 * 1024

_WORDS = ("clear", "indeterminate", "warning", "minor", "major", "critical")


def body_values(alert: Alert, *, daemon_name: str) -> dict[str, Any]:
    """What a template may use.

    Everything that Moogsoft's payload has, under the same names, and of custom_info each value by
    itself; alert_id, severity_name (clear to critical), and destination.
    """
    payload = moogsoft_payload(alert, daemon_name=daemon_name)
    return {
        **payload.pop("custom_info"),
        **payload,
        "alert_id": alert.alert_id,
        "severity_name": _WORDS[payload["severity"]],
    }


class BadTemplate(ValueError):
    """The template cannot be used; says why, for the operator."""


class BodyTemplate:
    """One template, tried out.

    Args:
        text: Its text; None: every value there is.
        daemon_name: Of this daemon, for agent_location.

    Raises:
        BadTemplate: It is none, or what it makes of a sample is no JSON.
    """

    def __init__(self, text: str | None, *, daemon_name: str) -> None:
        self._daemon_name = daemon_name
        self._template: jinja2.Template | None = None
        if text is None:
            return
        # jinja2's own tojson is made for HTML, and knows no times.
        self._environment = BoundedEnvironment({"tojson": _as_json})
        try:
            self._template = self._environment.from_string(text)
        except jinja2.TemplateSyntaxError as exc:
            raise BadTemplate(f"line {exc.lineno}: {exc.message}") from exc
        for sample in samples():
            self(sample)

    def __call__(self, alert: Alert) -> bytes:
        """The body for one alert.

        Raises:
            BadTemplate: What comes out is no JSON.
        """
        values = body_values(alert, daemon_name=self._daemon_name)
        if self._template is None:
            return msgspec.json.encode(values)
        try:
            self._environment.begin()
            body = _bounded(self._template.generate(values))
        except Exception as exc:
            # Whatever an expression of the operator's can raise.
            raise BadTemplate(f"{type(exc).__name__}: {exc}") from exc
        if len(body) > MAX_BODY_OCTETS:
            raise BadTemplate(f"the body has more than {MAX_BODY_OCTETS} octets")
        try:
            msgspec.json.decode(body)
        except msgspec.DecodeError as exc:
            raise BadTemplate(f"what it makes is no JSON: {_place(str(exc), body)}") from exc
        return body


def _bounded(parts: Iterator[str]) -> bytes:
    """What a template makes; no more of it is made than shows that it is too much."""
    body = bytearray()
    for part in parts:
        body += part.encode()
        if len(body) > MAX_BODY_OCTETS:
            break
    return bytes(body)


def _place(said: str, body: bytes) -> str:
    """Msgspec's words, and what is at that place."""
    found = re.search(r"byte (\d+)", said)
    if found is None:
        return said
    at = int(found[1])
    return f"{said}: ...{body[max(0, at - 20) : at + 20].decode('utf-8', 'replace')}..."


def _as_json(value: object) -> str:
    # What msgspec does not know is a name that there is not: as text it says so.
    return msgspec.json.encode(value, enc_hook=str).decode()


def samples() -> tuple[Alert, Alert]:
    """A syslog message and a trap, with what trips a careless template: quotes, lines, nulls."""
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    message = Event(
        event_id="01940a3c-0000-7000-8000-000000000001",
        received_at=at,
        source_ip="192.0.2.1",
        hostname="sw1.example.net",
        transport=Transport.SYSLOG_UDP,
        severity=3,
        facility=23,
        message='%LINK-3-UPDOWN: "Gi0/1"\n\tchanged \\ state to down \u00e9',
        raw=b"<187>%LINK-3-UPDOWN",
        app_name="LINK-3-UPDOWN",
    )
    trap = Event(
        event_id="01940a3c-0000-7000-8000-000000000002",
        received_at=at,
        source_ip="192.0.2.2",
        hostname="sw2",
        transport=Transport.SNMP,
        severity=5,
        message="IF-MIB::linkDown ifIndex.3=3",
        raw=b"0",
        trap_oid="1.3.6.1.6.3.1.1.5.3",
        varbinds=[Varbind("IF-MIB::ifIndex.3", "1.3.6.1.2.1.2.2.1.1.3", "Integer32", "3")],
    )
    first, second = (
        Alert(
            alert_id=f"{event.event_id}.{rule_id}",
            signature=f"{event.hostname}::class::what::instance",
            event=event,
            decision=Decision(
                environment=Environment.PROD,
                rule_id=rule_id,
                rule_name='the "rule"',
                rule_revision=1,
                handling=Handling.PAGE_AND_TICKET,
                team="NETO" if rule_id == 1 else None,
            ),
            created_at=at,
        )
        for rule_id, event in enumerate((message, trap), 1)
    )
    return first, second
