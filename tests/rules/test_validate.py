"""What a client may write as a rule, and how it is told what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from rule_samples import MINIMAL, a_rule

from muttd.decision import Handling
from muttd.errors import InvalidInput
from muttd.rules.fields import severity_from
from muttd.rules.model import MatchType, Rule, RuleDraft, SeverityOp
from muttd.rules.validate import draft_rule, validate_host_entry


def drafted(**values: Any) -> RuleDraft:
    return draft_rule(MINIMAL | values)


def problems_of(values: dict[str, Any], present: Rule | None = None) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        draft_rule(values, present=present)
    assert len(dict(refused.value.problems)) == len(refused.value.problems)
    return dict(refused.value.problems)


def problem(field: str, value: object, **others: object) -> str:
    """The one complaint about this value."""
    found = problems_of(MINIMAL | others | {field: value})
    assert set(found) == {field}
    return found[field]


# --- defaults and what is there already


def test_a_new_rule_has_the_defaults_where_nothing_is_said() -> None:
    assert draft_rule(MINIMAL) == RuleDraft(
        name="link down",
        match_string="LINK-3-UPDOWN",
        match_type=MatchType.CONTAINS,
        trap_oid=None,
        syslog_severity=None,
        severity_op=SeverityOp.EQ,
        host_pattern=None,
        priority=100,
        prod_handling=Handling.PAGE_AND_TICKET,
        dev_handling=Handling.LOG_ONLY,
        team_assignment="NETO",
        repeat_interval_s=None,
        clear_match=None,
        destination=None,
        is_active=True,
        reason=None,
    )


def test_a_replaced_rule_keeps_what_is_not_mentioned() -> None:
    present = a_rule(4, match_string="x", priority=7, reason="why", host_pattern="sw*")
    draft = draft_rule({"name": "new", "host_pattern": None}, present=present)
    assert (draft.name, draft.host_pattern) == ("new", None)
    assert (draft.match_string, draft.priority, draft.reason) == ("x", 7, "why")


def test_a_rule_as_the_api_shows_it_may_be_sent_back() -> None:
    shown = MINIMAL | {"id": 3, "revision": 2, "created_at": "2025", "updated_at": "2025"}
    assert draft_rule(shown | {"change_reason": "tidy"}) == draft_rule(MINIMAL)


def test_every_wrong_field_is_named_at_once() -> None:
    found = problems_of(
        {
            "name": "",
            "match_sting": "x",
            "match_string": 3,
            "priority": "high",
            "syslog_severity": 9,
            "host_pattern": "10.0.0/8",
            "is_active": "yes",
            "prod_handling": "Page",
        }
    )
    assert set(found) == {
        *("name", "match_sting", "match_string", "priority", "syslog_severity", "host_pattern"),
        *("is_active", "prod_handling", "dev_handling", "team_assignment"),
    }
    assert found["match_sting"] == "no such field; did you mean match_string?"
    assert found["dev_handling"] == found["team_assignment"] == "is missing"


def test_an_unknown_field_that_resembles_none_is_refused_without_a_guess() -> None:
    assert problem("zzzz", 1) == "no such field"


# --- one field at a time


@pytest.mark.parametrize("written", ["Page_only", "page_only", "PAGE_ONLY", " Page_only "])
def test_a_handling_is_taken_in_any_case(written: str) -> None:
    assert drafted(prod_handling=written).prod_handling is Handling.PAGE_ONLY


@pytest.mark.parametrize("written", ["Page", "Page only", "", None, 3, True])
def test_a_handling_with_a_typo_is_refused_with_the_allowed_ones(written: object) -> None:
    for field in ("prod_handling", "dev_handling"):
        assert problem(field, written) == (
            "must be one of Page_and_ticket, Page_only, Ticket_only, Email_only, Log_only,"
            " Suppress, Ignore"
        )


@pytest.mark.parametrize("written", [1, 0.5 * 10, 300, 31_622_400])
def test_a_repeat_interval_is_a_number_of_seconds(written: float) -> None:
    assert drafted(repeat_interval_s=written).repeat_interval_s == written
    assert drafted(repeat_interval_s=None).repeat_interval_s is None


@pytest.mark.parametrize("written", [0, -1, 0.9, 31_622_401, float("nan"), float("inf")])
def test_a_repeat_interval_out_of_its_bounds_is_refused(written: float) -> None:
    expected = "must be 1 to 31622400 seconds, or null"
    assert problem("repeat_interval_s", written) == expected


@pytest.mark.parametrize("written", ["300", True, [300]])
def test_a_repeat_interval_that_is_no_number_is_refused(written: object) -> None:
    assert problem("repeat_interval_s", written).startswith("must be a number of seconds, not ")


def test_what_ends_a_problem_is_compared_as_the_rule_is() -> None:
    assert drafted(clear_match=" up").clear_match == " up"
    regex = drafted(match_type="regex", match_string="down$", clear_match="up$")
    assert regex.clear_match == "up$"
    oid = drafted(
        match_string=None, trap_oid="1.3.6.1.6.3.1.1.5.3", clear_match=".1.3.6.1.6.3.1.1.5.4.*"
    )
    assert oid.clear_match == "1.3.6.1.6.3.1.1.5.4"
    # A condition is enough for a rule, and then it is text that ends the problem.
    silent = drafted(match_string=None, syslog_severity=2, clear_match="all clear")
    assert (silent.match_type, silent.clear_match) == (MatchType.CONTAINS, "all clear")


def test_what_ends_a_problem_is_refused_where_it_cannot_be_compared() -> None:
    assert problem("clear_match", "(", match_type="regex").startswith(
        "compared by match_type regex: not a usable regex"
    )
    assert problem("clear_match", "linkUp", match_string=None, trap_oid="1.3.6").startswith(
        "compared by match_type oid_prefix: "
    )
    assert problem("clear_match", "") == "must not be empty"
    assert problem("clear_match", 3) == "must be text, not a number"


def test_a_rule_cannot_end_its_own_problem() -> None:
    expected = "is what the rule matches: every problem would end itself"
    assert problem("clear_match", "link-3-updown") == expected
    assert problem("clear_match", "1.3.6", match_string=None, trap_oid="1.3.6.*") == expected


def test_a_destination_is_a_name_of_one_line() -> None:
    assert drafted(destination=" moog-emea ").destination == "moog-emea"
    assert problem("destination", "a\nb") == "must be one line without control characters"
    assert problem("destination", "x" * 101).startswith("has 101 characters")
    assert problem("destination", 7) == "must be text, not a number"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        *((n, n) for n in range(8)),
        ("3", 3),
        ("err", 3),
        ("Error", 3),
        ("warning", 4),
        ("WARN", 4),
        ("crit", 2),
        ("critical", 2),
        ("emerg", 0),
        ("panic", 0),
        ("emergency", 0),
        ("alert", 1),
        ("notice", 5),
        ("info", 6),
        ("informational", 6),
        (" debug ", 7),
    ],
)
def test_a_severity_is_a_number_or_a_name(written: object, number: int) -> None:
    assert severity_from(written) == number
    assert drafted(syslog_severity=written).syslog_severity == number


@pytest.mark.parametrize("written", [8, -1, "8", "", "bad", "33", "³", True, 3.0, [3]])
def test_what_is_no_severity_is_refused(written: object) -> None:
    complaint = problem("syslog_severity", written)
    assert complaint == (
        "must be 0 to 7 or one of emerg, alert, crit, err, warning, notice, info, debug"
    )


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("name", " ", "must not be empty"),
        ("name", "x" * 201, "has 201 characters, at most 200 are allowed"),
        ("name", "a\nb", "must be one line without control characters"),
        ("name", None, "must be text, not null"),
        ("name", 3, "must be text, not a number"),
        ("team_assignment", "x" * 101, "has 101 characters, at most 100 are allowed"),
        ("team_assignment", [], "must be text, not a list"),
        ("team_assignment", {}, "must be text, not an object"),
        ("reason", "x" * 1001, "has 1001 characters, at most 1000 are allowed"),
        ("reason", b"", "must be text, not bytes"),
        ("match_string", "", "must not be empty"),
        ("match_string", "  ", "must not be empty"),
        ("match_string", "a\x00b", "must not contain NUL or half a surrogate pair"),
        ("match_string", "a\ud800b", "must not contain NUL or half a surrogate pair"),
        ("match_string", "x" * 2001, "has 2001 characters, at most 2000 are allowed"),
        ("match_type", "glob", "must be one of contains, regex, oid_prefix"),
        ("severity_op", None, "must be one of eq, at_least"),
        ("priority", -1, "must be 0 to 1000000"),
        ("priority", 1_000_001, "must be 0 to 1000000"),
        ("priority", True, "must be a whole number, not a boolean"),
        ("priority", "1", "must be a whole number, not text"),
        ("priority", 1.5, "must be a whole number, not a number with a fraction"),
        ("priority", None, "must be a whole number, not null"),
        ("is_active", 1, "must be true or false, not a number"),
        ("is_active", "true", "must be true or false, not text"),
        ("trap_oid", 1.3, "must be text (in YAML: in quotes), not a number with a fraction"),
        (
            "trap_oid",
            "1.3.x",
            "'x' is not a number; an OID is numbers with dots, such as 1.3.6.1.4.1.9",
        ),
        ("host_pattern", 10, "must be text, not a number"),
        (
            "host_pattern",
            "10.0.0.1/8",
            "has bits set behind the prefix; 10.0.0.0/8 was probably meant",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(
    field: str, value: object, complaint: str
) -> None:
    assert problem(field, value) == complaint


def test_blanks_at_the_ends_of_a_text_pattern_are_kept_and_elsewhere_not() -> None:
    draft = drafted(match_string=" up ", name=" a ", reason=" b ")
    assert (draft.match_string, draft.name, draft.reason) == (" up ", "a", "b")


def test_a_host_pattern_is_brought_to_its_normal_form() -> None:
    assert drafted(host_pattern=" 2001:DB8::/32 ").host_pattern == "2001:db8::/32"


# --- patterns


def test_an_oid_alone_is_compared_as_a_prefix_and_normalised() -> None:
    values = MINIMAL | {"match_string": None, "trap_oid": ".1.3.6.1.4.1.9.*"}
    draft = draft_rule(values)
    assert (draft.match_type, draft.trap_oid) == (MatchType.OID_PREFIX, "1.3.6.1.4.1.9")
    assert draft_rule(values | {"match_type": "contains"}) == draft


def test_with_oid_prefix_the_match_string_is_an_oid() -> None:
    draft = drafted(match_type="OID_prefix", match_string=".1.3.6.")
    assert (draft.match_type, draft.match_string) == (MatchType.OID_PREFIX, "1.3.6")
    assert "not a number" in problem("match_string", "link", match_type="oid_prefix")


def test_text_and_oid_may_stand_side_by_side() -> None:
    draft = drafted(trap_oid="1.3.6")
    assert (draft.match_type, draft.match_string) == (MatchType.CONTAINS, "LINK-3-UPDOWN")


def test_a_bad_regex_is_refused_with_the_place() -> None:
    complaint = problem("match_string", "a(?=b)", match_type="regex")
    assert complaint.startswith("not a usable regex: at position 1: lookahead is not supported")
    complaint = problem("match_string", "a*", match_type="regex")
    assert complaint.startswith("not a usable regex: matches the empty text")


def test_a_rule_may_have_conditions_and_no_pattern() -> None:
    values = MINIMAL | {"match_string": None}
    assert draft_rule(values | {"syslog_severity": 0}).syslog_severity == 0
    assert draft_rule(values | {"host_pattern": "sw*"}).match_type is MatchType.CONTAINS


def test_a_rule_with_neither_pattern_nor_condition_is_refused() -> None:
    assert problem("match_string", None) == (
        "a rule needs a pattern (match_string or trap_oid) or a condition"
        " (syslog_severity or host_pattern)"
    )


def test_a_refused_condition_is_not_also_called_missing() -> None:
    found = problems_of(MINIMAL | {"match_string": None, "syslog_severity": 9})
    assert set(found) == {"syslog_severity"}


def test_oid_prefix_without_an_oid_is_refused() -> None:
    values = MINIMAL | {"match_string": None, "match_type": "oid_prefix", "host_pattern": "sw*"}
    assert problems_of(values) == {"trap_oid": "match_type oid_prefix needs an OID"}


def test_how_text_is_compared_is_chosen_anew_when_a_rule_gets_its_first_text() -> None:
    present = a_rule(1, match_type=MatchType.OID_PREFIX, trap_oid="1.3.6")
    draft = draft_rule({"match_string": "link"}, present=present)
    assert (draft.match_type, draft.match_string) == (MatchType.CONTAINS, "link")
    draft = draft_rule({"trap_oid": "1.3"}, present=present)
    assert (draft.match_type, draft.trap_oid) == (MatchType.OID_PREFIX, "1.3")


def test_a_regex_stays_a_regex_when_its_text_is_replaced() -> None:
    present = a_rule(1, match_type=MatchType.REGEX, match_string="a.c")
    assert draft_rule({"match_string": "d.f"}, present=present).match_type is MatchType.REGEX
    assert "match_string" in problems_of({"match_string": "("}, present=present)


# --- host entries


def test_a_host_entry_is_normalised_or_refused() -> None:
    assert validate_host_entry(" 10.1.0.0/255.255.0.0 ") == "10.1.0.0/16"
    with pytest.raises(InvalidInput) as refused:
        validate_host_entry("10.0.0/8")
    [(field, complaint)] = refused.value.problems
    assert field == "hostname"
    assert "not a network" in complaint
