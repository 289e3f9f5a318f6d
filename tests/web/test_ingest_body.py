"""JSON to events: what is taken, what is named as wrong."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import assume
from hypothesis import given as with_any
from hypothesis import strategies as values

from muttd.errors import InvalidInput
from muttd.event import Event, Varbind, decode_events, encode_events, event_as_json
from muttd.web import ingest_body
from muttd.web.ingest_body import Parsed, TooManyItems, events_from_body, normal_oid
from muttd.web.ingest_values import MAX_DEPTH, MAX_ITEM_OCTETS, Origin

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def parse(body: bytes | object, *, is_lines: bool = False) -> Parsed:
    numbers = itertools.count()
    origin = Origin("192.0.2.9", NOW, "corr", lambda: f"id{next(numbers)}")
    octets = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return events_from_body(octets, is_lines=is_lines, origin=origin)


def event_of(**fields: object) -> Event:
    parsed = parse({"message": "m", "hostname": "h"} | fields)
    assert parsed.rejected == []
    return parsed.events[0]


def wrong_fields(**fields: object) -> list[str]:
    parsed = parse({"message": "m", "hostname": "h"} | fields)
    assert parsed.events == []
    return [field for field, _ in parsed.rejected[0].problems]


def test_message_and_hostname_are_enough() -> None:
    body = b' {"message": "link down", "hostname": "sw1"}\n'
    [event] = parse(body).events
    assert event == Event(
        event_id="id0",
        received_at=NOW,
        source_ip="192.0.2.9",
        hostname="sw1",
        transport=event.transport,
        severity=5,
        message="link down",
        raw=body.strip(),
        correlation_id="corr",
    )
    assert event.transport.value == "http"


def test_every_field_has_its_place() -> None:
    event = event_of(
        timestamp="2026-01-02T05:04:05.5+02:00",
        syslog_severity="Warning",
        facility="local7",
        app_name="sshd",
        procid=42,
        msgid="ID",
        trap_oid=".1.3.6.1.6.3.1.1.5.3",
        rack="r1",
        source_ip="10.0.0.1",
        _state="done",
    )
    assert event.event_time == datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)
    assert (event.severity, event.facility) == (4, 23)
    assert (event.app_name, event.procid, event.msgid) == ("sshd", "42", "ID")
    assert event.trap_oid == "1.3.6.1.6.3.1.1.5.3"
    assert event.attributes == {"rack": "r1", "source_ip": "10.0.0.1"}
    # The peer on the wire, whatever the client says.
    assert event.source_ip == "192.0.2.9"


@pytest.mark.parametrize("name", ["severity", "syslog_severity"])
@pytest.mark.parametrize(
    ("given", "severity"),
    [
        *((0, 0), (7, 7), ("3", 3), ("err", 3), ("error", 3), ("Warning", 4), (" CRIT ", 2)),
        *(("emergency", 0), ("panic", 0), ("informational", 6), ("warn", 4), (None, 5)),
    ],
)
def test_severity_is_a_number_or_a_name(name: str, given: object, severity: int) -> None:
    assert event_of(**{name: given}).severity == severity


def test_syslog_severity_comes_before_severity() -> None:
    event = event_of(syslog_severity=1, severity="debug")
    assert event.severity == 1
    assert event.attributes == {"severity": "debug"}


@pytest.mark.parametrize("given", [8, -1, 3.0, True, "9", "bad", "", [], {}, "\u0663"])
def test_a_severity_that_is_none_is_named(given: object) -> None:
    assert wrong_fields(severity=given) == ["severity"]


@pytest.mark.parametrize(("given", "facility"), [(0, 0), ("23", 23), ("Kern", 0), ("security", 4)])
def test_facility_is_a_number_or_a_name(given: object, facility: int) -> None:
    assert event_of(facility=given).facility == facility


@pytest.mark.parametrize(
    "given",
    [
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z",
        "0001-01-01T00:00:00+14:00",
        1767323045,
        "",
        {},
    ],
)
def test_a_timestamp_that_is_not_rfc_3339_is_named(given: object) -> None:
    assert wrong_fields(timestamp=given) == ["timestamp"]


@with_any(values.datetimes(), values.integers(-14 * 60, 14 * 60))
def test_a_timestamp_is_the_same_moment_in_utc(clock: datetime, offset_min: int) -> None:
    assume(2 <= clock.year <= 9998)
    moment = clock.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    for text in (moment.isoformat(), moment.astimezone(UTC).isoformat().replace("+00:00", "Z")):
        event_time = event_of(timestamp=text).event_time
        assert event_time == moment
        assert event_time is not None
        assert event_time.tzinfo is UTC


def test_varbinds_are_a_list_or_a_mapping() -> None:
    oid = "1.3.6.1.2.1.2.2.1.1.3"
    as_list = [
        {"oid": f".{oid}", "value": 3, "name": "ifIndex.3"},
        {"oid": oid, "value": "x", "type": "OctetString"},
        {"oid": oid, "value": None},
    ]
    assert event_of(varbinds=as_list).varbinds == [
        Varbind("ifIndex.3", oid, "INTEGER", "3"),
        Varbind(oid, oid, "OctetString", "x"),
        Varbind(oid, oid, "OCTET STRING", "null"),
    ]
    assert event_of(varbinds={oid: [1, {"a": True}]}).varbinds == [
        Varbind(oid, oid, "OCTET STRING", '[1,{"a":true}]')
    ]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("x", "varbinds"),
        ([1], "varbinds[0]"),
        ([{"oid": "1.3.6.1"}], "varbinds[0]"),
        ([{"oid": "ifIndex", "value": 1}], "varbinds[0]"),
        ([{"oid": "1.3", "value": 1, "name": 3}], "varbinds[0]"),
        ([{"oid": "1.3", "value": 1, "type": 3}], "varbinds[0]"),
        ({"sysUpTime": 1}, "varbinds[0]"),
        ([{"oid": "1.3", "value": 1}] * 257, "varbinds"),
    ],
)
def test_varbinds_that_are_none_are_named(given: object, field: str) -> None:
    assert wrong_fields(varbinds=given) == [field]


@pytest.mark.parametrize(
    ("given", "oid"),
    [
        ("1.3.6", "1.3.6"),
        (".1.3.06", "1.3.6"),
        ("1", None),
        ("1.3.", None),
        ("1..3", None),
        ("1.3.x", None),
        ("1.4294967295", "1.4294967295"),
        ("1.4294967296", None),
        (".".join(["1"] * 128), ".".join(["1"] * 128)),
        (".".join(["1"] * 129), None),
        ("1." + "0" * 2000, None),
        (13, None),
    ],
)
def test_an_oid_is_normalised_or_refused(given: object, oid: str | None) -> None:
    assert normal_oid(given) == oid


def test_every_wrong_field_is_named_at_once() -> None:
    item = {"message": "", "severity": 9, "facility": 24, "trap_oid": "x", "timestamp": "y"}
    [rejected] = parse(item | {"app_name": [1]}).rejected
    assert {field for field, _ in rejected.problems} == {
        "message",
        "hostname",
        "severity",
        "facility",
        "trap_oid",
        "timestamp",
        "app_name",
    }


@pytest.mark.parametrize("name", ["message", "hostname"])
@pytest.mark.parametrize("given", [None, "", "  ", 3, ["x"], "x" * 70_000, "é" * 40_000])
def test_a_required_text_that_is_none_is_named(name: str, given: object) -> None:
    assert wrong_fields(**{name: given}) == [name]


@pytest.mark.parametrize("given", [2**64, -(2**63) - 1, [[2**70]]])
def test_a_number_that_the_queue_cannot_hold_is_named(given: object) -> None:
    assert wrong_fields(n=given) == ["n"]


def test_attributes_nest_so_deep_and_no_deeper() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert event_of(n=nested).attributes == {"n": nested}
    assert wrong_fields(n=[nested]) == ["n"]
    assert wrong_fields(n={"n": nested}) == ["n"]


def test_a_batch_keeps_the_good_ones_and_names_the_bad_by_index() -> None:
    parsed = parse(
        b'[{"message":"1","hostname":"h"},7,{"message":"2","hostname":"h"},{"hostname":"h"}]'
    )
    assert [event.message for event in parsed.events] == ["1", "2"]
    assert [event.raw for event in parsed.events] == [
        b'{"message":"1","hostname":"h"}',
        b'{"message":"2","hostname":"h"}',
    ]
    assert [each.index for each in parsed.rejected] == [1, 3]
    assert parsed.rejected[0].problems == (("event", "must be a JSON object"),)
    assert parsed.rejected[1].problems == (("message", "is required"),)


def test_ndjson_is_one_object_a_line() -> None:
    lines = b'{"message":"1","hostname":"h"}\r\n\n{"message":"2"\n{"message":"3","hostname":"h"}\n'
    parsed = parse(lines, is_lines=True)
    assert [event.message for event in parsed.events] == ["1", "3"]
    assert parsed.events[0].raw == b'{"message":"1","hostname":"h"}'
    assert [each.index for each in parsed.rejected] == [1]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert len(parse(b'\xef\xbb\xbf{"message":"1","hostname":"h"}').events) == 1


@pytest.mark.parametrize("body", [b"", b"  \n", b"[]", b"[1,", b"[1]x", b"[" * 100_000])
def test_a_body_without_items_is_refused_whole(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(body)


@pytest.mark.parametrize(
    "body", [b"{", b"nonsense", b'{"message": "\xff"}', b'{"a":' * 5000, b'"\\ud800"', b"NaN"]
)
def test_an_item_that_is_no_json_is_rejected(body: bytes) -> None:
    [rejected] = parse(body).rejected
    assert rejected.problems[0][0] == "event"


def test_a_request_has_only_so_many_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_body, "MAX_ITEMS", 3)
    monkeypatch.setattr(ingest_body, "MAX_COMMAS", 10)
    for body, is_lines in [
        (b"[1,2,3,4]", False),
        (b"1\n2\n3\n4", True),
        (b"[" + b"1," * 11 + b"1]", False),
    ]:
        with pytest.raises(TooManyItems):
            parse(body, is_lines=is_lines)
    assert len(parse(b"[1,2,3]").rejected) == 3


def test_an_item_is_only_so_long() -> None:
    assert wrong_fields(x="y" * MAX_ITEM_OCTETS) == ["event"]


def test_mutated_bodies_raise_nothing_but_invalid_input_and_their_events_travel() -> None:
    """10 000 of them, seeded."""
    chance = random.Random(3)
    seed = msgspec.json.encode(
        [
            {
                "message": "m é",
                "hostname": "h",
                "timestamp": "2026-01-02T03:04:05Z",
                "severity": "err",
                "facility": 3,
                "trap_oid": "1.3.6.1",
                "varbinds": {"1.3.6": 1},
                "n": [1.5, {"x": 12345678901234567890}],
                "_x": 1,
            },
            {"message": "2", "hostname": "h2", "procid": 1},
        ]
    )
    kept = 0
    for _ in range(10_000):
        octets = bytearray(seed)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(octets))
            piece = bytes(chance.randrange(256) for _ in range(chance.randrange(3)))
            octets[at : at + chance.randrange(3)] = piece
        try:
            events = parse(bytes(octets), is_lines=chance.random() < 0.2).events
        except InvalidInput:
            continue
        assert decode_events(encode_events(events)) == events
        for event in events:
            msgspec.json.encode(event_as_json(event))
        kept += len(events)
    assert kept > 1000
