"""What strangers' octets meet, one function for each way in; tests/fuzz/fuzz.py feeds them.

A target takes any octets. It may refuse them by a PeerError and by nothing else; what it takes has
to keep the promises that are asserted here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from muttd.arrivals import decode_entry, encode_arrivals
from muttd.errors import PeerError
from muttd.event import Event, Transport, decode_events, encode_events
from muttd.event_ids import EventIds
from muttd.listeners.snmp_trap import TrapEvents
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.udp import Datagram
from muttd.protocol import mib as mib_module
from muttd.protocol.ber import read_element, read_header, read_integer, read_oid
from muttd.protocol.framing import Framer
from muttd.protocol.mib import TABLE_FILE_NAME, Mib, MibInForce
from muttd.protocol.snmp import Pdu, parse_notification
from muttd.protocol.snmp_v3 import Envelope, Key, encode_message, encode_scoped
from muttd.protocol.usm import Engine, Opened, Usm
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import UsmUser, parse_users
from muttd.rules.template import template_of
from muttd.sources import Sources

T = TypeVar("T")

_CORPUS = Path(__file__).parent.parent / "corpus"
_AT = datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC)
_MAX_FRAME_OCTETS = 1024
_SENDER = bytes.fromhex("8000000001020304")


@dataclass(frozen=True, slots=True)
class Target:
    """One way in.

    Attributes:
        name: How it is chosen.
        feed: Takes any octets.
        seeds: Octets that are right, or wrong in a known way.
    """

    name: str
    feed: Callable[[bytes], None]
    seeds: Sequence[bytes]


def _refusable(take: Callable[[bytes], T]) -> Callable[[bytes], T | None]:
    @functools.wraps(take)
    def feed(octets: bytes) -> T | None:
        try:
            return take(octets)
        except PeerError as exc:
            said = str(exc)
        # That goes to a log: one line, and not what the stranger wrote.
        assert said.isprintable()
        assert len(said) < 300
        return None

    return feed


def _frames(pieces: Sequence[bytes]) -> list[bytes | str]:
    framer = Framer(max_frame_octets=_MAX_FRAME_OCTETS)
    found: list[bytes | str] = []
    try:
        for piece in pieces:
            framer.feed(piece)
            found += framer.frames()
        last = framer.finish()
        if last is not None:
            found.append(last)
    except PeerError as exc:
        found.append(str(exc))
    return found


def feed_framing(octets: bytes) -> None:
    """A TCP stream, whole and octet by octet: the same frames, none too long."""
    whole = _frames([octets])
    assert whole == _frames([octets[at : at + 1] for at in range(len(octets))])
    assert all(len(frame) <= _MAX_FRAME_OCTETS for frame in whole if isinstance(frame, bytes))


@functools.cache
def _syslog_arrivals() -> SyslogArrivals:
    return SyslogArrivals(EventIds(), Sources(), zone=UTC, max_message_octets=8192)


def feed_syslog(octets: bytes) -> None:
    """A syslog message: always an event, which the queue can carry."""
    arrivals = _syslog_arrivals().of([octets], ["192.0.2.1"], Transport.SYSLOG_UDP)
    [event] = decode_entry(encode_arrivals(arrivals)).all_events()
    _assert_event(event, octets)
    template_of(event.message)


def _assert_event(event: Event, octets: bytes) -> None:
    assert 0 <= event.severity <= 7
    assert len(event.raw) <= len(octets)
    assert decode_events(encode_events([event])) == [event]


@_refusable
def feed_ber(octets: bytes) -> None:
    """An element of BER, as each of the readers takes it."""
    for read in (
        lambda: read_integer(octets, 0, len(octets)),
        lambda: read_oid(octets, 0, len(octets)),
        lambda: read_element(octets, 0, len(octets), 0x30),
    ):
        try:
            read()
        except PeerError:
            continue
    at = 0
    while at < len(octets):
        _, start, stop = read_header(octets, at, len(octets))
        assert at < start <= stop <= len(octets)
        at = stop


@functools.cache
def _trap_events() -> TrapEvents:
    table = Path(mib_module.__file__).with_name(TABLE_FILE_NAME).read_bytes()
    return TrapEvents(EventIds(), MibInForce(Mib.from_octets(table)), Sources())


@_refusable
def feed_snmp(octets: bytes) -> None:
    """An SNMPv1 or v2c datagram: an event of one line, or refused."""
    notification = parse_notification(octets)
    datagram = Datagram(octets, "192.0.2.1", ("192.0.2.1", 162))
    [event] = _trap_events().of([(notification, datagram)], _AT)
    assert event.message.isprintable()
    assert len(event.varbinds) <= 258
    _assert_event(event, octets)


@functools.cache
def _users() -> tuple[UsmUser, ...]:
    return tuple(parse_users((_CORPUS / "usm" / "users.conf").read_text(), source="users.conf"))


@functools.cache
def _usm() -> Usm:
    return Usm(_users(), Engine(b"\x80\0\0\0\5ourselves", 7, 1000.0, 0))


@functools.cache
def _key(at: int) -> Key:
    user = _users()[at]
    return PendingKey(user, _SENDER).derive() if user.priv is not None else Key()


@_refusable
def feed_usm(octets: bytes) -> None:
    """An SNMPv3 datagram of somebody who knows no key."""
    _answer(_usm().open(octets, now=1000.0))


@_refusable
def feed_usm_inside(octets: bytes) -> None:
    """What is inside a message of somebody who knows a key: he may send rubbish all the same."""
    user = _private()
    envelope = Envelope(5, _SENDER, 1, 0, _users()[user].name, b"saltsalt")
    _answer(_usm().open(encode_message(envelope, octets, _key(user)), now=1000.0))


def _answer(opened: object) -> None:
    if isinstance(opened, Opened) and opened.notification.pdu is Pdu.INFORM:
        _usm().encode_response(opened, now=1000.0)


@functools.cache
def _private() -> int:
    return next(at for at, user in enumerate(_users()) if user.priv is not None)


def _read(kind: str, name: str) -> list[bytes]:
    files = sorted((_CORPUS / kind).glob(f"*/{name}"))
    assert files, kind
    return [
        bytes.fromhex(path.read_text()) if name.endswith(".hex") else path.read_bytes()
        for path in files
    ]


@functools.cache
def targets() -> dict[str, Target]:
    """Every target by its name."""
    syslog = _read("syslog", "input.bin")
    traps = _read("traps", "input.hex")
    framed = [b"%d %b" % (len(each), each) for each in syslog]
    framed += [each + b"\n" for each in syslog] + [b"".join(framed[:3])]
    scoped = [encode_scoped(_SENDER, b"", each[13:]) for each in traps if each[2:5] == b"\2\1\1"]
    every = (
        Target("framing", feed_framing, framed),
        Target("syslog", feed_syslog, syslog),
        Target("ber", feed_ber, traps),
        Target("snmp", feed_snmp, traps),
        Target("usm", feed_usm, _read("usm", "input.hex")),
        Target("usm-inside", feed_usm_inside, scoped),
    )
    return {target.name: target for target in every}
