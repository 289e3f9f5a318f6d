"""Notifications and their answer as octets: the other direction of snmp.py.

    encode_response      what answers an InformRequest (RFC 3416, 4.2.7); encode_response_pdu the
                         PDU alone, which SNMPv3 wraps in its own way, as it does encode_pdu
    encode_v1_trap       Trap-PDU in an SNMPv1 message
    encode_v2c_trap      SNMPv2-Trap-PDU in an SNMPv2c message
    encode_v2c_inform    InformRequest-PDU in an SNMPv2c message

What cannot be encoded is the caller's mistake: InvalidInput, naming the field.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from typing import NamedTuple

from muttd.errors import InvalidInput
from muttd.protocol.ber import (
    INTEGER,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    encode_element,
    encode_integer,
    encode_oid,
)
from muttd.protocol.snmp import ENTERPRISE_SPECIFIC, Notification, Pdu, Version
from muttd.protocol.snmp_varbind import (
    COUNTER32,
    COUNTER64,
    END_OF_MIB_VIEW,
    GAUGE32,
    IP_ADDRESS,
    NO_SUCH_INSTANCE,
    NO_SUCH_OBJECT,
    OPAQUE,
    SNMP_TRAP_OID,
    SNMP_TRAPS,
    SYS_UP_TIME,
    TIME_TICKS,
    Value,
    WireVarbind,
)

_RESPONSE = 0xA2

# syntax -> (identifier, smallest, largest); RFC 2578, 7.1.
_NUMBERS = {
    "INTEGER": (INTEGER, -(2**31), 2**31 - 1),
    "Counter32": (COUNTER32, 0, 2**32 - 1),
    "Gauge32": (GAUGE32, 0, 2**32 - 1),
    "TimeTicks": (TIME_TICKS, 0, 2**32 - 1),
    "Counter64": (COUNTER64, 0, 2**64 - 1),
}
_OCTETS = {"OCTET STRING": OCTET_STRING, "Opaque": OPAQUE}
_NOTHING = {
    "NULL": NULL,
    "noSuchObject": NO_SUCH_OBJECT,
    "noSuchInstance": NO_SUCH_INSTANCE,
    "endOfMibView": END_OF_MIB_VIEW,
}


class V1Trap(NamedTuple):
    """What a Trap-PDU has and an SNMPv2-Trap-PDU has not (RFC 1157, 4.1.6).

    Attributes:
        enterprise: An OID in numbers.
        generic_trap: 0 (coldStart) to 6 (enterpriseSpecific).
        specific_trap: Meant only when generic_trap is 6.
        agent_addr: An IPv4 address; 0.0.0.0 says nothing.
        sys_up_time: In hundredths of a second.
    """

    enterprise: str = SNMP_TRAPS
    generic_trap: int = ENTERPRISE_SPECIFIC
    specific_trap: int = 0
    agent_addr: str = "0.0.0.0"
    sys_up_time: int = 0


def encode_response(notification: Notification) -> bytes:
    """The Response that answers an Inform: its own variable-bindings, octet for octet.

    Args:
        notification: An Inform. Nothing of the answer is built before this is called.

    Raises:
        ValueError: It is no Inform; a trap has no answer.

    Source: RFC 3416, 4.2.7.
    """
    return _message(notification.version, notification.community, encode_response_pdu(notification))


def encode_response_pdu(notification: Notification) -> bytes:
    """The Response-PDU alone.

    Raises:
        ValueError: It is no Inform.
    """
    if notification.pdu is not Pdu.INFORM or notification.request_id is None:
        raise ValueError("only an InformRequest-PDU is answered")
    pdu = (
        encode_integer(notification.request_id)
        + encode_integer(0)  # error-status noError
        + encode_integer(0)  # error-index
        + encode_element(SEQUENCE, notification.binding_octets)
    )
    return encode_element(_RESPONSE, pdu)


def encode_v1_trap(community: bytes, trap: V1Trap, varbinds: Sequence[WireVarbind] = ()) -> bytes:
    """One SNMPv1 message with a Trap-PDU.

    Raises:
        InvalidInput: A value is out of its range, or its syntax is not known.
    """
    pdu = (
        encode_oid(trap.enterprise)
        + _encode_value("IpAddress", trap.agent_addr)
        + _encode_value("INTEGER", trap.generic_trap)
        + _encode_value("INTEGER", trap.specific_trap)
        + _encode_value("TimeTicks", trap.sys_up_time)
        + _encode_varbinds(varbinds)
    )
    return _message(Version.V1, community, encode_element(Pdu.TRAP, pdu))


def encode_v2c_trap(
    community: bytes,
    trap_oid: str,
    varbinds: Sequence[WireVarbind] = (),
    *,
    request_id: int = 1,
    sys_up_time: int = 0,
) -> bytes:
    """One SNMPv2c message with an SNMPv2-Trap-PDU; sysUpTime.0 and snmpTrapOID.0 are put first.

    Raises:
        InvalidInput: A value is out of its range, or its syntax is not known.
    """
    varbinds = (*about(trap_oid, sys_up_time), *varbinds)
    return _message(Version.V2C, community, encode_pdu(Pdu.TRAP_V2, request_id, varbinds))


def encode_v2c_inform(
    community: bytes,
    trap_oid: str,
    varbinds: Sequence[WireVarbind] = (),
    *,
    request_id: int = 1,
    sys_up_time: int = 0,
) -> bytes:
    """One SNMPv2c message with an InformRequest-PDU, else as encode_v2c_trap."""
    varbinds = (*about(trap_oid, sys_up_time), *varbinds)
    return _message(Version.V2C, community, encode_pdu(Pdu.INFORM, request_id, varbinds))


def about(trap_oid: str, sys_up_time: int) -> tuple[WireVarbind, WireVarbind]:
    """The two varbinds that come before all others, in this order (RFC 3416, 4.2.6)."""
    return (
        WireVarbind(SYS_UP_TIME, "TimeTicks", sys_up_time),
        WireVarbind(SNMP_TRAP_OID, "OBJECT IDENTIFIER", trap_oid),
    )


def _message(version: Version, community: bytes, pdu: bytes) -> bytes:
    head = encode_integer(version) + encode_element(OCTET_STRING, community)
    return encode_element(SEQUENCE, head + pdu)


def encode_pdu(pdu: int, request_id: int, varbinds: Sequence[WireVarbind]) -> bytes:
    """One PDU of the form that all but the Trap-PDU have, without an error (RFC 3416, 3).

    Args:
        pdu: Its identifier.

    Raises:
        InvalidInput: A value is out of its range, or its syntax is not known.
    """
    numbers = _encode_value("INTEGER", request_id) + encode_integer(0) + encode_integer(0)
    return encode_element(pdu, numbers + _encode_varbinds(varbinds))


def _encode_varbinds(varbinds: Sequence[WireVarbind]) -> bytes:
    encoded = (
        encode_element(SEQUENCE, encode_oid(name) + _encode_value(syntax, value))
        for name, syntax, value in varbinds
    )
    return encode_element(SEQUENCE, b"".join(encoded))


def _encode_value(syntax: str, value: Value) -> bytes:
    if syntax in _NUMBERS and isinstance(value, int):
        identifier, smallest, largest = _NUMBERS[syntax]
        if not smallest <= value <= largest:
            raise InvalidInput([("value", f"{value} is out of the range of {syntax}")])
        return encode_integer(value, identifier)
    if syntax in _OCTETS and isinstance(value, bytes):
        return encode_element(_OCTETS[syntax], value)
    if syntax == "OBJECT IDENTIFIER" and isinstance(value, str):
        return encode_oid(value)
    if syntax == "IpAddress" and isinstance(value, str):
        return encode_element(IP_ADDRESS, _packed_address(value))
    if syntax == "Opaque" and isinstance(value, float):
        return encode_element(OPAQUE, b"\x9f\x79\x08" + struct.pack(">d", value))
    if syntax in _NOTHING and value is None:
        return encode_element(_NOTHING[syntax], b"")
    raise InvalidInput([("value", f"{type(value).__name__} is no value of syntax {syntax}")])


def _packed_address(text: str) -> bytes:
    try:
        return ipaddress.IPv4Address(text).packed
    except ValueError as exc:
        raise InvalidInput([("value", "an IpAddress is four numbers with dots between")]) from exc
