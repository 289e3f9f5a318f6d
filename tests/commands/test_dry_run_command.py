"""muttd rules test: what it asks, what it shows, and what it refuses to ask."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi

from muttd.cli import main

RESULT = {
    "matched": 7,
    "newly": 1,
    "kept": 0,
    "taken_over": [{"rule_id": 3, "rule_name": "link\ndown", "count": 4}],
    "taken_first": [{"rule_id": 2, "rule_name": "fan", "count": 2}],
    "hosts": [{"hostname": f"sw{n}", "count": 9 - n} for n in range(12)],
    "host_count": 12,
    "hours": [{"hour": "2025-03-01T12:00:00.000000Z", "count": 7}],
    "samples": [
        {
            "event_id": "e1",
            "received_at": "2025-03-01T12:30:00.000000Z",
            "hostname": "sw1",
            "severity": 3,
            "line": "kernel: I/O error\x1b[2J",
            "winner_id": None,
        }
    ],
    "range_start": "2025-03-01T00:00:00.000000Z",
    "range_end": "2025-03-02T00:00:00.000000Z",
    "scanned": 1000,
    "is_complete": True,
    "scanned_back_to": "2025-03-01T00:00:00.000000Z",
    "rules_revision": 9,
}
RULE = {
    "name": "disk",
    "match_string": "I/O error",
    "prod_handling": "Page_only",
    "dev_handling": "Log_only",
    "team_assignment": "Unix",
}


@pytest.fixture
def asked(api: FakeApi) -> FakeApi:
    api.answers["POST", "/api/v2/rules/test"] = (200, RESULT)
    return api


def run(*arguments: str, api: FakeApi, key_file: str) -> int:
    return main(["rules", "test", "--url", api.url, "--key-file", key_file, *arguments], {})


def body_of(api: FakeApi) -> dict[str, Any]:
    [(method, path, _, body)] = api.calls
    assert (method, path) == ("POST", "/api/v2/rules/test")
    return body


def test_a_pattern_is_enough_of_a_rule(
    asked: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--severity", "err", "--host", "sw*", "--from", "2025-03-01", "--priority", "7")
    assert run("--regex", "I/O error", *options, api=asked, key_file=key_file) == 0
    body = body_of(asked)
    assert (body["from"], body["to"], body["samples"]) == ("2025-03-01", None, 10)
    expected = {
        "match_type": "regex",
        "match_string": "I/O error",
        "syslog_severity": "err",
        "severity_op": "at_least",
        "host_pattern": "sw*",
        "priority": 7,
    }
    assert expected.items() <= body["rule"].items()
    said = capsys.readouterr().out
    assert "7 of 1000 events match" in said
    assert "1 that no rule decides now" in said
    assert "4 taken over from rule 3 (link down)" in said
    assert "2 decided before by rule 2 (fan)" in said
    assert "and 2 more hosts" in said
    assert "2025-03-01T12h" in said
    assert r"kernel: I/O error\x1b[2J" in said


def test_a_file_has_one_rule(
    asked: FakeApi, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text(json.dumps([RULE]))
    assert run(str(path), "--rule-id", "7", api=asked, key_file=key_file) == 0
    body = body_of(asked)
    assert RULE.items() <= body["rule"].items()
    assert body["rule_id"] == 7
    asked.calls.clear()
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"rules": [RULE]})))
    assert run("-", api=asked, key_file=key_file) == 0
    assert body_of(asked)["rule"]["name"] == "disk"


def test_a_machine_gets_the_answer_as_it_is(
    asked: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--oid", "1.3.6", "--json", api=asked, key_file=key_file) == 0
    assert json.loads(capsys.readouterr().out) == RESULT


def test_a_run_out_of_time_says_so(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = RESULT | {"hosts": [], "hours": [], "samples": [], "is_complete": False}
    api.answers["POST", "/api/v2/rules/test"] = (200, nothing)
    assert run("--contains", "x", api=api, key_file=key_file) == 0
    said = capsys.readouterr().out
    assert "out of time: only those were looked at since 2025-03-01" in said
    assert "HOST" not in said


@pytest.mark.parametrize(
    ("arguments", "exit_code", "complaint"),
    [
        ((), 64, "one of the two"),
        (("--contains", "a", "--regex", "b"), 64, "two rules"),
        (("rule.yaml", "--contains", "a"), 64, "one of the two"),
        (("missing.yaml",), 66, "cannot read missing.yaml"),
    ],
)
def test_what_cannot_be_asked_is_not(
    asked: FakeApi,
    key_file: str,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    exit_code: int,
    complaint: str,
) -> None:
    assert run(*arguments, api=asked, key_file=key_file) == exit_code
    assert complaint in capsys.readouterr().err
    assert asked.calls == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[]", "the file has 0 rules"),
        (b"rules: [", "not YAML"),
        (b"\xff", "is not UTF-8 text"),
        (b"[{name: x}]", "rules[0].prod_handling"),
    ],
)
def test_a_file_without_a_rule_is_refused(
    asked: FakeApi,
    key_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    complaint: str,
) -> None:
    path = tmp_path / "rule.yaml"
    path.write_bytes(content)
    assert run(str(path), api=asked, key_file=key_file) == 65
    assert complaint in capsys.readouterr().err


def test_the_rule_and_the_key_cannot_both_be_on_stdin(asked: FakeApi) -> None:
    assert main(["rules", "test", "-", "--url", asked.url, "--key-file", "-"], {}) == 64
