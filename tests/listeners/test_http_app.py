"""What an app does wrong, early or late, and what it learns of its peer."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio
import trio.testing
from http_client import CHUNKED, Receive, Send, request, serving

from muttd.listeners.http_connection import HttpConnection


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
