"""What an alert looks like to Moogsoft's webhook integration.

No secret is in here: the key is joined at the moment of sending.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from muttd.decision import Alert
from muttd.event import Event, Transport, event_as_json, iso_utc

# Moogsoft's severity, by syslog severity (RFC 5424, 6.2.1): 0 clear, 1 indeterminate, 2 warning,
# 3 minor, 4 major, 5 critical.
_CLEAR = 0
_SEVERITIES = (5, 5, 5, 4, 3, 2, 1, 1)

# A device whose clock is a day off would date its alert out of everybody's sight.
_CLOCK_TRUST = timedelta(hours=24)


def moogsoft_payload(alert: Alert, *, daemon_name: str) -> dict[str, Any]:
    """The webhook's JSON object for one alert."""
    event, decision = alert.event, alert.decision
    event_class = alert.signature.split("::", 2)[1]
    return {
        "signature": alert.signature,
        "source_id": event.source_ip,
        "external_id": alert.alert_id,
        "manager": "MUTT",
        "source": event.hostname,
        "class": event_class,
        "agent": "muttd",
        "agent_location": daemon_name,
        "type": "clear" if decision.is_clear else _type_of(event),
        "severity": _CLEAR if decision.is_clear else _SEVERITIES[event.severity],
        "description": event.message,
        "agent_time": int(_agent_time(event)),
        "custom_info": {
            "handling": decision.handling,
            "environment": decision.environment,
            "team": decision.team,
            "rule_id": decision.rule_id,
            "rule_name": decision.rule_name,
            "correlation_id": event.correlation_id,
            "held_back": alert.held_back,
            "created_at": iso_utc(alert.created_at),
            "event": event_as_json(event),
        },
    }


def moogsoft_body(alert: Alert, *, daemon_name: str) -> bytes:
    """The same as octets."""
    return msgspec.json.encode(moogsoft_payload(alert, daemon_name=daemon_name))


def _type_of(event: Event) -> str:
    if event.transport is Transport.SNMP:
        return event.trap_oid or "trap"
    return event.msgid or event.app_name or event.transport.value


def _agent_time(event: Event) -> float:
    claimed = event.event_time
    if claimed is not None and abs(claimed - event.received_at) <= _CLOCK_TRUST:
        return claimed.timestamp()
    return event.received_at.timestamp()
