"""muttd send syslog | trap: a test sender, to see an event arrive without a device at hand.

    muttd send syslog 'link down' --to 127.0.0.1:5514 --tcp --framing octet-counting
    muttd send syslog 'link down' --to collector.example:6514 --tls --cert sw1.pem --tls-key sw1.key
    muttd send trap --inform --oid linkDown --varbind 1.3.6.1.2.1.2.2.1.1.3=i:3

Without --to it goes to the port on which a daemon with the same settings listens on this machine.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from time import monotonic, sleep

from muttd.commands.outcome import EX_OK, EX_UNAVAILABLE, EX_USAGE, CommandFailed
from muttd.commands.send_tls import TlsSender, add_tls_options, client_context, secured
from muttd.commands.severity import facility_number, severity_number
from muttd.commands.trap import add_trap_options, trap_octets, wait_response
from muttd.protocol.syslog_encode import Framing, encode_frame, encode_rfc3164, encode_rfc5424
from muttd.settings import load
from muttd.settings_values import Address, Addresses, parse_addresses

TIMEOUT_S = 5.0
_LOOPBACK = "127.0.0.1"
# local0.notice: what logger(1) uses is user.notice; a test should be told from real ones.
_TEST_FACILITY = 16
_TEST_SEVERITY = 5


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands."""
    send = commands.add_parser("send", help="send a syslog message or an SNMP trap, for a test")
    kinds = send.add_subparsers(required=True, metavar="KIND")

    syslog = kinds.add_parser("syslog", help="send a syslog message")
    syslog.add_argument("message", help='the text; "{n}" in it becomes the number of the message')
    _add_target_options(syslog)
    over = syslog.add_mutually_exclusive_group()
    over.add_argument("--tcp", action="store_true", help="over TCP instead of UDP")
    over.add_argument("--tls", action="store_true", help="over TLS instead of UDP (RFC 5425)")
    syslog.add_argument(
        "--framing",
        choices=("lf", "octet-counting"),
        help="of TCP (RFC 6587; default lf) and TLS (default octet-counting)",
    )
    add_tls_options(syslog)
    syslog.add_argument("--format", choices=("rfc5424", "rfc3164"), default="rfc5424")
    syslog.add_argument("--severity", type=severity_number, default=_TEST_SEVERITY)
    syslog.add_argument("--facility", type=facility_number, default=_TEST_FACILITY)
    syslog.add_argument("--hostname", default=socket.gethostname())
    syslog.add_argument("--app-name", default="muttd-send")
    syslog.set_defaults(command=send_syslog)

    trap = kinds.add_parser("trap", help="send an SNMP trap or inform")
    _add_target_options(trap)
    add_trap_options(trap)
    trap.set_defaults(command=send_trap)


def _add_target_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="HOST:PORT", help="where to; an IPv6 host in brackets")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many")
    parser.add_argument("--rate", type=float, metavar="PER_S", help="at most so many a second")


def send_syslog(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Send messages."""
    settings = load(environ, forgive_unknown=True)
    syslog, over = settings.syslog, "TLS" if args.tls else "TCP" if args.tcp else "UDP"
    ours = {"UDP": syslog.udp, "TCP": syslog.tcp, "TLS": settings.syslog_tls}
    target = _target(args.to, ours[over])
    framing: Framing = args.framing or ("octet-counting" if args.tls else "lf")
    encode = encode_rfc5424 if args.format == "rfc5424" else encode_rfc3164
    with ExitStack() as stack:
        sock = stack.enter_context(_connected(target, tcp=over != "UDP"))
        peer: socket.socket | TlsSender = sock
        if args.tls:
            context = client_context(args, settings.syslog.tls_ca or settings.tls.ca)
            peer = stack.enter_context(secured(sock, context, target))
        for number in _paced(args.count, args.rate):
            octets = encode(
                args.message.replace("{n}", str(number)),
                pri=args.facility * 8 + args.severity,
                sent_at=datetime.now().astimezone(),
                hostname=args.hostname,
                app_name=args.app_name,
            )
            peer.sendall(octets if over == "UDP" else encode_frame(octets, framing))
    _say_sent(args.count, "message", target, over)
    return EX_OK


def send_trap(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Send traps; an inform has to be answered."""
    snmp = load(environ, forgive_unknown=True).snmp
    target = _target(args.to, snmp.udp)
    with _connected(target, tcp=False) as peer:
        for number in _paced(args.count, args.rate):
            peer.send(trap_octets(args, snmp.communities[0], request_id=number))
            if args.inform:
                wait_response(peer, number)
    _say_sent(args.count, "answered inform" if args.inform else "trap", target, "UDP")
    return EX_OK


def _target(to: str | None, ours: Addresses) -> Address:
    try:
        addresses = parse_addresses(to) if to else ours
    except ValueError as exc:
        raise CommandFailed("--to: not HOST:PORT or [IPV6]:PORT", EX_USAGE) from exc
    if not addresses or addresses[0].port == 0:
        raise CommandFailed("name where to send with --to HOST:PORT", EX_USAGE)
    target = addresses[0]
    # Where the daemon listens on every address, this machine is one of them.
    return Address(_LOOPBACK, target.port) if target.host in ("::", "0.0.0.0") else target


@contextmanager
def _connected(target: Address, *, tcp: bool) -> Iterator[socket.socket]:
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    try:
        found = socket.getaddrinfo(target.host, target.port, type=kind)
        family, _, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as peer:
            peer.settimeout(TIMEOUT_S)
            # UDP too: a port where nobody listens is then an error here and not a silence.
            peer.connect(address)
            yield peer
            if not tcp and (error := peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                raise OSError(error, "nobody listens there")
    except OSError as exc:
        raise CommandFailed(
            f"cannot send to {target}: {exc.strerror or exc}", EX_UNAVAILABLE
        ) from exc


def _paced(count: int, per_s: float | None) -> Iterator[int]:
    """1 to count, no faster than asked for."""
    started = monotonic()
    for number in range(1, count + 1):
        if per_s:
            sleep(max(0.0, started + (number - 1) / per_s - monotonic()))
        yield number


def _say_sent(count: int, what: str, target: Address, over: str) -> None:
    plural = "" if count == 1 else "s"
    sys.stdout.write(f"sent {count} {what}{plural} to {target} over {over}\n")
