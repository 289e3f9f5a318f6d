"""variable-bindings: what each syntax becomes, and what costs only itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muttd.errors import MalformedBer, PeerError
from muttd.protocol import snmp_varbind
from muttd.protocol.ber import encode_element, encode_oid
from muttd.protocol.snmp_varbind import Value, WireVarbind, read_varbinds

_NAME = "1.3.6.1.4.1.4242.1.0"


def varbind(value: str) -> bytes:
    return encode_element(0x30, encode_oid(_NAME) + bytes.fromhex(value))


@pytest.mark.parametrize(
    ("octets", "syntax", "value"),
    [
        ("020103", "INTEGER", 3),
        ("0201fd", "INTEGER", -3),
        ("02020100", "INTEGER", 256),
        ("0200", "INTEGER", b""),
        ("0403616263", "OCTET STRING", b"abc"),
        ("0500", "NULL", None),
        ("050101", "NULL", b"\x01"),
        ("06032b0601", "OBJECT IDENTIFIER", "1.3.6.1"),
        ("0600", "OBJECT IDENTIFIER", b""),
        ("4004c0000201", "IpAddress", "192.0.2.1"),
        ("400120", "IpAddress", b" "),
        ("401000000000000000000000000000000001", "IpAddress", "::1"),
        ("4104ffffffff", "Counter32", 2**32 - 1),
        ("410500ffffffff", "Counter32", 2**32 - 1),
        ("4200", "Gauge32", b""),
        ("4304499602d2", "TimeTicks", 1_234_567_890),
        ("4608ffffffffffffffff", "Counter64", 2**64 - 1),
        ("4609008000000000000000", "Counter64", 2**63),
        ("4600", "Counter64", b""),
        ("4611" + "01" * 17, "Counter64", b"\x01" * 17),
        ("44079f780441aa6666", "Opaque", pytest.approx(21.3, abs=1e-6)),
        ("440b9f7908bfc0000000000000", "Opaque", -0.125),
        ("44079f780541aa6666", "Opaque", bytes.fromhex("9f780541aa6666")),
        ("8000", "noSuchObject", None),
        ("8100", "noSuchInstance", None),
        ("8200", "endOfMibView", None),
        ("47017f", "UInteger32", 127),
        ("450147", "NsapAddress", b"G"),
        ("03020780", "BIT STRING", b"\x07\x80"),
        ("9e0141", "tag 0x9e", b"A"),
    ],
)
def test_a_value_is_read_by_its_syntax(octets: str, syntax: str, value: Value) -> None:
    content = varbind(octets)
    assert read_varbinds(content, 0, len(content)) == ([WireVarbind(_NAME, syntax, value)], {})


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("30", "no SEQUENCE"),
        ("3106 06022b06 0500", "no SEQUENCE"),
        ("3007 06022b06 0500", "runs past variable-bindings"),
        ("3080 06022b06 0500 0000", "indefinite"),
        ("3000", "no OBJECT IDENTIFIER"),
        ("3001 06", "no OBJECT IDENTIFIER"),
        ("3005 040161 0500", "no OBJECT IDENTIFIER"),
        ("3003 06022b", "name runs past"),
        ("3006 06802b06 0500", "indefinite"),
        ("3004 06022b06", "has no value"),
        ("3005 06022b06 05", "has no value"),
        ("3006 06022b06 0401", "value runs past"),
        ("3006 06022b06 0480", "indefinite"),
        ("3008 06022b06 1f810100", "identifier of several octets"),
    ],
)
def test_a_varbind_out_of_its_grammar_is_named(content: str, what: str) -> None:
    octets = bytes.fromhex(content)
    with pytest.raises(MalformedBer, match=what):
        read_varbinds(octets, 0, len(octets))


def test_lengths_in_their_long_form_are_no_fault() -> None:
    octets = bytes.fromhex("30840000000c 0682 0002 2b06 0484 00000000")
    assert read_varbinds(octets, 0, len(octets))[0] == [WireVarbind("1.3.6", "OCTET STRING", b"")]


def test_octets_behind_a_value_in_its_varbind_are_ignored() -> None:
    octets = encode_element(0x30, encode_oid(_NAME) + bytes.fromhex("020103 0500"))
    assert read_varbinds(octets, 0, len(octets))[0] == [WireVarbind(_NAME, "INTEGER", 3)]


def outcome(octets: bytes) -> object:
    try:
        return read_varbinds(octets, 0, len(octets))
    except PeerError as exc:
        return str(exc)


@given(st.lists(st.sampled_from([b"\x01", b"\x02", b"\x03"]), max_size=8), st.binary(max_size=6))
def test_what_came_before_reads_as_it_did_the_first_time(values: list[bytes], end: bytes) -> None:
    octets = b"".join(varbind(f"0201{value.hex()}") for value in values) + end
    snmp_varbind._known.clear()
    first = outcome(octets)
    assert outcome(octets) == first


def test_memory_of_varbinds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snmp_varbind, "_KNOWN_VARBINDS", 3)
    snmp_varbind._known.clear()
    for number in range(50):
        outcome(varbind(f"0201{number:02x}"))
        outcome(varbind("0481ff" + "61" * 255))
        assert len(snmp_varbind._known) <= 3
        assert all(len(octets) < 100 for octets in snmp_varbind._known)
