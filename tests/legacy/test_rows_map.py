"""Rows of the predecessor, and the rules, hosts and teams that do what they did."""

from __future__ import annotations

from typing import Any

import pytest

from muttd.decision import Handling
from muttd.legacy.findings import Verdict
from muttd.legacy.rows_map import TablePlan, map_tables
from muttd.legacy.tables import Row, Tables
from muttd.rules.model import MatchType, TeamEntry


def a_row(**values: object) -> Row:
    return {
        "id": "7",
        "match_string": "LINK",
        "match_type": "contains",
        "prod_handling": "Page_only",
        "dev_handling": "Ignore",
        "team_assignment": "NETO",
        **values,
    }


def mapped(*rows: Row) -> TablePlan:
    return map_tables(Tables(rules=list(rows)))


def test_a_row_becomes_a_rule_with_a_name_that_lasts() -> None:
    plan = mapped(a_row(syslog_severity="3", priority="5", is_active="t", description="why"))
    [rule] = plan.rules
    assert (rule.name, rule.match_string, rule.match_type) == (
        "legacy 7",
        "LINK",
        MatchType.CONTAINS,
    )
    assert (rule.syslog_severity, rule.priority, rule.is_active) == (3, 5, True)
    assert (rule.prod_handling, rule.reason) == (Handling.PAGE_ONLY, "why")


@pytest.mark.parametrize("value", [True, "t", "true", None, 1])
def test_a_boolean_is_read_from_every_source(value: object) -> None:
    assert mapped(a_row(is_active=value)).rules[0].is_active


@pytest.mark.parametrize("value", [False, "f", "FALSE", 0])
def test_an_inactive_rule_stays_so_and_is_named(value: object) -> None:
    plan = mapped(a_row(is_active=value))
    assert not plan.rules[0].is_active
    assert "inactive" in plan.findings[0].text


def test_a_trap_rule_asks_for_no_severity_and_no_text_as_it_never_did() -> None:
    """Kept, they would be conditions here: a page would become silence."""
    plan = mapped(a_row(match_type="oid_prefix", trap_oid=".1.3.6.1.4.1.9.*", syslog_severity="2"))
    [rule] = plan.rules
    assert (rule.trap_oid, rule.match_string, rule.syslog_severity) == (
        "1.3.6.1.4.1.9",
        None,
        None,
    )
    assert plan.findings[0].text.count("left out") == 2


def test_an_oid_that_was_never_compared_is_named() -> None:
    plan = mapped(a_row(trap_oid="1.3.6"))
    assert plan.rules[0].trap_oid == "1.3.6"
    assert "never matched" in plan.findings[0].text


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"match_type": "oid_prefix", "match_string": None}, "without trap_oid"),
        ({"match_string": "", "trap_oid": "1.3"}, "without match_string"),
        ({"match_string": "  "}, "must not be empty"),
        ({"match_type": "regex", "match_string": "(?=x)y"}, "regex"),
        ({"prod_handling": "Page_an_ticket"}, "prod_handling"),
        ({"prod_handling": None}, "prod_handling"),
        ({"syslog_severity": "loud"}, "syslog_severity"),
        ({"priority": "high"}, "priority"),
        ({"is_active": "perhaps"}, "is_active"),
        ({"match_type": "glob"}, "match_type"),
    ],
)
def test_a_rule_that_cannot_be_one_is_named_with_the_reason(
    values: dict[str, Any], why: str
) -> None:
    plan = mapped(a_row(**values), a_row(id="8"))
    assert [rule.name for rule in plan.rules] == ["legacy 8"]
    assert (plan.findings[0].verdict, plan.findings[0].what) == (Verdict.MEND, "alert_rules 7")
    assert why in plan.findings[0].text


def test_rules_keep_their_order_by_id_and_rows_without_one_come_last() -> None:
    plan = mapped(a_row(id=None), a_row(id="10"), a_row(id="9"))
    assert [rule.name for rule in plan.rules] == ["legacy 9", "legacy 10", "legacy row 1"]


def test_columns_without_a_place_are_named_once_for_each_table() -> None:
    plan = map_tables(
        Tables(
            rules=[a_row(created_by="x"), a_row(id="8", created_by="y")],
            hosts=[{"hostname": "a", "description": "x", "added_by": None}],
            teams=[{"hostname": "a", "team_assignment": "X"}],
        )
    )
    left = {each.what: each.text for each in plan.findings if each.verdict is Verdict.LEFT}
    assert left == {
        "alert_rules": "columns without a place here: created_by",
        "development_hosts": "columns without a place here: added_by, description",
    }


def test_hosts_are_told_apart_without_regard_to_case() -> None:
    names = ["lab-1", "LAB-1", "lab two", "lab-*", None]
    plan = map_tables(Tables(hosts=[{"hostname": name} for name in names]))
    assert plan.hosts == ["LAB-1", "lab-*"]
    assert [each.verdict for each in plan.findings] == [
        *(Verdict.MEND, Verdict.MAPPED, Verdict.MEND, Verdict.MAPPED, Verdict.LEFT)
    ]
    assert "pattern" in plan.findings[3].text


def test_of_one_host_in_two_teams_the_second_is_to_be_mended() -> None:
    rows = [("ab", "X"), ("AB", "X"), ("aB", "Y"), ("b", ""), ("c c", "X")]
    plan = map_tables(
        Tables(teams=[{"hostname": host, "team_assignment": team} for host, team in rows])
    )
    assert plan.teams == [TeamEntry(hostname="AB", team_assignment="X")]
    assert [each.verdict for each in plan.findings] == [
        *(Verdict.MAPPED, Verdict.MEND, Verdict.LEFT, Verdict.MEND, Verdict.MEND)
    ]
