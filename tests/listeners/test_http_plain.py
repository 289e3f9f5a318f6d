"""The plain request and answer: never anything that h11 would have read or framed else."""

from __future__ import annotations

import time
from collections.abc import Sequence

import h11
import pytest
from http_client import EchoApp, Receive, Send, request, serving
from hypothesis import example, given
from hypothesis import strategies as st

from muttd.listeners.http_answer import REASONS
from muttd.listeners.http_options import Scope
from muttd.listeners.http_plain import PlainRequest, plain_answer, plain_request

WHOLE = b"POST /x?y=z HTTP/1.1\r\nHost: h\r\nX-Key:k  k\r\nContent-Length: 3\r\n\r\nabc"


def plain(octets: bytes) -> PlainRequest | None:
    return plain_request(octets, max_head_octets=4096, max_body_octets=1000)


def by_h11(octets: bytes) -> tuple[h11.Request, bytes]:
    """The same octets, read by h11: one whole request, and nothing behind it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=4096)
    connection.receive_data(octets)
    head = connection.next_event()
    assert isinstance(head, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert not event.headers
    assert connection.trailing_data == (b"", False)
    assert not connection.they_are_waiting_for_100_continue
    assert connection.their_state is h11.DONE, "the client goes on after it"
    return head, body


def test_a_plain_request_is_read_whole() -> None:
    assert plain(WHOLE) == PlainRequest(
        method=b"POST",
        target=b"/x?y=z",
        headers=[(b"host", b"h"), (b"x-key", b"k  k"), (b"content-length", b"3")],
        http_version=b"1.1",
        body=b"abc",
        octets=WHOLE,
    )


@pytest.mark.parametrize("field", [b"Connection: keep-alive", b"connection: Keep-Alive", b"A:\xff"])
def test_fields_that_change_nothing_are_plain(field: bytes) -> None:
    assert plain(b"GET / HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n") is not None


@pytest.mark.parametrize(
    "octets",
    [
        *(WHOLE[:length] for length in range(len(WHOLE))),
        WHOLE + b"G",
        WHOLE.replace(b"POST", b"HEAD"),
        WHOLE.replace(b"POST", b"CONNECT"),
        WHOLE.replace(b"/x", b"http://h/x"),
        WHOLE.replace(b"1.1", b"1.0"),
        WHOLE.replace(b"Host", b"Hast"),
        WHOLE.replace(b"\r\n", b"\n"),
        WHOLE.replace(b": h", b": h\nContent-Length: 3"),
        WHOLE.replace(b": h", b": h\r\n folded"),
        WHOLE.replace(b": h", b": h\rX: y"),
        WHOLE.replace(b": h", b": h\x00"),
        WHOLE.replace(b": h", b" : h"),
        WHOLE.replace(b": h", b":  h"),
        WHOLE.replace(b": h", b": "),
        WHOLE.replace(b"X-Key:k", b"Transfer-Encoding: chunked"),
        WHOLE.replace(b"X-Key:k", b"Host: h"),
        WHOLE.replace(b"X-Key:k", b"Expect: 100-continue"),
        WHOLE.replace(b"X-Key:k", b"Connection: close"),
        WHOLE.replace(b"X-Key:k  k", b"Connection: keep-alive\r\nUpgrade: websocket"),
        WHOLE.replace(b"X-Key:k  k", b"Content-Length: 3"),
        WHOLE.replace(b": 3", b": 3, 3"),
        WHOLE.replace(b": 3", b": +3"),
        WHOLE.replace(b": 3", b": 000000003"),
        WHOLE.replace(b": 3", b": \xb2"),
        WHOLE.replace(b"k  k", b"k" * 4096),
        WHOLE.replace(b": 3", b": 1001") + b"a" * 998,
    ],
)
def test_anything_else_is_left_to_h11(octets: bytes) -> None:
    assert plain(octets) is None


_PARTS = st.sampled_from(
    [
        *(b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b" ", b"  ", b"\t", b"\r\n", b"\n", b"\r"),
        *(b"/", b"/x?y", b"*", b"http://h/", b"HTTP/1.1", b"HTTP/1.0", b":", b": ", b"\r\n\r\n"),
        *(b"Host: h\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"abc", b"3", b","),
        *(b"Transfer-Encoding: chunked\r\n", b"Connection: keep-alive\r\n", b"X", b"\x00", b"\xff"),
        *(b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"\x0b"),
    ]
)
_FIELDS = st.lists(
    st.sampled_from(
        [
            *(b"Host: h\r\n", b"host:h\r\n", b"Content-Length: 3\r\n", b"content-length:0\r\n"),
            *(b"X: y\r\n", b"X: y z\t\r\n", b"X:  y\r\n", b"A-b: \xe9\r\n", b"X:\r\n", b" y\r\n"),
            *(b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"X y\r\n", b"X: \x0b\r\n"),
            *(
                b"Transfer-Encoding: chunked\r\n",
                b"Upgrade: h2c\r\n",
                b"X: y\n",
                b"Te: trailers\r\n",
            ),
        ]
    ),
    max_size=5,
).map(b"".join)
_REQUESTS = st.builds(
    lambda line, fields, body, junk, at: (
        (whole := line + fields + b"\r\n" + body)[:at] + junk + whole[at:]
    ),
    st.sampled_from([b"GET / HTTP/1.1\r\n", b"POST /x?y HTTP/1.1\r\nHost: h\r\n"]),
    _FIELDS,
    st.sampled_from([b"", b"abc", b"abcd", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"]),
    st.one_of(st.just(b""), st.binary(max_size=2), _PARTS),
    st.integers(0, 80),
)


@given(st.one_of(_REQUESTS, st.lists(_PARTS, max_size=12).map(b"".join)))
@example(WHOLE)
@example(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
def test_whatever_is_plain_h11_reads_alike(octets: bytes) -> None:
    found = plain(octets)
    if found is None:
        return
    head, body = by_h11(octets)
    assert (found.method, found.target, found.http_version) == (
        head.method,
        head.target,
        head.http_version,
    )
    assert (found.headers, found.body) == (list(head.headers), body)


def framed_by_h11(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    connection.next_event()
    connection.next_event()
    fields = list(headers)
    if b"content-length" not in {name.lower() for name, _ in fields}:
        fields.append((b"content-length", b"%d" % len(body)))
    head = h11.Response(status_code=status, headers=fields, reason=REASONS.get(status, b""))
    octets = [connection.send(head), connection.send(h11.Data(data=body))]
    octets.append(connection.send(h11.EndOfMessage()))
    assert connection.our_state is h11.DONE
    return b"".join(part or b"" for part in octets)


_NAMES = st.sampled_from(
    [
        *(b"X-a", b"content-length", b"Connection", b"transfer-encoding", b"x", b"a b", b"\r\nx"),
        *(b"", b"a: b", b"x:"),
    ]
)
_VALUES = st.one_of(
    st.binary(max_size=4), st.sampled_from([b"0", b"3", b"close", b"chunked", b"a\r\nb: c", b"b c"])
)


@given(
    status=st.sampled_from([100, 101, 200, 201, 204, 205, 304, 400, 404, 503, 299, 999]),
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=4),
    body=st.sampled_from([b"", b"abc"]),
)
@example(status=200, headers=[(b"X-a", b"b c"), (b"content-length", b"3")], body=b"abc")
@example(status=503, headers=[(b"Retry-After", b"5")], body=b"")
def test_a_plain_answer_is_to_the_octet_what_h11_makes_of_it(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    octets = plain_answer(status, headers, body)
    if octets is not None:
        assert octets == framed_by_h11(status, headers, body)


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"a\rb", b"a\x00", b" a", b""])
def test_a_value_that_is_none_is_left_to_h11(value: bytes) -> None:
    assert plain_answer(200, [(b"x-a", value)], b"") is None


def test_a_name_that_brings_a_value_of_its_own_is_left_to_h11() -> None:
    assert plain_answer(200, [(b"x-a: b", b"c")], b"") is None


def test_an_ordinary_answer_is_plain() -> None:
    assert plain_answer(200, [(b"X-A", b"b")], b"{}") == (
        b"HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("filler", [b" ", b"\t", b"a ", b"a:", b":", b"\r\n", b"a: b\r\n", b"\n"])
def test_octets_made_to_be_looked_at_again_and_again_are_looked_at_once(filler: bytes) -> None:
    octets = b"GET / HTTP/1.1\r\nHost: h\r\nX: a" + filler * 30_000 + b"\x00\r\n\r\n"
    began = time.process_time()
    assert plain_request(octets, max_head_octets=10**6, max_body_octets=0) is None
    assert plain_answer(200, [(b"x", octets)], b"") is None
    assert time.process_time() - began < 0.5


async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in parts, without having looked at the body."""
    await send({"type": "http.response.start", "status": 200})
    for part in (b"a", b"b"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def test_an_answer_in_parts_to_a_plain_request_is_chunked_and_the_connection_goes_on() -> (
    None
):
    async with serving(streamed) as bench:
        client = bench.connect()
        for _ in range(2):
            await client.send(request(b"abc"))
            answer = await client.answer(b"POST")
            assert (answer.headers["transfer-encoding"], answer.body) == ("chunked", b"ab")
        assert bench.outcome("2xx") == 2


async def test_plain_requests_and_others_take_turns_on_one_connection() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        for body in (b"1", b"2"):
            await client.send(request(body))
            assert (await client.answer(b"POST")).body == b"got " + body
            for octet in request(body * 2):
                await client.send(bytes([octet]))
            assert (await client.answer(b"POST")).body == b"got " + body * 2
    assert app.bodies == [b"1", b"11", b"2", b"22"]


async def test_a_second_answer_to_a_plain_request_is_not_sent() -> None:
    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(2):
            await send({"type": "http.response.body", "body": b"once"})

    async with serving(twice) as bench:
        client = bench.connect()
        for _ in range(2):
            await client.send(request(b"abc"))
            assert (await client.answer(b"POST")).body == b"once"
        assert bench.outcome("2xx") == 2
