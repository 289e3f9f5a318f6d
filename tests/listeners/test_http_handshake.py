"""A websocket handshake, as the connection that it comes by takes it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from http_client import EchoApp, request, serving


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
