"""The receiving end of a TLS connection: octets of many records at a time.

    receive_some --> [ incoming BIO ] --OpenSSL--> whatever records are whole --> one batch
    send_all <------ [ outgoing BIO ] <- handshake, alerts, close_notify

Senders of syslog put each message into a record of its own. Taken one by one, each would wait for
its own way into the queue; so everything that one read of the socket brought is taken at once.
"""

from __future__ import annotations

import contextlib
import ssl

import trio

from muttd.protocol.tls_peer import PeerCertificate

_READ_OCTETS = 65_536
# Longer than a record (RFC 8446, 5.1), so that one call takes a record whole.
_RECORD_OCTETS = 32_768
# For an alert or a close_notify, which a peer that reads takes at once.
_LAST_WORDS_S = 1.0


class TlsReceiver(trio.abc.ReceiveStream):
    """One TLS connection that we receive from and never send on.

    Args:
        transport: Its octets; closed with it.
        context: Server side.
    """

    def __init__(self, transport: trio.SocketStream, context: ssl.SSLContext) -> None:
        self._transport = transport
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_closed = False
        self._fault: ssl.SSLError | None = None

    async def do_handshake(self) -> None:
        """Shake hands; the peer is told by an alert when it comes to nothing.

        Raises:
            ssl.SSLError: It came to nothing.
            trio.BrokenResourceError: The connection was reset.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            except ssl.SSLError:
                await self.send_last_words()
                raise
            else:
                await self._flush()
                return

    def peer_certificate(self) -> PeerCertificate | None:
        """The verified certificate of the peer, if it has shown one."""
        der = self._tls.getpeercert(binary_form=True)
        return None if der is None else PeerCertificate.of(der, self._tls.getpeercert() or {})

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What the next read of the socket brings, once it holds a whole record.

        Returns:
            At least one octet, some 64 KiB at most whatever max_bytes says; none after the peer's
            close_notify (RFC 8446, 6.1).

        Raises:
            trio.BrokenResourceError: The connection was reset, or ended without close_notify, or a
                record was forged.
        """
        while True:
            octets = self._take()
            if self._outgoing.pending:
                # The answer to a key update (RFC 8446, 4.6.3).
                await self._flush()
            if octets:
                await trio.lowlevel.checkpoint()
                return octets
            if self._fault is not None:
                raise trio.BrokenResourceError from self._fault
            if self._is_closed:
                return b""
            await self._feed()

    def _take(self) -> bytes:
        """All whole records that are there. What ends the stream is kept for the next call."""
        octets = bytearray()
        try:
            while record := self._tls.read(_RECORD_OCTETS):
                octets += record
            self._is_closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._is_closed = True
        except ssl.SSLError as exc:
            self._fault = exc
        return bytes(octets)

    async def _feed(self) -> None:
        octets = await self._transport.receive_some(_READ_OCTETS)
        if octets:
            self._incoming.write(octets)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if octets := self._outgoing.read():
            await self._transport.send_all(octets)

    async def send_last_words(self) -> None:
        """Send what is waiting to be sent, an alert as a rule, and let the peer read it.

        To close with octets unread resets the connection, and the alert with it.
        """
        with trio.move_on_after(_LAST_WORDS_S), contextlib.suppress(trio.BrokenResourceError):
            await self._flush()
            await self._transport.send_eof()
            while await self._transport.receive_some(_READ_OCTETS):
                pass

    async def aclose(self) -> None:
        """Say close_notify if the peer takes it at once (RFC 5425, 4.4), and close."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        with (
            trio.move_on_after(_LAST_WORDS_S, shield=True),
            contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await self._flush()
        await trio.aclose_forcefully(self._transport)
