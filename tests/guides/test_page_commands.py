"""The commands of the pages that a daemon answers, run as they stand, on the ports of the pages."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from guide_text import ROOT, GuideShell, blocks
from own_network import needs_own_network, own_network
from predecessor_tables import ROWS, SCHEMA
from running_daemon import RunningDaemon, a_rule, eventually
from servers.certificates import TlsParty
from servers.postgres_server import (
    SUPERUSER,
    database,
    find_postgres,
    needs_postgres,
    shared_postgres,
)
from servers.rsyslog_sender import needs_rsyslog

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of whoever reads: an answer of 400 or more is a failure to him, as to curl here."""
    home = tmp_path_factory.mktemp("home")
    (home / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
    return home


@pytest.fixture(scope="module")
def path_with_muttd(home: Path) -> str:
    """PATH as it is where muttd is installed."""
    bin_dir = home / "bin"
    bin_dir.mkdir()
    (bin_dir / "muttd").write_text(f'#!/bin/sh\nexec {sys.executable} -m muttd "$@"\n')
    (bin_dir / "muttd").chmod(0o755)
    return f"{bin_dir}:{os.environ['PATH']}"


@dataclass(frozen=True, slots=True)
class Site:
    """A daemon on its default ports, with what the pages take for granted."""

    shell: GuideShell
    state: Path

    def call(self, method: str, path: str, body: object) -> None:
        """One request with the admin key."""
        command = f"""curl -H "X-API-KEY: $KEY" -H 'Content-Type: application/json' -X {method}"""
        self.shell.run(f"{command} -d '{json.dumps(body)}' http://localhost:8080{path}")


@pytest.fixture(scope="module")
def site(home: Path, path_with_muttd: str) -> Iterator[Site]:
    state, desk = home / "state", home / "desk"
    desk.mkdir()
    (home / "backup").mkdir()
    with ExitStack() as stack:
        network = stack.enter_context(own_network())
        stack.enter_context(network.daemon(state, home / "log"))
        environ = {
            "PATH": path_with_muttd,
            "HOME": str(home),
            "KEY": (state / "admin.key").read_text().strip(),
            "MUTTD_STATE_DIR": str(state),
        }
        places = {"/var/lib/mutt": str(state), "/backup": str(home / "backup")}
        yield Site(
            GuideShell(places=places, prefix=network.prefix, environ=environ, cwd=desk), state
        )


@needs_own_network
def test_dynamic_configuration_is_shown_changed_and_taken_back(site: Site) -> None:
    api, terminal = blocks("dynamic.md", "")
    assert '"receiver is slow"' in site.shell.run(api)
    said = site.shell.run(terminal)
    assert "moog_rate_limit" in said


@needs_own_network
def test_rules_are_tried_exported_and_imported(site: Site) -> None:
    for number in range(7):
        site.call("POST", "/api/v2/rules", a_rule(name=f"rule {number}"))
    desk = site.shell.cwd
    assert desk is not None
    [draft] = blocks("rules.md", "A dry run", "json")
    (desk / "draft.json").write_text(draft)
    (desk / "rule.yaml").write_text(f"rules:\n- {json.dumps(a_rule(name='one'))}\n")
    by_api, by_hand = blocks("rules.md", "A dry run")
    # The day that the page names is long ago: what is asked has a first day all the same.
    assert json.loads(site.shell.run(by_api))["matched"] == 0
    assert "matched" in site.shell.run(by_hand)
    [exchange] = blocks("rules.md", "Files and revisions")
    (desk / "rules.yaml").write_text(f"rules:\n- {json.dumps(a_rule(name='new'))}\n")
    said = site.shell.run(exchange)
    assert "1 would be created" in said
    assert '"deleted":7' in said.replace(" ", "")


@needs_own_network
def test_mibs_are_uploaded_and_traps_get_severities(site: Site) -> None:
    desk = site.shell.cwd
    assert desk is not None
    for path in (ROOT / "tests" / "corpus" / "mibs").iterdir():
        shutil.copy(path, desk)
    upload, severity = blocks("snmp.md", "Names and severities")
    assert "ACME-ENV-MIB" in site.shell.run(upload)
    assert "1.3.6.1.4.1.9.9.13.3" in site.shell.run(severity)


@needs_own_network
def test_keys_are_made_listed_and_revoked(site: Site) -> None:
    for number in range(6):
        site.call("POST", "/api/v2/keys", {"name": f"key {number}", "role": "viewer"})
    said = site.shell.run(blocks("operations.md", "Keys and sessions")[0])
    assert "Ann B." in said


@needs_own_network
def test_what_is_looked_at_before_and_after_an_upgrade_is_there(site: Site) -> None:
    [look] = blocks("upgrade.md", "Before")
    said = site.shell.run(look)
    assert said.startswith("muttd ")
    assert '"ready"' in said
    [check] = blocks("upgrade.md", "One host")
    assert site.shell.run(check) == "The settings are right.\n"
    # Without PostgreSQL it says that there is nothing to do.
    [migrate] = blocks("upgrade.md", "Several hosts")
    assert "MUTTD_DATABASE_URL is not set" in site.shell.run(migrate)


def test_the_example_of_how_large_a_disk_has_to_be_gives_what_the_page_shows() -> None:
    [command] = blocks("capacity.md", "Disk")
    [shown] = blocks("capacity.md", "Disk", "text")
    assert GuideShell(places={}).run(command) == shown


@needs_own_network
def test_both_databases_are_copied_while_the_daemon_runs(site: Site, home: Path) -> None:
    [copy] = blocks("operations.md", "Backup and restore")
    site.shell.run(copy)
    assert {path.name for path in (home / "backup").iterdir()} == {"store.db", "queue.db"}


def test_a_message_over_tls_arrives_as_the_page_sends_it(
    start_daemon: Callable[..., RunningDaemon], tls_party: TlsParty, path_with_muttd: str
) -> None:
    daemon = start_daemon(
        MUTTD_SYSLOG_TLS="[::]:0",
        MUTTD_HTTP_TLS="off",
        MUTTD_TLS_CA=str(tls_party.ca.cert),
        MUTTD_TLS_CERT=str(tls_party.server.cert),
        MUTTD_TLS_KEY=str(tls_party.server.key),
        MUTTD_SYSLOG_TLS_CLIENT_CERT="required",
    )
    places = {
        "collector.net.example:6514": f"localhost:{daemon.ports['syslog_tls']}",
        "collector-ca.pem": str(tls_party.ca.cert),
        "sender.pem": str(tls_party.sender.cert),
        "sender.key": str(tls_party.sender.key),
    }
    [send] = blocks("operations.md", "TLS")
    GuideShell(places=places, environ={"PATH": path_with_muttd}).run(send)
    with httpx.Client(headers={"X-API-KEY": daemon.key()}, trust_env=False) as client:
        url = f"http://127.0.0.1:{daemon.ports['http']}/api/v2/events?q=over+TLS"
        eventually(lambda: client.get(url).json()["events"])


@needs_postgres
def test_an_archived_month_is_put_back(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    server = shared_postgres()
    bin_dir = find_postgres()
    assert bin_dir is not None
    with database(server) as url:
        name = url.rpartition("/")[2]
        daemon = start_daemon(MUTTD_DATABASE_URL=url)
        daemon.post("/api/v2/rules", a_rule())
        eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
        daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "h"})
        daemon.wait_idle()
        assert daemon.terminate() == 0
        admin = server.url(name, user=SUPERUSER)
        copied = subprocess.run(
            ["psql", admin, "-c", r"\copy (select * from event_audit_log) to pstdout csv header"],
            capture_output=True,
            check=True,
        ).stdout
        (tmp_path / "event_audit_log_2025_03.csv.gz").write_bytes(gzip.compress(copied))
        server.execute("DELETE FROM event_audit_log", database=name)
        [restore] = blocks("operations.md", "What is forgotten, and what is kept of it")
        shell = GuideShell(places={}, environ={"DATABASE_URL": admin}, cwd=tmp_path)
        assert "COPY 1" in shell.run(restore)
        assert server.execute("SELECT message FROM event_audit_log", database=name) == [
            ("LINK-3-UPDOWN",)
        ]


@needs_postgres
def test_the_migration_from_the_predecessor_goes_as_the_page_says(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path, path_with_muttd: str
) -> None:
    server, daemon = shared_postgres(), start_daemon()
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "mutt.env").write_text("REDIS_HOST=redis.example.net\nREDIS_PASS=hunter2\n")
    with database(server) as url:
        name = url.rpartition("/")[2]
        # The rows that have to be mended end a command with 65; here all is well.
        rows = [row for row in ROWS.split(";\n") if "development_hosts" in row]
        server.execute(*SCHEMA.split(";"), *rows, database=name)
        server.execute("DELETE FROM development_hosts WHERE hostname = 'lab two'", database=name)
        client = f"muttd import-legacy --url {daemon.url} --state-dir {daemon.state_dir}"
        places = {
            "muttd import-legacy": client,
            "postgresql://mutt_user@db.example.net/mutt": server.url(name),
            "-d mutt": f"-d {name}",
            "/etc/mutt": str(etc),
            "/opt/mutt": str(tmp_path / "mutt"),
            "DATABASE muttd OWNER mutt_user": f"DATABASE {name}_new OWNER {SUPERUSER}",
        }
        environ = {
            "PATH": f"{find_postgres()}:{path_with_muttd}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": SUPERUSER,
        }
        (tmp_path / "mutt").mkdir()
        units = "mutt-ingestor mutt-alerter mutt-moog-forwarder mutt-webui"
        stopped: list[str] = []
        shell = GuideShell(
            places=places,
            services={f"disable --now {units}": partial(stopped.append, units)},
            environ=environ,
            cwd=tmp_path,
        )
        try:
            walk_through_the_migration(shell)
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {name}_new")
    assert stopped
    hosts = daemon.get("/api/v2/dev-hosts")["hosts"]
    assert {each["hostname"] for each in hosts} == {"LAB-1", "10.9.0.1"}
    assert "MUTTD_REDIS_URL=rediss://redis.example.net:6379/0" in (etc / "mutt.env").read_text()


def walk_through_the_migration(shell: GuideShell) -> None:
    [move] = blocks("migration.md", "")
    shell.run(move)
    assert shell.run("ls -d /opt/mutt.legacy")
    dry, dump, files = blocks("migration.md", "Before: what would be taken over")
    away, settings, create = blocks("migration.md", "The settings")
    [tables] = blocks("migration.md", "Rules, hosts and teams")
    for block in (dry, dump, files):
        assert "2 would be added" in shell.run(block)
    shell.run(away)
    # As it is installed.
    shutil.copy(ROOT / "etc" / "mutt.env", shell.translated("/etc/mutt/mutt.env"))
    assert "mutt.env: written" in shell.run(settings)
    assert "mutt.env: unchanged" in shell.run(settings)
    shell.run(create)
    assert "2 added" in shell.run(tables)
    assert "2 unchanged" in shell.run(tables)


@needs_rsyslog
@pytest.mark.skipif(os.geteuid() != 0, reason="the page's commands give files to another user")
def test_the_relays_files_are_put_where_the_page_says(tmp_path: Path) -> None:
    restarted: list[str] = []
    (tmp_path / "etc").mkdir()
    (tmp_path / "ingest.key").write_text("k" * 20)
    owner = pwd.getpwuid(os.geteuid()).pw_name
    places = {
        "/etc/": f"{tmp_path}/etc/",
        "/usr/local/sbin": str(tmp_path),
        "rsyslogd -N1": f"rsyslogd -N1 -f {tmp_path}/etc/rsyslog.d/99-muttd.conf",
        "-o Debian-snmp ingest.key": f"-o {owner} {tmp_path}/ingest.key",
    }
    for place in ("rsyslog.d", "snmp"):
        (tmp_path / "etc" / place).mkdir()
    shell = GuideShell(
        places=places,
        services={
            "restart rsyslog": partial(restarted.append, "rsyslog"),
            "restart snmptrapd": partial(restarted.append, "snmptrapd"),
        },
        cwd=ROOT,
    )
    [rsyslog] = blocks("relays.md", "rsyslog")
    [snmptrapd] = blocks("relays.md", "snmptrapd")
    shell.run(rsyslog)
    shell.run(snmptrapd)
    assert restarted == ["rsyslog", "snmptrapd"]
    assert "muttd.example.com" in (tmp_path / "etc" / "snmp" / "snmptrapd.conf").read_text()
