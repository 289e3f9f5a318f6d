"""What muttd sends, muttd reads back; and nothing can break out of its field."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syslog_corpus import RECEIVED_AT, parse

from muttd.protocol.framing import Framer
from muttd.protocol.syslog import parse_syslog
from muttd.protocol.syslog_encode import Framing, encode_frame, encode_rfc3164, encode_rfc5424

SENT_AT = datetime(2024, 10, 1, 22, 14, 15, 3, tzinfo=UTC)

# Trailers at the end are cut off by every receiver, and a NUL is shown as "#000".
texts = st.text(max_size=80).filter(lambda text: "\0" not in text and text == text.rstrip("\r\n"))


def test_an_rfc_5424_message_looks_as_the_rfc_has_it() -> None:
    octets = encode_rfc5424(
        "text",
        pri=165,
        sent_at=SENT_AT,
        hostname="host",
        app_name="app",
        structured_data={"a@1": [("x", 'say "hi" \\ [1]')], "b@1": []},
    )
    assert octets == (
        b"<165>1 2024-10-01T22:14:15.000003+00:00 host app - - "
        b'[a@1 x="say \\"hi\\" \\\\ [1\\]"][b@1] text'
    )


def test_an_rfc_3164_message_looks_as_the_rfc_has_it() -> None:
    octets = encode_rfc3164("text", pri=34, sent_at=SENT_AT, hostname="host", app_name="app")
    assert octets == b"<34>Oct  1 22:14:15 host app: text"


def test_text_that_is_not_ascii_has_a_bom() -> None:
    octets = encode_rfc5424("ü", pri=34, sent_at=SENT_AT)
    assert octets.endswith(b" - - - - \xef\xbb\xbf\xc3\xbc")
    assert parse(octets).message == "ü"


@given(
    texts,
    st.integers(0, 191),
    st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),
    st.dictionaries(
        st.from_regex(r"[a-z@0-9]{1,32}", fullmatch=True),
        st.lists(st.tuples(st.from_regex(r"[a-z]{1,32}", fullmatch=True), texts), max_size=3),
        max_size=3,
    ),
)
def test_an_rfc_5424_message_is_read_back_as_it_was_sent(
    text: str, pri: int, sent_at: datetime, data: dict[str, list[tuple[str, str]]]
) -> None:
    octets = encode_rfc5424(
        text, pri=pri, sent_at=sent_at, hostname="h", app_name="a", structured_data=data
    )
    message = parse(octets)
    assert (message.facility, message.severity) == divmod(pri, 8)
    assert (message.timestamp, message.hostname, message.app_name) == (sent_at, "h", "a")
    assert (message.structured_data, message.message) == (data, text)
    assert message.malformed is None


@given(texts, st.integers(0, 191), st.sampled_from(["UTC", "Europe/Zurich", "Asia/Kolkata"]))
def test_an_rfc_3164_message_is_read_back_as_it_was_sent(text: str, pri: int, zone: str) -> None:
    sent_at = datetime(2024, 10, 1, 22, 14, 15, tzinfo=ZoneInfo(zone))
    octets = encode_rfc3164(text, pri=pri, sent_at=sent_at, hostname="host", app_name="app")
    message = parse_syslog(octets, received_at=RECEIVED_AT, zone=ZoneInfo(zone))
    assert (message.facility, message.severity) == divmod(pri, 8)
    assert (message.timestamp, message.hostname, message.app_name) == (sent_at, "host", "app")
    assert message.message == text


@given(st.text(max_size=300), st.text(max_size=80), st.text(max_size=40))
def test_no_field_breaks_out_of_its_place(hostname: str, app_name: str, name: str) -> None:
    data = {name: [(name, name.replace("\0", "") + "x")]}
    octets = encode_rfc5424(
        "end",
        pri=13,
        sent_at=SENT_AT,
        hostname=hostname,
        app_name=app_name,
        structured_data=data,
    )
    message = parse(octets)
    assert (message.message, message.procid, message.msgid) == ("end", None, None)
    assert len(message.structured_data) == 1
    assert message.malformed is None
    octets = encode_rfc3164("end", pri=13, sent_at=SENT_AT, hostname="h", app_name=app_name)
    assert octets.startswith(b"<13>Oct  1 22:14:15 h ")
    assert octets.endswith(b": end")


@pytest.mark.parametrize("framing", ["lf", "octet-counting"])
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_frames_come_apart_where_they_were_put_together(framing: Framing, lines: list[str]) -> None:
    messages = [encode_rfc5424(line, pri=13, sent_at=SENT_AT) for line in lines]
    framer = Framer(max_frame_octets=8192)
    framer.feed(b"".join(encode_frame(message, framing) for message in messages))
    frames = list(framer.frames())
    assert len(frames) == len(messages)
    if framing == "octet-counting":
        assert frames == messages


def test_a_line_feed_inside_stays_readable_in_lines() -> None:
    assert encode_frame(b"<13>one\ntwo\0three", "lf") == b"<13>one#012two#000three\n"
