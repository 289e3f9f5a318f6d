"""How bad a notification is."""

from __future__ import annotations

import pytest
from trap_corpus import shipped_mib

from muttd.protocol.trap_severity import SHIPPED_SEVERITIES, TrapSeverities

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


@pytest.mark.parametrize(
    ("last_arc", "severity"), [(1, 4), (2, 4), (3, 3), (4, 5), (5, 4), (6, 3), (7, 5)]
)
def test_a_generic_trap_has_its_severity_and_any_other_is_a_notice(
    last_arc: int, severity: int
) -> None:
    assert shipped_mib().severity_of(f"1.3.6.1.6.3.1.1.5.{last_arc}") == severity


def test_the_longest_prefix_decides_arc_by_arc() -> None:
    severities = TrapSeverities({"1.3.6.1.4.1.9": 4, "1.3.6.1.4.1.9.9.43": 6}, {})
    assert severities.of("1.3.6.1.4.1.9.9.43.2.0.1") == 6
    assert severities.of("1.3.6.1.4.1.9.9.430.2.0.1") == 4
    assert severities.of("1.3.6.1.4.1.99.0.1") == 5
    assert severities.of("") == 5


def test_operators_go_before_mibs_and_mibs_before_what_is_shipped() -> None:
    assert TrapSeverities({}, {}).of(LINK_DOWN) == 3
    assert TrapSeverities({}, {LINK_DOWN: 2}).of(LINK_DOWN) == 2
    # However short the operator's entry is.
    assert TrapSeverities({"1.3.6.1.6.3": 7}, {LINK_DOWN: 2}).of(LINK_DOWN) == 7


def test_what_is_shipped_is_about_oids_whose_mibs_are_known() -> None:
    for oid, severity in SHIPPED_SEVERITIES.items():
        assert 0 <= severity <= 7
        name = shipped_mib().qualified_name_of(oid)
        assert "::" in name, oid
        assert not name.startswith("SNMPv2-SMI::"), oid
