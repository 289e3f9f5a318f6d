"""Notifications in words."""

from __future__ import annotations

import pytest
from trap_corpus import shipped_mib

from muttd.protocol.mib import NO_SYNTAX, Syntax
from muttd.protocol.snmp import parse_notification
from muttd.protocol.snmp_encode import encode_v2c_trap
from muttd.protocol.snmp_text import TextVarbind, TrapTexts, describe, value_text
from muttd.protocol.snmp_varbind import Value, WireVarbind

_LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
_BITS = Syntax({0: "linkUp", 3: "linkDown"}, True, "")


def test_a_link_down_reads_as_one_line() -> None:
    octets = encode_v2c_trap(
        b"public",
        _LINK_DOWN,
        [
            WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
            WireVarbind("1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", b"Gi0/3"),
            WireVarbind("1.3.6.1.2.1.2.2.1.8.3", "INTEGER", 2),
        ],
        sys_up_time=372_345,
    )
    text = describe(parse_notification(octets), shipped_mib())
    assert text.name == "IF-MIB::linkDown"
    assert text.message == "IF-MIB::linkDown ifIndex.3=3 ifDescr.3=Gi0/3 ifOperStatus.3=down(2)"
    assert text.varbinds[0] == TextVarbind(
        "sysUpTime.0", "1.3.6.1.2.1.1.3.0", "TimeTicks", "1:02:03.45 (372345)"
    )
    assert text.varbinds[1].value == "IF-MIB::linkDown"


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"Gi0/3", "Gi0/3"),
        (b"", '""'),
        (b"to core", '"to core"'),
        (b'a"b', '"a\\"b"'),
        (b"one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x".encode(), "\\u202ex"),
        ("Büro".encode(), "Büro"),
        ("Büro".encode("latin-1"), "Büro"),
        (b"name\x00", "name"),
    ],
)
def test_a_text_stays_on_its_line(octets: bytes, word: str) -> None:
    varbind = WireVarbind("1.3.6.1.2.1.31.1.1.1.18.3", "OCTET STRING", octets)
    notification = parse_notification(encode_v2c_trap(b"public", _LINK_DOWN, [varbind]))
    message = describe(notification, shipped_mib()).message
    assert message == f"IF-MIB::linkDown ifAlias.3={word}"
    assert message.isprintable()


@pytest.mark.parametrize(
    ("syntax", "value", "of_object", "text"),
    [
        ("INTEGER", 2, Syntax({2: "down"}, False, ""), "down(2)"),
        ("INTEGER", 9, Syntax({2: "down"}, False, ""), "9"),
        ("INTEGER", 3, _BITS, "3"),
        ("INTEGER", 125, Syntax({}, False, "d-1"), "12.5"),
        ("TimeTicks", 0, NO_SYNTAX, "0:00:00.00 (0)"),
        ("TimeTicks", 8_640_001, NO_SYNTAX, "1 day, 0:00:00.01 (8640001)"),
        ("TimeTicks", 2**32 - 1, NO_SYNTAX, "497 days, 2:27:52.95 (4294967295)"),
        ("Counter64", 2**64 - 1, NO_SYNTAX, "18446744073709551615"),
        ("OCTET STRING", b"", NO_SYNTAX, ""),
        ("OCTET STRING", b"plain", NO_SYNTAX, "plain"),
        ("OCTET STRING", b"plain\0", NO_SYNTAX, "plain"),
        ("OCTET STRING", b"\0", NO_SYNTAX, "0x00"),
        ("OCTET STRING", b"a\nb", NO_SYNTAX, "a\\nb"),
        ("OCTET STRING", b"a\x07b", NO_SYNTAX, "0x610762"),
        ("OCTET STRING", b"\xff\xfe", NO_SYNTAX, "0xfffe"),
        ("OCTET STRING", b"\x01\x02", Syntax({}, False, "1x:"), "01:02"),
        ("OCTET STRING", b"\x01\x02", Syntax({}, False, "no hint"), "0x0102"),
        ("OCTET STRING", b"\x01+", Syntax({}, False, "1d1a"), "1+"),
        ("OCTET STRING", b"\x01\x07", Syntax({}, False, "1d1a"), "1\\x07"),
        ("OCTET STRING", b"\x90", _BITS, "linkUp(0),linkDown(3)"),
        ("OCTET STRING", b"\x10\x01", _BITS, "linkDown(3),15"),
        ("OCTET STRING", b"\x00", _BITS, "0x00"),
        ("OCTET STRING", b"\xff" * 65, _BITS, "0x" + "ff" * 65),
        ("Opaque", b"\x04\x01a", NO_SYNTAX, "0x040161"),
        ("Opaque", 21.299999237060547, NO_SYNTAX, "21.3"),
        ("Opaque", float("nan"), NO_SYNTAX, "nan"),
        (
            "OBJECT IDENTIFIER",
            "1.3.6.1.4.1.424242.1",
            NO_SYNTAX,
            "SNMPv2-SMI::enterprises.424242.1",
        ),
        ("OBJECT IDENTIFIER", "0.0", NO_SYNTAX, "SNMPv2-SMI::zeroDotZero"),
        ("IpAddress", "192.0.2.1", NO_SYNTAX, "192.0.2.1"),
        ("NULL", None, NO_SYNTAX, "NULL"),
        ("noSuchInstance", None, NO_SYNTAX, "noSuchInstance"),
    ],
)
def test_a_value_is_written_by_its_syntax_and_its_mib(
    syntax: str, value: Value, of_object: Syntax, text: str
) -> None:
    assert value_text(syntax, value, of_object, shipped_mib()) == text


def test_what_came_before_reads_as_it_did_the_first_time() -> None:
    """Values that are equal and are written otherwise among them: 0.0 and -0.0, 1 and True."""
    texts = TrapTexts(shipped_mib(), TextVarbind)
    varbinds = [
        WireVarbind("1.3.6.1.2.1.2.2.1.8.3", "INTEGER", 1),
        WireVarbind("1.3.6.1.2.1.2.2.1.8.3", "Counter32", 1),
        WireVarbind("1.3.6.1.4.1.9.9.1", "Opaque", 0.0),
        WireVarbind("1.3.6.1.4.1.9.9.1", "Opaque", -0.0),
        WireVarbind("1.3.6.1.2.1.31.1.1.1.18.3", "OCTET STRING", b"to core"),
        WireVarbind("1.3.6.1.2.1.31.1.1.1.18.3", "OCTET STRING", b"x" * 200),
    ]
    notification = parse_notification(encode_v2c_trap(b"public", _LINK_DOWN, []))
    notification = notification._replace(varbinds=tuple(varbinds))
    for _ in range(2):
        text = describe(notification, shipped_mib())
        assert texts.write(notification) == (list(text.varbinds), text.message)


def test_memory_of_varbinds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muttd.protocol.snmp_text._KNOWN_VARBINDS", 3)
    texts = TrapTexts(shipped_mib(), TextVarbind)
    notification = parse_notification(encode_v2c_trap(b"public", _LINK_DOWN, []))
    for number in range(20):
        varbind = WireVarbind("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", number)
        _, message = texts.write(notification._replace(varbinds=(varbind,)))
        assert message == f"IF-MIB::linkDown ifIndex.3={number}"
    assert len(texts._known) <= 3
