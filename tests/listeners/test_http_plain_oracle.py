"""Whole connections with and without the plain reader: nobody outside can tell which it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from http_client import Receive, Send, serving
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from muttd.listeners import http_connection
from muttd.listeners.http_options import Scope
from muttd.listeners.http_plain import plain_request

_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE = re.compile(rb"(?i)date: [^\r]*")
_CREATED = re.compile(r".*_created.*\n")


class ManyApps:
    """Does what the path says, and remembers what it was asked and given."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        match scope["path"]:
            case "/blind":
                await self._answer(send, b"blind")
            case "/late":
                await self._answer(send, b"late")
                self.seen.append(await receive())
            case "/early" | "/parts":
                if scope["path"] == "/parts":
                    await self._body(receive)
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body", "body": b"a", "more_body": True})
                await send({"type": "http.response.body", "body": b"b"})
            case "/beside":
                await self._body(receive)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._remember, receive)
                    await trio.testing.wait_all_tasks_blocked()
                    await self._answer(send, b"beside")
            case "/none":
                await self._body(receive)
            case "/fails":
                raise ZeroDivisionError
            case "/fails-late":
                await self._answer(send, b"once")
                raise ZeroDivisionError
            case "/empty":
                await send({"type": "http.response.start", "status": 204})
                await send({"type": "http.response.body"})
            case "/closes":
                await self._answer(send, b"bye", (b"connection", b"close"))
            case "/wrong":
                await self._answer(send, b"", (b"a: b", b"c\r\nd: e"))
            case _:
                await self._answer(send, b"got " + await self._body(receive))

    async def _remember(self, receive: Receive) -> None:
        self.seen.append(await receive())

    async def _body(self, receive: Receive) -> bytes:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        self.seen.append((message["type"], body))
        return body

    async def _answer(self, send: Send, body: bytes, *fields: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", b"text/plain"), *fields]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def story_of(pieces: Sequence[bytes]) -> tuple[Any, ...]:
    """What one client sees, what the app sees, and what is counted."""
    app = ManyApps()
    async with serving(app) as bench:
        client = bench.connect()
        answers = b""

        async def read() -> None:
            nonlocal answers
            answers = await client.read_all()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for piece in pieces:
                await client.send(piece)
                await trio.testing.wait_all_tasks_blocked()
            await client.stream.send_eof()
        counted = generate_latest(bench.registry).decode()
    answers = _DATE.sub(b"", _UUID.sub(b"", answers))
    return answers, app.seen, _CREATED.sub("", counted)


def assert_alike(pieces: Sequence[bytes]) -> int:
    """Both stories are one; how many requests the plain reader took."""
    taken = 0

    def counting(octets: bytes, **limits: int) -> object:
        nonlocal taken
        found = plain_request(octets, **limits)
        taken += found is not None
        return found

    stories = []
    for reader in (counting, lambda _, **__: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http_connection, "plain_request", reader)
            clock = trio.testing.MockClock(autojump_threshold=0)
            stories.append(trio.run(story_of, pieces, clock=clock))
    assert stories[0] == stories[1], pieces
    return taken


def req(path: str, body: bytes = b"", fields: bytes = b"", method: bytes = b"POST") -> bytes:
    head = b"%b %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n"
    return head % (method, path.encode(), len(body), fields) + body


_APPS = (
    *("/echo", "/blind", "/late", "/early", "/parts", "/beside", "/none", "/fails"),
    *("/fails-late", "/empty", "/closes", "/wrong"),
)
PATHS = (*_APPS, "/%65cho?x=%20", "//h/x", "/\x7f", "*", "http://h/echo", "echo")
FIELDS = (
    *(b"", b"", b"", b"X-A: b\r\n", b"X-A:b \t\r\n", b"X-A: b\r\n c\r\n", b"X-A : b\r\n"),
    b"X:\r\n",
    *(b"X-A: b\n", b"\r\n", b"Content-Length: 3\r\n", b"Content-Length: 4\r\n", b"Host: i\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"TE: trailers\r\n"),
    *(b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding : chunked\r\n", b"X: \x00\r\n"),
    *(b"Expect: 100-continue\r\n", b"Expect: 200-ok\r\n", b"Connection: close\r\n"),
    *(b"Connection: keep-alive\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    *(b"Connection: content-length\r\n", b"X-Correlation-ID: mine\r\n"),
    b"X-Correlation-ID: \xff\r\n",
    *(b"X: %b\r\n" % filler for filler in (b"y" * 4000, b"y" * 4096, b"\t" * 99)),
)
BODIES = (
    b"",
    b"abc",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: h\r\n\r\n",
    b"a" * 1001,
)
_REQUESTS = st.one_of(
    st.builds(
        req,
        st.sampled_from(PATHS),
        st.sampled_from(BODIES),
        st.sampled_from(FIELDS),
        st.sampled_from([*[b"POST"] * 2, b"GET", b"PUT", b"DELETE", b"HEAD", b"CONNECT", b"pOST"]),
    ),
    st.sampled_from(
        [
            *(b"GET /echo HTTP/1.0\r\nHost: h\r\n\r\n", b"GET /echo HTTP/1.1\r\n\r\n", b"\r\n"),
            *(b"GET /echo HTTP/1.1\nHost: h\n\n", b"GET /echo HTTP/1.1\r\nHost: h\r\n\n", b"\x00"),
            *(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", b"GET /\r\n\r\n"),
            *(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", b"abc"),
            *(b"GET  /echo HTTP/1.1\r\nHost: h\r\n\r\n", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
        ]
    ),
)
_CUTS = st.lists(st.integers(0, 400), max_size=3)


def cut(octets: bytes, at: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(octets)]
    return [octets[a:b] for a, b in pairwise(edges) if octets[a:b]]


@settings(deadline=None)
@given(st.lists(st.tuples(_REQUESTS, st.booleans(), _CUTS), min_size=1, max_size=4))
@example([(req("/late", b"abc"), False, []), (req("/echo"), False, [])])
@example([(req("/early", b"abc"), False, []), (req("/echo"), False, [])])
@example([(req("/beside", b"abc"), False, []), (req("/echo"), False, [])])
def test_what_a_client_sends_is_answered_and_counted_as_by_h11_alone(
    requests: list[tuple[bytes, bool, list[int]]],
) -> None:
    pieces: list[bytes] = []
    for octets, is_pipelined, cuts in requests:
        first, *rest = cut(octets, cuts)
        if is_pipelined and pieces:
            pieces[-1] += first
        else:
            pieces.append(first)
        pieces += rest
    assert_alike(pieces)


@pytest.mark.parametrize("path", _APPS)
def test_one_after_the_other(path: str) -> None:
    pieces = [req("/echo", b"1"), req(path, b"abc"), req("/echo", b"2"), req(path), req("/echo")]
    assert assert_alike(pieces) > 1


def test_two_requests_cut_at_every_octet() -> None:
    both = req("/echo", b"abc") + req("/blind", b"de", b"Connection: keep-alive\r\n")
    for at in range(1, len(both)):
        assert_alike([both[:at], both[at:]])
