"""muttd/workers/webhook.py against answers that a receiver should not give, on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from forwarder_scene import an_alert

from muttd.errors import DeliverLater, DeliveryError, DestinationHeld, Undeliverable
from muttd.workers.payload import moogsoft_body
from muttd.workers.webhook import Webhook, WebhookSettings, open_webhook

KEY = "WEBHOOK-SECRET-42"
Answer = Callable[[trio.SocketStream], Awaitable[None]]


def whole(*lines: str, body: str = "") -> Answer:
    """An answer of these header lines and that body."""

    async def answer(stream: trio.SocketStream) -> None:
        head = "\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "", ""])
        await stream.send_all((head + body).encode())

    return answer


@asynccontextmanager
async def webhook_that(
    answer: Answer,
    *,
    timeout_s: float = 10.0,
    auth_header: str = "Authorization",
    keys: Sequence[str] = (KEY,),
    headers: tuple[tuple[str, str], ...] = (),
) -> AsyncIterator[tuple[Webhook, list[bytes]]]:
    """A webhook whose receiver answers so, and the requests that it got."""
    requests: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            octets = b""
            while b"\r\n\r\n" not in octets:
                octets += await stream.receive_some()
            requests.append(octets)
            try:
                await answer(stream)
            except trio.BrokenResourceError:
                # It hung up; what it thinks of us is seen on its side.
                return

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    settings = WebhookSettings(
        url=f"http://127.0.0.1:{port}/hook",
        auth_header=auth_header,
        api_keys=lambda: keys,
        timeout_s=timeout_s,
        body=partial(moogsoft_body, daemon_name="test"),
        headers=headers,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        async with open_webhook(settings) as webhook:
            yield webhook, requests
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_success(status: int) -> None:
    async with webhook_that(whole(f"HTTP/1.1 {status} x")) as (webhook, requests):
        assert await webhook.deliver(an_alert("a")) == status
    assert f"authorization: bearer {KEY}".encode().lower() in requests[0].lower()


async def test_a_request_says_who_sends_it_unless_the_operator_does() -> None:
    answer = whole("HTTP/1.1 200 x")
    async with webhook_that(answer) as (webhook, requests):
        await webhook.deliver(an_alert("a"))
    lines = requests[0].lower().split(b"\r\n")
    assert b"user-agent: muttd" in lines
    assert b"accept-encoding: identity" in lines
    async with webhook_that(answer, headers=(("user-agent", "ours"),)) as (webhook, requests):
        await webhook.deliver(an_alert("a"))
    agents = [line for line in requests[0].lower().split(b"\r\n") if b"user-agent" in line]
    assert agents == [b"user-agent: ours"]


async def test_a_connection_is_used_again_and_a_cookie_is_nobody_s() -> None:
    answer = whole("HTTP/1.1 200 x", "Set-Cookie: a=b", body="thanks")

    async def answer_three(stream: trio.SocketStream) -> None:
        for number in range(3):
            if number:
                requests.append(await stream.receive_some())
            while not requests[-1].endswith(b"}}}"):
                requests[-1] += await stream.receive_some()
            await answer(stream)

    async with webhook_that(answer_three) as (webhook, requests):
        for _ in range(3):
            assert await webhook.deliver(an_alert("a")) == 200
    assert [octets[:10] for octets in requests] == [b"POST /hook"] * 3
    assert not any(b"cookie" in octets.lower() for octets in requests)


async def test_a_header_of_its_own_carries_the_bare_key() -> None:
    answer = whole("HTTP/1.1 200 x")
    async with webhook_that(answer, auth_header="X-Api-Token") as (webhook, requests):
        await webhook.deliver(an_alert("a"))
    assert f"\r\nx-api-token: {KEY}\r\n".lower().encode() in requests[0].lower()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, DeliverLater),
        (425, DeliverLater),
        (429, DeliverLater),
        (500, DeliverLater),
        (503, DeliverLater),
        (401, DestinationHeld),
        (403, DestinationHeld),
        (302, DestinationHeld),
        (304, DestinationHeld),
        (400, Undeliverable),
        (404, Undeliverable),
        (422, Undeliverable),
    ],
)
async def test_each_status_says_what_to_do(status: int, kind: type[DeliveryError]) -> None:
    answer = whole(f"HTTP/1.1 {status} x", "Location: /elsewhere", body="why")
    # No body may follow a 304 (RFC 9110, 15.4.5).
    text = f"status {status}: why" if status != 304 else "status 304"
    async with webhook_that(answer) as (webhook, _):
        with pytest.raises(kind) as raised:
            await webhook.deliver(an_alert("a"))
    assert (str(raised.value), raised.value.status) == (text, status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("²", None),
    ],
)
async def test_retry_after_is_read_when_it_makes_sense(value: str, seconds: float | None) -> None:
    answer = whole("HTTP/1.1 503 x", f"Retry-After: {value}")
    async with webhook_that(answer) as (webhook, _):
        with pytest.raises(DeliverLater) as raised:
            await webhook.deliver(an_alert("a"))
    assert raised.value.retry_after_s == seconds


async def test_an_answer_that_drips_for_ever_is_no_answer() -> None:
    async def drip(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"1\r\nx\r\n")
            await trio.sleep(0.05)

    async with webhook_that(drip, timeout_s=0.3) as (webhook, _):
        with trio.fail_after(10):
            with pytest.raises(DeliverLater, match=r"no answer within 0\.3 s"):
                await webhook.deliver(an_alert("a"))


async def test_of_an_endless_answer_only_the_beginning_is_read() -> None:
    sent = 0

    async def flood(stream: trio.SocketStream) -> None:
        nonlocal sent
        await stream.send_all(b"HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            sent += 65_536

    async with webhook_that(flood) as (webhook, _):
        with pytest.raises(Undeliverable) as raised:
            await webhook.deliver(an_alert("a"))
    assert str(raised.value) == "status 400: " + "x" * 300
    assert sent < 64 << 20


async def test_a_success_that_drips_for_ever_is_a_success() -> None:
    async def drip(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"1\r\nx\r\n")
            await trio.sleep(0.05)

    async with webhook_that(drip) as (webhook, _):
        assert await webhook.deliver(an_alert("a")) == 200


@pytest.mark.parametrize("charset", ["hex", "utf-7", "\\xff", "no-such"])
async def test_nobody_believes_the_charset_of_an_answer(charset: str) -> None:
    answer = whole("HTTP/1.1 400 x", f"Content-Type: text/plain; charset={charset}", body="ab")
    async with webhook_that(answer) as (webhook, _):
        with pytest.raises(Undeliverable, match="status 400: ab"):
            await webhook.deliver(an_alert("a"))


@pytest.mark.parametrize("padding", [0, 290])
async def test_a_key_that_the_receiver_echoes_goes_nowhere(padding: int) -> None:
    answer = whole("HTTP/1.1 400 x", body="x" * padding + f"bad token: Bearer {KEY}")
    async with webhook_that(answer) as (webhook, _):
        with pytest.raises(Undeliverable) as raised:
            await webhook.deliver(an_alert("a"))
    assert KEY[:6] not in str(raised.value)


@pytest.mark.parametrize("shown", range(1, len(KEY)))
async def test_a_key_that_is_cut_where_we_stop_to_read_goes_nowhere(shown: int) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        # Blanks are not shown: what comes after four thousand of them is.
        body = "denied:".ljust(4096 - shown) + KEY[:shown]
        await stream.send_all(f"HTTP/1.1 400 x\r\nContent-Length: 5000\r\n\r\n{body}".encode())
        # The rest never comes; until we hang up.
        await stream.receive_some()

    async with webhook_that(answer) as (webhook, _):
        with pytest.raises(Undeliverable) as raised:
            await webhook.deliver(an_alert("a"))
    assert str(raised.value) == "status 400: denied:"


async def test_a_key_that_is_a_part_of_another_leaves_no_rest_of_it() -> None:
    answer = whole("HTTP/1.1 400 x", body=f"neither {KEY} nor {KEY}-NEXT")
    async with webhook_that(answer, keys=(KEY, f"{KEY}-NEXT")) as (webhook, _):
        with pytest.raises(Undeliverable, match=r"400: neither \*\*\* nor \*\*\*$"):
            await webhook.deliver(an_alert("a"))


async def test_of_two_keys_the_one_that_is_taken_is_sent_and_first_the_next_time() -> None:
    statuses = iter([401, 200, 200, 403, 401])

    async def answer(stream: trio.SocketStream) -> None:
        await whole(f"HTTP/1.1 {next(statuses)} x")(stream)

    async with webhook_that(answer, keys=("old", "new")) as (webhook, requests):
        for _ in range(2):
            assert await webhook.deliver(an_alert("a")) == 200
        with pytest.raises(DestinationHeld):
            await webhook.deliver(an_alert("a"))
    sent = [octets.lower().partition(b"bearer ")[2][:3] for octets in requests]
    assert sent == [b"old", b"new", b"new", b"new", b"old"]


async def test_a_receiver_that_hangs_up_is_tried_again() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with webhook_that(hang_up) as (webhook, _):
        with pytest.raises(DeliverLater, match="no connection"):
            await webhook.deliver(an_alert("a"))
