"""One HTTP connection: what is answered, what is refused, and in which time."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest
import trio
import trio.testing
from http_client import LIMITS, EchoApp, Receive, Send, request, serving

from muttd.listeners.http_connection import HttpConnection

CHUNKED = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


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


async def test_a_streamed_answer_reaches_its_peer_whole() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(5):
            await send({"type": "http.response.body", "body": b"x" * 70_000, "more_body": True})
        await send({"type": "http.response.body"})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(method=b"GET"))
        answer = await client.answer()
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.body == b"x" * 350_000


async def test_an_app_that_fails_costs_one_request(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        raise ValueError(body.decode())

    async with serving(app) as bench:
        client = bench.connect()
        with caplog.at_level(logging.ERROR):
            await client.send(request(b"secret", fields=b"X-Correlation-ID: abc 1\r\n"))
            answer = await client.answer(b"POST")
        assert answer.status == 500
        assert json.loads(answer.body)["correlation_id"] == "abc 1"
        assert answer.headers["x-correlation-id"] == "abc 1"
        assert bench.outcome("failed") == 1
        # The connection task has ended well: the server is still there for the next peer.
        await bench.connect().send(request())
    assert "ValueError" in caplog.text
    assert "in app" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("value", [b"x" * 129, b"caf\xe9"])
async def test_a_correlation_id_that_is_not_fit_to_be_kept_is_replaced(value: bytes) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        """Return without an answer."""

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(fields=b"X-Correlation-ID: " + value + b"\r\n"))
        answer = await client.answer(b"POST")
        assert answer.status == 500
        assert len(answer.headers["x-correlation-id"]) == 36


async def test_an_app_that_answers_out_of_the_grammar_gives_a_500() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        field = (b"x-evil", b"a\r\nSet-Cookie: b")
        await send({"type": "http.response.start", "status": 200, "headers": [field]})
        await send({"type": "http.response.body", "body": b"x"})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request())
        answer = await client.answer(b"POST")
        assert answer.status == 500
        assert "set-cookie" not in answer.headers


async def test_an_early_answer_leaves_the_rest_of_the_body_unread_and_closes() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(b"x" * 900)[:-100])
        answer = await client.answer(b"POST")
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        # What is still sent is read and thrown away, so that the answer is not lost to a reset.
        await client.send(b"x" * 100)
        await client.stream.send_stream.aclose()
        assert await client.read_all() == b""


async def test_an_early_answer_to_a_request_that_is_all_here_keeps_the_connection() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async with serving(app) as bench:
        client = bench.connect()
        for _ in range(2):
            await client.send(request(b"x" * 900))
            assert (await client.answer(b"POST")).status == 401


async def test_an_app_at_work_learns_that_its_peer_has_left() -> None:
    seen: list[object] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(b"abc"))
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["http.request"]
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["http.request", "http.disconnect"]
        assert bench.outcome("gone") == 1


async def test_a_request_that_comes_while_an_app_listens_is_kept() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        with trio.move_on_after(0.05):
            await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(b"one"))
        await trio.testing.wait_all_tasks_blocked()
        await client.send(request(b"two"))
        for expected in (b"one", b"two"):
            answer = await client.answer(b"POST")
            assert (answer.status, answer.body) == (200, expected)


async def test_the_app_learns_that_the_exchange_is_over() -> None:
    seen = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
        seen.append((await receive())["type"])

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request())
        await client.answer(b"POST")
        await trio.testing.wait_all_tasks_blocked()
    assert seen == ["http.request", "http.disconnect"]


async def test_sending_to_a_peer_that_has_gone_is_an_oserror_of_the_app() -> None:
    seen: list[BaseException] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await trio.testing.wait_all_tasks_blocked()
        except OSError as exc:
            seen.append(exc)
            raise

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request())
        await client.stream.receive_some()
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        while not bench.outcome("gone"):
            await trio.testing.wait_all_tasks_blocked()
    assert len(seen) == 1


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


def _handshake(**fields: str) -> bytes:
    given = {
        "Host": "h",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"GET /ws?a=b HTTP/1.1\r\n{lines}\r\n".encode()


async def test_a_websocket_handshake_is_handed_over_with_what_followed_it() -> None:
    got: list[Any] = []

    async def websocket(stream: trio.abc.Stream, scope: Any) -> None:
        octets = b""
        while not octets.endswith(b"frames"):
            octets += await stream.receive_some(10)
        got.extend((octets, scope))
        await stream.send_all(b"reply")

    async with serving(EchoApp(), websockets={"/ws": websocket}) as bench:
        client = bench.connect()
        await client.send(request(b"first") + _handshake() + b"fra")
        assert (await client.answer(b"POST")).status == 200
        await client.send(b"mes")
        assert await client.read_all() == b"reply"
        assert bench.outcome("upgraded") == 1
    octets, scope = got
    head, _, rest = octets.partition(b"\r\n\r\n")
    assert head.startswith(b"GET /ws?a=b HTTP/1.1\r\n")
    assert b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==" in head
    assert rest == b"frames"
    assert (scope["type"], scope["path"]) == ("websocket", "/ws")


@pytest.mark.parametrize(
    "fields",
    [
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Key": "short"},
        {"Content_Length": "0"},
    ],
)
async def test_half_a_handshake_is_an_ordinary_request(fields: dict[str, str]) -> None:
    async def websocket(stream: trio.abc.Stream, scope: Any) -> None:
        raise AssertionError("handed over")

    async with serving(EchoApp(), websockets={"/ws": websocket}) as bench:
        client = bench.connect()
        await client.send(_handshake(**fields))
        assert (await client.answer()).status == 200


async def test_a_websocket_that_fails_costs_one_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def websocket(stream: trio.abc.Stream, scope: Any) -> None:
        raise ValueError

    async with serving(EchoApp(), websockets={"/ws": websocket}) as bench:
        client = bench.connect()
        await client.send(_handshake())
        assert await client.read_all() == b""
    assert "ValueError" in caplog.text


async def test_an_app_that_is_cut_off_and_fails_costs_one_connection(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        async def fail_when_cancelled() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            while True:
                await receive()

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request(b"x" * 100)[:-1])
        assert (await client.answer(b"POST")).status == 408
    assert "ValueError" in caplog.text or "ExceptionGroup" in caplog.text


async def test_an_app_that_answers_a_refused_request_is_not_heard() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"fine"})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(CHUNKED + b"3\r\nabc\r\nzz\r\n")
        answer = await client.answer(b"POST")
        assert (answer.status, b"fine" in answer.body) == (400, False)


async def test_an_early_answer_to_a_broken_body_is_not_heard() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401})
        await send({"type": "http.response.body", "body": b"no"})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(CHUNKED + b"zz\r\n")
        assert (await client.answer(b"POST")).status == 400


async def test_an_answer_without_a_start_is_a_500() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"x"})

    async with serving(app) as bench:
        client = bench.connect()
        await client.send(request())
        assert (await client.answer(b"POST")).status == 500


async def test_an_app_learns_that_its_peer_has_reset() -> None:
    seen: list[object] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200})

    async with serving(app) as bench:
        client_end, server_end = trio.testing.lockstep_stream_pair()
        connection = HttpConnection(server_end, app, bench.options, client=None, server=None)
        bench.nursery.start_soon(client_end.send_all, request(b"x" * 100)[:-100])
        bench.nursery.start_soon(_break_when_blocked, server_end)
        await connection.serve()
        assert bench.outcome("gone") == 1
    assert seen == ["http.disconnect", "http.disconnect"]


async def _break_when_blocked(stream: trio.StapledStream[Any, Any]) -> None:
    await trio.testing.wait_all_tasks_blocked()
    await stream.aclose()


async def test_a_task_of_the_app_may_wait_for_the_end_while_another_answers() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            seen.append("end")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            seen.append("answer")
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x"})

    async with serving(app) as bench:
        client = bench.connect()
        for _ in range(2):
            await client.send(request(b"abc"))
            assert (await client.answer(b"POST")).status == 200
            await trio.testing.wait_all_tasks_blocked()
    assert seen == ["answer", "end"] * 2
