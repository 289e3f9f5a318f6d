"""From HTTP to websocket: the stream that is handed over.

[ handshake and what followed it, again ][ the socket ] --> receive_some()
many tasks --> send_all(), one at a time, each within a deadline --> the socket
"""

from __future__ import annotations

import h11
import trio

from muttd.listeners.http_options import SEND_PIECE_OCTETS


def is_websocket(request: h11.Request) -> bool:
    """Whether it is a whole websocket handshake (RFC 6455, 4.2.1)."""
    fields = dict(request.headers)
    return (
        request.method == b"GET"
        and request.http_version == b"1.1"
        and fields.get(b"upgrade", b"").strip().lower() == b"websocket"
        and b"upgrade" in [t.strip() for t in fields.get(b"connection", b"").lower().split(b",")]
        and fields.get(b"sec-websocket-version") == b"13"
        and len(fields.get(b"sec-websocket-key", b"")) == 24
        # A handshake has no body; one that claims to could hide a second request in it.
        and b"content-length" not in fields
        and b"transfer-encoding" not in fields
    )


def replayed(request: h11.Request) -> bytes:
    """The request head as octets again; h11 has checked every part of it."""
    lines = [b"%s %s HTTP/1.1" % (request.method, request.target)]
    lines += [b"%s: %s" % (name, value) for name, value in request.headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class UpgradedStream(trio.abc.Stream):
    """A stream that gives some octets again before it goes on reading.

    send_all() may be called by several tasks: each call goes out whole, in the order of the calls.
    Within send_timeout_s the peer must take each piece of it; else, and when a send is cancelled
    half way, the stream is closed, because what follows half a frame cannot be read.

    Args:
        stream: The connection.
        octets: What was read from it already.
        send_timeout_s: How long a send of one piece may take.
    """

    def __init__(self, stream: trio.abc.Stream, octets: bytes, *, send_timeout_s: float) -> None:
        self._stream = stream
        self._octets = octets
        self._send_timeout_s = send_timeout_s
        self._lock = trio.Lock()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What was read already, then what the connection gives."""
        if not self._octets:
            return bytes(await self._stream.receive_some(max_bytes))
        await trio.lowlevel.checkpoint()
        end = len(self._octets) if max_bytes is None else max_bytes
        head, self._octets = self._octets[:end], self._octets[end:]
        return head

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it, after what other tasks are sending.

        Raises:
            trio.BrokenResourceError: The peer is gone, or, from trio.TooSlowError, did not take
                it in time; closed.
            trio.ClosedResourceError: Closed before.
        """
        async with self._lock:
            is_whole = False
            try:
                for start in range(0, len(data), SEND_PIECE_OCTETS):
                    with trio.fail_after(self._send_timeout_s):
                        await self._stream.send_all(data[start : start + SEND_PIECE_OCTETS])
                is_whole = True
            except trio.TooSlowError as exc:
                raise trio.BrokenResourceError("the peer does not read") from exc
            finally:
                if not is_whole:
                    # Shielded: closing wakes the reader, whose end may cancel this task, and the
                    # reason for it all would be lost on the way out.
                    with trio.CancelScope(shield=True):
                        await trio.aclose_forcefully(self._stream)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a send may go through at once."""
        async with self._lock:
            await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close at once."""
        await trio.aclose_forcefully(self._stream)
