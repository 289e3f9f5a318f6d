"""How long a connection waits for its peer, and for whom it does not."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from http_client import LIMITS, EchoApp, Receive, Send, request, serving

from muttd.listeners.http_connection import HttpConnection


async def test_a_head_that_drips_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _drip() -> None:
                await client.send(b"GET /x HTTP/1.1\r\nA: ")
                while True:
                    await trio.sleep(1)
                    await client.send(b"x")

            answer = await client.answer()
            nursery.cancel_scope.cancel()
        assert answer.status == 408
        assert trio.current_time() == pytest.approx(LIMITS.request_timeout_s, abs=1)
        assert bench.refused("too_slow") == 1


async def test_a_body_that_drips_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    app = EchoApp()
    async with serving(app) as bench:
        client = bench.connect()
        octets = request(b"x" * 900)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _drip() -> None:
                await client.send(octets[:-800])
                while True:
                    await trio.sleep(1)
                    await client.send(b"x")

            answer = await client.answer(b"POST")
            nursery.cancel_scope.cancel()
        assert answer.status == 408
        assert trio.current_time() == pytest.approx(LIMITS.request_timeout_s, abs=1)
    assert app.bodies == []


async def test_a_second_request_that_drips_is_given_up_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(request(b"1") + b"GET /x")
        assert (await client.answer(b"POST")).status == 200
        assert (await client.answer()).status == 408
        assert trio.current_time() == pytest.approx(LIMITS.request_timeout_s, abs=1)


@pytest.mark.parametrize("before", [b"", request(b"1")])
async def test_an_idle_connection_is_closed_without_a_word(
    before: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(EchoApp()) as bench:
        client = bench.connect()
        await client.send(before)
        if before:
            await client.answer(b"POST")
        assert await client.read_all() == b""
        assert trio.current_time() == pytest.approx(LIMITS.idle_timeout_s, abs=1)
        assert bench.outcome("refused") == 0


async def test_an_app_may_take_longer_than_any_timeout_of_the_peer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await trio.sleep(1000)
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async with serving(slow) as bench:
        client = bench.connect()
        await client.send(request())
        answer = await client.answer(b"POST")
        assert answer.status == 204
        assert "content-length" not in answer.headers


async def _endless(scope: Any, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})


async def test_a_peer_that_does_not_read_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(_endless) as bench:
        client_end, server_end = trio.testing.lockstep_stream_pair()
        connection = HttpConnection(server_end, _endless, bench.options, client=None, server=None)
        bench.nursery.start_soon(client_end.send_all, request())
        await connection.serve()
        assert bench.outcome("cut_off") == 1
        assert trio.current_time() == pytest.approx(LIMITS.send_timeout_s, abs=2)
