"""Names for OIDs."""

from __future__ import annotations

import gzip

import pytest
from trap_corpus import shipped_mib

from muttd.errors import ConfigError
from muttd.protocol.mib import NO_SYNTAX, NOTIFICATION, OBJECT, Fact, Mib
from muttd.protocol.trap_severity import TrapSeverities


@pytest.mark.parametrize(
    ("oid", "name", "qualified_name"),
    [
        ("1.3.6.1.2.1.2.2.1.1.3", "ifIndex.3", "IF-MIB::ifIndex.3"),
        ("1.3.6.1.2.1.2.2.1.8", "ifOperStatus", "IF-MIB::ifOperStatus"),
        ("1.3.6.1.2.1.1.3.0", "sysUpTime.0", "SNMPv2-MIB::sysUpTime.0"),
        ("1.3.6.1.6.3.1.1.4.1.0", "snmpTrapOID.0", "SNMPv2-MIB::snmpTrapOID.0"),
        ("1.3.6.1.6.3.18.1.3.0", "snmpTrapAddress.0", "SNMP-COMMUNITY-MIB::snmpTrapAddress.0"),
        ("1.3.6.1.6.3.1.1.5.1", "SNMPv2-MIB::coldStart", "SNMPv2-MIB::coldStart"),
        ("1.3.6.1.6.3.1.1.5.2", "SNMPv2-MIB::warmStart", "SNMPv2-MIB::warmStart"),
        ("1.3.6.1.6.3.1.1.5.3", "IF-MIB::linkDown", "IF-MIB::linkDown"),
        ("1.3.6.1.6.3.1.1.5.4", "IF-MIB::linkUp", "IF-MIB::linkUp"),
        ("1.3.6.1.6.3.1.1.5.6", "RFC1213-MIB::egpNeighborLoss", "RFC1213-MIB::egpNeighborLoss"),
        (
            "1.3.6.1.2.1.15.7.2",
            "BGP4-MIB::bgpBackwardTransition",
            "BGP4-MIB::bgpBackwardTransition",
        ),
        (
            "1.3.6.1.2.1.15.0.1",
            "BGP4-MIB::bgpEstablishedNotification",
            "BGP4-MIB::bgpEstablishedNotification",
        ),
        (
            "1.3.6.1.2.1.14.16.2.2",
            "OSPF-TRAP-MIB::ospfNbrStateChange",
            "OSPF-TRAP-MIB::ospfNbrStateChange",
        ),
        ("1.3.6.1.2.1.47.2.0.1", "ENTITY-MIB::entConfigChange", "ENTITY-MIB::entConfigChange"),
        ("1.3.6.1.2.1.17.0.1", "BRIDGE-MIB::newRoot", "BRIDGE-MIB::newRoot"),
        ("1.3.6.1.2.1.16.0.1", "RMON-MIB::risingAlarm", "RMON-MIB::risingAlarm"),
        ("1.3.6.1.2.1.33.2.1", "UPS-MIB::upsTrapOnBattery", "UPS-MIB::upsTrapOnBattery"),
        (
            "1.3.6.1.4.1.424242.2.0.1",
            "enterprises.424242.2.0.1",
            "SNMPv2-SMI::enterprises.424242.2.0.1",
        ),
        ("1.3.6.1.4.1.9.9.41.2.0.1", "ciscoMgmt.41.2.0.1", "CISCO-SMI::ciscoMgmt.41.2.0.1"),
        ("1.3.6.1.4.1.9.1.516", "ciscoProducts.516", "CISCO-SMI::ciscoProducts.516"),
        ("1.3.6.1.4.1.2011.5.25.1", "huawei.5.25.1", "huawei.5.25.1"),
        ("1.3.6.1.4.1.20", "enterprises.20", "SNMPv2-SMI::enterprises.20"),
        ("0.0", "zeroDotZero", "SNMPv2-SMI::zeroDotZero"),
        ("2.999.1", "2.999.1", "2.999.1"),
    ],
)
def test_an_oid_has_the_name_of_its_longest_known_prefix(
    oid: str, name: str, qualified_name: str
) -> None:
    assert shipped_mib().name_of(oid) == name
    assert shipped_mib().qualified_name_of(oid) == qualified_name


def test_an_arc_is_taken_whole() -> None:
    # 1.3.6.1.2.1.2.2.1.10 is ifInOctets; 1.3.6.1.2.1.2.2.1.100 only begins like it.
    assert shipped_mib().name_of("1.3.6.1.2.1.2.2.1.100") == "ifEntry.100"


def test_the_syntax_of_an_object_is_known() -> None:
    mib = shipped_mib()
    assert mib.place_of("1.3.6.1.2.1.2.2.1.8.3").syntax.names[2] == "down"
    assert mib.place_of("1.3.6.1.2.1.2.2.1.6.3").syntax.hint == "1x:"
    assert mib.place_of("1.3.6.1.2.1.88.1.2.2.1.4.1").syntax.is_bits
    assert mib.place_of("1.3.6.1.2.1.2.2.1.1.3").syntax == NO_SYNTAX


def test_what_is_added_replaces_what_was_known_and_the_first_mib_stays_as_it_is() -> None:
    mib = shipped_mib()
    facts = {
        "1.3.6.1.4.1.424242": Fact("acme", "ACME-MIB", "", ""),
        "1.3.6.1.4.1.424242.0.1": Fact("acmeTrap", "ACME-MIB", NOTIFICATION, ""),
        "1.3.6.1.2.1.2.2.1.8": Fact("ifOperStatus", "IF-MIB", OBJECT, "E up=1,resting=9"),
    }
    extended = mib.extended(facts, TrapSeverities({"1.3.6.1.4.1.424242": 1}, {}))
    assert extended.name_of("1.3.6.1.4.1.424242.0.1") == "ACME-MIB::acmeTrap"
    assert extended.name_of("1.3.6.1.4.1.424242.7") == "acme.7"
    assert extended.place_of("1.3.6.1.2.1.2.2.1.8.3").syntax.names == {1: "up", 9: "resting"}
    assert extended.name_of("1.3.6.1.2.1.2.2.1.1.3") == "ifIndex.3"
    assert extended.severity_of("1.3.6.1.4.1.424242.0.1") == 1
    assert mib.name_of("1.3.6.1.4.1.424242.0.1") == "enterprises.424242.0.1"
    assert mib.place_of("1.3.6.1.2.1.2.2.1.8.3").syntax.names[2] == "down"


def test_facts_and_types_of_the_table_can_be_listed() -> None:
    facts = dict(shipped_mib().facts())
    assert facts["1.3.6.1.2.1.2.2.1.6"] == Fact("ifPhysAddress", "IF-MIB", OBJECT, "H 1x:")
    assert facts["1.3.6.1.4.1.2011"] == Fact("huawei", "", "", "")
    types = {(module, name): syntax for module, name, syntax in shipped_mib().types()}
    assert types["SNMPv2-TC", "TruthValue"] == "E true=1,false=2"
    assert types["SNMPv2-TC", "MacAddress"] == "H 1x:"
    assert types["IF-MIB", "InterfaceIndex"] == ""


def test_an_oid_of_128_unknown_arcs_is_numbers() -> None:
    oid = ".".join(["2"] * 128)
    assert shipped_mib().name_of(oid) == oid


def _table(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"not gzip",
        _table("muttd-mib-table 2\n\nX\n\n\n\n\n\n1\tiso\t0\t\t")[:20],
        gzip.compress(b"\xff\xfe", mtime=0),
        _table("muttd-mib-table 3\n\nX\n\n\n\n\n\n1\tiso\t0\t\t"),
        _table("another file"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_mistake_of_the_installation(octets: bytes) -> None:
    with pytest.raises(ConfigError, match="mib_table"):
        Mib.from_octets(octets)
