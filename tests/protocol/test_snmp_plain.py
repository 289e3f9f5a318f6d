"""What the plain reader says of a trap is what parse_notification() says, and otherwise nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import nudged
from trap_corpus import CASES, GOOD, Case

from muttd.protocol.ber import encode_element, encode_integer, encode_oid
from muttd.protocol.snmp import Version, parse_notification, parse_pdu
from muttd.protocol.snmp_encode import encode_v2c_trap
from muttd.protocol.snmp_plain import read_plain_pdu, read_plain_trap
from muttd.protocol.snmp_varbind import (
    MAX_VARBINDS,
    SNMP_TRAP_ADDRESS,
    SNMP_TRAP_COMMUNITY,
    SNMP_TRAP_ENTERPRISE,
    SNMP_TRAP_OID,
    SYS_UP_TIME,
    WireVarbind,
)

_LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
_NAME = "1.3.6.1.4.1.4242.1.0"


def agrees(octets: bytes) -> bool:
    """Whether anything is said at all; it is what the general reader says, or the test fails."""
    found = read_plain_trap(octets)
    if found is None:
        return False
    # A PeerError of the oracle fails the test, too: nothing that is at fault may be read.
    assert found == parse_notification(octets)
    return True


def trap(*varbinds: WireVarbind) -> bytes:
    return encode_v2c_trap(b"public", _LINK_DOWN, varbinds, sys_up_time=9999)


@pytest.mark.parametrize("text_octets", [0, 1, 60, 100])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_a_trap_as_agents_write_them_is_read(count: int, text_octets: int) -> None:
    """Whatever form its own lengths have, of one octet, of two or of three."""
    varbinds = [WireVarbind(_NAME, "OCTET STRING", b"x" * text_octets) for _ in range(count)]
    assert agrees(trap(*varbinds))


@pytest.mark.parametrize(
    "name", [SNMP_TRAP_ENTERPRISE, SNMP_TRAP_ADDRESS, SNMP_TRAP_COMMUNITY, SYS_UP_TIME]
)
def test_a_trap_that_says_more_about_itself_is_left_alone(name: str) -> None:
    for each in (name, name.removesuffix(".0")):
        assert not agrees(trap(WireVarbind(each, "OCTET STRING", b"x")))


def test_more_varbinds_than_there_may_be_are_left_alone() -> None:
    varbind = WireVarbind("1.3.6", "NULL", None)
    assert agrees(trap(*[varbind] * 100))
    octets = trap(*[varbind] * (MAX_VARBINDS - 1))
    assert len(octets) > MAX_VARBINDS * 7
    assert not agrees(octets)
    assert not agrees(trap(WireVarbind(_NAME, "OCTET STRING", b"x" * 300)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_of_the_corpus_is_read_alike_or_not_at_all(case: Case) -> None:
    agrees(case.octets)
    assert not agrees(case.octets + b"\x30\xff junk")
    for end in range(len(case.octets)):
        assert not agrees(case.octets[:end])


def test_most_v2c_traps_of_the_corpus_are_read() -> None:
    traps = [
        case
        for case in GOOD
        if (case.expected["version"], case.expected["pdu"]) == ("v2c", "TRAP_V2")
    ]
    assert sum(agrees(case.octets) for case in traps) > len(traps) / 3


def test_mutated_traps_are_read_alike_or_not_at_all() -> None:
    rng = random.Random(3416)
    originals = [
        trap(),
        trap(WireVarbind(_NAME, "INTEGER", 7), WireVarbind(_NAME, "OCTET STRING", b"Gi0/3")),
        trap(*[WireVarbind(_NAME, "OCTET STRING", b"x" * 30)] * 5),
    ]
    read = 0
    for _ in range(20_000):
        octets = nudged(rng.choice(originals), rng)
        read += agrees(octets)
    assert read > 1000


_NAMES = st.sampled_from([SYS_UP_TIME, SNMP_TRAP_OID, SNMP_TRAP_COMMUNITY, _NAME, "1.3.6"])
_VALUES = st.sampled_from(
    [
        encode_integer(5),
        encode_integer(2**40, 0x43),
        encode_element(0x43, b""),
        encode_oid(_LINK_DOWN),
        encode_element(0x06, b"\xff"),
        encode_element(0x04, b"text"),
        encode_element(0x04, b"text" * 40),
        b"\x05\x00",
        b"\x1f\x00",
        b"\x04\x05abc",
        b"",
    ]
)
_VARBINDS = st.builds(
    lambda name, value, behind: encode_element(0x30, encode_oid(name) + value + behind),
    _NAMES,
    _VALUES,
    st.sampled_from([b"", b"\x05\x00", b"\x00"]),
)
_UP_TIME = encode_element(0x30, encode_oid(SYS_UP_TIME) + encode_integer(9999, 0x43))
_TRAP_OID = encode_element(0x30, encode_oid(SNMP_TRAP_OID) + encode_oid(_LINK_DOWN))


def long_form(octets: bytes) -> bytes:
    """The same element with its length written in three octets more than need be."""
    assert octets[1] < 0x80
    return octets[:1] + b"\x83\0\0" + octets[1:]


@st.composite
def _pdus(draw: st.DrawFn) -> bytes:
    """PDUs that are nearly a trap, or one."""
    varbinds = [_UP_TIME, _TRAP_OID] if draw(st.booleans()) else []
    varbinds += draw(st.lists(_VARBINDS, max_size=4))
    bindings = encode_element(draw(st.sampled_from([0x30, 0x30, 0x30, 0x31])), b"".join(varbinds))
    request_id = draw(
        st.one_of(
            st.integers(-(2**31), 2**31 - 1).map(encode_integer),
            st.sampled_from([b"\2\0", b"\2\x11" + b"\1" * 17, b"\4\1a", b"\2\x81\1a"]),
        )
    )
    no_error = b"\2\1\0\2\1\0"
    error = draw(st.sampled_from([no_error, no_error, b"\2\1\1\2\1\0", b"\2\1\0", b""]))
    behind = draw(st.sampled_from([b"", b"", b"\x05\x00"]))
    pdu = encode_element(
        draw(st.sampled_from([0xA7, 0xA7, 0xA6, 0xA4])), request_id + error + bindings + behind
    )
    return long_form(pdu) if pdu[1] < 0x80 and draw(st.booleans()) else pdu


_PUBLIC = b"\4\6public"


@given(
    _pdus(),
    st.sampled_from([b"\2\1\1", b"\2\1\1", b"\2\1\0", b"\2\2\0\1"]),
    st.sampled_from([_PUBLIC, _PUBLIC, b"\4\0", b"\4\x81\6public", b"\5\0", b"\4\xc8a"]),
    st.sampled_from([0x30, 0x30, 0x30, 0x31]),
    st.sampled_from([0, 0, -1, 1]),
)
@example(trap()[13:], b"\2\1\1", _PUBLIC, 0x30, 0)
def test_made_traps_are_read_alike_or_not_at_all(
    pdu: bytes, version: bytes, community: bytes, identifier: int, off: int
) -> None:
    octets = encode_element(identifier, version + community + pdu)
    agrees(octets)
    agrees(octets[:-1] + bytes([octets[-1] + off & 0xFF]))
    agrees(octets[:1] + bytes([octets[1] + off & 0xFF]) + octets[2:])


@given(_pdus(), st.binary(max_size=4), st.binary(max_size=4))
def test_a_pdu_within_other_octets_is_read_alike_or_not_at_all(
    pdu: bytes, before: bytes, behind: bytes
) -> None:
    """As that of an SNMPv3 message is: what is behind it in the buffer is none of it."""
    octets = before + pdu + behind
    span = (len(before), len(before) + len(pdu))
    head = (Version.V3, b"")
    found = read_plain_pdu(octets, *span, head, None)
    assert found is None or found == parse_pdu(octets, *span, head, None)
    # Neither does it read on where the octets that enclose it end within it.
    assert read_plain_pdu(octets, span[0], span[1] - 1, head, None) is None
