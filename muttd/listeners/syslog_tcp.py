"""Syslog over TCP (RFC 6587): framing is found out per connection.

    receive_some --> Framer --> messages --> arrivals --> sink, and only then the next receive_some

A connection is not read from until the queue has what it sent before: that is the back-pressure,
and it bounds what one connection can hold in memory to one read. Nor is it read from while its
source has sent more than it may.

When the daemon stops, what the kernel holds of a connection is still taken: its sender believes
that we have it, and TCP has no way to tell it otherwise.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import trio
from msgspec import structs

from muttd.accounts import Accounts
from muttd.errors import MalformedFrame
from muttd.event import Transport
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.udp import plain_address
from muttd.protocol.framing import Framer
from muttd.sink import Load, Sink

_READ_OCTETS = 65_536
# For the last words of a peer that left, when the intake buffer has no room at once.
_LAST_WORDS_S = 1.0
# Longer than it takes to read what is there; what comes later was sent to one who leaves.
_ALREADY_HERE_S = 0.02
# How long at most a peer that is held back does not notice that its limit was raised.
_LOOK_AGAIN_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpLimits:
    """What one peer, and all of them together, may do.

    Attributes:
        max_frame_octets: Longest message.
        idle_timeout_s: A peer that sends nothing for this long is disconnected.
        max_connections: Open at once, in all.
        max_connections_per_peer: Open at once, by one address.
    """

    max_frame_octets: int
    idle_timeout_s: float
    max_connections: int
    max_connections_per_peer: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection.

    Attributes:
        source_ip: Its address.
        attributes: What is known of it besides, for its events.
    """

    source_ip: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


class SyslogTcp:
    """The listener behind one or more TCP sockets.

    Attributes:
        listener: Its name in the books.
        transport: How its events came.

    Args:
        arrivals: Makes arrivals of messages.
        sink: Takes them.
        accounts: The books.
        limits: What peers may do.
    """

    listener = "syslog_tcp"
    transport = Transport.SYSLOG_TCP

    def __init__(
        self, arrivals: SyslogArrivals, sink: Sink, accounts: Accounts, limits: TcpLimits
    ) -> None:
        self._arrivals = arrivals
        self._sink = sink
        self._account = accounts[self.listener]
        self._limits = limits
        self._by_peer: Counter[str] = Counter()

    async def serve_connection(self, stream: trio.SocketStream) -> None:
        """Serve one connection until its end. Nothing a peer does escapes from here."""
        try:
            source_ip = plain_address(stream.socket.getpeername()[0])
        except OSError:
            # It was gone before we looked.
            await trio.aclose_forcefully(stream)
            return
        account = self._account
        if not self._may_send(source_ip):
            account.denied_connections += 1
            await trio.aclose_forcefully(stream)
            return
        if (
            account.connections >= self._limits.max_connections
            or self._by_peer[source_ip] >= self._limits.max_connections_per_peer
        ):
            account.refused_connections += 1
            await trio.aclose_forcefully(stream)
            return
        account.connections += 1
        self._by_peer[source_ip] += 1
        try:
            await self._serve_peer(stream, Peer(source_ip))
        except MalformedFrame as exc:
            account.received += 1
            account.refused[exc.reason] += 1
            self._log_closed(source_ip, exc)
        except trio.BrokenResourceError:
            # A reset. What came before it is queued.
            pass
        finally:
            account.connections -= 1
            self._by_peer[source_ip] -= 1
            if not self._by_peer[source_ip]:
                del self._by_peer[source_ip]
            await trio.aclose_forcefully(stream)

    async def _serve_peer(self, stream: trio.SocketStream, peer: Peer) -> None:
        await self._converse(stream, peer)

    def _may_send(self, source_ip: str) -> bool:
        sources = self._arrivals.sources
        return not sources.is_limiting or sources.policy(source_ip).is_allowed

    async def _wait_turn(self, source_ip: str) -> None:
        """Wait while the source has sent more than it may; see Sources.wait_s."""
        sources = self._arrivals.sources
        while sources.is_limiting:
            wait_s = sources.wait_s(source_ip, trio.current_time())
            if not wait_s:
                return
            # Not in one go: the limit may be another one meanwhile.
            await trio.sleep(min(wait_s, _LOOK_AGAIN_S))

    def _log_closed(self, source_ip: str, why: object) -> None:
        _log.info("%s: connection of %s closed: %s", self.listener, source_ip, why)

    async def _converse(self, stream: trio.abc.ReceiveStream, peer: Peer) -> None:
        framer = Framer(max_frame_octets=self._limits.max_frame_octets)
        try:
            await self._receive(stream, framer, peer)
        except trio.BrokenResourceError:
            # Reset. What came of its last message is as good as a message cut short.
            with trio.move_on_after(_LAST_WORDS_S, shield=True):
                await self._hand_over_last(framer, peer)
            raise
        except trio.Cancelled:
            with trio.move_on_after(_LAST_WORDS_S, shield=True):
                await self._receive_rest(stream, framer, peer)
            raise

    async def _receive_rest(
        self, stream: trio.abc.ReceiveStream, framer: Framer, peer: Peer
    ) -> None:
        """What is here already, when we stop."""
        octets = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while self._may_send(peer.source_ip):
                with trio.move_on_after(_ALREADY_HERE_S):
                    octets = bytes(await stream.receive_some(_READ_OCTETS))
                if not octets or not await self._digest(octets, framer, peer):
                    break
                octets = b""
        await self._hand_over_last(framer, peer)

    async def _receive(self, stream: trio.abc.ReceiveStream, framer: Framer, peer: Peer) -> None:
        while True:
            await self._wait_turn(peer.source_ip)
            if not self._may_send(peer.source_ip):
                self._account.denied_connections += 1
                self._log_closed(peer.source_ip, "its source may not send any more")
                await self._hand_over_last(framer, peer)
                return
            with trio.move_on_after(self._limits.idle_timeout_s) as idle:
                octets = bytes(await stream.receive_some(_READ_OCTETS))
            if idle.cancelled_caught:
                self._account.idle_connections += 1
                self._log_closed(peer.source_ip, "idle")
                octets = b""
            if not octets:
                await self._hand_over_last(framer, peer)
                return
            if not await self._digest(octets, framer, peer):
                return

    async def _digest(self, octets: bytes, framer: Framer, peer: Peer) -> bool:
        """Hand over the messages that these octets complete; whether more can follow.

        Raises:
            MalformedFrame: The stream broke, and nothing can be kept of what broke it.
        """
        framer.feed(octets)
        frames: list[bytes] = []
        try:
            for frame in framer.frames():
                frames.append(frame)  # noqa: PERF402 -- what came before an error must stay
        except MalformedFrame as exc:
            # The stream broke behind these: what was whole is kept, and so is what broke it.
            await self._hand_over(frames, peer)
            broken = framer.finish()
            if broken is None:
                raise
            await self._hand_over([broken], peer, malformed=exc.what)
            self._log_closed(peer.source_ip, exc)
            return False
        await self._hand_over(frames, peer)
        return True

    async def _hand_over_last(self, framer: Framer, peer: Peer) -> None:
        last = framer.finish()
        if last is not None:
            await self._hand_over([last], peer)

    async def _hand_over(
        self, frames: list[bytes], peer: Peer, *, malformed: str | None = None
    ) -> None:
        if not frames:
            return
        account, sources = self._account, self._arrivals.sources
        account.received += len(frames)
        if sources.is_limiting:
            sources.book(peer.source_ip, len(frames), trio.current_time())
        [arrivals] = self._arrivals.of(frames, [peer.source_ip], self.transport, peer.attributes)
        load: Load = arrivals
        if malformed is not None:
            # The parser cannot know what was wrong around the message.
            load = [structs.replace(each, malformed=malformed) for each in arrivals.events()]
            account.malformed += len(load)
        queued = trio.Event()
        await self._sink.put(self.listener, load, queued.set)
        await queued.wait()
