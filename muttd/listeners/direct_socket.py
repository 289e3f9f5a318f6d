"""Reads and sends on a TCP connection that cost one turn of the loop together.

    receive --readable?--> read                 a peer that waits for its answer sends nothing
    send_nowait --write--> how much went out    the rest, when there is one, is the stream's

trio.SocketStream tries to read before it waits, and gives the other tasks their turn after a send
that did not have to wait. For a request and its answer that is twice as much as has to be.
"""

from __future__ import annotations

import os

import trio


class DirectSocket:
    """The socket under a stream, for one task at a time.

    Args:
        stream: Whose socket it is; it goes on working, and closes it.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = stream.socket

    async def receive(self, max_octets: int) -> bytes:
        """What the peer sends next; nothing: it has left. Other tasks always have their turn.

        Raises:
            trio.BrokenResourceError: The connection is broken.
            trio.ClosedResourceError: The stream was closed here.
        """
        while True:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError("the stream is closed")
            try:
                await trio.lowlevel.wait_readable(self._socket)
                return os.read(self._socket.fileno(), max_octets)
            except BlockingIOError:
                # Somebody else has read it, or it was none (select(2), BUGS).
                continue
            except OSError as exc:
                raise trio.BrokenResourceError(f"reading failed: {exc.strerror}") from exc

    def send_nowait(self, octets: bytes) -> int:
        """How many of the octets are on their way now. No other task has its turn.

        Raises:
            trio.BrokenResourceError: The connection is broken, or closed.
        """
        try:
            return os.write(self._socket.fileno(), octets)
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise trio.BrokenResourceError(f"sending failed: {exc.strerror}") from exc
