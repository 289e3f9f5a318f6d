"""variable-bindings of an SNMP PDU: octets -> (name, syntax, value) (RFC 3416, 3; RFC 2578, 7.1).

    variable-bindings   SEQUENCE OF varbind
    varbind             30 LL   06 LL name...   TT LL value...

The syntax on the wire is all that is known here; names and enumerations are mib.py's. A value that
does not fit its syntax is kept as its octets: one odd value never costs the trap.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from typing import NamedTuple

from muttd.errors import MalformedBer, MalformedTrap
from muttd.protocol.ber import (
    INTEGER,
    MAX_INTEGER_OCTETS,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    read_long_length,
    read_oid,
)

# The largest notification of the standard MIBs has a dozen. A bound on what one datagram costs us.
MAX_VARBINDS = 256

# RFC 2578, 7.1, and RFC 3416, 3: the application types and the exceptions.
IP_ADDRESS = 0x40
COUNTER32 = 0x41
GAUGE32 = 0x42
TIME_TICKS = 0x43
OPAQUE = 0x44
NSAP_ADDRESS = 0x45
COUNTER64 = 0x46
UINTEGER32 = 0x47
BIT_STRING = 0x03
NO_SUCH_OBJECT = 0x80
NO_SUCH_INSTANCE = 0x81
END_OF_MIB_VIEW = 0x82

# RFC 3418 and RFC 3584, 3.1.
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
SNMP_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
SNMP_TRAP_ENTERPRISE = "1.3.6.1.6.3.1.1.4.3.0"
SNMP_TRAP_ADDRESS = "1.3.6.1.6.3.18.1.3.0"
SNMP_TRAP_COMMUNITY = "1.3.6.1.6.3.18.1.4.0"
SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"

# The objects that say something about the notification itself. Agents are known to forget the .0.
ABOUT = {
    oid: name
    for name in (
        SYS_UP_TIME,
        SNMP_TRAP_OID,
        SNMP_TRAP_ENTERPRISE,
        SNMP_TRAP_ADDRESS,
        SNMP_TRAP_COMMUNITY,
    )
    for oid in (name, name.removesuffix(".0"))
}

Value = int | bytes | str | float | None


class WireVarbind(NamedTuple):
    """One of variable-bindings.

    Attributes:
        name: An OID in numbers, without a leading dot.
        syntax: INTEGER, OCTET STRING, Counter32, ...; "tag 0x9e" for one that SNMP does not have.
        value: int for numbers; bytes for OCTET STRING, Opaque and whatever does not fit its
            syntax; str for OBJECT IDENTIFIER and IpAddress; float for a float in an Opaque; None
            for NULL and for the exceptions of RFC 3416, 3.
    """

    name: str
    syntax: str
    value: Value


_new_tuple = tuple.__new__
# By its octets. Most varbinds have come before: the same interface, the same state, the same name
# of a trap. At most a megabyte.
_known: dict[bytes, WireVarbind] = {}
_KNOWN_VARBINDS = 4096
_KNOWN_OCTETS = 96


_Varbinds = tuple[list[WireVarbind], dict[str, WireVarbind]]


def read_varbinds(octets: bytes, at: int, end: int) -> _Varbinds:
    """Read the varbinds of octets[at:end], the content of variable-bindings.

    Returns:
        The varbinds in wire order, and by their proper names those of ABOUT among them.

    Raises:
        MalformedBer: A header or a name cannot be read.
        MalformedTrap: More than 256 varbinds.

    Cost: 0.25 us for a varbind that came before, else 1 us.
    """
    varbinds: list[WireVarbind] = []
    about: dict[str, WireVarbind] = {}
    while at < end:
        begin, start = at, at + 2
        if start > end or octets[at] != SEQUENCE:
            raise _malformed("varbind is no SEQUENCE", at)
        length = octets[at + 1]
        if length > 0x7F:
            length, start = read_long_length(octets, at + 1, end)
        at = start + length
        if at > end:
            raise _malformed("varbind runs past variable-bindings", start)
        whole = octets[begin:at]
        varbind = _known.get(whole)
        if varbind is None:
            varbind = _read_varbind(octets, start, at)
            _remember(whole, varbind)
        varbinds.append(varbind)
        name = varbind[0]
        if name in ABOUT:
            about.setdefault(ABOUT[name], varbind)
        if len(varbinds) > MAX_VARBINDS:
            raise MalformedTrap("more than 256 varbinds", at=begin, source="RFC 3416, 3")
    return varbinds, about


def read_short_varbinds(octets: bytes, at: int, end: int) -> list[WireVarbind] | None:
    """Read varbinds of at most 127 octets each, in half of the time.

    Returns:
        What read_varbinds() returns first; or None where it has to look closer, because one of them
        is longer or at fault.

    Raises:
        IndexError: The last one is cut short.
        MalformedBer: As read_varbinds, though perhaps about another one.
    """
    varbinds = []
    while at < end:
        begin = at
        length = octets[at + 1]
        at += 2 + length
        whole = octets[begin:at]
        varbind = _known.get(whole)
        if varbind is None:
            if length > 0x7F or at > end or octets[begin] != SEQUENCE:
                return None
            varbind = _read_varbind(octets, begin + 2, at)
            _remember(whole, varbind)
        varbinds.append(varbind)
    return varbinds if at == end else None


def _read_varbind(octets: bytes, start: int, end: int) -> WireVarbind:
    # The content of a varbind: name, value. The two headers are read in place: with a call for each
    # it takes twice as long.
    content = start + 2
    if content > end or octets[start] != OBJECT_IDENTIFIER:
        raise _malformed("name is no OBJECT IDENTIFIER", start)
    length = octets[start + 1]
    if length > 0x7F:
        length, content = read_long_length(octets, start + 1, end)
    stop = content + length
    if stop > end:
        raise _malformed("name runs past its varbind", start)
    name = read_oid(octets, content, stop)

    start = stop + 2
    if start > end:
        raise _malformed("varbind has no value", stop)
    identifier = octets[stop]
    length = octets[stop + 1]
    if length > 0x7F:
        length, start = read_long_length(octets, stop + 1, end)
    if start + length > end:
        raise _malformed("value runs past its varbind", stop)
    syntax, read = _SYNTAXES.get(identifier) or _unknown(identifier, stop)
    # WireVarbind(...), without the call of a function in Python that this would be.
    return _new_tuple(WireVarbind, (name, syntax, read(octets[start : start + length])))


def _remember(whole: bytes, varbind: WireVarbind) -> None:
    if len(whole) > _KNOWN_OCTETS:
        return
    if len(_known) >= _KNOWN_VARBINDS:
        _known.clear()
    _known[whole] = varbind


def _malformed(what: str, at: int) -> MalformedBer:
    return MalformedBer(what, at=at, source="RFC 3416, 3")


def read_address(content: bytes) -> str | bytes:
    """The content of an IpAddress as text; RFC 2578, 7.1.5 knows 4 octets, agents send 16 too."""
    if len(content) == 4:
        a, b, c, d = content
        return f"{a}.{b}.{c}.{d}"
    if len(content) == 16:
        return str(ipaddress.IPv6Address(content))
    return content


def read_unsigned32(content: bytes) -> int | bytes:
    """The content of a Counter32, Gauge32 or TimeTicks.

    Agents leave the leading zero octet out, and the number then reads as a negative one.
    """
    if 0 < len(content) <= MAX_INTEGER_OCTETS:
        number = int.from_bytes(content, signed=True)
        return number if number >= 0 else number & 0xFFFF_FFFF
    return content


def _read_unsigned64(content: bytes) -> int | bytes:
    if 0 < len(content) <= MAX_INTEGER_OCTETS:
        number = int.from_bytes(content, signed=True)
        return number if number >= 0 else number & 0xFFFF_FFFF_FFFF_FFFF
    return content


def _read_integer(content: bytes) -> int | bytes:
    if len(content) == 1 and content[0] < 0x80:
        return content[0]
    if 0 < len(content) <= MAX_INTEGER_OCTETS:
        return int.from_bytes(content, signed=True)
    return content


def _read_oid(content: bytes) -> str | bytes:
    try:
        return read_oid(content, 0, len(content))
    except MalformedBer:
        return content


def _read_octets(content: bytes) -> bytes:
    return content


def _read_nothing(content: bytes) -> bytes | None:
    return content or None


def _read_opaque(content: bytes) -> float | bytes:
    # A float is wrapped a second time, under an identifier of two octets that all agents have taken
    # over from one: 9f 78 04, 9f 79 08.
    if len(content) == 7 and content.startswith(b"\x9f\x78\x04"):
        return float(struct.unpack_from(">f", content, 3)[0])
    if len(content) == 11 and content.startswith(b"\x9f\x79\x08"):
        return float(struct.unpack_from(">d", content, 3)[0])
    return content


_Reader = Callable[[bytes], Value]

_SYNTAXES: dict[int, tuple[str, _Reader]] = {
    INTEGER: ("INTEGER", _read_integer),
    BIT_STRING: ("BIT STRING", _read_octets),
    OCTET_STRING: ("OCTET STRING", _read_octets),
    NULL: ("NULL", _read_nothing),
    OBJECT_IDENTIFIER: ("OBJECT IDENTIFIER", _read_oid),
    IP_ADDRESS: ("IpAddress", read_address),
    COUNTER32: ("Counter32", read_unsigned32),
    GAUGE32: ("Gauge32", read_unsigned32),
    TIME_TICKS: ("TimeTicks", read_unsigned32),
    OPAQUE: ("Opaque", _read_opaque),
    NSAP_ADDRESS: ("NsapAddress", _read_octets),
    COUNTER64: ("Counter64", _read_unsigned64),
    UINTEGER32: ("UInteger32", read_unsigned32),
    NO_SUCH_OBJECT: ("noSuchObject", _read_nothing),
    NO_SUCH_INSTANCE: ("noSuchInstance", _read_nothing),
    END_OF_MIB_VIEW: ("endOfMibView", _read_nothing),
}


def _unknown(identifier: int, at: int) -> tuple[str, _Reader]:
    # With an identifier of several octets it is not known where the length is.
    if identifier & 0x1F == 0x1F:
        raise MalformedBer("identifier of several octets", at=at, source="X.690, 8.1.2.4")
    return f"tag 0x{identifier:02x}", _read_octets
