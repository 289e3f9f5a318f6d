"""What `muttd send trap` puts on the wire, and the answer that an inform waits for."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable

from muttd.commands.outcome import EX_UNAVAILABLE, EX_USAGE, CommandFailed
from muttd.errors import InvalidInput, PeerError
from muttd.protocol.ber import OCTET_STRING, SEQUENCE, read_element, read_integer
from muttd.protocol.snmp_encode import (
    V1Trap,
    encode_v1_trap,
    encode_v2c_inform,
    encode_v2c_trap,
)
from muttd.protocol.snmp_varbind import SNMP_TRAPS, Value, WireVarbind
from muttd.settings_values import Secret

_RESPONSE = 0xA2
_MAX_DATAGRAM_OCTETS = 65_536

# RFC 3418, 2: the generic traps, by name.
_GENERIC_NAMES = (
    "coldStart",
    "warmStart",
    "linkDown",
    "linkUp",
    "authenticationFailure",
    "egpNeighborLoss",
)
_OIDS = {name: f"{SNMP_TRAPS}.{n}" for n, name in enumerate(_GENERIC_NAMES, start=1)}

# The letters of snmptrap(1), which everybody who sends traps by hand knows.
_SYNTAXES: dict[str, tuple[str, Callable[[str], Value]]] = {
    "i": ("INTEGER", int),
    "u": ("Gauge32", int),
    "c": ("Counter32", int),
    "C": ("Counter64", int),
    "t": ("TimeTicks", int),
    "a": ("IpAddress", str),
    "o": ("OBJECT IDENTIFIER", lambda text: text.lstrip(".")),
    "s": ("OCTET STRING", str.encode),
    "x": ("OCTET STRING", bytes.fromhex),
}


def add_trap_options(parser: argparse.ArgumentParser) -> None:
    """What is in the trap."""
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--v1", action="store_true", help="an SNMPv1 trap (default: SNMPv2c)")
    kind.add_argument("--inform", action="store_true", help="an inform: wait until it is answered")
    parser.add_argument(
        "--oid",
        default="linkDown",
        type=_oid,
        help=f"in numbers, or {', '.join(_GENERIC_NAMES)} (default linkDown)",
    )
    parser.add_argument(
        "--varbind",
        action="append",
        default=[],
        type=_varbind,
        metavar="OID=T:VALUE",
        help="T as in snmptrap: i u c C t a o s x; may be given several times",
    )
    parser.add_argument("--agent-addr", default="0.0.0.0", metavar="IPV4", help="of an SNMPv1 trap")
    parser.add_argument(
        "--community-file",
        metavar="FILE",
        help="holds the community (default: the first of MUTTD_SNMP_COMMUNITIES)",
    )


def _oid(text: str) -> str:
    return _OIDS.get(text, text.lstrip("."))


def _varbind(text: str) -> WireVarbind:
    name, equals, rest = text.partition("=")
    letter, colon, value = rest.partition(":")
    if not equals or not colon or letter not in _SYNTAXES:
        raise argparse.ArgumentTypeError("not OID=T:VALUE, with T one of i u c C t a o s x")
    syntax, parse = _SYNTAXES[letter]
    try:
        return WireVarbind(name.lstrip("."), syntax, parse(value))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is no {syntax}") from None


def trap_octets(args: argparse.Namespace, community: Secret, *, request_id: int) -> bytes:
    """One datagram.

    Raises:
        CommandFailed: An OID or a value cannot be encoded, or the community cannot be read.
    """
    if args.community_file:
        community = _community_in(args.community_file)
    octets = community.reveal().encode()
    try:
        if args.v1:
            return encode_v1_trap(octets, v1_trap(args.oid, args.agent_addr), args.varbind)
        encode = encode_v2c_inform if args.inform else encode_v2c_trap
        return encode(octets, args.oid, args.varbind, request_id=request_id)
    except InvalidInput as exc:
        raise CommandFailed(f"cannot encode the trap: {exc}", EX_USAGE) from exc


def _community_in(path: str) -> Secret:
    try:
        with open(path, encoding="utf-8") as community_file:
            return Secret(community_file.read().strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise CommandFailed(f"cannot read a community from {path}: {exc}", EX_USAGE) from exc


def v1_trap(trap_oid: str, agent_addr: str) -> V1Trap:
    """The fields of a Trap-PDU that say the same as a trap OID (RFC 3584, 3.2)."""
    parent, _, last = trap_oid.rpartition(".")
    if not last.isdecimal():
        raise InvalidInput([("oid", f"{trap_oid!r} is no OID in numbers")])
    if parent == SNMP_TRAPS and 1 <= int(last) <= len(_GENERIC_NAMES):
        return V1Trap(SNMP_TRAPS, int(last) - 1, 0, agent_addr)
    return V1Trap(parent.removesuffix(".0"), specific_trap=int(last), agent_addr=agent_addr)


def wait_response(peer: socket.socket, request_id: int) -> None:
    """Return when the inform was answered.

    Raises:
        CommandFailed: It was not, within the socket's timeout.
    """
    try:
        answer = peer.recv(_MAX_DATAGRAM_OCTETS)
    except TimeoutError as exc:
        raise CommandFailed("the inform was not answered", EX_UNAVAILABLE) from exc
    if _response_id(answer) != request_id:
        raise CommandFailed("the answer to the inform is not its Response", EX_UNAVAILABLE)


def _response_id(octets: bytes) -> int | None:
    try:
        at, end = read_element(octets, 0, len(octets), SEQUENCE)
        _, at = read_integer(octets, at, end)
        _, at = read_element(octets, at, end, OCTET_STRING)
        at, end = read_element(octets, at, end, _RESPONSE)
        request_id, _ = read_integer(octets, at, end)
    except PeerError:
        return None
    return request_id
