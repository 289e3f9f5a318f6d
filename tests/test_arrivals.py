"""muttd/arrivals.py: syslog messages that are queued as they came and parsed later."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from muttd import arrivals as arrivals_module
from muttd.arrivals import Arrivals, Origin, decode_entry, encode_arrivals
from muttd.errors import StoreRefused
from muttd.event import Transport, encode_events
from muttd.event_ids import EventIds
from muttd.protocol.syslog import parse_syslog

RECEIVED_AT = datetime(2026, 7, 11, 12, 0, tzinfo=UTC)
ORIGIN = Origin(
    transport=Transport.SYSLOG_TLS,
    received_at=RECEIVED_AT,
    zone="Asia/Tokyo",
    max_octets=480,
    attributes={"tls_peer": "p"},
)


def arrived(*messages: bytes, origin: Origin = ORIGIN) -> Arrivals:
    return Arrivals(EventIds().first_of(len(messages)), origin, ["192.0.2.1"], list(messages))


@given(st.lists(st.binary(max_size=600), min_size=1, max_size=20))
def test_whatever_was_sent_is_an_event_and_the_queue_changes_nothing(messages: list[bytes]) -> None:
    came = arrived(*messages)
    content = decode_entry(encode_arrivals([came]))
    events = content.all_events()
    assert events == came.events()
    assert [event.raw for event in events] == [octets[:480] for octets in messages]
    assert [event.event_id for event in events] == sorted({event.event_id for event in events})


def test_an_event_says_what_its_message_and_its_origin_say() -> None:
    [event] = arrived(b"<34>Jul 11 21:00:01 sw1 su[7]: hello").events()
    assert (event.hostname, event.app_name, event.procid) == ("sw1", "su", "7")
    assert (event.facility, event.severity, event.message) == (4, 2, "hello")
    assert event.event_time == datetime(2026, 7, 11, 12, 0, 1, tzinfo=UTC)
    assert (event.transport, event.received_at) == (Transport.SYSLOG_TLS, RECEIVED_AT)
    assert (event.source_ip, event.attributes) == ("192.0.2.1", {"tls_peer": "p"})
    assert event.malformed is None


def test_what_is_too_long_is_cut_and_says_so() -> None:
    [event] = arrived(b"<13>Jul 11 21:00:00 h a: " + b"x" * 900).events()
    assert (len(event.raw), event.malformed) == (480, "cut at 480 octets")


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_part_has_the_ids_and_sources_that_it_has_in_the_whole(
    count: int, one: int, other: int
) -> None:
    came = structs.replace(
        arrived(*(b"<13>%d" % n for n in range(count))),
        source_ips=[f"192.0.2.{n}" for n in range(count)],
    )
    start, stop = sorted((one, other))
    assert came[start:stop].events() == came.events()[start:stop]
    assert len(came[start:stop]) == len(range(count)[start:stop])


def test_a_part_of_one_peers_messages_has_that_peer() -> None:
    came = arrived(b"<13>a", b"<13>b", b"<13>c")
    assert came[1:].events() == came.events()[1:]


def test_each_alone_is_the_same_event() -> None:
    came = [arrived(b"<13>a", b"<13>b"), arrived(b"<13>c")]
    alone = decode_entry(encode_arrivals(came)).payloads()
    parsed = [event for payload in alone for event in decode_entry(payload).all_events()]
    assert parsed == [event for each in came for event in each.events()]
    assert len(alone) == 3


def test_an_entry_of_events_is_read_too() -> None:
    events = arrived(b"<13>a", b"<13>b").events()
    content = decode_entry(encode_events(events))
    assert (content.all_events(), content.arrivals) == (events, [])
    assert content.payloads() == [encode_events([event]) for event in events]


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x80", b"\x81\xa8arrivals\x91\x01", b"\x93"])
def test_what_is_neither_is_refused(payload: bytes) -> None:
    with pytest.raises(StoreRefused, match="not a batch of events"):
        decode_entry(payload)


def test_a_zone_that_is_not_known_here_is_named() -> None:
    came = arrived(b"<13>a", origin=structs.replace(ORIGIN, zone="Mars/Olympus"))
    with pytest.raises(StoreRefused, match="'Mars/Olympus' of a message is not known here"):
        came.events()


def test_a_parser_that_fails_costs_no_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(octets: bytes, **more: object) -> object:
        if b"bad" in octets:
            raise KeyError("absent")
        return parse_syslog(octets, received_at=RECEIVED_AT, zone=UTC)

    monkeypatch.setattr(arrivals_module, "parse_syslog", failing)
    with caplog.at_level(logging.ERROR):
        good, bad = arrived(b"<34>su: good", b"<34>bad\0\xff").events()
    assert (good.message, good.malformed) == ("good", None)
    assert (bad.message, bad.raw) == ("<34>bad#000\xff", b"<34>bad\0\xff")
    assert bad.malformed == "the parser failed; see the log"
    assert f"event {bad.event_id} cannot be parsed" in caplog.text
