"""The predecessor's tables as CSV, JSON and plain dumps."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from predecessor_tables import ROWS, SCHEMA
from servers.postgres_server import (
    SUPERUSER,
    database,
    find_postgres,
    needs_postgres,
    shared_postgres,
)

from muttd.errors import InvalidInput, StoreUnavailable
from muttd.legacy.database import read_tables
from muttd.legacy.rows_map import map_tables
from muttd.legacy.tables import Tables, rows_from_text, tables_from_dump


def test_csv_and_json_give_the_same_rows() -> None:
    rows = [{"hostname": "a,b", "team_assignment": None}, {"hostname": "c", "team_assignment": "X"}]
    assert rows_from_text('\ufeffhostname,team_assignment\n"a,b",\nc,X\n') == rows
    json_rows = (
        '[{"hostname": "a,b", "team_assignment": null}, {"hostname": "c", "team_assignment": "X"}]'
    )
    assert rows_from_text(json_rows) == rows
    assert rows_from_text('{"teams": ' + json_rows + "}") == rows


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[{"a": 1}', "JSON"),
        ("[1]", "list of objects"),
        ('{"a": 1, "b": 2}', "list of objects"),
        ("a,b\n1\n", "row 1"),
        ("a,b\n1,2,3\n", "row 1"),
        ('a\n"b', "end of data"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_what_is_neither_is_refused(text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        rows_from_text(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("PGDMP\x01\x0e", "pg_restore"),
        ("INSERT INTO public.alert_rules VALUES (1);", "without --inserts"),
        ("SELECT 1;", "none of"),
        ("COPY public.device_teams (hostname) FROM stdin;\na\n", "in the middle"),
        ("COPY public.device_teams (hostname) FROM stdin;\na\tb\n\\.\n", "2 values"),
    ],
)
def test_what_is_no_plain_dump_is_refused(text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        tables_from_dump(text)


@needs_postgres
def test_a_real_dump_and_the_database_itself_give_the_same_plan() -> None:
    server = shared_postgres()
    bin_dir = find_postgres()
    assert bin_dir is not None
    with database(server) as url:
        name = url.rpartition("/")[2]
        server.execute(*SCHEMA.split(";"), *ROWS.split(";\n"), database=name)
        dumped = subprocess.run(
            [bin_dir / "pg_dump", "--no-owner", server.url(name, user=SUPERUSER)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        live = read_tables(server.url(name, user=SUPERUSER))
        inserts = subprocess.run(
            [bin_dir / "pg_dump", "--inserts", server.url(name, user=SUPERUSER)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    plan = map_tables(live)
    assert plan == map_tables(tables_from_dump(dumped))
    assert [rule.name for rule in plan.rules] == ["legacy 1", "legacy 2", "legacy 3", "legacy 4"]
    assert plan.rules[1].match_string == "tab\tback\\slash"
    with pytest.raises(InvalidInput, match="without --inserts"):
        tables_from_dump(inserts)


@needs_postgres
def test_a_database_that_is_not_the_predecessors_is_refused() -> None:
    server = shared_postgres()
    with database(server) as url:
        name = url.rpartition("/")[2]
        with pytest.raises(InvalidInput, match="is not the predecessor's"):
            read_tables(server.url(name))
        server.execute("CREATE TABLE alert_rules (id int, rule json)", database=name)
        with pytest.raises(InvalidInput, match="muttd's own"):
            read_tables(server.url(name))


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h/d", "host=h password=hunter2"])
def test_a_password_in_the_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(InvalidInput, match="PGPASSFILE") as caught:
        read_tables(url)
    assert "hunter2" not in str(caught.value)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no connection string"):
        read_tables("nonsense")


def test_a_database_that_is_away_is_unavailable() -> None:
    # Port 1 (tcpmux) is nobody's.
    with pytest.raises(StoreUnavailable):
        read_tables("postgresql://mutt@127.0.0.1:1/mutt")


def test_an_export_of_one_table_leaves_the_others_unlooked_at(tmp_path: Path) -> None:
    tables = tables_from_dump("COPY public.development_hosts (hostname) FROM stdin;\nlab\n\\.\n")
    assert tables == Tables(hosts=[{"hostname": "lab"}])
