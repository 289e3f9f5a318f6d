"""muttd rules: what is listed, and that a file goes in as it came out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from fake_api import FakeApi, a_rule

from muttd.cli import main


def run(action: str, *arguments: str, api: FakeApi, key_file: str) -> int:
    return main(["rules", action, "--url", api.url, "--key-file", key_file, *arguments], {})


def test_the_list_shows_patterns_conditions_and_handling(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rules = [
        a_rule(id=1, name="link down"),
        a_rule(
            id=2,
            name="trap",
            match_string=None,
            trap_oid="1.3.6.1.6.3.1.1.5.3",
            syslog_severity=3,
            severity_op="at_least",
            host_pattern="core-*",
            is_active=False,
        ),
        a_rule(id=3, name="three\x1b[2J", syslog_severity=0, match_string=None),
    ]
    assert run("list", api=api, key_file=key_file) == 0
    head, first, second, third = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["ID", "PRIO", "ACTIVE", "NAME"]
    assert "contains 'LINK-3-UPDOWN'" in first
    assert "Page_and_ticket" in first
    assert "oid 1.3.6.1.6.3.1.1.5.3" in second
    assert "severity <= 3 and host core-*" in second
    assert " no " in second
    assert "severity = 0" in third
    assert r"three\x1b[2J" in third


def test_the_list_can_be_filtered_and_read_by_a_machine(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rules = [
        a_rule(id=1, team_assignment="NETO"),
        a_rule(id=2, team_assignment="SRE"),
        a_rule(id=3, team_assignment="SRE", is_active=False),
    ]
    assert run("list", "--json", "--team", "SRE", "--active", api=api, key_file=key_file) == 0
    assert [rule["id"] for rule in json.loads(capsys.readouterr().out)] == [2]


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_importing_what_was_exported_changes_nothing(
    api: FakeApi,
    key_file: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    form: str,
) -> None:
    api.rules = [
        a_rule(id=n, name=f"rule {n}", match_string="Störung: 'a' \"b\"") for n in range(5)
    ]
    assert run("export", "--format", form, api=api, key_file=key_file) == 0
    exported = capsys.readouterr().out
    assert {"id", "revision", "created_at"}.isdisjoint(yaml.safe_load(exported)["rules"][0])
    path = tmp_path / "rules"
    path.write_text(exported)
    assert run("import", str(path), api=api, key_file=key_file) == 0
    assert capsys.readouterr().out == "0 created, 0 updated, 5 unchanged, 0 refused\n"
    assert api.reasons == []


def test_what_was_exported_goes_into_an_empty_daemon(
    api: FakeApi,
    key_file: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api.rules = [a_rule(id=n, name=f"rule {n}") for n in range(1, 4)]
    assert run("export", api=api, key_file=key_file) == 0
    before, api.rules = api.rules, []
    monkeypatch.setattr("sys.stdin", io.StringIO(capsys.readouterr().out))
    assert run("import", "-", "--reason", "moved", api=api, key_file=key_file) == 0
    assert capsys.readouterr().out == "3 created, 0 updated, 0 unchanged, 0 refused\n"
    assert api.rules == before
    assert api.reasons == ["moved"] * 3


A_SHORT_RULE = {
    "name": "link down",
    "match_string": "LINK-3-UPDOWN",
    "prod_handling": "page_and_ticket",
    "dev_handling": "Log_only",
    "team_assignment": "NETO",
}


def a_rules_file(directory: Path, rules: object) -> str:
    path = directory / "rules.json"
    path.write_text(json.dumps(rules))
    return str(path)


def test_a_rule_that_differs_is_updated_by_its_name(
    api: FakeApi, key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rules = [a_rule(id=7)]
    path = a_rules_file(tmp_path, [a_rule(priority=5, id=99, revision=8)])
    assert run("import", "--dry-run", path, api=api, key_file=key_file) == 0
    assert api.rules == [a_rule(id=7)]
    assert run("import", path, api=api, key_file=key_file) == 0
    assert api.rules == [a_rule(id=7, priority=5, revision=2)]
    assert capsys.readouterr().out.splitlines() == [
        "0 would be created, 1 would be updated, 0 would be unchanged, 0 would be refused",
        "0 created, 1 updated, 0 unchanged, 0 refused",
    ]


def test_what_the_file_leaves_out_goes_back_to_its_default(
    api: FakeApi, key_file: str, tmp_path: Path
) -> None:
    api.rules = [a_rule(id=7, priority=5, host_pattern="core-*")]
    assert run("import", a_rules_file(tmp_path, [A_SHORT_RULE]), api=api, key_file=key_file) == 0
    assert api.rules == [a_rule(id=7, revision=2)]


def test_a_file_with_a_mistake_changes_nothing_and_names_every_one(
    api: FakeApi, key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = a_rule(name="bad", prod_handling="Pag_and_ticket", match_type="regex", match_string="(")
    path = a_rules_file(tmp_path, {"rules": [a_rule(name="good"), bad]})
    assert run("import", path, api=api, key_file=key_file) == 65
    out, err = capsys.readouterr()
    assert (out, api.rules) == ("", [])
    fields = {line.split(": ")[1] for line in err.splitlines()}
    assert fields == {"rules[1].prod_handling", "rules[1].match_string"}


def test_a_rule_that_the_daemon_refuses_is_named_and_keeps_no_other_out(
    api: FakeApi, key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.refused_name = "bad"
    path = a_rules_file(tmp_path, [a_rule(name="bad"), a_rule(name="good")])
    assert run("import", path, api=api, key_file=key_file) == 65
    out, err = capsys.readouterr()
    assert err == "muttd: rule 'bad': prod_handling: no such handling\n"
    assert out == "1 created, 0 updated, 0 unchanged, 1 refused\n"


def test_a_rule_of_a_newer_daemon_that_cannot_be_read_is_named(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rules = [a_rule(id=4, match_type="by_planets")]
    assert run("export", api=api, key_file=key_file) == 65
    assert capsys.readouterr().err.startswith("muttd: cannot read rule 4: match_type: ")


def test_a_name_that_several_rules_have_decides_nothing(
    api: FakeApi, key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rules = [a_rule(id=1), a_rule(id=2)]
    path = a_rules_file(tmp_path, [a_rule(priority=1)])
    assert run("import", path, api=api, key_file=key_file) == 65
    assert "several rules have this name: 1, 2" in capsys.readouterr().err
    assert api.rules == [a_rule(id=1), a_rule(id=2)]


def test_a_daemon_that_goes_away_stops_the_import(
    api: FakeApi, key_file: str, tmp_path: Path
) -> None:
    api.answers["POST", "/api/v2/rules"] = (503, {"error": "x", "message": "draining"})
    path = a_rules_file(tmp_path, [a_rule(name="a"), a_rule(name="b")])
    assert run("import", path, api=api, key_file=key_file) == 69


@pytest.mark.parametrize("text", ["{", "rules: 3", "[1]", "just text", "rules: [a: b", ""])
def test_a_file_without_rules_exits_65(
    api: FakeApi, key_file: str, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "rules"
    path.write_text(text)
    assert run("import", str(path), api=api, key_file=key_file) == 65


def test_a_file_that_is_no_text_exits_65(api: FakeApi, key_file: str, tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_bytes(b"\xff\xfe")
    assert run("import", str(path), api=api, key_file=key_file) == 65


def test_a_file_that_is_not_there_exits_66(api: FakeApi, key_file: str, tmp_path: Path) -> None:
    assert run("import", str(tmp_path / "none"), api=api, key_file=key_file) == 66


def test_rules_and_key_cannot_both_come_from_stdin(api: FakeApi) -> None:
    assert main(["rules", "import", "-", "--key-file", "-", "--url", api.url], {}) == 64
