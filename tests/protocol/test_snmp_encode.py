"""What we write, and that we read the same."""

from __future__ import annotations

import pytest
from trap_corpus import GOOD, Case

from muttd.errors import InvalidInput
from muttd.protocol.snmp import Pdu, Version, parse_notification
from muttd.protocol.snmp_encode import (
    V1Trap,
    encode_response,
    encode_v1_trap,
    encode_v2c_inform,
    encode_v2c_trap,
)
from muttd.protocol.snmp_varbind import (
    SNMP_TRAP_ADDRESS,
    SNMP_TRAP_ENTERPRISE,
    SNMP_TRAP_OID,
    SYS_UP_TIME,
    Value,
    WireVarbind,
)

_TRAP_OID = "1.3.6.1.4.1.4242.0.9"
EVERY_SYNTAX = [
    WireVarbind("1.3.6.1.4.1.4242.1.1", "INTEGER", -(2**31)),
    WireVarbind("1.3.6.1.4.1.4242.1.2", "INTEGER", 2**31 - 1),
    WireVarbind("1.3.6.1.4.1.4242.1.3", "Counter32", 2**32 - 1),
    WireVarbind("1.3.6.1.4.1.4242.1.4", "Gauge32", 0),
    WireVarbind("1.3.6.1.4.1.4242.1.5", "TimeTicks", 2**31),
    WireVarbind("1.3.6.1.4.1.4242.1.6", "Counter64", 2**64 - 1),
    WireVarbind("1.3.6.1.4.1.4242.1.7", "OCTET STRING", bytes(range(256))),
    WireVarbind("1.3.6.1.4.1.4242.1.8", "Opaque", b"\x04\x01a"),
    WireVarbind("1.3.6.1.4.1.4242.1.9", "Opaque", -0.125),
    WireVarbind("1.3.6.1.4.1.4242.1.10", "OBJECT IDENTIFIER", "2.999.4294967295"),
    WireVarbind("1.3.6.1.4.1.4242.1.11", "IpAddress", "255.0.0.1"),
    WireVarbind("1.3.6.1.4.1.4242.1.12", "NULL", None),
    WireVarbind("1.3.6.1.4.1.4242.1.13", "noSuchObject", None),
    WireVarbind("1.3.6.1.4.1.4242.1.14", "noSuchInstance", None),
    WireVarbind("1.3.6.1.4.1.4242.1.15", "endOfMibView", None),
]


def test_a_v2c_trap_is_read_as_it_was_written() -> None:
    octets = encode_v2c_trap(b"c", _TRAP_OID, EVERY_SYNTAX, request_id=-7, sys_up_time=99)
    notification = parse_notification(octets)
    assert notification.version is Version.V2C
    assert notification.pdu is Pdu.TRAP_V2
    assert (notification.request_id, notification.sys_up_time) == (-7, 99)
    assert notification.trap_oid == _TRAP_OID
    assert notification.varbinds == (
        WireVarbind(SYS_UP_TIME, "TimeTicks", 99),
        WireVarbind(SNMP_TRAP_OID, "OBJECT IDENTIFIER", _TRAP_OID),
        *EVERY_SYNTAX,
    )


def test_a_v1_trap_is_read_as_rfc_3584_normalises_it() -> None:
    trap = V1Trap("1.3.6.1.4.1.4242", 6, 9, "192.0.2.1", 99)
    notification = parse_notification(encode_v1_trap(b"c", trap, EVERY_SYNTAX))
    assert notification.version is Version.V1
    assert notification.pdu is Pdu.TRAP
    assert notification.request_id is None
    assert notification.varbinds == (
        WireVarbind(SYS_UP_TIME, "TimeTicks", 99),
        WireVarbind(SNMP_TRAP_OID, "OBJECT IDENTIFIER", _TRAP_OID),
        *EVERY_SYNTAX,
        WireVarbind(SNMP_TRAP_ADDRESS, "IpAddress", "192.0.2.1"),
        WireVarbind(SNMP_TRAP_ENTERPRISE, "OBJECT IDENTIFIER", "1.3.6.1.4.1.4242"),
    )


def test_a_response_is_the_inform_with_another_identifier() -> None:
    inform = encode_v2c_inform(b"public", _TRAP_OID, EVERY_SYNTAX, request_id=2**31 - 1)
    response = encode_response(parse_notification(inform))
    # All that differs from the request is the identifier of the PDU (RFC 3416, 4.2.7).
    assert response == inform.replace(bytes([Pdu.INFORM]), b"\xa2", 1)


@pytest.mark.parametrize(
    "case", [case for case in GOOD if case.expected["pdu"] == "INFORM"], ids=str
)
def test_the_bindings_of_an_inform_come_back_octet_for_octet(case: Case) -> None:
    notification = parse_notification(case.octets)
    response = encode_response(notification)
    assert notification.binding_octets in case.octets
    assert response.endswith(notification.binding_octets)
    assert len(response) <= len(case.octets)


@pytest.mark.parametrize(
    "octets", [encode_v1_trap(b"c", V1Trap()), encode_v2c_trap(b"c", _TRAP_OID)]
)
def test_a_trap_is_never_answered(octets: bytes) -> None:
    with pytest.raises(ValueError, match="InformRequest"):
        encode_response(parse_notification(octets))


@pytest.mark.parametrize(
    ("syntax", "value"),
    [
        ("INTEGER", 2**31),
        ("Counter32", -1),
        ("Gauge32", 2**32),
        ("TimeTicks", 2**32),
        ("Counter64", 2**64),
        ("INTEGER", "3"),
        ("OCTET STRING", "text"),
        ("OBJECT IDENTIFIER", b"1.3"),
        ("OBJECT IDENTIFIER", "1.3.x"),
        ("IpAddress", 1),
        ("IpAddress", "::1"),
        ("IpAddress", "192.0.2.256"),
        ("Opaque", None),
        ("NULL", 0),
        ("no such syntax", None),
    ],
)
def test_a_value_that_cannot_be_encoded_is_refused(syntax: str, value: Value) -> None:
    with pytest.raises(InvalidInput):
        encode_v2c_trap(b"c", _TRAP_OID, [WireVarbind("1.3.6", syntax, value)])


def test_a_request_id_beyond_32_bits_is_refused() -> None:
    with pytest.raises(InvalidInput, match="INTEGER"):
        encode_v2c_trap(b"c", _TRAP_OID, request_id=2**31)
