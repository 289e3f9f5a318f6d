"""SNMP notifications: octets -> Notification (RFC 1157, 3416, 3584). SNMPv3 arrives by usm.py.

    Message     SEQUENCE { version INTEGER, community OCTET STRING, PDU }       RFC 1157, 4; 1901, 3
    Trap-PDU    [4] { enterprise, agent-addr, generic-trap, specific-trap,      RFC 1157, 4.1.6
                      time-stamp, variable-bindings }
    Inform,     [6] { request-id, error-status, error-index,                    RFC 3416, 3
    SNMPv2-Trap [7]   variable-bindings }
    varbind     SEQUENCE { name OBJECT IDENTIFIER, value }

Whatever came, what goes out looks like an SNMPv2-Trap: a v1 trap is normalised (RFC 3584, 3.1).
Forgiving where devices are wrong: one odd value costs itself and never the trap. A value that does
not fit its syntax is kept as its octets.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from muttd.errors import MalformedTrap
from muttd.protocol.ber import (
    MAX_ARCS,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    read_element,
    read_header,
    read_integer,
    read_oid,
)
from muttd.protocol.snmp_varbind import (
    ABOUT,
    SNMP_TRAP_ADDRESS,
    SNMP_TRAP_COMMUNITY,
    SNMP_TRAP_ENTERPRISE,
    SNMP_TRAP_OID,
    SNMP_TRAPS,
    SYS_UP_TIME,
    WireVarbind,
    read_address,
    read_unsigned32,
    read_varbinds,
)

# A UDP datagram holds no more (RFC 768).
MAX_MESSAGE_OCTETS = 65_536

# RFC 3584, 3.1 (2): generic-trap 0 to 5.
_GENERIC_TRAP_OIDS = tuple(f"{SNMP_TRAPS}.{generic + 1}" for generic in range(6))
ENTERPRISE_SPECIFIC = 6

_NO_ERROR = b"\x02\x01\x00\x02\x01\x00"
_32_BITS = 0xFFFF_FFFF
_NO_ADDRESS = "0.0.0.0"


class Version(enum.IntEnum):
    """The version field of a message."""

    V1 = 0
    V2C = 1
    V3 = 3


class Pdu(enum.IntEnum):
    """The identifiers of the PDUs that are notifications."""

    TRAP = 0xA4
    INFORM = 0xA6
    TRAP_V2 = 0xA7


# Those that are no more than a community and a PDU.
_VERSIONS = {version.value: version for version in (Version.V1, Version.V2C)}
_OTHER_VERSIONS = {2: "SNMPv2u", 3: "SNMPv3"}
_PDUS = {pdu.value: pdu for pdu in Pdu}
_OTHER_PDUS = {
    0xA0: "GetRequest-PDU",
    0xA1: "GetNextRequest-PDU",
    0xA2: "Response-PDU",
    0xA3: "SetRequest-PDU",
    0xA5: "GetBulkRequest-PDU",
    0xA8: "Report-PDU",
}


class Security(NamedTuple):
    """Who says so, of an SNMPv3 notification (RFC 3411, 3.2).

    Attributes:
        security_name: The user.
        security_level: noAuthNoPriv, authNoPriv or authPriv.
        engine_id: The authoritative engine: of a trap the sender's, of an inform ours.
        context_name: Mostly empty.
    """

    security_name: str
    security_level: str
    engine_id: bytes
    context_name: str


class Notification(NamedTuple):
    """A trap or an inform, normalised to the form of an SNMPv2-Trap.

    Attributes:
        version: As in the message.
        community: As in the message; a secret, so it is in no repr. Empty in SNMPv3.
        pdu: Which PDU it came in.
        security: Of SNMPv3, else None.
        request_id: Of an SNMPv2-Trap or an Inform; None for a v1 trap.
        trap_oid: The value of snmpTrapOID.0.
        enterprise: Of a v1 trap, or the value of snmpTrapEnterprise.0.
        agent_addr: Of a v1 trap, or the value of snmpTrapAddress.0.
        generic_trap, specific_trap: Of a v1 trap; 32 bits, unsigned.
        sys_up_time: In hundredths of a second, 32 bits; None if there is none.
        varbinds: In wire order; for a v1 trap with the additions of RFC 3584, 3.1 (4).
        binding_octets: The content of variable-bindings as received, for the Response.
        trap_communities: Values of snmpTrapCommunity.0, which a proxy adds (RFC 3584, 3.1): secrets
            among the varbinds.
    """

    version: Version
    community: bytes
    pdu: Pdu
    security: Security | None
    request_id: int | None
    trap_oid: str
    enterprise: str | None
    agent_addr: str | None
    generic_trap: int | None
    specific_trap: int | None
    sys_up_time: int | None
    varbinds: tuple[WireVarbind, ...]
    binding_octets: bytes
    trap_communities: tuple[bytes, ...]

    @property
    def host_address(self) -> str | None:
        """Whom it is about, if it says so: agent_addr, unless that is 0.0.0.0."""
        return None if self.agent_addr == _NO_ADDRESS else self.agent_addr

    def __repr__(self) -> str:
        return (
            f"Notification(version={self.version.name}, pdu={self.pdu.name}, "
            f"trap_oid={self.trap_oid!r}, agent_addr={self.agent_addr!r}, "
            f"varbinds={self.varbinds!r})"
        )


def parse_notification(octets: bytes) -> Notification:
    """Parse one SNMPv1 or SNMPv2c message that holds a notification.

    Args:
        octets: One datagram. What follows the message in it is ignored.

    Returns:
        The notification, normalised.

    Raises:
        MalformedBer: Not BER, or not the structure of a message.
        MalformedTrap: Another version, another PDU, no snmpTrapOID, or beyond a limit: 64 KiB, 256
            varbinds, 128 arcs.

    Cost: one pass, O(len(octets)); some 8 us for a linkDown.
    Source: RFC 1157, 4; RFC 1901, 3; RFC 3416, 3; RFC 3584, 3.1.
    """
    if len(octets) > MAX_MESSAGE_OCTETS:
        raise MalformedTrap("message is too long", at=MAX_MESSAGE_OCTETS, source="RFC 3417, 3.2")
    at, end = read_element(octets, 0, len(octets), SEQUENCE)
    number, community_at = read_integer(octets, at, end)
    version = _VERSIONS.get(number)
    if version is None:
        name = _OTHER_VERSIONS.get(number, f"SNMP version {number}")
        raise MalformedTrap(f"{name} is not spoken here", at=at, source="RFC 3584, 4.1")
    start, at = read_element(octets, community_at, end, OCTET_STRING)
    return parse_pdu(octets, at, end, (version, octets[start:at]))


def parse_pdu(
    octets: bytes,
    at: int,
    end: int,
    head: tuple[Version, bytes],
    security: Security | None = None,
) -> Notification:
    """Parse the PDU of a message whose head was read.

    Args:
        octets: What holds the PDU, at octets[at:end].
        head: Version and community of the message.
        security: Of SNMPv3.

    Raises:
        MalformedBer, MalformedTrap: As parse_notification.
    """
    identifier, start, stop = read_header(octets, at, end)
    # Not by version: agents that put an SNMPv2-Trap into a v1 message mean what they say.
    pdu = _PDUS.get(identifier)
    if pdu is None:
        name = _OTHER_PDUS.get(identifier, f"a PDU 0x{identifier:02x}")
        raise MalformedTrap(f"{name} is no notification", at=at, source="RFC 3416, 3")
    parse = _parse_trap_v1 if pdu is Pdu.TRAP else _parse_trap_v2
    return parse(octets, start, stop, (*head, pdu, security))


_Head = tuple[Version, bytes, Pdu, Security | None]


def _parse_trap_v2(octets: bytes, at: int, end: int, head: _Head) -> Notification:
    # SNMPv2-Trap-PDU and InformRequest-PDU are alike (RFC 3416, 3); error-status and error-index
    # mean nothing in them, and are 0 and 0 but for agents that say something else.
    request_id, at = read_integer(octets, at, end)
    if at + 6 <= end and octets.startswith(_NO_ERROR, at):
        at += 6
    else:
        _, at = read_integer(octets, at, end)
        _, at = read_integer(octets, at, end)
    start, stop = read_element(octets, at, end, SEQUENCE)
    varbinds, about = read_varbinds(octets, start, stop)
    trap_oid = _text_about(about, SNMP_TRAP_OID, "OBJECT IDENTIFIER")
    if trap_oid is None:
        raise MalformedTrap("no snmpTrapOID.0", at=start, source="RFC 3416, 4.2.6")
    up_time = about.get(SYS_UP_TIME)
    return Notification(
        *head,
        request_id,
        trap_oid,
        _text_about(about, SNMP_TRAP_ENTERPRISE, "OBJECT IDENTIFIER"),
        _text_about(about, SNMP_TRAP_ADDRESS, "IpAddress"),
        None,
        None,
        up_time.value & _32_BITS if up_time and isinstance(up_time.value, int) else None,
        tuple(varbinds),
        octets[start:stop],
        _trap_communities(varbinds) if SNMP_TRAP_COMMUNITY in about else (),
    )


def _trap_communities(varbinds: list[WireVarbind]) -> tuple[bytes, ...]:
    return tuple(
        value
        for name, _, value in varbinds
        if ABOUT.get(name) == SNMP_TRAP_COMMUNITY and isinstance(value, bytes)
    )


def _text_about(about: dict[str, WireVarbind], name: str, syntax: str) -> str | None:
    varbind = about.get(name)
    if varbind is None or varbind.syntax != syntax or not isinstance(varbind.value, str):
        return None
    return varbind.value


def _parse_trap_v1(octets: bytes, at: int, end: int, head: _Head) -> Notification:
    start, stop = read_element(octets, at, end, OBJECT_IDENTIFIER)
    enterprise = read_oid(octets, start, stop)
    _, start, stop = read_header(octets, stop, end)
    agent_addr = read_address(octets[start:stop])
    generic_trap, stop = read_integer(octets, stop, end)
    specific_trap, stop = read_integer(octets, stop, end)
    # Some agents take it for unsigned and leave the leading zero octet out.
    specific_trap &= _32_BITS
    # time-stamp has an identifier of its own, and agents send INTEGER all the same.
    _, start, stop = read_header(octets, stop, end)
    time_stamp = read_unsigned32(octets[start:stop])
    sys_up_time = time_stamp & _32_BITS if isinstance(time_stamp, int) else None
    # An agent with nothing to bind may leave the empty list out.
    start, stop = read_element(octets, stop, end, SEQUENCE) if stop < end else (end, end)
    varbinds, about = read_varbinds(octets, start, stop)
    if 0 <= generic_trap < ENTERPRISE_SPECIFIC:
        trap_oid = _GENERIC_TRAP_OIDS[generic_trap]
    else:
        # There is no generic-trap above 6; enterprise and specific-trap are all there is to go by.
        trap_oid = f"{enterprise}.0.{specific_trap}"
        if trap_oid.count(".") >= MAX_ARCS:
            raise MalformedTrap("enterprise is too long", at=at, source="RFC 2578, 3.5")
    normalised = [WireVarbind(SNMP_TRAP_OID, "OBJECT IDENTIFIER", trap_oid), *varbinds]
    if sys_up_time is not None:
        normalised.insert(0, WireVarbind(SYS_UP_TIME, "TimeTicks", sys_up_time))
    # RFC 3584, 3.1 (4): added unless a proxy has added them before us.
    if isinstance(agent_addr, str) and agent_addr != _NO_ADDRESS and SNMP_TRAP_ADDRESS not in about:
        normalised.append(WireVarbind(SNMP_TRAP_ADDRESS, "IpAddress", agent_addr))
    if SNMP_TRAP_ENTERPRISE not in about:
        normalised.append(WireVarbind(SNMP_TRAP_ENTERPRISE, "OBJECT IDENTIFIER", enterprise))
    return Notification(
        *head,
        None,
        trap_oid,
        enterprise,
        agent_addr if isinstance(agent_addr, str) else None,
        generic_trap & _32_BITS,
        specific_trap,
        sys_up_time,
        tuple(normalised),
        octets[start:stop],
        _trap_communities(varbinds) if SNMP_TRAP_COMMUNITY in about else (),
    )
