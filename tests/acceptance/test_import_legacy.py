"""muttd import-legacy, whole: a real database of the predecessor, a real daemon, real files."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from predecessor_tables import ROWS, SCHEMA
from running_daemon import RunningDaemon
from servers.postgres_server import database, needs_postgres, shared_postgres

from muttd.cli import main
from muttd.settings import load

pytestmark = pytest.mark.acceptance

ENV = """\
# of the alerter
REDIS_HOST=redis.example.net
REDIS_PASS="r-hunter2#$x"
INGEST_API_KEY=i-hunter2-i-hunter2
UNHANDLED_THRESHOLD=50
POD_NAME=alerter-1
OUR_OWN_TOKEN=t-hunter2
"""


@pytest.fixture
def legacy_url() -> Iterator[str]:
    server = shared_postgres()
    with database(server) as url:
        name = url.rpartition("/")[2]
        server.execute(*SCHEMA.split(";"), *ROWS.split(";\n"), database=name)
        yield server.url(name)


class Site:
    """The command on a daemon, and what it printed."""

    def __init__(self, daemon: RunningDaemon, capsys: pytest.CaptureFixture[str]) -> None:
        self._client = ["--url", daemon.url, "--state-dir", str(daemon.state_dir)]
        self._capsys = capsys

    def run(self, *arguments: str, exit_code: int) -> dict[str, Any]:
        """Run it; the report."""
        assert main(["import-legacy", "--json", *arguments, *self._client], {}) == exit_code
        out, err = self._capsys.readouterr()
        assert "hunter2" not in out + err
        document: dict[str, Any] = json.loads(out)
        return document


@pytest.fixture
def site(start_daemon: Callable[..., RunningDaemon], capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(start_daemon(), capsys)


@needs_postgres
def test_the_tables_are_taken_over_once(
    legacy_url: str, start_daemon: Callable[..., RunningDaemon], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = start_daemon()
    site = Site(daemon, capsys)
    live = ("--from-database", legacy_url)
    would = site.run(*live, "--dry-run", exit_code=65)["outcome"]
    assert would == {
        "rules": "4 would be created, 0 would be updated, 0 would be unchanged",
        "development hosts": "2 would be added, 0 would be unchanged",
        "teams": "2 would be added, 0 would be updated, 0 would be unchanged",
    }
    assert daemon.get("/api/v2/rules")["rules"] == []

    report = site.run(*live, exit_code=65)
    mend = {each["what"] for each in report["findings"] if each["verdict"] == "mend"}
    assert mend == {
        *("alert_rules 5", "alert_rules 6", "development_hosts lab two", "device_teams core-1")
    }
    rules = {rule["name"]: rule for rule in daemon.get("/api/v2/rules")["rules"]}
    assert set(rules) == {f"legacy {number}" for number in (1, 2, 3, 4)}
    assert rules["legacy 3"]["trap_oid"] == "1.3.6.1.4.1.9.9.41"
    assert not rules["legacy 4"]["is_active"]
    hosts = daemon.get("/api/v2/dev-hosts")["hosts"]
    assert {entry["hostname"] for entry in hosts} == {"LAB-1", "10.9.0.1"}
    teams = daemon.get("/api/v2/teams")["teams"]
    assert {entry["hostname"]: entry["team_assignment"] for entry in teams} == {
        "CORE-1": "SRE",
        "db-1": "DBA",
    }
    changes = daemon.get("/api/v2/config-audit")["changes"]
    assert {change["reason"] for change in changes} == {"imported from the predecessor"}

    shared_postgres().execute(
        "UPDATE device_teams SET team_assignment = 'SRE' WHERE hostname = 'db-1'",
        "UPDATE alert_rules SET prod_handling = 'Page_only' WHERE id = 6",
        database=legacy_url.rpartition("/")[2],
    )
    assert site.run(*live, exit_code=65)["outcome"] == {
        "rules": "1 created, 0 updated, 4 unchanged",
        "development hosts": "0 added, 2 unchanged",
        "teams": "0 added, 1 updated, 1 unchanged",
    }
    assert site.run(*live, exit_code=65)["outcome"]["teams"] == "0 added, 0 updated, 2 unchanged"


def test_a_rule_that_was_renamed_here_is_not_made_again(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = start_daemon()
    row = ",LINK-3,,,contains,10,Page_and_ticket,Ignore,NETO,t\n"
    header = (
        "id,match_string,trap_oid,syslog_severity,match_type,priority,prod_handling,dev_handling,"
        "team_assignment,is_active\n"
    )
    # Two rows that say the same are two rules, and each has a name of its own.
    (tmp_path / "rules.csv").write_text(f"{header}12{row}13{row}")
    site = Site(daemon, capsys)
    files = ("--rules", str(tmp_path / "rules.csv"))
    made = "2 created, 0 updated, 0 unchanged"
    assert site.run(*files, exit_code=0)["outcome"]["rules"] == made

    def change(named: str, **changes: object) -> None:
        rule = next(rule for rule in daemon.get("/api/v2/rules")["rules"] if rule["name"] == named)
        with daemon.client() as client:
            answer = client.put(f"/api/v2/rules/{rule['id']}", json=changes)
            assert answer.status_code == 200, answer.text

    change("legacy 12", name="link down")
    same = "0 created, 0 updated, 2 unchanged"
    assert site.run(*files, exit_code=0)["outcome"]["rules"] == same
    change("legacy 13", name="link down again")
    assert site.run(*files, exit_code=0)["outcome"]["rules"] == same
    assert {rule["name"] for rule in daemon.get("/api/v2/rules")["rules"]} == {
        "link down",
        "link down again",
    }
    # What was changed as well is no longer the row's.
    change("link down", priority=11)
    said = "1 created, 0 updated, 1 unchanged"
    assert site.run(*files, exit_code=0)["outcome"]["rules"] == said


def test_an_imported_rule_decides_as_it_did(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = start_daemon()
    (tmp_path / "rules.csv").write_text(
        "id,match_string,trap_oid,syslog_severity,match_type,priority,prod_handling,dev_handling,"
        "team_assignment,is_active\n12,LINK-3,,,contains,10,Page_and_ticket,Ignore,NETO,t\n"
    )
    (tmp_path / "hosts.json").write_text('[{"hostname": "lab-1"}]')
    files = ("--rules", str(tmp_path / "rules.csv"), "--hosts", str(tmp_path / "hosts.json"))
    Site(daemon, capsys).run(*files, exit_code=0)
    for host in ("core-1", "lab-1"):
        daemon.post("/ingest", {"message": "link-3 down", "hostname": host})
    daemon.wait_idle()
    decided = {
        event["hostname"]: (event["rule_name"], event["handling"]) for event in daemon.events()
    }
    assert decided == {
        "core-1": ("legacy 12", "Page_and_ticket"),
        "lab-1": ("legacy 12", "Ignore"),
    }


def test_the_environment_becomes_files_that_only_their_owner_reads(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "old.env").write_text(ENV)
    ours, secrets = tmp_path / "new.env", tmp_path / "secrets"
    options = ["--env", str(tmp_path / "old.env"), "--write-env", str(ours)]
    options += ["--secrets-dir", str(secrets)]
    assert set(site.run(*options, "--dry-run", exit_code=65)["outcome"].values()) == {
        "would be written"
    }
    assert not ours.exists()
    report = site.run(*options, exit_code=65)
    assert set(report["outcome"].values()) == {"written"}
    mend = [each["what"] for each in report["findings"] if each["verdict"] == "mend"]
    assert mend == ["OUR_OWN_TOKEN"]
    for path in (ours, *secrets.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = ours.read_text()
    assert "hunter2" not in text
    values = dict(line.split("=", 1) for line in text.splitlines() if line[0] != "#")
    settings = load(values)
    assert settings.redis.passwords[0].reveal() == "r-hunter2#$x"
    assert settings.keys.ingest[0].reveal() == "i-hunter2-i-hunter2"
    assert set(site.run(*options, exit_code=65)["outcome"].values()) == {"unchanged"}


def test_a_file_that_says_otherwise_is_not_written_over(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.env").write_text(ENV)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "muttd_redis_password").write_text("another\n")
    command = ["import-legacy", "--env", str(tmp_path / "old.env"), "--secrets-dir", str(secrets)]
    ours = tmp_path / "new.env"
    assert main([*command, "--write-env", str(ours)], {}) == 65
    assert "muttd_redis_password" in capsys.readouterr().err
    assert not ours.exists()
    (secrets / "muttd_redis_password").write_text("r-hunter2#$x\n")
    for text in ("MUTTD_HTTP=[::]:80\n", "no assignment\n"):
        ours.write_text(text)
        assert main([*command, "--write-env", str(ours)], {}) == 65
        assert str(ours) in capsys.readouterr().err
        assert ours.read_text() == text
    assert [path.name for path in secrets.iterdir()] == ["muttd_redis_password"]


def test_a_dry_run_needs_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "teams.csv").write_text("hostname,team_assignment\ncore-1,NETO\n")
    command = ["import-legacy", "--teams", str(tmp_path / "teams.csv")]
    nobody = ["--state-dir", str(tmp_path), "--url", "http://127.0.0.1:1"]
    assert main([*command, *nobody, "--dry-run"], {}) == 0
    out = capsys.readouterr().out
    assert "mapped    device_teams core-1: team NETO\n" in out
    assert "not compared with what it has" in out
    assert out.endswith("1 mapped, 0 left out, 0 mend\n")
    assert main([*command, *nobody], {}) == 77


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ([], 64),
        (["--write-env", "x"], 64),
        (["--from-dump", "x", "--rules", "y"], 64),
        (["--env", "does-not-exist"], 66),
        (["--from-dump", __file__], 65),
        (["--from-database", "postgresql://u:hunter2@h/d"], 65),
        (["--from-database", "postgresql://u@127.0.0.1:1/d"], 69),
    ],
)
def test_a_wrong_command_line_says_so_and_changes_nothing(
    arguments: list[str], exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-legacy", *arguments], {}) == exit_code
    err = capsys.readouterr().err
    assert err.startswith("muttd: ")
    assert "hunter2" not in err
