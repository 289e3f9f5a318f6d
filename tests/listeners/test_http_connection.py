"""One HTTP connection: what is answered, what is refused, and in which time."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import trio
import trio.testing
from http_client import CHUNKED, EchoApp, request, serving

from muttd.listeners.http_connection import HttpConnection


async def test_a_request_is_answered_with_length_and_date() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(b"abc", path=b"/a%20b?x=1"))
        answer = await client.answer(b"POST")
        assert (answer.status, answer.body) == (200, b"got abc")
        assert answer.headers["content-length"] == "7"
        assert answer.headers["date"].endswith("GMT")
        assert "server" not in answer.headers
    [scope] = app.scopes
    assert scope["path"] == "/a b"
    assert scope["raw_path"] == b"/a%20b"
    assert scope["query_string"] == b"x=1"
    assert scope["client"] == ("192.0.2.1", 40000)
    assert (b"host", b"h") in scope["headers"]


async def test_one_octet_at_a_time_gives_the_same_request() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        for octet in request(b"abc"):
            await client.send(bytes([octet]))
        assert (await client.answer(b"POST")).body == b"got abc"


@pytest.mark.parametrize(
    "whole", [request(b"abc"), CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n"]
)
async def test_a_request_cut_at_any_length_is_refused_and_never_reaches_the_end_of_the_app(
    whole: bytes,
) -> None:
    for length in range(1, len(whole)):
        app = EchoApp()
        async with serving(app) as bench:
            client = bench.connect()
            await client.send(whole[:length])
            await client.stream.send_stream.aclose()
            octets = await client.read_all()
            assert octets.startswith(b"HTTP/1.1 400 "), length
            assert app.bodies == []
            assert bench.refused("malformed") == 1


async def test_requests_sent_at_once_are_answered_in_order() -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(request(b"1") + request(b"2") + request(b"3"))
        assert [(await client.answer(b"POST")).body for _ in range(3)] == [
            b"got 1",
            b"got 2",
            b"got 3",
        ]
        assert bench.outcome("2xx") == 3


async def test_head_has_the_length_of_get_and_no_body() -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(request(method=b"HEAD") + request(b"x"))
        answer = await client.answer(b"HEAD")
        assert (answer.headers["content-length"], answer.body) == ("4", b"")
        assert (await client.answer(b"POST")).body == b"got x"


async def test_an_http_1_0_client_gets_its_answer_and_the_end() -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(b"GET /x HTTP/1.0\r\n\r\n")
        await client.stream.send_stream.aclose()
        octets = await client.read_all()
        assert octets.startswith(b"HTTP/1.1 200 OK\r\n")
        assert octets.endswith(b"got ")


async def test_expect_100_continue_is_answered_when_the_app_wants_the_body() -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        head, _, body = request(b"abc", fields=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        await client.send(head + b"\r\n\r\n")
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.send(body)
        assert (await client.answer(b"POST")).body == b"got abc"


async def test_an_absolute_target_is_the_path_in_it() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        for target in (b"http://h/x?y", b"http://h"):
            client = bench.connect()
            await client.send(request(path=target))
            await client.answer(b"POST")
    assert [scope["path"] for scope in app.scopes] == ["/x", "/"]


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /x HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: h\r\nBad Field: 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
async def test_what_is_not_http_is_refused_in_the_shape_of_all_errors(octets: bytes) -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(octets)
        await client.stream.send_stream.aclose()
        head, _, body = (await client.read_all()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"\r\nConnection: close" in head
        assert b"\r\nX-API-Version: 2.5" in head
        error = json.loads(body)
        assert error.keys() == {"error", "message", "correlation_id", "details"}
        assert error["correlation_id"].encode() in head
        assert bench.outcome("refused") == bench.refused("malformed") == 1


async def test_a_body_with_two_framings_never_becomes_two_requests() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        fields = b"Transfer-Encoding: chunked\r\n"
        await client.send(request(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n", fields=fields))
        await client.stream.send_stream.aclose()
        await client.read_all()
    assert "/smuggled" not in [scope["path"] for scope in app.scopes]


@pytest.mark.parametrize("pause_after", [100, 5000])
async def test_a_head_over_the_limit_is_refused(pause_after: int) -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        octets = request(fields=b"A: " + b"x" * 4096 + b"\r\n")
        await client.send(octets[:pause_after])
        await client.send(octets[pause_after:])
        await client.stream.send_stream.aclose()
        assert (await client.read_all()).startswith(b"HTTP/1.1 431 ")
        assert bench.refused("head_too_large") == 1
    assert app.scopes == []


async def test_a_body_over_the_limit_is_refused_by_its_length_before_it_is_sent() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        head = request(b"x" * 1001, fields=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")[0]
        await client.send(head + b"\r\n\r\n")
        answer = await client.answer(b"POST")
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
        assert bench.refused("body_too_large") == 1
    assert app.scopes == []


async def test_a_body_of_the_limit_is_taken() -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(request(b"x" * 1000))
        assert (await client.answer(b"POST")).status == 200


async def test_a_chunked_body_over_the_limit_is_refused_when_it_gets_there() -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        await client.send(CHUNKED)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _send_for_ever() -> None:
                while True:
                    await client.send(b"64\r\n" + b"x" * 100 + b"\r\n")
                    await trio.lowlevel.checkpoint()

            assert (await client.answer(b"POST")).status == 413
            nursery.cancel_scope.cancel()
    assert app.bodies == []


async def test_a_chunk_is_charged_more_than_its_octets() -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(CHUNKED + b"1\r\nx\r\n" * 100)
        assert (await client.answer(b"POST")).status == 413


async def test_every_request_has_one_outcome() -> None:
    async with serving(EchoApp()) as bench:
        for octets in (request(b"1") * 3, b"bad\r\n\r\n", request(b"x" * 2000), request()[:-5]):
            client = bench.connect()
            await client.send(octets)
            await client.stream.send_stream.aclose()
            await client.read_all()
        outcomes = {
            sample.labels["outcome"]: sample.value
            for metric in bench.registry.collect()
            for sample in metric.samples
            if sample.name == "muttd_http_requests_total"
        }
    assert outcomes.pop("2xx") == 3
    assert outcomes.pop("refused") == 3
    assert set(outcomes.values()) == {0}


async def test_mutated_requests_raise_nothing() -> None:
    """10 000 of them, seeded: whatever comes, the connection ends by itself."""
    seeds = [
        request(b'{"a": 1}', fields=b"X-API-KEY: k\r\nExpect: 100-continue\r\n"),
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        request(b"1") * 2,
        b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ]
    chance = random.Random(20)
    handed_over = []

    async def websocket(stream: trio.abc.Stream, scope: Any) -> None:
        handed_over.append(await stream.receive_some())

    async with serving(EchoApp(), websockets={"/ws": websocket}) as bench:
        for _ in range(10_000):
            octets = bytearray(chance.choice(seeds))
            for _ in range(chance.randrange(4)):
                at = chance.randrange(len(octets))
                piece = bytes(chance.randrange(256) for _ in range(chance.randrange(3)))
                octets[at : at + chance.randrange(3)] = piece
            client_end, server_end = trio.testing.memory_stream_pair()
            await client_end.send_all(octets)
            await client_end.send_stream.aclose()
            await HttpConnection(
                server_end, bench.app, bench.options, client=None, server=None
            ).serve()
    assert handed_over
    assert bench.outcome("refused") > 100
    assert bench.outcome("2xx") > 100
    assert bench.outcome("failed") == 0
