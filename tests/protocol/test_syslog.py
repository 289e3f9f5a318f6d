"""parse_syslog: the golden cases, and what no octets can make it do."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from syslog_corpus import CASES, RECEIVED_AT, Case, as_expected, parse

from muttd.protocol.framing import Framer
from muttd.protocol.syslog import SyslogMessage, parse_syslog

MUTATIONS = 10_000
BEHIND = b"<191>1 - behind - - - - something behind it"

every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def is_presentable(message: SyslogMessage) -> bool:
    """What every consumer relies on, whatever came in."""
    if message.timestamp is not None:
        # Every zone can show it, and it is aware.
        message.timestamp.astimezone(ZoneInfo("Pacific/Kiritimati"))
        message.timestamp.astimezone(ZoneInfo("Pacific/Pago_Pago"))
    shown = msgspec.json.encode(message).decode()
    return (
        0 <= message.facility <= 23
        and 0 <= message.severity <= 7
        and "\\u0000" not in shown
        and all(text != "" for text in (message.hostname, message.app_name, message.procid))
    )


def drip(framer: Framer, octets: bytes) -> list[bytes]:
    frames: list[bytes] = []
    for at in range(len(octets)):
        framer.feed(octets[at : at + 1])
        frames += framer.frames()
    return frames


@every_case
def test_a_golden_message_says_what_is_expected(case: Case) -> None:
    assert as_expected(parse(case.octets)) == case.expected


@every_case
def test_a_golden_message_counted_and_dripped_with_something_behind_it_is_the_same(
    case: Case,
) -> None:
    # The first frame of a counting sender has a PRI, as every message that such a sender makes.
    framer = Framer(max_frame_octets=8192)
    stream = b"".join(b"%d %b" % (len(m), m) for m in (BEHIND, case.octets, BEHIND))
    assert drip(framer, stream) == [BEHIND, case.octets, BEHIND]
    assert framer.finish() is None


@every_case
def test_a_golden_message_with_trailer_and_dripped_with_something_behind_it_is_the_same(
    case: Case,
) -> None:
    text = case.octets.strip(b"\0\r\n")
    # LF and NUL inside end a message here; its pieces are messages of their own.
    pieces = [piece for piece in text.replace(b"\0", b"\n").split(b"\n") if piece]
    for trailer in (b"\n", b"\r\n", b"\0"):
        framer = Framer(max_frame_octets=8192)
        assert drip(framer, text + trailer + BEHIND + trailer) == [*pieces, BEHIND]
        assert framer.finish() is None
    if pieces == [text]:
        assert as_expected(parse(pieces[0])) == case.expected


@every_case
def test_a_golden_message_cut_at_any_length_is_still_a_message(case: Case) -> None:
    for length in range(len(case.octets)):
        message = parse(case.octets[:length])
        assert is_presentable(message)
        assert message.message or message.malformed or length >= len(b"<0>")


def test_mutated_messages_are_messages() -> None:
    chance = random.Random(3164)
    seeds = [case.octets for case in CASES]
    for _ in range(MUTATIONS):
        octets = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randint(0, len(octets))
            match chance.randrange(4):
                case 0:
                    octets[at:at] = chance.randbytes(chance.randint(1, 3))
                case 1:
                    del octets[at : at + chance.randint(1, 8)]
                case 2:
                    donor = chance.choice(seeds)
                    octets[at:at] = donor[chance.randint(0, len(donor)) :][:40]
                case _:
                    octets[at : at + 1] = chance.choice([b"", b" ", b":", b"[", b'"', b"9", b"-"])
        assert is_presentable(parse(bytes(octets))), bytes(octets)


@given(st.binary(max_size=300))
def test_any_octets_are_a_message(octets: bytes) -> None:
    assert is_presentable(parse(octets))


@given(st.text(max_size=200), st.sampled_from(["<13>", "<13>1 ", "<13>Oct 11 22:14:15 ", ""]))
def test_any_text_behind_a_header_is_a_message(text: str, header: str) -> None:
    assert is_presentable(parse((header + text).encode()))


@given(
    st.integers(0, 9999),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["Z", "+14:00", "-12:00", "+23:59", "-23:59", "+99:99", ""]),
)
def test_any_digits_in_a_timestamp_are_a_time_that_every_zone_can_show_or_none(
    year: int, month: int, day: int, hour: int, offset: str
) -> None:
    stamp = f"{year:04}-{month:02}-{day:02}T{hour:02}:59:60{offset}"
    assert is_presentable(parse(f"<13>1 {stamp} h a - - - x".encode()))
    assert is_presentable(parse(f"<13>{stamp} h a: x".encode()))


def test_what_is_not_utf_8_costs_one_pass_however_long() -> None:
    text = parse(b"<13>Oct 11 22:14:15 host app: " + b"\xff" * 8000).message
    assert text == "\xff" * 8000


@pytest.mark.parametrize(
    ("stamp", "received_at", "event_time"),
    [
        # Sent before New Year, received after.
        ("Dec 31 23:59:59", "2025-01-01T00:00:01+00:00", "2024-12-31T23:59:59+00:00"),
        # A clock that is ahead of ours.
        ("Jan  1 00:00:01", "2024-12-31T23:59:59+00:00", "2025-01-01T00:00:01+00:00"),
        ("Oct 11 22:14:15", "2024-10-11T22:00:00+00:00", "2024-10-11T22:14:15+00:00"),
        # Half a year of replay is old, not from the future.
        ("Oct 11 22:14:15", "2025-07-01T00:00:00+00:00", "2024-10-11T22:14:15+00:00"),
        ("Jul 31 00:00:00", "2025-07-01T00:00:00+00:00", "2025-07-31T00:00:00+00:00"),
        # Either side of New Year where the sender is, and not where we are.
        ("Dec 31 23:59:59", "2025-01-01T10:30:00+00:00", "2024-12-31T23:59:59+00:00"),
        # The last day that is still ahead, and the first that is a year ago.
        ("Jan 31 00:00:00", "2024-12-31T00:00:00+00:00", "2025-01-31T00:00:00+00:00"),
        ("Feb  1 00:00:00", "2024-12-31T00:00:00+00:00", "2024-02-01T00:00:00+00:00"),
        # Leap day: the last year that has one.
        ("Feb 29 12:00:00", "2024-02-29T12:00:01+00:00", "2024-02-29T12:00:00+00:00"),
        ("Feb 29 12:00:00", "2027-03-01T00:00:00+00:00", "2024-02-29T12:00:00+00:00"),
    ],
)
def test_a_stamp_without_year_gets_the_latest_year_that_is_not_the_future(
    stamp: str, received_at: str, event_time: str
) -> None:
    message = parse_syslog(
        f"<13>{stamp} host app: x".encode(),
        received_at=datetime.fromisoformat(received_at),
        zone=UTC,
    )
    assert message.timestamp == datetime.fromisoformat(event_time)


@pytest.mark.parametrize(
    ("zone", "stamp", "received_at"),
    [
        # New Year comes first to Kiritimati and last to Honolulu; here it is neither.
        ("Pacific/Kiritimati", "Jan  1 00:30:00", "2024-12-31T10:30:00+00:00"),
        ("Pacific/Honolulu", "Dec 31 23:30:00", "2025-01-01T09:30:00+00:00"),
        ("Asia/Tokyo", "Jan  1 08:59:59", "2024-12-31T23:59:59+00:00"),
        ("America/New_York", "Dec 31 19:00:00", "2025-01-01T00:00:00+00:00"),
    ],
)
def test_the_year_turns_when_it_turns_where_the_sender_is(
    zone: str, stamp: str, received_at: str
) -> None:
    moment = datetime.fromisoformat(received_at)
    message = parse_syslog(
        f"<13>{stamp} host app: x".encode(), received_at=moment, zone=ZoneInfo(zone)
    )
    assert message.timestamp == moment


@pytest.mark.parametrize(
    ("text", "event_time"),
    [
        # Summer and winter, either side of New Year.
        ("<13>Jul 11 22:14:15 host app: x", "2024-07-11T20:14:15+00:00"),
        ("<13>Jan 11 22:14:15 host app: x", "2024-01-11T21:14:15+00:00"),
        ("<13>2024-07-11T22:14:15 host app: x", "2024-07-11T20:14:15+00:00"),
        # The sender says otherwise.
        ("<13>2024-07-11T22:14:15Z host app: x", "2024-07-11T22:14:15+00:00"),
        ("<189>: 2024 Jul 11 22:14:15 EST: %A-5-B: x", "2024-07-12T03:14:15+00:00"),
        ("<13>Jul 11 22:14:15 UTC: x", "2024-07-11T22:14:15+00:00"),
        ("<13>Jul 11 22:14:15 UTC+5 host app: x", "2024-07-11T17:14:15+00:00"),
        ("<13>Jul 11 22:14:15 GMT-03:30 host app: x", "2024-07-12T01:44:15+00:00"),
        # A zone of more than a day is no zone.
        ("<13>Jul 11 22:14:15 UTC+99 host app: x", "2024-07-11T20:14:15+00:00"),
        # RFC 5424 without offset.
        ("<13>1 2024-07-11T22:14:15 host app - - - x", "2024-07-11T20:14:15+00:00"),
    ],
)
def test_a_stamp_without_zone_stands_in_the_zone_of_the_sender(text: str, event_time: str) -> None:
    message = parse_syslog(text.encode(), received_at=RECEIVED_AT, zone=ZoneInfo("Europe/Zurich"))
    assert message.timestamp == datetime.fromisoformat(event_time)


def test_a_zone_name_means_what_it_means_where_the_sender_stands() -> None:
    """CST is China's as well as Chicago's."""
    octets = b"<189>: 2024 Oct 11 22:14:15 CST: %A-5-B: x"
    shanghai = parse_syslog(octets, received_at=RECEIVED_AT, zone=ZoneInfo("Asia/Shanghai"))
    assert shanghai.timestamp == datetime(2024, 10, 11, 14, 14, 15, tzinfo=UTC)
    assert parse(octets).timestamp == datetime(2024, 10, 12, 4, 14, 15, tzinfo=UTC)


def test_a_day_that_no_year_has_is_malformed() -> None:
    message = parse(b"<13>Feb 30 12:00:00 host app: x")
    assert (message.timestamp, message.hostname) == (None, "host")
    assert message.malformed == "TIMESTAMP is no date or time (RFC 3164, 4.1.2)"


@pytest.mark.parametrize("year", ["0000", "0001", "9999"])
def test_a_year_that_not_every_zone_can_show_is_no_time(year: str) -> None:
    assert parse(f"<13>1 {year}-01-01T00:00:00Z h a - - - x".encode()).timestamp is None
    assert parse(f"<13>Jan  1 {year} 00:00:00 h a: x".encode()).timestamp is None
