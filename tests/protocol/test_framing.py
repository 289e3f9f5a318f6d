"""The framer of RFC 6587, for one connection."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muttd.errors import MalformedFrame, PeerError
from muttd.protocol.framing import Framer

A = b"<34>1 - - - - - - a"
B = b"<34>Oct 11 22:14:15 host app: b"

# What goes in, the frames that come out, and what is left at the end of the stream.
STREAMS = {
    "LF": (b"%b\n%b\n" % (A, B), [A, B], None),
    "CR LF": (b"%b\r\n%b\r\n" % (A, B), [A, B], None),
    "NUL": (b"%b\0%b\0" % (A, B), [A, B], None),
    "LF and NUL": (b"%b\n%b\0%b\n\0" % (A, B, A), [A, B, A], None),
    "no last trailer": (b"%b\n%b" % (A, B), [A], B),
    "no last trailer but CR": (b"%b\n%b\r" % (A, B), [A], B),
    "one message, no trailer": (A, [], A),
    "keep-alives": (b"\n\r\n\0\n%b\n\n\n%b\n\n" % (A, B), [A, B], None),
    "nothing": (b"", [], None),
    "only keep-alives": (b"\n\n\n", [], None),
    "a CR inside": (b"a\rb\n", [b"a\rb"], None),
    "counted": (b"19 %b31 %b" % (A, B), [A, B], None),
    "counted with LF inside": (b"10 <1>one\ntwo19 %b" % A, [b"<1>one\ntwo", A], None),
    "counted and trailed as well": (b"19 %b\n31 %b\r\n" % (A, B), [A, B], None),
    "counted, no PRI in the second": (b"19 %b5 hello" % A, [A, b"hello"], None),
    "counted, keep-alive first": (b"\n\n19 %b" % A, [A], None),
    "counted, then one with a trailer": (b"19 %b%b\n31 %b" % (A, B, B), [A, B, B], None),
    "counted, then NUL before LF": (b"19 %b<1>x\0<1>y\n" % A, [A, b"<1>x", b"<1>y"], None),
    "counted, then one without": (b"19 %b%b" % (A, B), [A], B),
    "counted, cut in the message": (b"19 %b31 %b" % (A, B[:9]), [A], B[:9]),
    "counted, cut behind MSG-LEN": (b"19 %b31 " % A, [A], None),
    "counted, cut in MSG-LEN": (b"19 %b3" % A, [A], None),
    "a line that begins with a date": (b"2024-01-01 x\n%b\n" % A, [b"2024-01-01 x", A], None),
    "a number alone": (b"123\n%b\n" % A, [b"123", A], None),
    "a number and text": (b"12 monkeys\n%b\n" % A, [b"12 monkeys", A], None),
    "a number at the end of the stream": (b"19", [], b"19"),
    "a number and a space at the end of the stream": (b"19 ", [], b"19 "),
    "a leading zero": (b"019 <34>x\n", [b"019 <34>x"], None),
    "too many digits": (b"12345678901 <34>x\n", [b"12345678901 <34>x"], None),
    "lines stay lines": (b"%b\n19 <34>x\n5 a\n" % A, [A, b"19 <34>x", b"5 a"], None),
}


def fed(octets: bytes, *, step: int, max_frame_octets: int = 8192) -> tuple[Framer, list[bytes]]:
    framer = Framer(max_frame_octets=max_frame_octets)
    frames: list[bytes] = []
    for at in range(0, len(octets), step):
        framer.feed(octets[at : at + step])
        frames += framer.frames()
    return framer, frames


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_the_same_messages_however_it_arrives(name: str, step: int) -> None:
    octets, expected, rest = STREAMS[name]
    framer, frames = fed(octets, step=step)
    assert frames == expected
    assert framer.finish() == rest


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_short_anywhere_gives_the_messages_before_the_cut(name: str) -> None:
    octets, expected, _ = STREAMS[name]
    for length in range(len(octets)):
        _, frames = fed(octets[:length], step=10_000)
        assert frames == expected[: len(frames)]


def test_a_caller_that_stops_between_two_frames_loses_none() -> None:
    for stream in (b"%b\n%b\n%b\n" % (A, B, A), b"19 %b31 %b19 %b" % (A, B, A)):
        framer = Framer(max_frame_octets=8192)
        framer.feed(stream)
        taken = [next(framer.frames()) for _ in range(3)]
        assert taken == [A, B, A]
        assert list(framer.frames()) == []


def take(framer: Framer, octets: bytes, step: int, into: list[bytes]) -> None:
    # What came before an error stays in the list.
    for start in range(0, len(octets), step):
        framer.feed(octets[start : start + step])
        into.extend(framer.frames())


@pytest.mark.parametrize("step", [1, 10_000])
@pytest.mark.parametrize(
    ("octets", "frames", "what", "at"),
    [
        (b"<1>345678901\n", [], "no trailer within the longest message", 0),
        (b"<1>345678901", [], "no trailer within the longest message", 0),
        (b"<1>ok\n<1>345678901\n", [b"<1>ok"], "no trailer within the longest message", 6),
        (b"<1>ok\n<1>345678901\r", [b"<1>ok"], "no trailer within the longest message", 6),
        (b"11 <1>34567890", [], "MSG-LEN is too large", 0),
        (b"3 <1>11 x", [b"<1>"], "MSG-LEN is too large", 5),
        (b"3 <1>x", [b"<1>"], "no MSG-LEN SP where a frame begins", 5),
        (b"3 <1>0 x", [b"<1>"], "no MSG-LEN SP where a frame begins", 5),
        (b"3 <1>5x", [b"<1>"], "no MSG-LEN SP where a frame begins", 5),
        (b"3 <1>12345678901 x", [b"<1>"], "no MSG-LEN SP where a frame begins", 5),
        (b"3 <1><1>345678901\n", [b"<1>"], "no trailer within the longest message", 5),
        (b"3 <1><1>345678901", [b"<1>"], "no trailer within the longest message", 5),
    ],
)
def test_a_stream_that_is_lost_says_where_after_the_messages_before_it(
    octets: bytes, frames: list[bytes], what: str, at: int, step: int
) -> None:
    framer = Framer(max_frame_octets=10)
    got: list[bytes] = []
    with pytest.raises(MalformedFrame) as caught:
        take(framer, octets, step, got)
    assert got == frames
    assert (caught.value.what, caught.value.at) == (what, at)
    assert caught.value.source.startswith("RFC 6587, 3.4.")


def test_the_longest_message_is_accepted_in_every_framing() -> None:
    longest = b"<1>4567890"
    for stream in (b"10 %b", b"%b\n", b"%b\r\n", b"%b\0"):
        _, frames = fed(stream % longest, step=1, max_frame_octets=10)
        assert frames == [longest]


def test_what_a_lost_stream_was_lost_at_can_still_be_shown() -> None:
    framer = Framer(max_frame_octets=10)
    framer.feed(b"<1>ok\n" + b"x" * 5000)
    with pytest.raises(MalformedFrame):
        list(framer.frames())
    assert framer.finish() == b"x" * 10


def test_a_connection_holds_no_more_than_what_is_unfinished() -> None:
    for message in (b"%b\n" % A, b"19 %b" % A):
        chunk = message * 1000
        framer = Framer(max_frame_octets=64)
        tracemalloc.start()
        for _ in range(100):
            framer.feed(chunk)
            for _ in framer.frames():
                pass
        _, peak_octets = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_octets < 10 * len(chunk)


@given(
    st.lists(st.binary(min_size=1, max_size=50).map(lambda octets: b"<" + octets), max_size=8),
    st.integers(1, 60),
)
def test_counted_messages_come_out_as_they_went_in(messages: list[bytes], step: int) -> None:
    stream = b"".join(b"%d %b" % (len(message), message) for message in messages)
    framer, frames = fed(stream, step=step)
    assert frames == messages
    assert framer.finish() is None


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(1, 60))
def test_octets_from_a_stranger_raise_nothing_but_peer_errors(
    pieces: list[bytes], step: int
) -> None:
    raised = None
    framer = Framer(max_frame_octets=32)
    try:
        for piece in pieces:
            for at in range(0, len(piece), step):
                framer.feed(piece[at : at + step])
                assert all(0 < len(frame) <= 32 for frame in framer.frames())
    except PeerError as exc:
        raised = exc
    assert raised is None or isinstance(raised, MalformedFrame)
    rest = framer.finish()
    assert rest is None or 0 < len(rest) <= 32


def test_mutated_streams_raise_nothing_but_peer_errors() -> None:
    chance = random.Random(6587)
    whole = [octets for octets, _, _ in STREAMS.values()]
    lost = 0
    for _ in range(10_000):
        octets = bytearray(chance.choice(whole) + chance.choice(whole))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(octets))
            octets[at : at + chance.randint(0, 3)] = chance.choice(
                [b"\n", b"\0", b"\r", b"9", b"0 ", b"<", b"", b"99999 <", chance.randbytes(3)]
            )
        try:
            _, frames = fed(bytes(octets), step=chance.choice([1, 5, 1000]), max_frame_octets=64)
        except MalformedFrame:
            lost += 1
        else:
            assert all(0 < len(frame) <= 64 for frame in frames)
    assert 0 < lost < 10_000
