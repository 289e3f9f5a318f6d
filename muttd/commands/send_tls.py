"""muttd send syslog --tls: who we trust, who we say we are, and whether the other end took it.

connect --handshake--> send ... --close_notify--> and only its close_notify says that it read all

In TLS 1.3 a server that does not like our certificate says so when we have sent already.
"""

from __future__ import annotations

import argparse
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from muttd.commands.outcome import EX_NOINPUT, EX_UNAVAILABLE, EX_USAGE, CommandFailed
from muttd.settings_values import Address

_READ_OCTETS = 16_384


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    """--ca, --cert and --tls-key."""
    tls = parser.add_argument_group("over TLS")
    tls.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="CA certificates that the receiver's is verified by (default MUTTD_SYSLOG_TLS_CA or "
        "MUTTD_TLS_CA, else those of this machine)",
    )
    tls.add_argument("--cert", metavar="FILE", type=Path, help="the certificate to show")
    tls.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="its private key, if not in --cert"
    )


def client_context(args: argparse.Namespace, ca: Path | None) -> ssl.SSLContext:
    """TLS as the options and settings say.

    Raises:
        CommandFailed: A file of them cannot be used.
    """
    if args.tls_key and not args.cert:
        raise CommandFailed("--tls-key goes with --cert", EX_USAGE)
    ca = args.ca or ca
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as exc:
        raise CommandFailed(f"no CA certificates in {ca}: {_why(exc)}", EX_NOINPUT) from exc
    if args.cert:
        try:
            context.load_cert_chain(args.cert, args.tls_key)
        except OSError as exc:
            raise CommandFailed(
                f"no certificate and key in {args.cert}: {_why(exc)}", EX_NOINPUT
            ) from exc
    return context


class TlsSender:
    """A connection that we send on, and that hears at the end what the receiver thought of it.

    Args:
        peer: Connected, with a timeout.
        context: As client_context() made it.
        host: Whom the certificate has to name.
    """

    def __init__(self, peer: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._peer = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def do_handshake(self) -> None:
        """Shake hands; raises ssl.SSLError and OSError."""
        self._until_done(self._tls.do_handshake)

    def sendall(self, octets: bytes) -> None:
        """Send; raises ssl.SSLError and OSError."""
        self._until_done(lambda: self._tls.write(octets))

    def finish(self) -> None:
        """Say close_notify, and wait for what the receiver says; raises as sendall."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        try:
            self._until_done(lambda: self._tls.read(1))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, TimeoutError):
            # An alert would have come by now.
            return

    def _until_done(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                self._peer.sendall(self._outgoing.read())
                if octets := self._peer.recv(_READ_OCTETS):
                    self._incoming.write(octets)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                # What we think of the receiver, as an alert.
                self._peer.sendall(self._outgoing.read())
                raise
            else:
                self._peer.sendall(self._outgoing.read())
                return


@contextmanager
def secured(peer: socket.socket, context: ssl.SSLContext, target: Address) -> Iterator[TlsSender]:
    """The connection with TLS on it; left only when the receiver has read all, or has left.

    Raises:
        CommandFailed: Either end does not like the other.
    """
    sender = TlsSender(peer, context, target.host)
    try:
        sender.do_handshake()
        yield sender
        sender.finish()
    except ssl.SSLCertVerificationError as exc:
        raise CommandFailed(
            f"the certificate of {target} is not to be trusted: {exc.verify_message}; --ca names "
            "the CA that signed it",
            EX_UNAVAILABLE,
        ) from exc
    except ssl.SSLError as exc:
        raise CommandFailed(f"{target} does not take it: {_why(exc)}", EX_UNAVAILABLE) from exc


def _why(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLError):
        # OpenSSL's word for it, without the line of its source.
        return (exc.reason or str(exc)).lower().replace("_", " ")
    return exc.strerror or str(exc)
