"""muttd keys --store: in the embedded store and in PostgreSQL, with no daemon and no key."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from fake_api import FakeApi
from servers.postgres_server import database, needs_postgres, shared_postgres

from muttd.api_keys import digest_of
from muttd.cli import main
from muttd.settings import load
from muttd.store.contract import ChangeQuery, ConfigChange, Store, Window
from muttd.store.sqlite import open_store
from muttd.wiring_backends import open_store_alone

Environ = dict[str, str]


@pytest.fixture(params=["embedded", pytest.param("postgres", marks=needs_postgres)])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Environ]:
    """The settings of a daemon that has run, and runs no more."""
    if request.param == "embedded":
        trio.run(make_store, tmp_path)
        yield {"MUTTD_STATE_DIR": str(tmp_path)}
        return
    with database(shared_postgres()) as url:
        environ = {"MUTTD_DATABASE_URL": url, "MUTTD_STATE_DIR": str(tmp_path)}
        assert main(["migrate"], environ) == 0
        yield environ


async def make_store(directory: Path) -> None:
    async with open_store(directory / "store.db"):
        pass


@asynccontextmanager
async def opened(environ: Environ) -> AsyncIterator[Store]:
    async with open_store_alone(load(environ)) as store:
        yield store


def changes(environ: Environ) -> list[ConfigChange]:
    """What the audit has of keys, oldest first."""

    async def ask() -> list[ConfigChange]:
        async with opened(environ) as store:
            page = await store.config_changes(ChangeQuery(table_name="api_keys"), Window())
            return list(page.items)[::-1]

    return trio.run(ask)


Keys = Callable[..., str]


@pytest.fixture
def keys(environ: Environ, capsys: pytest.CaptureFixture[str]) -> Keys:
    """Run muttd keys ... --store, and give what it printed on stdout."""

    def keys(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["keys", *arguments, "--store"], environ) == code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out if code == 0 else said.err

    return keys


def test_a_key_is_made_listed_and_revoked_without_a_daemon(environ: Environ, keys: Keys) -> None:
    secret = keys("create", "Ann B.", "--role", "admin", "--reason", "locked out").strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
    [shown] = json.loads(keys("list", "--json"))
    assert (shown["name"], shown["role"], shown["source"]) == ("Ann B.", "admin", "store")
    assert shown["is_valid"]

    async def stored() -> list[bytes]:
        async with opened(environ) as store:
            return [key.key_hash for key in await store.api_keys()]

    assert trio.run(stored) == [digest_of(secret)]
    keys("revoke", str(shown["id"]), "--reason", "done")
    assert json.loads(keys("list", "--json")) == []
    [gone] = json.loads(keys("list", "--json", "--all"))
    assert gone["revoked_at"] is not None
    made, revoked = changes(environ)
    assert (made.operation, revoked.operation) == ("CREATE", "UPDATE")
    assert (made.reason, revoked.reason) == ("locked out", "done")
    assert made.changed_by == revoked.changed_by == shown["created_by"]
    assert made.changed_by.startswith("local user ")


def test_what_is_no_key_is_refused_as_the_api_refuses_it(environ: Environ, keys: Keys) -> None:
    new = ("create", "ann", "--role", "viewer", "--expires")
    assert "must be in the future" in keys(*new, "2001-01-01T00:00:00Z", code=65)
    keys(*new, "9999-12-31T23:59:59-12:00", code=65)
    assert "printable" in keys("create", "a\nb", "--role", "viewer", code=65)
    assert "there is no key 7" in keys("revoke", "7", code=65)
    assert keys("revoke", "9" * 30, code=65)
    assert changes(environ) == []
    assert keys(*new, "4w")
    [key] = json.loads(keys("list", "--json"))
    assert key["expires_at"] is not None


def test_it_is_said_in_which_store(
    environ: Environ, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = "PostgreSQL" if "MUTTD_DATABASE_URL" in environ else str(tmp_path / "store.db")
    for arguments in (("create", "ann", "--role", "viewer"), ("revoke", "1")):
        capsys.readouterr()
        assert main(["keys", *arguments, "--store"], environ) == 0
        assert f" in {where}" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "list", "--store", "--state-dir", str(tmp_path)], {}) == 78
    assert "store.db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "store.db").touch()
    assert main(["keys", "list", "--store", "--state-dir", str(tmp_path)], {}) == 78
    assert "not one that muttd made" in capsys.readouterr().err


def test_a_store_of_an_older_program_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trio.run(make_store, tmp_path)
    file = sqlite3.connect(tmp_path / "store.db")
    names = [row[0] for row in file.execute("SELECT name FROM schema_migrations ORDER BY version")]
    file.execute("DELETE FROM schema_migrations WHERE name = ?", (names[-1],))
    file.commit()
    assert main(["keys", "list", "--store", "--state-dir", str(tmp_path)], {}) == 78
    assert names.pop() in capsys.readouterr().err
    left = file.execute("SELECT name FROM schema_migrations ORDER BY version").fetchall()
    file.close()
    assert left == [(name,) for name in names]


@needs_postgres
def test_an_empty_database_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with database(shared_postgres()) as url:
        assert main(["keys", "list", "--store"], {"MUTTD_DATABASE_URL": url}) == 78
        assert "run muttd migrate" in capsys.readouterr().err


def test_a_database_that_does_not_answer_exits_69(capsys: pytest.CaptureFixture[str]) -> None:
    # Port 1 (tcpmux) is nobody's.
    environ = {
        "MUTTD_DATABASE_URL": "postgresql://mutt:s3cret@127.0.0.1:1/mutt",
        "MUTTD_DATABASE_TIMEOUT_S": "1",
    }
    assert main(["keys", "list", "--store"], environ) == 69
    assert "s3cret" not in capsys.readouterr().err


def test_who_cannot_reach_the_daemon_is_told_of_it(
    tmp_path: Path, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "list", "--state-dir", str(tmp_path)], {}) == 77
    assert "--store needs neither" in capsys.readouterr().err
    (tmp_path / "admin.key").write_text("a-key-of-yesterday\n")
    assert main(["keys", "list", "--url", api.url, "--state-dir", str(tmp_path)], {}) == 77
    assert "--store needs neither" in capsys.readouterr().err
    nobody = "http://127.0.0.1:1"
    assert main(["keys", "list", "--url", nobody, "--state-dir", str(tmp_path)], {}) == 69
    assert "--store needs neither" in capsys.readouterr().err
    assert main(["keys", "list", "--store", "--url", nobody], {}) == 64


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works on the files of another user")
def test_root_leaves_the_files_to_the_daemons_user(tmp_path: Path) -> None:
    trio.run(make_store, tmp_path)
    os.chown(tmp_path, 65_534, 65_534)
    os.chown(tmp_path / "store.db", 65_534, 65_534)
    # Somebody reads meanwhile, so that the files beside it stay.
    reader = sqlite3.connect(tmp_path / "store.db")
    try:
        assert (
            main(
                [
                    "keys",
                    "create",
                    "ann",
                    "--role",
                    "admin",
                    "--store",
                    "--state-dir",
                    str(tmp_path),
                ],
                {},
            )
            == 0
        )
        assert reader.execute("SELECT count(*) FROM api_keys").fetchone() == (1,)
        files = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    finally:
        reader.close()
    assert files == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 65_534)
