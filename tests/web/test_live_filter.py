"""The live filter: what it takes, and what it shows."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import msgspec
import pytest

from muttd.decision import Decision, Environment, Handling
from muttd.errors import InvalidInput
from muttd.event import Event, Transport
from muttd.web.live_filter import EVERYTHING, LiveFilter, Matcher, parse_filter

EVENT = Event(
    event_id="e1",
    received_at=datetime(2026, 1, 1, tzinfo=UTC),
    source_ip="192.0.2.1",
    hostname="Core-SW-1.example",
    transport=Transport.SYSLOG_UDP,
    severity=3,
    message="Interface Gi0/3 is DOWN",
    raw=b"",
)
MATCHED = Decision(
    environment=Environment.PROD,
    rule_id=7,
    rule_name="down",
    rule_revision=1,
    handling=Handling.PAGE_ONLY,
    team="NETO",
)
UNMATCHED = Decision(environment=Environment.PROD)


@pytest.mark.parametrize(
    ("document", "is_shown"),
    [
        ({}, True),
        ({"q": "is down"}, True),
        ({"q": "is up"}, False),
        ({"hostname": "core-sw-1.EXAMPLE"}, True),
        ({"hostname": "core-sw-1"}, False),
        ({"hostname": "core-*"}, True),
        ({"hostname": "*-sw-?.example"}, True),
        ({"hostname": "*-sw-?"}, False),
        ({"hostname": "core[-]*"}, False),
        ({"severity": 3}, True),
        ({"severity": 4}, False),
        ({"max_severity": 3}, True),
        ({"max_severity": 2}, False),
        ({"transport": "syslog-udp"}, True),
        ({"transport": "snmp"}, False),
        ({"q": "down", "severity": 3, "hostname": "core*", "transport": "syslog-udp"}, True),
        ({"q": "down", "severity": 2}, False),
    ],
)
def test_what_is_known_at_receipt_is_filtered_then(
    document: dict[str, object], is_shown: bool
) -> None:
    wanted = parse_filter(document)
    assert not wanted.needs_decision
    assert Matcher(wanted).shows(EVENT, None) is is_shown


@pytest.mark.parametrize(
    ("document", "by_matched", "by_unmatched"),
    [
        ({"rule_id": 7}, True, False),
        ({"rule_id": 8}, False, False),
        ({"team": "NETO"}, True, False),
        ({"team": "SRE"}, False, False),
        ({"matched": True}, True, False),
        ({"matched": False}, False, True),
        ({"matched": True, "q": "up"}, False, False),
    ],
)
def test_what_the_decision_says_is_filtered_after_it(
    document: dict[str, object], by_matched: bool, by_unmatched: bool
) -> None:
    wanted = parse_filter(document)
    assert wanted.needs_decision
    matcher = Matcher(wanted)
    assert matcher.shows(EVENT, MATCHED) is by_matched
    assert matcher.shows(EVENT, UNMATCHED) is by_unmatched


def test_empty_values_are_absent() -> None:
    document = {"q": "", "hostname": None, "severity": "", "matched": None}
    assert parse_filter(document) == EVERYTHING


def test_numbers_and_truths_may_be_text() -> None:
    document = {"severity": "3", "rule_id": "7", "matched": "true"}
    assert parse_filter(document) == LiveFilter(severity=3, rule_id=7, matched=True)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        {"nonsense": 1},
        {"q": 1},
        {"q": "x" * 501},
        {"severity": 8},
        {"severity": "high"},
        {"transport": "carrier-pigeon"},
        {"rule_id": 1.5},
        {"matched": "maybe"},
    ],
)
def test_a_filter_that_is_none_is_refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        parse_filter(document)


def test_a_long_glob_on_a_long_name_is_quick() -> None:
    event = msgspec.structs.replace(EVENT, hostname="a" * 255)
    assert not Matcher(LiveFilter(hostname="a*" * 100 + "b")).shows(event, None)


def test_equal_filters_are_one_key() -> None:
    assert {parse_filter({"q": "a"}): 1}[LiveFilter(q="a")] == 1
    assert not dataclasses.is_dataclass(LiveFilter)
