"""Two implementations of one standard: pysnmp reads what we write, we read what pysnmp writes."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pyasn1.codec.ber import decoder, encoder  # type: ignore[import-untyped]  # has no types
from pysnmp.proto import api  # type: ignore[import-untyped]  # has no types
from trap_corpus import GOOD, Case

from muttd.protocol.snmp import Notification, Pdu, Version, parse_notification
from muttd.protocol.snmp_encode import (
    V1Trap,
    encode_response,
    encode_v1_trap,
    encode_v2c_inform,
    encode_v2c_trap,
)
from muttd.protocol.snmp_varbind import Value, WireVarbind

# pysnmp makes its classes at run time: there is nothing here that a type could be checked by.
V1: Any = api.PROTOCOL_MODULES[api.SNMP_VERSION_1]
V2C: Any = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]

# What pysnmp does not take by design: agents that are wrong, and types it has none for.
_BEYOND_PYSNMP = (
    "v1-agent-addr-empty",
    "v1-agent-addr-ipv6",
    "v1-specific-trap-unsigned",
    "v1-generic-trap-beyond-six",
    "v1-time-stamp-empty",
    "v1-without-variable-bindings",
    "v2-trap-in-v1",
    "v2c-about-objects-of-wrong-syntax",
    "v2c-error-status-set",
    "v2c-inform-with-octets-after",
    "v2c-integer-of-forty-octets",
    "v2c-integers-out-of-shape",
    "v2c-unsigned-without-leading-zero",
    "v2c-value-nested",
    "v2c-values-that-do-not-fit",
)
_AGREED = [case for case in GOOD if not case.name.startswith(_BEYOND_PYSNMP)]


def decoded(octets: bytes) -> tuple[Any, Any]:
    """(message, PDU) as pysnmp has them."""
    proto = V1 if parse_notification(octets).version is Version.V1 else V2C
    message, _ = decoder.decode(octets, asn1Spec=proto.Message())
    return message, proto.apiMessage.get_pdu(message)


def varbinds_of(proto: Any, pdu: Any) -> list[tuple[str, Value]]:
    api_pdu = proto.apiTrapPDU if pdu.__class__ is V1.TrapPDU else proto.apiPDU
    return [(str(name), value_of(value)) for name, value in api_pdu.get_varbinds(pdu)]


def value_of(value: Any) -> Value:
    kind = value.__class__.__name__
    if kind == "ObjectIdentifier":
        return str(value)
    if kind == "IpAddress":
        return ".".join(map(str, value.asNumbers()))
    if kind in ("OctetString", "Opaque"):
        return bytes(value)
    if kind in ("Null", "NoSuchObject", "NoSuchInstance", "EndOfMibView", "UnSpecified"):
        return None
    return int(value)


def ours(notification: Notification) -> list[tuple[str, Value]]:
    return [(v.name, v.value) for v in notification.varbinds]


@pytest.mark.parametrize("case", _AGREED, ids=str)
def test_pysnmp_reads_the_corpus_as_we_do(case: Case) -> None:
    notification = parse_notification(case.octets)
    message, pdu = decoded(case.octets)
    if notification.pdu is Pdu.TRAP:
        assert V1.apiMessage.get_community(message).asOctets() == notification.community
        assert str(V1.apiTrapPDU.get_enterprise(pdu)) == notification.enterprise
        assert V1.apiTrapPDU.get_agent_address(pdu).prettyPrint() == notification.agent_addr
        assert int(V1.apiTrapPDU.get_generic_trap(pdu)) == notification.generic_trap
        assert int(V1.apiTrapPDU.get_specific_trap(pdu)) == notification.specific_trap
        assert int(V1.apiTrapPDU.get_timestamp(pdu)) == notification.sys_up_time
        theirs = varbinds_of(V1, pdu)
        # RFC 3584, 3.1: two before them, at most two behind.
        assert ours(notification)[2 : 2 + len(theirs)] == theirs
        return
    assert V2C.apiMessage.get_community(message).asOctets() == notification.community
    assert int(V2C.apiPDU.get_request_id(pdu)) == notification.request_id
    theirs = varbinds_of(V2C, pdu)
    assert len(theirs) == len(notification.varbinds)
    for mine, yours in zip(ours(notification), theirs, strict=True):
        assert mine[0] == yours[0]
        # A float in an Opaque is octets to pysnmp.
        if not isinstance(mine[1], float):
            assert mine[1] == yours[1]


def test_pysnmp_answers_an_inform_as_we_do() -> None:
    inform = encode_v2c_inform(
        b"public", "1.3.6.1.6.3.1.1.5.3", [WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3)]
    )
    message, _ = decoder.decode(inform, asn1Spec=V2C.Message())
    response = V2C.apiMessage.get_response(message)
    request = V2C.apiMessage.get_pdu(message)
    answer = V2C.apiMessage.get_pdu(response)
    V2C.apiPDU.set_varbinds(answer, V2C.apiPDU.get_varbinds(request))
    assert encode_response(parse_notification(inform)) == encoder.encode(response)


def random_varbind(rng: random.Random) -> tuple[WireVarbind, Any]:
    """One varbind as we have it and its value as pysnmp has it."""
    name = ".".join(map(str, (1, 3, *(rng.getrandbits(rng.randrange(33)) for _ in range(9)))))
    number = rng.getrandbits(rng.randrange(1, 33))
    octets = rng.randbytes(rng.randrange(300))
    wide = rng.getrandbits(64)
    choices: list[tuple[str, Value, Any]] = [
        ("INTEGER", (number >> 1), V2C.Integer32(number >> 1)),
        ("INTEGER", ~(number >> 1), V2C.Integer32(~(number >> 1))),
        ("Counter32", number, V2C.Counter32(number)),
        ("Gauge32", number, V2C.Gauge32(number)),
        ("TimeTicks", number, V2C.TimeTicks(number)),
        ("Counter64", wide, V2C.Counter64(wide)),
        ("OCTET STRING", octets, V2C.OctetString(octets)),
        ("OBJECT IDENTIFIER", name, V2C.ObjectIdentifier(name)),
        ("IpAddress", "192.0.2.1", V2C.IpAddress("192.0.2.1")),
    ]
    syntax, value, theirs = rng.choice(choices)
    return WireVarbind(name, syntax, value), theirs


@pytest.mark.parametrize("seed", range(40))
def test_pysnmp_writes_the_octets_that_we_write(seed: int) -> None:
    rng = random.Random(seed)
    pairs = [random_varbind(rng) for _ in range(rng.randrange(12))]
    request_id = rng.getrandbits(31)
    octets = encode_v2c_trap(
        b"public",
        "1.3.6.1.6.3.1.1.5.3",
        [mine for mine, _ in pairs],
        request_id=request_id,
        sys_up_time=7,
    )
    pdu = V2C.TrapPDU()
    V2C.apiTrapPDU.set_defaults(pdu)
    V2C.apiPDU.set_request_id(pdu, request_id)
    V2C.apiTrapPDU.set_varbinds(
        pdu,
        [
            (V2C.ObjectIdentifier("1.3.6.1.2.1.1.3.0"), V2C.TimeTicks(7)),
            (
                V2C.ObjectIdentifier("1.3.6.1.6.3.1.1.4.1.0"),
                V2C.ObjectIdentifier("1.3.6.1.6.3.1.1.5.3"),
            ),
            *((V2C.ObjectIdentifier(mine.name), theirs) for mine, theirs in pairs),
        ],
    )
    message = V2C.Message()
    V2C.apiMessage.set_defaults(message)
    V2C.apiMessage.set_community(message, b"public")
    V2C.apiMessage.set_pdu(message, pdu)
    assert octets == encoder.encode(message)
    assert parse_notification(octets).varbinds[2:] == tuple(mine for mine, _ in pairs)


def test_pysnmp_reads_a_v1_trap_of_ours() -> None:
    trap = V1Trap("1.3.6.1.4.1.4242", 6, 2**31 - 1, "192.0.2.1", 2**32 - 1)
    _, pdu = decoded(encode_v1_trap(b"public", trap))
    assert int(V1.apiTrapPDU.get_specific_trap(pdu)) == 2**31 - 1
    assert int(V1.apiTrapPDU.get_timestamp(pdu)) == 2**32 - 1
