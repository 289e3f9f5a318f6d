"""muttd migrate: what it does, what it says, how it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.postgres_server import database, needs_postgres, shared_postgres

from muttd.cli import main
from muttd.store.postgres_schema import known_migrations

PASSWORD = "n0body-sees-it"


@pytest.fixture
def url() -> Iterator[str]:
    with database(shared_postgres()) as url:
        yield url


@needs_postgres
def test_pending_migrations_are_applied_and_named(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"MUTTD_DATABASE_URL": url, "MUTTD_AUTO_MIGRATE": "false"}
    assert main(["migrate"], environ) == 0
    applied = "".join(f"{each} applied\n" for each in known_migrations())
    assert capsys.readouterr().out == f"{applied}The schema is up to date.\n"
    assert main(["migrate"], environ) == 0
    assert capsys.readouterr().out == "The schema is up to date.\n"


@needs_postgres
def test_a_newer_schema_exits_78(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate"], {"MUTTD_DATABASE_URL": url}) == 0
    statement = "INSERT INTO schema_migrations (version, name) VALUES (999, 'later')"
    shared_postgres().execute(statement, database=url.rpartition("/")[2])
    capsys.readouterr()
    assert main(["migrate"], {"MUTTD_DATABASE_URL": url}) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert "a newer muttd" in err
    assert "Traceback" not in err


def test_a_server_that_does_not_answer_exits_69_and_shows_no_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Port 1 (tcpmux) is nobody's.
    environ = {
        "MUTTD_DATABASE_URL": f"postgresql://mutt:{PASSWORD}@127.0.0.1:1/mutt",
        "MUTTD_DATABASE_PASSWORD": PASSWORD,
        "MUTTD_DATABASE_TIMEOUT_S": "1",
    }
    assert main(["migrate"], environ) == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("muttd: PostgreSQL: 127.0.0.1:1: connection")
    assert PASSWORD not in err


def test_a_url_that_libpq_does_not_take_exits_78(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"postgresql://mutt:{PASSWORD}@db/mutt?no_such_parameter=1"
    assert main(["migrate"], {"MUTTD_DATABASE_URL": url}) == 78
    err = capsys.readouterr().err
    assert "MUTTD_DATABASE_URL" in err
    assert PASSWORD not in err


def test_without_a_database_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate"], {}) == 0
    assert "MUTTD_DATABASE_URL is not set" in capsys.readouterr().out
