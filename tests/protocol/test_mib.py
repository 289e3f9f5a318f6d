"""Names for OIDs."""

from __future__ import annotations

import gzip

import pytest
from trap_corpus import shipped_mib

from muttd.errors import ConfigError
from muttd.protocol.mib import NO_SYNTAX, Mib


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


@pytest.mark.parametrize(
    ("last_arc", "severity"), [(1, 4), (2, 4), (3, 3), (4, 5), (5, 4), (6, 3), (7, 5)]
)
def test_a_generic_trap_has_its_severity_and_any_other_is_a_notice(
    last_arc: int, severity: int
) -> None:
    assert shipped_mib().severity_of(f"1.3.6.1.6.3.1.1.5.{last_arc}") == severity


def test_given_severities_go_before_the_standard_ones() -> None:
    given = {"1.3.6.1.6.3.1.1.5.3": 2, "1.3.6.1.4.1.1.0.1": 0}
    mib = Mib.from_octets(_table("muttd-mib-table 1\n\nX\n\n\n\n1\tiso\t0\t\t"), severities=given)
    assert mib.severity_of("1.3.6.1.6.3.1.1.5.3") == 2
    assert mib.severity_of("1.3.6.1.4.1.1.0.1") == 0
    assert mib.severity_of("1.3.6.1.6.3.1.1.5.1") == 4
    assert mib.name_of("1.5") == "iso.5"


def test_an_oid_of_128_unknown_arcs_is_numbers() -> None:
    oid = ".".join(["2"] * 128)
    assert shipped_mib().name_of(oid) == oid


def _table(text: str) -> bytes:
    return gzip.compress(text.encode())


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"not gzip",
        _table("muttd-mib-table 1\n\nX\n\n\n\n1\tiso\t0\t\t")[:20],
        gzip.compress(b"\xff\xfe"),
        _table("muttd-mib-table 2\n\nX\n\n\n\n1\tiso\t0\t\t"),
        _table("another file"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_mistake_of_the_installation(octets: bytes) -> None:
    with pytest.raises(ConfigError, match="mib_table"):
        Mib.from_octets(octets)
