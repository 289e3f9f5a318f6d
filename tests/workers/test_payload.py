"""muttd/workers/payload.py: the body that the webhook gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from interruption import an_event
from msgspec.structs import replace

from muttd.decision import Alert, Decision, Environment, Handling
from muttd.event import Event, Transport, utc_now
from muttd.workers.payload import moogsoft_payload

RECEIVED_AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def an_alert(event: Event) -> Alert:
    return Alert(
        alert_id=f"{event.event_id}.7",
        signature="sw1::LINK::link <num> down::Gi0/1",
        event=event,
        decision=Decision(
            environment=Environment.PROD,
            rule_id=7,
            rule_name="link down",
            rule_revision=2,
            handling=Handling.PAGE_ONLY,
            team="NETO",
        ),
        created_at=utc_now(),
    )


def test_the_body_has_every_field_the_integration_asks_for() -> None:
    event = an_event("link 1 down", received_at=RECEIVED_AT, correlation_id="c-1", severity=3)
    body = moogsoft_payload(an_alert(event), daemon_name="muttd-1")
    custom = body.pop("custom_info")
    assert body == {
        "signature": "sw1::LINK::link <num> down::Gi0/1",
        "source_id": "192.0.2.1",
        "external_id": f"{event.event_id}.7",
        "manager": "MUTT",
        "source": "sw1",
        "class": "LINK",
        "agent": "muttd",
        "agent_location": "muttd-1",
        "type": "syslog-udp",
        "severity": 4,
        "description": "link 1 down",
        "agent_time": int(RECEIVED_AT.timestamp()),
    }
    assert custom["event"]["message"] == "link 1 down"
    assert {key: custom[key] for key in ("handling", "environment", "team", "rule_id")} == {
        "handling": "Page_only",
        "environment": "prod",
        "team": "NETO",
        "rule_id": 7,
    }
    assert (custom["rule_name"], custom["correlation_id"]) == ("link down", "c-1")


@pytest.mark.parametrize(
    ("syslog", "moogsoft"), [(0, 5), (1, 5), (2, 5), (3, 4), (4, 3), (5, 2), (6, 1), (7, 1)]
)
def test_severities_are_translated(syslog: int, moogsoft: int) -> None:
    event = an_event("x", severity=syslog)
    assert moogsoft_payload(an_alert(event), daemon_name="d")["severity"] == moogsoft


@pytest.mark.parametrize(
    ("off_by", "is_believed"),
    [(timedelta(minutes=-5), True), (timedelta(hours=23), True), (timedelta(days=-365), False)],
)
def test_agent_time_is_the_senders_unless_its_clock_is_days_off(
    off_by: timedelta, is_believed: bool
) -> None:
    claimed = RECEIVED_AT + off_by
    event = an_event("x", received_at=RECEIVED_AT, event_time=claimed)
    expected = claimed if is_believed else RECEIVED_AT
    body = moogsoft_payload(an_alert(event), daemon_name="d")
    assert body["agent_time"] == int(expected.timestamp())


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"transport": Transport.SNMP, "trap_oid": "1.3.6.1.6.3.1.1.5.3"}, "1.3.6.1.6.3.1.1.5.3"),
        ({"transport": Transport.SNMP}, "trap"),
        ({"msgid": "ID47", "app_name": "su"}, "ID47"),
        ({"app_name": "su"}, "su"),
    ],
)
def test_type_is_the_most_telling_name_there_is(values: dict[str, object], shown: str) -> None:
    assert moogsoft_payload(an_alert(an_event("x", **values)), daemon_name="d")["type"] == shown


def test_the_end_of_a_problem_is_severity_0_with_the_problems_signature() -> None:
    alert = an_alert(an_event("link 1 up", severity=5))
    clear = replace(alert, decision=replace(alert.decision, is_clear=True))
    body = moogsoft_payload(clear, daemon_name="muttd-1")
    assert (body["severity"], body["type"]) == (0, "clear")
    assert body["signature"] == alert.signature
    assert body["description"] == "link 1 up"


def test_how_many_were_held_back_is_said() -> None:
    alert = an_alert(an_event("link 1 down"))
    for held_back in (0, 7):
        body = moogsoft_payload(replace(alert, held_back=held_back), daemon_name="muttd-1")
        assert body["custom_info"]["held_back"] == held_back
