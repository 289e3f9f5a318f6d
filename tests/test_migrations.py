"""Numbered migrations: where they lie, what their names must be, which are still to be applied."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from muttd import migrations
from muttd.errors import StoreRefused
from muttd.migrations import Migration, find_sql_dir, pending_migrations, read_migrations

KNOWN = [Migration(1, "first", ""), Migration(2, "second", "")]


def test_migrations_are_found_beside_the_package_or_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (find_sql_dir() / "sqlite" / "queue" / "0001_entries.sql").is_file()
    monkeypatch.setattr(migrations, "__file__", str(tmp_path / "muttd" / "migrations.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    with pytest.raises(StoreRefused, match="install muttd again"):
        find_sql_dir()
    installed = tmp_path / "venv" / "share" / "muttd" / "sql"
    installed.mkdir(parents=True)
    assert find_sql_dir() == installed


def test_what_is_pending_follows_what_was_applied() -> None:
    assert [str(each) for each in pending_migrations("db", {}, KNOWN)] == [
        "0001_first",
        "0002_second",
    ]
    assert list(pending_migrations("db", {1: "first"}, KNOWN)) == KNOWN[1:]
    assert list(pending_migrations("db", {1: "first", 2: "second"}, KNOWN)) == []


@pytest.mark.parametrize(
    ("applied", "why"),
    [
        ({1: "first", 2: "second", 3: "third"}, "a newer muttd"),
        ({1: "other"}, "another kind of database"),
        ({2: "second"}, "another kind of database"),
    ],
)
def test_a_database_of_another_kind_or_time_is_refused(applied: dict[int, str], why: str) -> None:
    with pytest.raises(StoreRefused, match=why):
        pending_migrations("db", applied, KNOWN)


def test_the_migrations_of_every_backend_are_numbered_without_a_gap() -> None:
    directories = {path.parent for path in find_sql_dir().rglob("*.sql")}
    assert len(directories) == 3
    assert all(read_migrations(directory) for directory in directories)
