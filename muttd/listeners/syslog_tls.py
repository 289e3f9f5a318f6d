"""Syslog over TLS (RFC 5425): the handshake and who may send; then as over TCP.

    accept --handshake, within its time--> certificate --allowed?--> frames, events, sink

The framing is found out per connection, though RFC 5425, 4.3 knows only octet counting: senders
that know only LF do exist.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence

import trio

from muttd.accounts import Accounts
from muttd.event import Transport
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.syslog_tcp import Peer, SyslogTcp, TcpLimits
from muttd.listeners.tls import Failure, ServerTls, describe_failure, failure_of
from muttd.listeners.tls_receiver import TlsReceiver
from muttd.protocol.tls_peer import is_allowed
from muttd.sink import Sink

# A flood of bad handshakes is for the counters; the log gets one line a second.
_LOG_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


class SyslogTls(SyslogTcp):
    """The listener behind one or more TCP sockets on which TLS is spoken.

    Args:
        arrivals: Makes arrivals of messages.
        sink: Takes them.
        accounts: The books.
        limits: What peers may do; a connection counts from before its handshake.
        tls: Certificates, and the count of what failed.
        peers: Names and fingerprints that may send; whoever is verified, if empty.
    """

    listener = "syslog_tls"
    transport = Transport.SYSLOG_TLS

    def __init__(
        self,
        arrivals: SyslogArrivals,
        sink: Sink,
        accounts: Accounts,
        limits: TcpLimits,
        tls: ServerTls,
        peers: Sequence[str] = (),
    ) -> None:
        super().__init__(arrivals, sink, accounts, limits)
        self._tls = tls
        self._peers = tuple(peers)
        self._next_log = float("-inf")

    async def _serve_peer(self, stream: trio.SocketStream, peer: Peer) -> None:
        receiver = TlsReceiver(stream, self._tls.context)
        if not await self._is_secure(receiver, peer.source_ip):
            return
        try:
            certificate = receiver.peer_certificate()
            if self._peers and (certificate is None or not is_allowed(certificate, self._peers)):
                name = "nobody" if certificate is None else certificate.name
                self._refuse(Failure.NOT_ALLOWED, peer.source_ip, f"{name!r} may not send")
                return
            attributes = {} if certificate is None else {"tls_peer": certificate.name}
            await self._converse(receiver, Peer(peer.source_ip, attributes))
        finally:
            await receiver.aclose()

    async def _is_secure(self, receiver: TlsReceiver, source_ip: str) -> bool:
        with trio.move_on_after(self._tls.handshake_s) as handshake:
            try:
                await receiver.do_handshake()
            except ssl.SSLError as exc:
                self._refuse(failure_of(exc), source_ip, describe_failure(exc))
                return False
            except trio.BrokenResourceError:
                self._refuse(Failure.GONE, source_ip, "reset")
                return False
        if handshake.cancelled_caught:
            self._refuse(Failure.TIMEOUT, source_ip, "too slow")
        return not handshake.cancelled_caught

    def _refuse(self, failure: Failure, source_ip: str, why: str) -> None:
        self._tls.failures[failure] += 1
        now = trio.current_time()
        if now >= self._next_log:
            self._next_log = now + _LOG_INTERVAL_S
            _log.info("syslog_tls: no TLS with %s: %s (%s)", source_ip, why, failure)
