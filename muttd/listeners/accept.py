"""Accept connections until we stop, and then those that the kernel has accepted for us already.

    SYN --> kernel's queue --accept--> serve --> ...
                 | we stop
                 +--> accepted as well, so that what their senders sent is taken

To close a listening socket resets what waits in its queue, though its senders are connected and
have sent: with SO_REUSEPORT, where another daemon would have served them, the more so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from muttd.listeners.bind import BoundSocket

Serve = Callable[[trio.SocketStream], Awaitable[object]]


class _Listener(trio.abc.Listener[trio.SocketStream]):
    """One listening socket, whose queue is emptied before it is closed."""

    def __init__(self, bound: BoundSocket, take: Callable[[trio.SocketStream], None]) -> None:
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound.sock))
        self._bound = bound
        self._take = take

    async def accept(self) -> trio.SocketStream:
        """Wait for the next connection."""
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Give away what is queued, and close.

        What is queued at a socket that systemd holds as well is for the next process.
        """
        while not self._bound.is_inherited:
            try:
                sock, _ = self._bound.sock.accept()
            except OSError:
                # BlockingIOError: that was all. Or it cannot be had, for want of descriptors.
                break
            sock.setblocking(False)
            self._take(trio.SocketStream(trio.socket.from_stdlib_socket(sock)))
        await self._listener.aclose()


async def serve_streams(serve: Serve, sockets: Sequence[BoundSocket]) -> None:
    """Serve every connection to these sockets until cancelled.

    Args:
        serve: Serves one; of those that come last it takes what is there, though it is cancelled.
        sockets: Listening; owned from now on.
    """
    async with trio.open_nursery() as connections:

        def take(stream: trio.SocketStream) -> None:
            connections.start_soon(serve, stream)

        listeners = [_Listener(bound, take) for bound in sockets]
        await trio.serve_listeners(serve, listeners, handler_nursery=connections)
