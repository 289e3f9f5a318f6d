"""Rules as text: what goes out comes back, and what is wrong is named."""

from __future__ import annotations

import json

import pytest
import yaml
from rule_samples import MINIMAL, a_rule

from muttd.decision import Handling
from muttd.errors import InvalidInput
from muttd.rules.exchange import Form, drafts_from_text, rules_to_json, rules_to_yaml
from muttd.rules.model import MatchType, Rule, RuleDraft, SeverityOp

RULES = [
    a_rule(1, match_string="LINK-3-UPDOWN"),
    a_rule(2, match_type=MatchType.REGEX, match_string='a "b" \\d: #é$', name="on: yes"),
    a_rule(
        3,
        match_type=MatchType.OID_PREFIX,
        trap_oid="1.3",
        syslog_severity=3,
        severity_op=SeverityOp.AT_LEAST,
        host_pattern="10.0.0.0/8",
        priority=0,
        prod_handling=Handling.SUPPRESS,
        is_active=False,
        repeat_interval_s=300.0,
        clear_match="1.3.6.1.6.3.1.1.5.4",
        destination="moog-emea",
        reason="two\nlines",
    ),
    a_rule(4, syslog_severity=0),
]


def draft_of(rule: Rule) -> RuleDraft:
    return RuleDraft(**{name: getattr(rule, name) for name in RuleDraft.__struct_fields__})


def problems_of(text: str, form: Form = "yaml") -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        drafts_from_text(text, form=form)
    return dict(refused.value.problems)


def test_rules_written_and_read_again_are_the_same() -> None:
    drafts = [draft_of(rule) for rule in RULES]
    assert drafts_from_text(rules_to_yaml(RULES), form="yaml") == drafts
    assert drafts_from_text(rules_to_json(RULES), form="json") == drafts


def test_only_what_a_person_would_write_is_written() -> None:
    [written] = yaml.safe_load(rules_to_yaml(RULES[:1]))["rules"]
    assert written == {
        "name": "rule 1",
        "match_string": "LINK-3-UPDOWN",
        "match_type": "contains",
        "prod_handling": "Page_only",
        "dev_handling": "Log_only",
        "team_assignment": "NETO",
    }
    assert json.loads(rules_to_json(RULES[:1])) == {"rules": [written]}


def test_a_list_without_a_heading_is_read_too() -> None:
    assert len(drafts_from_text(json.dumps([MINIMAL]), form="json")) == 1
    assert drafts_from_text("[]", form="yaml") == []


def test_every_wrong_field_of_every_rule_is_named() -> None:
    bad = MINIMAL | {"priority": "high", "prod_handling": "Page"}
    text = json.dumps({"rules": [MINIMAL, bad, "link down", MINIMAL | {"nme": "x"}]})
    forms: tuple[Form, ...] = ("yaml", "json")
    for form in forms:
        assert set(problems_of(text, form)) == {
            "rules[1].priority",
            "rules[1].prod_handling",
            "rules[2]",
            "rules[3].nme",
        }


def test_an_oid_that_yaml_reads_as_a_number_is_refused_with_the_cure() -> None:
    text = rules_to_yaml(RULES[2:3]).replace("'1.3'", "1.3")
    assert "in YAML: in quotes" in problems_of(text)["rules[0].trap_oid"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rules: [", "not YAML"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("[" * 5000, "nested too deeply"),
        ("just text", "must be a list of rules"),
        ("", "must be a list of rules"),
        ("rules: 3", "must be a list of rules"),
        ("{}", "is missing"),
        ("rule: []", "only rules is known, not rule"),
        ("rules: []\nx: 1\n2: 3", "only rules is known, not x, 2"),
    ],
)
def test_what_holds_no_rules_is_refused(text: str, complaint: str) -> None:
    assert complaint in problems_of(text)["rules"]


@pytest.mark.parametrize(("text", "complaint"), [("{", "not JSON"), ("[" * 90000, "too deeply")])
def test_what_is_no_json_is_refused(text: str, complaint: str) -> None:
    assert complaint in problems_of(text, "json")["rules"]
